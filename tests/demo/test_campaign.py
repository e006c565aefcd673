"""A campaign of the real data, small: cut, played through the real API with a real worker, and compared with the raw
data to the cent.
"""

import asyncio
import dataclasses
import datetime as dt
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

import ledger.engine
from demo import accounts, people
from demo.campaign import bodies, cut, outcome, raw
from demo.campaign.clock import Clock
from demo.campaign.scene import Scene, date_of
from demo.client import Client
from ledger.load import load
from ledger.tables import person, person_role
from ports.price import SandboxPriceChannel
from settings import Settings
from tests.conftest import Database, TemporalServer
from tests.ledger.support.books import assert_books_agree
from tests.shop import Shop
from tests.workflows.hub import Hub
from web.app import create_app

SECRET = "a-secret-of-this-installation-alone"
NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)


@pytest.fixture(scope="module")
def small() -> cut.Campaign:
    """Three makers of the campaign at six stores."""
    return cut.cut(makers=3, stores=6)


@pytest.fixture(scope="module")
def rows(small: cut.Campaign) -> list[raw.Row]:
    return raw.rows(raw.signed(small))


@pytest.fixture
async def hub(
    database: Database,
    temporal: TemporalServer,
    task_queue: str,
    tmp_path: Path,
    eventually: Callable[..., Any],
    small: cut.Campaign,
) -> AsyncIterator[Hub]:
    """A running Endcap with the stores and items of the campaign, and the people of the demo's head office."""
    bodies.write(small, tmp_path / "data")
    assert (await load(database.url, tmp_path / "data")).rejects == []
    opened = ledger.engine.Database(database.url)
    async with opened.engine.begin() as conn:
        for who in (people.SAM, people.MIA, people.PRIYA):
            await conn.execute(person.insert().values(id=who.id, name=who.name, email=who.email))
            await conn.execute(person_role.insert().values(person_id=who.id, role=who.roles[0], entity="EGUS"))
    await accounts.create(database.url, SECRET)
    channels = {"pos": SandboxPriceChannel("pos", tmp_path / "prices.sqlite")}
    record = tmp_path / "sandbox.sqlite"
    yield Hub(Shop(opened), temporal.client, task_queue, record, eventually, channels=dict(channels))
    await opened.dispose()


@pytest.fixture
async def scene(database: Database, hub: Hub, small: cut.Campaign) -> AsyncIterator[Scene]:
    """The scene, which carries messages to the workflows whenever it waits."""

    async def look_again(_seconds: float) -> None:
        await hub.carry()
        await asyncio.sleep(0.02)  # between two looks, not instead of one

    app = create_app(Settings(database_url=database.url, demo=True, secret=SecretStr(SECRET)))
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://endcap.test") as http:
            client = Client(http, accounts.keys(SECRET))
            made = Scene(client, small, Clock(hub.shop.database), NOW, sleep=look_again, patience_s=1_000_000)
            made.desk.short_every = 2
            yield made


class TestCut:
    def test_the_weeks_are_those_of_the_data(self, rows: list[raw.Row]) -> None:
        assert {row.week for row in rows} == {23, 24, 25, 26, 27}
        assert all(raw.week_of(dt.datetime.fromtimestamp(row.at_s, dt.UTC)) == row.week for row in rows)

    def test_it_has_every_line_of_its_makers_and_stores(self, small: cut.Campaign, rows: list[raw.Row]) -> None:
        lines = [line for receipt in small.receipts for line in receipt.lines]
        assert (len(small.makers), len(small.stores)) == (3, 6)
        assert len(lines) == len(rows) > 100
        assert sum(line.quantity for line in lines) == sum(row.units for row in rows)
        assert any(line.coupon_minor for line in lines)
        assert any(receipt.returned for receipt in small.receipts)

    def test_each_promotion_lies_within_the_campaign(self, small: cut.Campaign) -> None:
        assert (str(date_of(small.starts_s)), str(date_of(small.ends_s - 1))) == ("2017-05-31", "2017-07-02")
        for one in small.promotions:
            assert small.starts_s <= one.starts_s < one.ends_s <= small.ends_s
        kinds = {terms["kind"] for terms in (one.terms for one in small.agreements)}
        assert kinds == {"percent", "scan_back", "lump_sum"}
        assert [one.terms for one in small.agreements if "cap_minor" in one.terms]
        assert [one.terms for one in small.agreements if "tiers" in one.terms]

    def test_the_script_is_read_as_it_was_written(self, small: cut.Campaign, tmp_path: Path) -> None:
        written = bodies.write(small, tmp_path)
        assert bodies.read(tmp_path) == small
        assert written["locations.csv"] == 6

    def test_a_scene_that_begins_whenever_keeps_weekday_and_hour(self, small: cut.Campaign) -> None:
        for days in range(9):
            begun = NOW + dt.timedelta(days=days)
            shift = bodies.shift_s(small, begun)
            starts = bodies.instant(small.starts_s + shift)
            assert shift % cut.WEEK_S == 0
            assert dt.timedelta(days=2) <= starts - begun < dt.timedelta(days=9)

    @pytest.mark.parametrize(("number", "says"), [(99, "there is no campaign 99"), (15, "2018-02-28")])
    def test_a_campaign_that_the_year_does_not_have_is_refused(self, number: int, says: str) -> None:
        with pytest.raises(ValueError, match=says):
            cut.cut(number)


