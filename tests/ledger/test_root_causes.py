"""The root cause that policy wants named when a case is decided, and cases that come back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import insert

from domain.case import CaseOption
from domain.errors import Malformed
from domain.policy import CasePolicy
from ledger import case, decisions, reference
from ledger.case import Opening
from ledger.reads.case_filter import CaseFilter
from ledger.reads.case_lists import list_cases
from ledger.reads.cases import CaseDetail, case_detail
from ledger.tables import policy_document
from ledger.transaction import Transaction
from tests.shop import ANA, TEA, Shop

CAUSES = ["receipt_missing", "theft_suspected"]
FACTS = {"sku": TEA, "available": -1, "since": "2026-01-01T00:00:00+00:00", "count": None}


async def policy_says(shop: Shop, **cases: Any) -> None:
    async with shop.database.engine.begin() as conn:
        start = datetime(2021, 1, 1, tzinfo=UTC)
        body = {"cases": {"undo_s": {"medium": 0}} | cases}
        await conn.execute(insert(policy_document).values(version="causes", effective_from=start, body=body))


async def opened(shop: Shop, subject: str, *, days_ago: int = 0, sku: str = TEA) -> int:
    """A case about an item that no journey waits for."""

    async def work(tx: Transaction) -> int:
        place = await reference.place(tx.conn, "S1")
        at = datetime.now(UTC) - timedelta(days=days_ago)
        made = await case.open_case(
            tx,
            Opening(
                kind="negative_inventory", subject=subject, place=place, sku=sku, at=at, facts=FACTS,
                policy=await reference.policy_at(tx.conn, place, at),
                options=(CaseOption(id="booked", label="It was booked"),),
            ),
        )  # fmt: skip
        return made.id

    return await shop.database.write(work, actor="test", via="test")


async def decide(shop: Shop, case_id: int, **parameters: Any) -> None:
    await decisions.decide(shop.database, case_id, ANA, option_id="booked", parameters=parameters, via="test")


async def detail(shop: Shop, case_id: int) -> CaseDetail:
    async with shop.database.read() as conn:
        return await case_detail(conn, ANA, case_id)


class TestRootCause:
    async def test_none_is_asked_unless_policy_says_so(self, shop: Shop) -> None:
        await policy_says(shop, root_causes={"pick_short": CAUSES})
        case_id = await opened(shop, "a")
        assert (await detail(shop, case_id)).options[0].choices == {}
        await decide(shop, case_id)
        assert (await detail(shop, case_id)).root_cause is None

    async def test_it_is_asked_kept_and_found(self, shop: Shop) -> None:
        await policy_says(shop, root_causes={"negative_inventory": CAUSES})
        case_id, other = await opened(shop, "a"), await opened(shop, "b")
        assert (await detail(shop, case_id)).options[0].choices == {"root_cause": tuple(CAUSES)}
        await decide(shop, case_id, root_cause="receipt_missing")
        await decide(shop, other, root_cause="theft_suspected")
        assert (await detail(shop, case_id)).root_cause == "receipt_missing"
        async with shop.database.read() as conn:
            found = await list_cases(conn, ANA, CaseFilter(root_cause="receipt_missing"))
        assert [one.id for one in found.items] == [case_id]

    @pytest.mark.parametrize("named", [{}, {"root_cause": "bad_luck"}, {"root_cause": ""}])
    async def test_without_one_of_them_nothing_is_decided(self, shop: Shop, named: dict[str, str]) -> None:
        await policy_says(shop, root_causes={"negative_inventory": CAUSES})
        case_id = await opened(shop, "a")
        with pytest.raises(Malformed, match="root cause: receipt_missing, theft_suspected"):
            await decide(shop, case_id, **named)
        assert (await detail(shop, case_id)).state == "open"

    async def test_a_case_that_comes_back_asks_again(self, shop: Shop) -> None:
        await policy_says(shop, root_causes={"negative_inventory": CAUSES})
        case_id = await opened(shop, "a")
        await decide(shop, case_id, root_cause="receipt_missing")
        assert await opened(shop, "a") == case_id
        found = await detail(shop, case_id)
        assert (found.episode, found.root_cause) == (2, None)

    def test_a_code_is_a_word_of_its_own(self) -> None:
        with pytest.raises(ValidationError):
            CasePolicy(root_causes={"pick_short": ("Bad luck",)})


class TestComesBack:
    async def test_what_was_closed_within_thirty_days_before_is_named(self, shop: Shop) -> None:
        await policy_says(shop)
        long_ago, lately, still_open = [
            await opened(shop, subject, days_ago=days) for subject, days in (("a", 40), ("b", 5), ("c", 3))
        ]
        other_item = await opened(shop, "d", days_ago=5, sku="")
        for case_id, days in ((long_ago, 31), (lately, 4), (other_item, 4)):
            await decide(shop, case_id)
            closed = datetime.now(UTC) - timedelta(days=days)
            await shop.change("UPDATE case_file SET closed_at = :at WHERE id = :id", at=closed, id=case_id)
        now = await opened(shop, "e")
        related = [(one.id, one.relation) for one in (await detail(shop, now)).related]
        assert (lately, "came_back") in related
        assert {still_open, long_ago, other_item}.isdisjoint(number for number, _ in related)
