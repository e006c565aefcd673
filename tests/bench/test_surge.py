"""Real sales through the ledger while a promotion runs: a surge planted at a store is proposed within two looks, with
its reason, and a Saturday as it was is not.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text

from bench import surge
from bench.surge import DAY_S, HOUR_S, SURGE_FROM, Cut, code_of, instant
from demo.source import TRADING_ZONE
from ledger.engine import Database
from tests.conftest import Database as Fresh
from tests.ledger.support.books import assert_books_agree

SATURDAY = 5 * DAY_S + 6 * HOUR_S


@pytest.fixture(scope="module")
def cut() -> Cut:
    return surge.read(stores=6)


@pytest.fixture
async def ledger(database: Fresh) -> AsyncIterator[Database]:
    opened = Database(database.url, pool_size=2, application="endcap-test", sealing_keys={"bench": b"0" * 32})
    yield opened
    await assert_books_agree(opened)
    await opened.dispose()


def units_until(cut: Cut, seconds: int) -> int:
    """What the data themselves say, and nothing that has been through the ledger."""
    return int(cut.week.quantity[cut.week.at_s < cut.monday_s + seconds].sum())


class TestTheCut:
    def test_it_has_every_receipt_of_its_stores_and_weeks(self, cut: Cut) -> None:
        assert len(cut.stores) == 6
        assert int(cut.past.at_s.max()) < cut.monday_s <= int(cut.week.at_s.min())
        told = [surge.told(one) for one in surge.receipts(cut.week)]
        assert sum(line["quantity"] for one in told for line in one["data"]["lines"]) == int(cut.week.quantity.sum())
        assert len({one["id"] for one in told}) == len(told) == len(set(cut.week.basket.tolist()))

    def test_weekday_and_hour_stay_what_they_were(self, cut: Cut) -> None:
        for at_s in (*cut.past.at_s[:50].tolist(), *cut.week.at_s[-50:].tolist()):
            there, here = (
                at.astimezone(TRADING_ZONE) for at in (datetime.fromtimestamp(at_s, TRADING_ZONE), instant(at_s))
            )
            assert (there.weekday(), there.time()) == (here.weekday(), here.time())

    @pytest.mark.parametrize(
        ("asked", "says"), [({"category": "ANVILS"}, "no category ANVILS"), ({"stores": 10_000}, "not 10000")]
    )
    def test_what_the_data_do_not_have_is_refused(self, asked: dict[str, object], says: str) -> None:
        with pytest.raises(ValueError, match=says):
            surge.read(**asked)  # type: ignore[arg-type]


async def test_a_planted_surge_is_proposed_within_two_looks(cut: Cut, database: Fresh, ledger: Database) -> None:
    found = await surge.play(database.url, cut, 8, first_look_s=SATURDAY, last_look_s=SURGE_FROM + 3 * HOUR_S)
    begins, busiest = instant(cut.monday_s + SURGE_FROM), code_of(cut.busiest)
    planted = [one for one in surge.planted(cut, 8) if one.at_s < cut.monday_s + SURGE_FROM + 3 * HOUR_S]
    assert found.sold_units == units_until(cut, SURGE_FROM + 3 * HOUR_S) + sum(
        line[1] for one in planted for line in one.lines
    )
    assert {code for _, code in found.surged} == {busiest}
    assert begins < found.surged[0][0] <= begins + timedelta(hours=2, minutes=5)
    first = found.proposals[0]
    assert begins < first.at <= begins + timedelta(hours=2, minutes=5)
    assert {one.target for one in found.proposals} == {busiest}
    assert busiest not in {one.source for one in found.proposals}
    assert f"Store {cut.busiest} had " in first.because
    assert " receipts in the last 2 hours, where " in first.because
    assert f"Store {int(first.source[1:])}, " in first.because
    assert first.because.endswith(f" until the promotion ends: {first.units} of them go.")
    assert first.state == "ready_to_ship"  # of less than the band: made, and the units are reserved
    async with ledger.read() as conn:
        reserved = await conn.execute(
            text("SELECT sum(reserved) FROM stock WHERE location = :at AND sku = :sku"),
            {"at": first.source, "sku": first.sku},
        )
        assert reserved.scalar_one() >= first.units


async def test_a_saturday_as_it_was_is_not(cut: Cut, database: Fresh, ledger: Database) -> None:
    found = await surge.play(database.url, cut, 0, first_look_s=SATURDAY)
    assert found.looks == 19
    assert found.sold_units == units_until(cut, 6 * DAY_S) > 50
    assert found.surged == []
    assert found.proposals == []
    async with ledger.read() as conn:
        transfers = await conn.execute(text("SELECT count(*) FROM journey WHERE kind = 'transfer'"))
        assert transfers.scalar_one() == 0
