"""The row of starts, without the demo; and what it says of a start that fails."""

import socket
from pathlib import Path

import pytest

from bench import place, starting


@pytest.mark.slow
async def test_the_second_start_stands_beside_both_bare_servers() -> None:
    (row,) = await starting.twice("unused", seconds=0.0, demo=False, times=1)
    assert (row.id, row.unit) == ("S13", "s")
    assert row.limit is not None
    assert row.limit > 0
    assert row.value > 0
    assert "the first time" in row.note


async def test_a_start_that_fails_is_an_error_with_its_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        async with place.room() as room:
            with pytest.raises(RuntimeError, match="is taken"):
                await starting.up(room / "home", taken.getsockname()[1], demo=False)


async def test_a_room_goes_with_what_is_in_it() -> None:
    async with place.room() as room:
        (room / "file").write_text("x")
    assert not Path(room).exists()
