"""Channels that show prices: told, read back, refusing, away; over HTTP, by files, and in the sandbox."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from domain.promotion import ShelfPrice
from ports.price import (
    ChannelAway,
    CsvPriceChannel,
    HttpPriceChannel,
    PriceAt,
    PriceToShow,
    SandboxPriceChannel,
)

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
TEA, COFFEE = PriceAt("S1", "TEA", NOON), PriceAt("S1", "COFFEE", NOON)


def shown_as(at: PriceAt, minor: int = 199, deal: str = "", number: int = 7) -> PriceToShow:
    return PriceToShow(at, ShelfPrice(minor, deal), "EUR", number)


type Answering = Callable[[httpx2.Request], httpx2.Response]


def over_http(answering: Answering) -> HttpPriceChannel:
    return HttpPriceChannel("web", "https://shop.example/v1/", "key-1", transport=httpx2.MockTransport(answering))


class TestOverHttp:
    async def test_the_requests_are_what_the_contract_says(self) -> None:
        seen: list[httpx2.Request] = []

        def answering(request: httpx2.Request) -> httpx2.Response:
            seen.append(request)
            if request.url.path.endswith("/read"):
                row = {
                    "location": "S1",
                    "sku": "TEA",
                    "at": "2026-11-24T13:00:00+01:00",
                    "price_minor": 199,
                    "deal": "",
                }
                return httpx2.Response(200, json={"prices": [row]})
            return httpx2.Response(204)

        channel = over_http(answering)
        assert await channel.publish([shown_as(TEA, deal="2+1")]) == {}
        assert await channel.shown([TEA, COFFEE]) == {TEA: ShelfPrice(199)}
        assert [str(request.url) for request in seen] == [
            "https://shop.example/v1/prices", "https://shop.example/v1/prices/read",
        ]  # fmt: skip
        assert {request.headers["Authorization"] for request in seen} == {"Bearer key-1"}
        assert json.loads(seen[0].content) == {
            "channel": "web",
            "prices": [
                {
                    "location": "S1",
                    "sku": "TEA",
                    "valid_from": "2026-11-24T12:00:00.000000Z",
                    "price_minor": 199,
                    "currency": "EUR",
                    "deal": "2+1",
                    "number": 7,
                }
            ],
        }
        assert json.loads(seen[1].content)["prices"][0] == {
            "location": "S1", "sku": "TEA", "at": "2026-11-24T12:00:00.000000Z",
        }  # fmt: skip

    async def test_what_it_refuses_is_named_with_its_reason(self) -> None:
        rows = [
            {"location": "S1", "sku": "COFFEE", "valid_from": "2026-11-24T12:00:00Z", "reason": "no such item"},
            {"location": "S9", "sku": "COFFEE", "valid_from": "2026-11-24T12:00:00Z", "reason": "never sent"},
        ]
        channel = over_http(lambda _request: httpx2.Response(200, json={"refused": rows}))
        assert await channel.publish([shown_as(TEA), shown_as(COFFEE)]) == {COFFEE: "no such item"}

    @pytest.mark.parametrize(
        ("answer", "because"),
        [
            (httpx2.Response(503), "answered 503"),
            (httpx2.Response(302, headers={"location": "https://evil.example"}), "answered 302"),
            (httpx2.Response(200, content=b"<html>"), "no JSON"),
            (httpx2.Response(200, json=[1]), "no JSON object"),
            (httpx2.Response(200, json={"prices": "all"}), "no list of objects"),
        ],
    )
    async def test_an_answer_that_says_nothing_means_that_it_is_away(
        self, answer: httpx2.Response, because: str
    ) -> None:
        with pytest.raises(ChannelAway, match=because):
            await over_http(lambda _request: answer).shown([TEA])

    async def test_no_answer_means_that_it_is_away(self) -> None:
        def broken(request: httpx2.Request) -> httpx2.Response:
            raise httpx2.ConnectError("refused", request=request)

        with pytest.raises(ChannelAway, match="no answer: ConnectError"):
            await over_http(broken).publish([shown_as(TEA)])

    @pytest.mark.parametrize("price", [None, "199", 1.5, True])
    async def test_a_price_that_is_none_is_not_shown(self, price: object) -> None:
        row = {"location": "S1", "sku": "TEA", "at": "2026-11-24T12:00:00Z", "price_minor": price}
        channel = over_http(lambda _request: httpx2.Response(200, json={"prices": [row]}))
        assert await channel.shown([TEA]) == {}


class TestByFiles:
    async def test_a_file_goes_out_whole_and_once_and_what_comes_back_is_read(self, tmp_path: Path) -> None:
        channel = CsvPriceChannel(tmp_path)
        assert await channel.shown([TEA]) == {}
        for _ in range(2):
            assert await channel.publish([shown_as(TEA, deal="2+1"), shown_as(COFFEE, 99)]) == {}
        (sent,) = (tmp_path / "out").iterdir()
        with sent.open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert rows[0] == {
            "location": "S1", "sku": "TEA", "valid_from": "2026-11-24T12:00:00.000000Z", "price_minor": "199",
            "currency": "EUR", "deal": "2+1", "number": "7",
        }  # fmt: skip
        (tmp_path / "shown").mkdir()
        sent.rename(tmp_path / "shown" / sent.name)
        assert await channel.shown([TEA, COFFEE]) == {TEA: ShelfPrice(199, "2+1"), COFFEE: ShelfPrice(99)}

    async def test_files_stand_in_the_order_of_their_numbers(self, tmp_path: Path) -> None:
        channel = CsvPriceChannel(tmp_path)
        for number in (1_795_000_000_000_000, 99, 1_795_000_000_000_001):
            await channel.publish([shown_as(TEA, number, number=number)])
        sent = [path.read_text().splitlines()[1] for path in sorted((tmp_path / "out").iterdir())]
        assert [int(row.rsplit(",", 1)[1]) for row in sent] == [99, 1_795_000_000_000_000, 1_795_000_000_000_001]

    async def test_the_latest_that_holds_counts_and_of_two_files_the_last(self, tmp_path: Path) -> None:
        channel, shown = CsvPriceChannel(tmp_path), tmp_path / "shown"
        shown.mkdir()
        head = "location,sku,valid_from,price_minor,deal\n"
        (shown / "1.csv").write_text(f"{head}S1,TEA,2026-11-01T00:00:00Z,250,\nS1,TEA,2026-11-24T12:00:00Z,199,\n")
        assert await channel.shown([TEA]) == {TEA: ShelfPrice(199)}
        (shown / "2.csv").write_text(f"{head}S1,TEA,2026-11-24T12:00:00Z,189,\n")
        assert await channel.shown([TEA]) == {TEA: ShelfPrice(189)}
        before = TEA._replace(valid_from=NOON - timedelta(hours=1))
        assert await channel.shown([before]) == {before: ShelfPrice(250)}

    @pytest.mark.parametrize(
        ("content", "because"),
        [
            ("location,sku,price_minor\nS1,TEA,1\n", "lacks the column valid_from"),
            ("location,sku,valid_from,price_minor,deal\nS1,TEA,yesterday,1,\n", "line 2: no instant"),
            ("location,sku,valid_from,price_minor,deal\nS1,TEA,2026-11-24T12:00:00Z,cheap,\n", "line 2: no instant"),
            ("location,sku,valid_from,price_minor,deal\nS1,TEA\n", "line 2: no instant"),
        ],
    )
    async def test_a_file_that_cannot_be_read_names_its_line(self, tmp_path: Path, content: str, because: str) -> None:
        (tmp_path / "shown").mkdir()
        (tmp_path / "shown" / "x.csv").write_text(content)
        with pytest.raises(ChannelAway, match=because):
            await CsvPriceChannel(tmp_path).shown([TEA])

    async def test_a_folder_that_cannot_be_written_means_that_it_is_away(self, tmp_path: Path) -> None:
        (tmp_path / "taken").write_text("a file")
        with pytest.raises(ChannelAway, match="cannot be written"):
            await CsvPriceChannel(tmp_path / "taken").publish([shown_as(TEA)])


class TestSandbox:
    async def test_it_shows_what_it_is_told_from_then_on_and_keeps_it(self, tmp_path: Path) -> None:
        record = tmp_path / "prices.sqlite"
        later = TEA._replace(valid_from=NOON + timedelta(days=1))
        await SandboxPriceChannel("web", record).publish([shown_as(TEA, 199), shown_as(later, 250)])
        again = SandboxPriceChannel("web", record)
        hour = TEA._replace(valid_from=NOON + timedelta(hours=1))
        assert await again.shown([TEA, hour, later]) == {
            TEA: ShelfPrice(199), hour: ShelfPrice(199), later: ShelfPrice(250),
        }  # fmt: skip
        assert await again.shown([TEA._replace(valid_from=NOON - timedelta(hours=1))]) == {}
        assert await SandboxPriceChannel("pos", record).shown([TEA]) == {}

    async def test_while_it_cannot_write_the_channel_is_away(self, tmp_path: Path) -> None:
        record = tmp_path / "prices.sqlite"
        channel = SandboxPriceChannel("web", record)
        record.unlink()
        record.mkdir()
        with pytest.raises(ChannelAway, match="cannot write its record"):
            await channel.publish([shown_as(TEA, 199)])

    async def test_what_is_older_than_what_it_took_is_refused(self, tmp_path: Path) -> None:
        channel = SandboxPriceChannel("web", tmp_path / "prices.sqlite")
        assert await channel.publish([shown_as(TEA, 199, number=8)]) == {}
        late = await channel.publish([shown_as(TEA, 150, number=7), shown_as(COFFEE, 99, number=7)])
        assert late == {TEA: "a newer price was taken already"}
        assert await channel.shown([TEA, COFFEE]) == {TEA: ShelfPrice(199), COFFEE: ShelfPrice(99)}
        assert await channel.publish([shown_as(TEA, 180, number=8)]) == {}  # the same conversation, sent again
        assert await channel.shown([TEA]) == {TEA: ShelfPrice(180)}

    async def test_a_record_from_before_there_were_numbers_goes_on(self, tmp_path: Path) -> None:
        record = tmp_path / "prices.sqlite"
        with closing(sqlite3.connect(record)) as conn, conn:
            conn.execute(
                "CREATE TABLE price (channel TEXT, location TEXT, sku TEXT, valid_from TEXT, price_minor INTEGER"
                " NOT NULL, deal TEXT NOT NULL, PRIMARY KEY (channel, location, sku, valid_from))"
            )
            conn.execute("INSERT INTO price VALUES ('web', 'S1', 'TEA', '2026-11-24T12:00:00.000000Z', 250, '')")
        channel = SandboxPriceChannel("web", record)
        assert await channel.shown([TEA]) == {TEA: ShelfPrice(250)}
        assert await channel.publish([shown_as(TEA, 199)]) == {}
        assert await SandboxPriceChannel("web", record).shown([TEA]) == {TEA: ShelfPrice(199)}