class TestRaw:
    """What is worked out once more: a wrong cent anywhere is named."""

    def test_a_difference_is_named_with_vendor_promotion_and_week(self) -> None:
        should = {("M0317", "CJ9-M0317", 23): 400, ("M0317", "CJ9-M0317", 24): 7}
        have = {("M0317", "CJ9-M0317", 23): 401, ("M0317", "CJ9-M0317", 24): 7}
        assert raw.differences(should, have) == ["M0317 CJ9-M0317 week 23: accrued 401, the raw data say 400"]
        assert raw.differences(should, should) == []

    def test_no_cap_is_passed_and_no_lump_sum_kept(self, small: cut.Campaign, rows: list[raw.Row]) -> None:
        signed = raw.signed(small)
        sums = raw.accrued(signed, rows, ends_s=small.ends_s)
        for (maker, is_weekly), terms in signed.terms.items():
            mine = sum(
                value
                for (vendor, promotion, _), value in sums.items()
                if vendor == f"M{maker:04d}" and ("-W" in promotion) == is_weekly
            )
            if "cap_minor" in terms:
                assert mine == terms["cap_minor"]
            if terms["kind"] == "lump_sum":
                assert mine == terms["amount_minor"]

    def test_a_line_that_a_coupon_paid_on_earns_nothing(self, small: cut.Campaign, rows: list[raw.Row]) -> None:
        signed = raw.signed(small)
        paid = [row for row in rows if row.coupon_minor]
        assert paid
        flat = signed._replace(terms={key: {"kind": "scan_back", "rate_minor": 1} for key in signed.terms})
        sums = raw.accrued(flat, rows, ends_s=small.ends_s)
        back = sum(row.units for row in rows if not row.coupon_minor and cut.back_at_s(row.basket, row.at_s))
        assert sum(sums.values()) == sum(row.units for row in rows) - sum(row.units for row in paid) - back


class TestPlayed:
    async def test_it_accrues_what_the_raw_data_say_and_every_claim_is_closed(self, scene: Scene, hub: Hub) -> None:
        async with hub.worker():
            await scene.play()
            found = await outcome.result(scene)
            again = dataclasses.replace(scene)
            await again.play()  # as after a stop: the same bodies, and nothing counts twice
            repeated = await outcome.result(again)
        assert found.wrong == repeated.wrong == []
        assert found.lines[1:] == repeated.lines[1:]
        assert found.lines[-1].endswith("in no claim 0.00")
        assert scene.refused == {}
        shop, like = hub.shop, f"CJ{scene.campaign.number}-%"
        states = "SELECT string_agg(DISTINCT state, ',') FROM journey WHERE kind = :kind AND key LIKE :like"
        assert await shop.value(states, kind="promotion", like=like) == "settled"
        assert set((await shop.value(states, kind="claim", like=like)).split(",")) <= {"settled", "written_off"}
        assert scene.desk.short >= 2
        assert await shop.value("SELECT count(*) FROM case_file WHERE closed_at IS NULL") == 0
        assert await shop.value("SELECT count(*) FROM approval WHERE state = 'approved'") > 0
        await assert_books_agree(shop.database)
        # A wrong cent is seen.
        await shop.change(
            "UPDATE funding_accrual SET amount_minor = amount_minor + 1"
            " WHERE id = (SELECT min(id) FROM funding_accrual)"
        )
        spoilt = await outcome.result(scene)
        assert [line for line in spoilt.wrong if "the raw data say" in line]
