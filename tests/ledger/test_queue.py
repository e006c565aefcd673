"""The queue of very many cases: what a text finds, and that the small indexes of what is open are asked."""

import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.messages import Step
from domain.people import Grant, Person
from ledger.bopis import steps
from ledger.reads import case_filter
from ledger.reads.case_filter import CaseFilter
from ledger.reads.case_lists import cases_again, count_cases, list_cases
from ledger.reads.cases import case_detail
from ledger.reads.overview import open_cases, troubled
from tests.shop import ADA, ANA, TEA, Shop

OPEN = "open,claimed,waiting,deciding"


async def failed_order(shop: Shop, name: str = "Kim Lee", *, at: str = "S1") -> int:
    first = name.split(maxsplit=1)[0].lower()
    customer = {"name": name, "email": f"{first}@customer.example", "phone": "+49 151 5550100"}
    journey = await shop.order(8, at=at, customer=customer)
    told = await steps.open_case(shop.database, Step(subject=journey, occurrence="1", at=datetime.now(UTC)))
    assert told.case_id is not None
    return told.case_id


async def found(shop: Shop, viewer: Person = ADA, **filters: Any) -> list[int]:
    """The cases that a filter finds; the count and the look at known rows must agree with the list."""
    wanted = CaseFilter(**filters)
    async with shop.database.read() as conn:
        listed = [one.id for one in (await list_cases(conn, viewer, wanted)).items]
        assert await count_cases(conn, viewer, wanted) == len(listed)
        every = [one.id for one in (await list_cases(conn, viewer)).items]
        again = await cases_again(conn, viewer, wanted, every)
        assert sorted(case.id for case, fits in again if fits) == sorted(listed)
    return listed


