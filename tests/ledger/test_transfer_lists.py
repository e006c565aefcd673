"""Lists of transfers: what filters mean, who sees what, and goods on their way that are worth what the books say."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event

from domain.errors import DomainError, Malformed
from domain.people import Grant, Person
from domain.transfers import NewTransfer
from ledger import reference
from ledger.reads.claims import ClaimFilter, claim_row, list_claims, owed
from ledger.reads.transfer_list import TransferFilter, heaps, list_transfers, on_the_way
from ledger.transfer import claims, intake
from ledger.transfer.preview import preview
from tests.ledger.support.books import accounts
from tests.ledger.support.till import COFFEE
from tests.ledger.support.transfers import WMS, Moved, other_company
from tests.shop import ANA, FIN, TEA, Shop

pytestmark = pytest.mark.usefixtures("assortment")
NORTH = Person("nor", "Nor Dahl", "nor@shop.example", (Grant("regional_ops", "", "R2", ""),))
NOBODY = Person("non", "Non Grant", "non@shop.example", ())


async def keys(shop: Shop, viewer: Person | None = ANA, **filters: object) -> list[str]:
    async with shop.database.read() as conn:
        found = await list_transfers(conn, viewer, TransferFilter.model_validate(filters))
    return [one.id for one in found.items]


async def older(shop: Shop, moved: Moved, days: float) -> None:
    """Its goods left so long ago."""
    at = datetime.now(UTC) - timedelta(days=days)
    await shop.change("UPDATE transfer_parcel SET at = :at WHERE journey_id = :id", at=at, id=moved.id)


class TestTheList:
    async def test_each_filter_narrows_it(self, shop: Shop) -> None:
        there = await Moved.open(shop, (TEA, 2))
        back = await Moved.open(shop, (TEA, 1), **{"from": "S2", "to": "S1", "reason": "recall"})
        await there.ship()
        assert await keys(shop) == [back.id, there.id]
        assert await keys(shop, state="in_transit") == [there.id]
        assert await keys(shop, state="open,closed") == [back.id, there.id]
        assert await keys(shop, state="closed") == []
        assert await keys(shop, source="S1") == [there.id]
        assert await keys(shop, destination="S1") == [back.id]
        assert await keys(shop, place="S1") == [back.id, there.id]
        assert await keys(shop, region="R1") == [back.id, there.id]
        assert await keys(shop, region="R9") == []
        assert await keys(shop, reason="recall") == [back.id]
        assert await keys(shop, sku=TEA) == [back.id, there.id]
        assert await keys(shop, sku=COFFEE) == []
        assert await keys(shop, text=back.answer.journey_id[-5:]) == [back.id]
        assert await keys(shop, text="%") == []

    async def test_late_is_what_should_have_left_or_come_by_its_own_clock(self, shop: Shop) -> None:
        there = await Moved.open(shop, (TEA, 2))
        gone = await Moved.open(shop, (TEA, 1))
        await gone.ship()
        assert await keys(shop, late=True) == []
        await shop.change("UPDATE journey SET clock_offset_s = 86400 * 9 WHERE id = :id", id=there.id)
        assert await keys(shop, late=True) == [there.id]
        await shop.change("UPDATE journey SET clock_offset_s = 86400 * 9 WHERE id = :id", id=gone.id)
        assert await keys(shop, late=True) == [gone.id, there.id]

    async def test_what_waits_for_somebodys_word_is_found_and_named(self, shop: Shop) -> None:
        await other_company(shop)
        asked = await Moved.open(shop, (TEA, 1), to="N1")
        await Moved.open(shop, (TEA, 1))
        assert await keys(shop, asked=True) == [asked.id]
        async with shop.database.read() as conn:
            (one,) = (await list_transfers(conn, ANA, TransferFilter(asked=True))).items
        assert (one.approval_id, one.case_id, one.wanted) == (asked.answer.approval_id, None, 1)

    async def test_either_end_sees_it_and_nobody_else(self, shop: Shop) -> None:
        await other_company(shop)
        across = await Moved.open(shop, (TEA, 1), to="N1")
        within = await Moved.open(shop, (TEA, 1))
        assert await keys(shop, ANA) == [within.id, across.id]
        assert await keys(shop, NORTH) == [across.id]
        assert await keys(shop, NOBODY) == []

    async def test_pages_follow_each_other_and_a_cursor_of_other_filters_is_refused(self, shop: Shop) -> None:
        ids = [(await Moved.open(shop, (TEA, 1))).id for _ in range(3)]
        async with shop.database.read() as conn:
            first = await list_transfers(conn, ANA, TransferFilter(), limit=2)
            rest = await list_transfers(conn, ANA, TransferFilter(), limit=2, cursor=first.next)
            assert [one.id for one in (*first.items, *rest.items)] == ids[::-1]
            assert rest.next is None
            with pytest.raises(Malformed, match="cursor"):
                await list_transfers(conn, ANA, TransferFilter(late=True), cursor=first.next)


class TestOnTheWay:
    async def test_each_heap_and_all_together_are_worth_what_the_books_say(self, shop: Shop) -> None:
        fresh, old, come = [await Moved.open(shop, (TEA, number)) for number in (1, 2, 1)]
        for one in (fresh, old, come):
            await one.ship()
        await come.receive()
        await older(shop, old, 5)
        async with shop.database.read() as conn:
            found = await heaps(conn, FIN, TransferFilter())
            rows = await on_the_way(conn, FIN, TransferFilter(), limit=10)
            last = await on_the_way(conn, FIN, TransferFilter(), limit=10, band=3)
        assert [(heap.band, heap.transfers, heap.units, heap.value_minor) for heap in found] == [
            (0, 1, 1, 600), (3, 1, 2, 1_200),
        ]  # fmt: skip
        books = await accounts(shop.database)
        assert sum(heap.value_minor for heap in found) == books["goods_in_transit"]
        assert [(one.id, one.value_minor) for one in rows] == [(old.id, 1_200), (fresh.id, 600)]
        assert [one.id for one in last] == [old.id]

    async def test_what_has_partly_come_counts_with_the_rest(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 4))
        await moved.ship(carrier="Parcel Co", tracking="PC-1", expected_at="2030-01-01T00:00:00+02:00")
        await moved.receive(1)
        async with shop.database.read() as conn:
            (one,) = await on_the_way(conn, ANA, TransferFilter(), limit=10)
        assert (one.units, one.value_minor, one.carrier, one.tracking) == (3, 1_800, "Parcel Co", "PC-1")
        assert one.expected_at == datetime(2029, 12, 31, 22, tzinfo=UTC)
        assert one.age < timedelta(hours=1)

    async def test_age_runs_on_the_transfers_own_clock(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 1))
        await moved.ship()
        await shop.change("UPDATE journey SET clock_offset_s = 86400 * 9 WHERE id = :id", id=moved.id)
        async with shop.database.read() as conn:
            (heap,) = await heaps(conn, ANA, TransferFilter())
        assert heap.band == 4

    async def test_another_region_sees_none_of_it(self, shop: Shop) -> None:
        await other_company(shop)
        await (await Moved.open(shop, (TEA, 1))).ship()
        async with shop.database.read() as conn:
            assert await heaps(conn, NORTH, TransferFilter()) == []
            assert await on_the_way(conn, NORTH, TransferFilter(), limit=10) == []


class TestClaims:
    async def test_what_may_still_come_is_what_the_books_hold(self, shop: Shop) -> None:
        first, second = await self.claimed(shop, 2), await self.claimed(shop, 3)
        await claims.record_answer(shop.database, second, WMS, accepted_minor=500, reference="R-7", via="test")
        async with shop.database.read() as conn:
            (open_,) = await owed(conn, FIN)
            listed = await list_claims(conn, FIN, ClaimFilter(state="open"))
            accepted = await list_claims(conn, FIN, ClaimFilter(state="accepted", carrier="Parcel Co", location="S2"))
            one = await claim_row(conn, FIN, second)
            with pytest.raises(DomainError, match="no claim"):
                await claim_row(conn, NORTH, second)
        assert (open_.asked_minor, open_.accepted_minor) == (1_200, 500)
        assert (await accounts(shop.database))["claims_receivable"] == 1_700
        assert [row.id for row in listed.items] == [second, first]
        assert [row.id for row in accepted.items] == [second]
        assert (one.item_name, one.reference, one.root_cause) == ("Green tea", "R-7", "lost_by_carrier")

    async def test_who_decides_where_it_was_missed_may_speak_about_it_and_is_its_actor(self, shop: Shop) -> None:
        await other_company(shop)
        claim = await self.claimed(shop, 1)
        for person in (NORTH, Person("aud", "Aud Ito", "", (Grant("auditor"),))):
            with pytest.raises(DomainError, match="no claim"):
                await claims.mark_sent(shop.database, claim, WMS._replace(person=person), via="test")
        await claims.mark_sent(shop.database, claim, WMS._replace(person=FIN), via="test")
        actor = await shop.value("SELECT who FROM audit WHERE what = 'claim.sent'")
        assert actor == FIN.id

    async def claimed(self, shop: Shop, number: int) -> int:
        moved = await Moved.open(shop, (TEA, number))
        await moved.ship(carrier="Parcel Co", tracking="P-1")
        await moved.receive(0, complete=True)
        await moved.compare()
        await moved.decide("carrier_claim", root_cause="lost_by_carrier")
        return int(await shop.value("SELECT max(id) FROM carrier_claim"))


class TestPreview:
    def wanted(self, *lines: tuple[str, int], **more: str) -> NewTransfer:
        told = [{"line_id": str(no), "sku": sku, "quantity": units} for no, (sku, units) in enumerate(lines, 1)]
        return NewTransfer.model_validate(
            {"transfer_id": "T", "from": "S1", "to": "S2", "reason": "rebalance", "lines": told} | more
        )

    async def test_it_says_what_then_happens_and_reserves_nothing(self, shop: Shop) -> None:
        now = datetime.now(UTC)
        async with shop.database.read() as conn:
            said = await preview(conn, self.wanted((TEA, 9), (COFFEE, 1)), actor=ANA.id, at=now)
        assert [(line.sku, line.can_promise, line.lacks) for line in said.lines] == [(TEA, 5, 4), (COFFEE, 0, 1)]
        assert (said.value_minor, said.level, said.crosses) == (9 * 600 + 80, 0, False)
        made = await Moved.open(shop, (TEA, 9))
        assert made.answer.lines[0].reserved == said.lines[0].can_promise
        async with shop.database.read() as conn:
            again = await preview(conn, self.wanted((TEA, 9)), actor=ANA.id, at=now)
        assert again.lines[0].can_promise == 0

    async def test_the_band_and_another_company_ask_finance(self, shop: Shop) -> None:
        await other_company(shop)
        now = datetime.now(UTC)
        async with shop.database.read() as conn:
            large = await preview(conn, self.wanted((TEA, 900)), actor=ANA.id, at=now)
            other = await preview(conn, self.wanted((TEA, 1), to="N1"), actor=ANA.id, at=now)
        assert (large.level, other.level, other.crosses) == (2, 2, True)

    @pytest.mark.parametrize("more", [{"from": "S99"}, {"to": "S99"}])
    async def test_unknown_places_are_refused(self, shop: Shop, more: dict[str, str]) -> None:
        async with shop.database.read() as conn:
            with pytest.raises(DomainError, match="S99"):
                await preview(conn, self.wanted((TEA, 1), **more), actor=ANA.id, at=datetime.now(UTC))


class TestManyAtOnce:
    async def test_a_night_takes_as_many_statements_as_one_transfer(self, shop: Shop) -> None:
        def wanted(key: str, source: str, target: str) -> NewTransfer:
            line = {"line_id": "1", "sku": TEA, "quantity": 1}
            return NewTransfer.model_validate(
                {"transfer_id": key, "from": source, "to": target, "reason": "rebalance", "lines": [line]}
            )

        async def sent(*some: NewTransfer) -> list[str]:
            said: list[str] = []

            def hear(_conn: object, _cursor: object, statement: str, *_: object) -> None:
                said.append(statement)

            engine = shop.database.engine.sync_engine
            event.listen(engine, "before_cursor_execute", hear)
            try:
                results = await intake.request(shop.database, WMS, some, via="api")
            finally:
                event.remove(engine, "before_cursor_execute", hear)
            assert [result[0] for result in results if not isinstance(result, DomainError)] == [201] * len(some)
            return said

        await sent(wanted("W", "DC", "S1"))  # its shelf is made by it
        ways = [("S1", "S2"), ("S2", "DC"), ("DC", "S1"), ("S1", "DC"), ("S2", "S1"), ("DC", "S2")]
        alone = await sent(wanted("A", "S1", "S2"))
        night = await sent(*(wanted(f"N-{number}", *way) for number, way in enumerate(ways)))
        assert len(night) == len(alone), night

    async def test_each_place_keeps_its_own_policy(self, shop: Shop) -> None:
        await shop.change(
            "INSERT INTO policy_document (version, location, effective_from, body) VALUES ('of-S2', 'S2',"
            " '2020-01-01T00:00Z', '{\"transfer\": {\"transit_s\": 60}}'), ('of-all', '', '2020-01-01T00:00Z', '{}')"
        )
        async with shop.database.read() as conn:
            known = await reference.places(conn, ["S1", "S2", "DC", "S99"])
            found = await reference.policies_at(conn, list(known.values()), datetime.now(UTC))
            alone = {code: await reference.policy_at(conn, place, datetime.now(UTC)) for code, place in known.items()}
            assert known == {code: await reference.place(conn, code) for code in ("S1", "S2", "DC")}
        assert found == alone
        assert {code: (one.version, one.transfer.transit_s) for code, one in found.items()} == {
            "S1": ("of-all", 172_800), "S2": ("of-all+of-S2", 60), "DC": ("of-all", 172_800),
        }  # fmt: skip
        assert found["S1"] is found["DC"]
