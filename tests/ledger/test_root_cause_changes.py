"""A root cause is added or ended for a region with somebody else's word; what was decided keeps what it was given."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import insert

from domain.errors import Malformed, NotAllowed, NotFound, OwnRequest, StateConflict
from domain.people import Grant, Person
from domain.policy import CasePolicy
from ledger import reference, root_causes, verdicts
from ledger.root_causes import MOST, Change, ask
from ledger.tables import policy_document
from tests.ledger.test_root_causes import decide, detail, opened
from tests.shop import ADA, ANA, FIN, MAX, Shop

KIND = "negative_inventory"
ADD = Change(KIND, "shelf_label_missing", "add")
END = ADD._replace(act="end")


async def causes(shop: Shop, at: str = "S1") -> tuple[str, ...]:
    async with shop.database.read() as conn:
        place = await reference.place(conn, at)
        policy: CasePolicy = (await reference.policy_at(conn, place, datetime.now(UTC))).cases
    return tuple(policy.root_causes.get(KIND, ()))


async def asked(shop: Shop, change: Change = ADD, person: Person = ANA, **more: Any) -> int:
    given: dict[str, Any] = {"why": "We see it each week.", "via": "test", **more}
    return await ask(shop.database, person, given.pop("at", "S1"), change, **given)


async def answer(shop: Shop, number: int, verdict: str = "approve", person: Person = FIN) -> None:
    await verdicts.record_verdict(shop.database, number, person, verdict=verdict, note="ok", via="test")


async def agreed(shop: Shop, change: Change = ADD, **more: Any) -> None:
    await answer(shop, await asked(shop, change, **more))


async def policy_says(shop: Shop, listed: list[str], **where: str) -> None:
    async with shop.database.engine.begin() as conn:
        body = {"cases": {"undo_s": {"medium": 0}, "root_causes": {KIND: listed}}}
        start = datetime(2021, 1, 1, tzinfo=UTC)
        values = {"version": "own", "effective_from": start, "body": body, **where}
        await conn.execute(insert(policy_document).values(**values))


class TestAdded:
    async def test_nothing_changes_before_somebody_agrees(self, shop: Shop) -> None:
        number = await asked(shop)
        assert await causes(shop) == ()
        await answer(shop, number)
        assert await causes(shop) == await causes(shop, "S2") == ("shelf_label_missing",)

    async def test_whoever_decides_has_to_name_one_from_then_on(self, shop: Shop) -> None:
        await policy_says(shop, [])
        case_id = await opened(shop, "S1|TEA-1")
        await agreed(shop)
        await agreed(shop, Change(KIND, "theft_suspected", "add"))
        with pytest.raises(Malformed):
            await decide(shop, case_id)
        await decide(shop, case_id, root_cause="theft_suspected")
        assert (await detail(shop, case_id)).root_cause == "theft_suspected"

    async def test_it_joins_what_the_company_says(self, shop: Shop) -> None:
        await policy_says(shop, ["receipt_missing"], entity="DE01")
        await agreed(shop)
        assert await causes(shop) == ("receipt_missing", "shelf_label_missing")

    async def test_two_that_are_agreed_to_at_once_both_hold(self, shop: Shop) -> None:
        other = Change(KIND, "theft_suspected", "add")
        numbers = [await asked(shop), await asked(shop, other)]
        await asyncio.gather(*(answer(shop, number) for number in numbers))
        assert sorted(await causes(shop)) == ["shelf_label_missing", "theft_suspected"]


class TestEnded:
    async def test_it_may_not_be_chosen_any_more_and_stays_where_it_was_given(self, shop: Shop) -> None:
        await policy_says(shop, ["receipt_missing", "shelf_label_missing"])
        before, open_one = await opened(shop, "S1|TEA-1"), await opened(shop, "S2|TEA-1")
        await decide(shop, before, root_cause="shelf_label_missing")
        await agreed(shop, END)
        assert await causes(shop) == ("receipt_missing",)
        assert (await detail(shop, before)).root_cause == "shelf_label_missing"
        with pytest.raises(Malformed):
            await decide(shop, open_one, root_cause="shelf_label_missing")

    async def test_without_the_last_one_none_is_asked_for(self, shop: Shop) -> None:
        await policy_says(shop, ["shelf_label_missing"])
        await agreed(shop, END)
        await decide(shop, await opened(shop, "S1|TEA-1"))
        assert await causes(shop) == ()

    async def test_what_is_so_by_now_needs_no_document(self, shop: Shop) -> None:
        await policy_says(shop, ["shelf_label_missing"])
        number = await asked(shop, END)
        await shop.change("UPDATE policy_document SET body = '{}'")
        await answer(shop, number)
        assert await shop.value("SELECT count(*) FROM policy_document WHERE version LIKE 'root-causes-%'") == 0
        assert await shop.value("SELECT count(*) FROM audit WHERE what = 'policy.change_needless'") == 1


class TestRefused:
    async def test_rejected_or_not_answered_nothing_changes(self, shop: Shop) -> None:
        await answer(shop, await asked(shop), "reject")
        assert await causes(shop) == ()
        await asked(shop)  # it may be asked for again

    async def test_who_asked_does_not_agree(self, shop: Shop) -> None:
        number = await asked(shop, person=ADA)
        with pytest.raises(OwnRequest):
            await answer(shop, number, person=ADA)
        assert await causes(shop) == ()

    @pytest.mark.parametrize("person", [MAX, FIN])
    async def test_whoever_does_not_look_after_the_region_asks_for_none(self, shop: Shop, person: Person) -> None:
        with pytest.raises(NotAllowed, match="looks after the whole region"):
            await asked(shop, person=person)

    async def test_a_place_that_somebody_does_not_see(self, shop: Shop) -> None:
        stranger = Person("eve", "Eve", "eve@shop.example", (Grant("regional_ops", "", "R9", ""),))
        with pytest.raises(NotFound):
            await asked(shop, person=stranger)

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            (ADD._replace(case_kind="nothing"), "Choose a kind of case"),
            (ADD._replace(case_kind="count_variance"), "the same everywhere"),
            (ADD._replace(act=""), "added or ended"),
            (ADD._replace(code="Two words"), "Write the code in small letters"),
            (ADD._replace(code="x"), "Write the code in small letters"),
            (ADD._replace(code="x" * 61), "Write the code in small letters"),
        ],
    )
    async def test_what_no_policy_could_say(self, shop: Shop, change: Change, says: str) -> None:
        with pytest.raises(Malformed, match=says):
            await asked(shop, change)

    async def test_no_reason(self, shop: Shop) -> None:
        with pytest.raises(Malformed, match="Say why"):
            await asked(shop, why=" ")

    async def test_what_is_so_already_or_asked_for_already(self, shop: Shop) -> None:
        with pytest.raises(StateConflict, match="nothing to end"):
            await asked(shop, END)
        number = await asked(shop)
        with pytest.raises(StateConflict, match=f"approval {number}"):
            await asked(shop)
        await answer(shop, number)
        with pytest.raises(StateConflict, match="asked for already in cases of this kind"):
            await asked(shop)

    async def test_a_place_with_a_document_of_its_own(self, shop: Shop) -> None:
        await policy_says(shop, ["receipt_missing"], location="S1")
        with pytest.raises(StateConflict, match="Mainz has root causes of its own"):
            await asked(shop)
        await agreed(shop, at="S2")
        assert (await causes(shop), await causes(shop, "S2")) == (("receipt_missing",), ("shelf_label_missing",))

    async def test_more_than_somebody_can_read(self, shop: Shop) -> None:
        await policy_says(shop, [f"cause_{number}" for number in range(MOST)])
        with pytest.raises(StateConflict, match="End one first"):
            await asked(shop)


def test_the_kind_is_one_that_people_are_asked_about() -> None:
    from domain.policy import ApprovalPolicy

    assert ApprovalPolicy().ladder(root_causes.KIND) == ("finance", "admin")