class TestText:
    async def test_a_part_of_a_customers_name_address_or_number_finds_the_case(self, shop: Shop) -> None:
        kim, lou = await failed_order(shop), await failed_order(shop, "Lou Keller")
        assert await found(shop, text="elle") == [lou]
        assert await found(shop, text="lou@cust") == [lou]
        assert sorted(await found(shop, text="5550100")) == [kim, lou]
        assert await found(shop, text="Keller Lou") == []

    async def test_parts_of_the_order_the_item_and_the_place_find_it(self, shop: Shop) -> None:
        case_id = await failed_order(shop)
        key = await shop.value("SELECT key FROM journey")
        for part in (key[2:8].upper(), "reen te", TEA[:3].lower()):
            assert await found(shop, text=part) == [case_id], part
        assert await found(shop, text="nothing like it") == []

    async def test_fewer_than_three_letters_are_a_whole_place_or_item(self, shop: Shop) -> None:
        here, there = await failed_order(shop), await failed_order(shop, at="S2")
        assert await found(shop, text="s1") == [here]
        assert await found(shop, text="S2") == [there]
        assert await found(shop, text="S") == []
        assert await found(shop, text="%") == []

    @pytest.mark.parametrize("few", [0, 1])
    async def test_a_text_that_names_very_many_finds_the_same(
        self, shop: Shop, few: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await failed_order(shop)
        kellers = [await failed_order(shop, f"{first} Keller") for first in ("Ada", "Lou")]
        monkeypatch.setattr(case_filter, "FEW", few)
        assert sorted(await found(shop, text="keller")) == kellers
        assert len(await found(shop, text="green")) == 3

    async def test_an_erased_customer_is_not_found_by_what_was_erased(self, shop: Shop) -> None:
        await failed_order(shop, "Lou Keller")
        await shop.change("UPDATE customer SET name = NULL, email = NULL, phone = NULL, erased_at = now()")
        assert await found(shop, text="Keller") == []

    async def test_only_customers_with_a_case_are_in_the_index_of_parts(self, shop: Shop) -> None:
        await shop.order(1)
        assert await shop.value("SELECT count(*) FROM customer WHERE has_case") == 0
        await failed_order(shop)
        named = "SELECT count(*) FROM customer JOIN case_file f ON f.customer_id = customer.id WHERE has_case"
        assert await shop.value(named) == 1


class TestStates:
    async def test_every_word_for_a_state_finds_what_is_in_it(self, shop: Shop) -> None:
        case_id = await failed_order(shop)
        assert await found(shop, state=OPEN) == await found(shop, state="open,waiting") == [case_id]
        assert await found(shop, state="resolved,cancelled") == await found(shop, state="claimed") == []
        assert await found(shop, state="open,resolved") == [case_id]
        await shop.change("UPDATE case_file SET state = 'resolved', closed_at = now()")
        assert await found(shop, state="resolved,cancelled") == await found(shop, state="open,resolved") == [case_id]
        assert await found(shop, state=OPEN) == await found(shop, state="cancelled") == []

    async def test_a_closed_case_says_when_and_an_open_one_does_not(self, shop: Shop) -> None:
        await failed_order(shop)
        for change in ("state = 'resolved'", "closed_at = now()"):
            with pytest.raises(IntegrityError, match="closed_says_when"):
                await shop.change(f"UPDATE case_file SET {change}")  # noqa: S608  one of the two


class TestGrants:
    async def test_regions_places_and_both_show_what_each_covers(self, shop: Shop) -> None:
        here, there = await failed_order(shop), await failed_order(shop, at="S2")
        both = [here, there]
        for grants, sees in (
            ([Grant("regional_ops", "", "R1", ""), Grant("regional_ops", "", "R2", "")], both),
            ([Grant("store_manager", "", "", "S1"), Grant("store_manager", "", "", "S2")], both),
            ([Grant("store_manager", "DE01", "R1", "S2"), Grant("finance", "FR01", "", "")], [there]),
            ([Grant("regional_ops", "DE01", "R2", ""), Grant("store_manager", "", "", "S1")], [here]),
            ([Grant("regional_ops", "", "S1", "R1")], []),
            ([], []),
        ):
            viewer = Person("ana", "Ana", "a@shop.example", tuple(grants))
            assert sorted(await found(shop, viewer)) == sees, grants


async def plan(shop: Shop, work: Callable[[AsyncConnection], Awaitable[object]]) -> str:
    """The plans of what `work` sends, where reading a whole table and sorting are the last resort."""
    async with shop.database.read() as conn:
        sent: list[tuple[str, Any]] = []

        with shop.database.heard(lambda statement, given: sent.append((statement, tuple(given)))):
            await work(conn)
        for word in ("seqscan", "bitmapscan", "sort"):
            await conn.execute(text(f"SET LOCAL enable_{word} = off"))
        lines = [row[0] for query, given in sent for row in await conn.exec_driver_sql(f"EXPLAIN {query}", given)]
    return "\n".join(lines)


async def plans_with(shop: Shop, ending: str, sent: Sequence[tuple[str, Any]]) -> str:
    """The plans of what was sent, where cases have no indexes but those whose names end so and those of their keys."""
    async with shop.database.engine.connect() as conn:  # never committed
        others = "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'case_file'::regclass"
        for (name,) in (await conn.execute(text(f"{others} AND NOT indisunique"))).all():
            if not name.endswith(ending):
                await conn.execute(text(f"DROP INDEX {name}"))
        await conn.execute(text("SET LOCAL enable_seqscan = off"))
        asked = [one for one in sent if not one[0].startswith("NOTIFY")]  # relays are woken whenever it is
        return str([(await conn.exec_driver_sql(f"EXPLAIN {query}", given)).all() for query, given in asked])


class TestPlans:
    """Which index it is depends on how many rows there are; that what is closed is never looked at does not."""

    @pytest.mark.parametrize(
        "filters",
        [{}, {"location": "S1"}, {"kind": "pick_short"}, {"claimed_by": "ana"}, {"order": "priority"}],
        ids=str,
    )
    @pytest.mark.parametrize("viewer", [ADA, ANA], ids=["everywhere", "one region"])
    async def test_open_cases_are_read_by_an_index_of_open_cases(
        self, shop: Shop, viewer: Person, filters: dict[str, Any]
    ) -> None:
        told = await plan(shop, lambda conn: list_cases(conn, viewer, CaseFilter(state=OPEN, **filters)))
        index = r"ix_case_file_(queue|by_region|by_place|kind|claimed|priority|age)\b"
        assert re.search(f"Scan (Backward )?using {index}", told), told
        assert "Seq Scan on case_file" not in told

    @pytest.mark.parametrize(
        ("state", "kinds"), [(OPEN, ["open"]), ("cancelled", ["closed"]), (None, ["closed", "open"])], ids=str
    )
    async def test_a_text_is_looked_for_among_what_is_open_or_closed_alone(
        self, shop: Shop, state: str | None, kinds: list[str]
    ) -> None:
        """By the indexes of words, where there are no others: the planner passes over those that cannot answer."""
        sent: list[tuple[str, Any]] = []
        with shop.database.heard(lambda statement, given: sent.append((statement, tuple(given)))):
            async with shop.database.read() as conn:
                await count_cases(conn, ADA, CaseFilter(state=state, text="W-000"))
        told = await plans_with(shop, "_words", sent)
        assert sorted(set(re.findall(r"Bitmap Index Scan on ix_case_file_(open|closed)_words", told))) == kinds, told

    async def test_what_came_before_is_found_among_what_closed_there_of_the_item(self, shop: Shop) -> None:
        number = await failed_order(shop)
        sent: list[tuple[str, Any]] = []
        with shop.database.heard(lambda statement, given: sent.append((statement, tuple(given)))):
            async with shop.database.read() as conn:
                await case_detail(conn, ADA, number)
        told = await plans_with(shop, "_came_back", sent)
        assert re.search(
            r"ix_case_file_came_back on .{1,120}Index Cond: \(\(sku = .*location = .*kind = .*closed_at", told
        ), told

    async def test_what_is_summed_up_is_read_from_the_index_alone(self, shop: Shop) -> None:
        now = datetime.now(UTC)
        assert "Index Only Scan using ix_case_file_open_by_kind" in await plan(shop, lambda c: open_cases(c, ADA, now))
        since = now - timedelta(days=30)
        assert "Index Only Scan" in await plan(shop, lambda c: troubled(c, ANA, since))
