"""The scene of returns, small: real baskets of a few stores, sold and brought back through the real API."""

import datetime as dt
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from pydantic import SecretStr
from sqlalchemy import text

import ledger.engine
from demo import accounts, chain, folder, people, unified
from demo.client import Client
from domain.messages import Step
from domain.payments import PaymentOutcome
from ledger import outcomes
from ledger.load import load
from ledger.tables import person, person_role
from settings import Settings
from tests.conftest import Database
from tests.ledger.support.books import assert_books_agree
from web.app import create_app

SECRET = "a-secret-of-this-installation-alone"
STORES = 6
NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)


@pytest.fixture(scope="module")
def cut() -> chain.Chain:
    return chain.cut(STORES)


@pytest.fixture
async def ledger_(database: Database, cut: chain.Chain, tmp_path: Path) -> AsyncIterator[ledger.engine.Database]:
    """The chain, loaded, with Sam of the demo's head office."""
    chain.write(cut, tmp_path)
    assert (await load(database.url, tmp_path)).rejects == []
    opened = ledger.engine.Database(database.url)
    async with opened.engine.begin() as conn:
        who = people.SAM
        await conn.execute(person.insert().values(id=who.id, name=who.name, email=who.email))
        await conn.execute(person_role.insert().values(person_id=who.id, role=who.roles[0], entity="EGUS"))
    await accounts.create(database.url, SECRET)
    yield opened
    await opened.dispose()


@pytest.fixture
async def client(database: Database, ledger_: ledger.engine.Database) -> AsyncIterator[Client]:
    app = create_app(Settings(database_url=database.url, demo=True, secret=SecretStr(SECRET)))
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://endcap.test") as http:
            yield Client(http, accounts.keys(SECRET))


async def rows(database: ledger.engine.Database, query: str) -> list[tuple[object, ...]]:
    async with database.read() as conn:
        return [tuple(row) for row in await conn.execute(text(query))]


async def provider_answers(database: ledger.engine.Database) -> None:
    """Every refund that was asked of the provider is confirmed, as a worker would record it."""
    for operation, journey in await rows(
        database, "SELECT id, journey_id FROM payment_operation WHERE state = 'requested' ORDER BY id"
    ):
        step = Step(subject=str(journey), occurrence=uuid.uuid4().hex, at=NOW, operation_id=str(operation))
        await outcomes.record_outcome(database, step, PaymentOutcome("succeeded", "p1", None))


class TestCut:
    def test_every_store_has_a_visit_by_the_web_and_one_at_its_till(self, cut: chain.Chain) -> None:
        assert len(cut.regions) == STORES
        assert set(cut.regions.values()) == {f"R{number}" for number in range(1, 7)}
        for store in cut.regions:
            assert sorted(one.is_web for one in cut.visits if one.store == store) == [False, True]
        assert {one.way for one in cut.visits} == {"mail", "counter", "till"}

    def test_a_chain_beyond_the_data_splits_the_busiest_stores_by_households(self, cut: chain.Chain) -> None:
        many = chain.cut(150)
        assert chain.cut(STORES) == cut  # the same count makes the same chain
        halves = [code for code in many.regions if code.endswith("B")]
        assert len(many.regions) == 150
        assert halves
        for half in halves:
            mine = {one.household % 2 for one in many.visits if one.store == half}
            others = {one.household % 2 for one in many.visits if one.store == half[:-1]}
            assert (mine, others) == ({1}, {0})

    def test_a_chain_that_the_data_cannot_make_is_refused(self) -> None:
        with pytest.raises(ValueError, match="stores at most, not 5000"):
            chain.cut(5_000)

    def test_the_script_is_read_as_it_was_written(self, cut: chain.Chain, tmp_path: Path) -> None:
        written = chain.write(cut, tmp_path)
        assert chain.read(tmp_path) == list(cut.visits)
        assert written["locations.csv"] == STORES + 6
        assert len(list(folder.read(tmp_path / "stock.csv"))) == written["stock.csv"]


class TestPlayed:
    async def test_goods_and_money_go_their_ways_and_each_channel_has_its_figure(
        self, client: Client, ledger_: ledger.engine.Database, cut: chain.Chain
    ) -> None:
        scene = unified.Scene(client, cut.visits, NOW)
        await scene.play()
        assert scene.refused == {}
        again = unified.Scene(client, cut.visits, NOW)
        await again.play()  # as after a stop: the same bodies, and nothing counts twice
        assert (again.refused, again.journeys) == ({}, scene.journeys)
        channels = "SELECT channel, count(*) FROM journey WHERE kind = 'returns' GROUP BY 1 ORDER BY 1"
        assert await rows(ledger_, channels) == [("store", STORES), ("web", STORES)]
        assert await rows(ledger_, "SELECT event_id FROM event_inbox WHERE outcome <> 'accepted'") == []
        units = "SELECT sum(received)::int FROM return_line"
        assert await rows(ledger_, units) == [(sum(one.lines[0].quantity for one in cut.visits),)]
        slept: list[float] = []

        async def sleep(seconds: float) -> None:
            slept.append(seconds)

        scene.sleep = sleep
        left = await rows(ledger_, "SELECT count(*) FROM journey WHERE state = 'refund_pending'")
        assert [(await scene.settled(),)] == left  # nobody carries them out yet, and patience ends
        assert sum(slept) == unified.PATIENCE_S
        await provider_answers(ledger_)
        figures = {one["group"]: one for one in await scene.by_channel()}
        assert figures.keys() == {"web", "store"}
        # Parcels lay for hours before anybody looked at them; a till pays at once.
        assert figures["web"]["p95"] > 9 * 3600 > figures["store"]["p95"]
        assert [line.split()[0] for line in unified.told(list(figures.values()))] == list(figures)
        assert await scene.settled() == 0
        await assert_books_agree(ledger_)

    async def test_what_nobody_has_looked_at_is_for_sale_nowhere(
        self, client: Client, ledger_: ledger.engine.Database, cut: chain.Chain
    ) -> None:
        visits = [one for one in cut.visits if one.way != "till"]
        untouched = [chain.Visit(**{**vars(one), "condition": None}) for one in visits]
        await unified.Scene(client, untouched, NOW).play()
        waiting = await rows(ledger_, "SELECT sum(customer_returned)::int FROM stock")
        assert waiting == [(sum(one.lines[0].quantity for one in untouched),)]
        assert await rows(ledger_, "SELECT count(*) FROM movement WHERE kind = 'disposed'") == [(0,)]


def test_the_moment_at_which_it_was_begun_is_remembered(tmp_path: Path) -> None:
    path = tmp_path / "home" / "scene-returns.json"
    assert unified.begun_at(path, NOW) == NOW
    assert unified.begun_at(path, NOW + dt.timedelta(hours=3)) == NOW
