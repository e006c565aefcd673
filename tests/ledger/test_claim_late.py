"""Whatever becomes known when: each cent that was accrued is in one claim or waits for one, and ends settled, released
or written off. Never nowhere.
"""

import random
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from ledger.claim import preparing
from tests.ledger.support.claims import Claimed, claims, now, prepare
from tests.ledger.support.funding import ERP, agree, balance, promoted, sell
from tests.ledger.support.returning import Back
from tests.shop import WEB, Shop

TERMS = (
    {"kind": "scan_back", "rate_minor": 130},
    {"kind": "scan_back", "rate_minor": 130, "cap_minor": 2_000},
    {"kind": "percent", "permille": 337, "base": "sales", "tiers": [{"from_units": 9, "permille": 501}]},
    {"kind": "lump_sum", "amount_minor": 5_001, "expected_units": 17},
)


class Story:
    """A season with a vendor in an order that chance has chosen."""

    def __init__(self, shop: Shop, seed: int) -> None:
        self._shop, self._chance = shop, random.Random(seed)  # noqa: S311  chosen for a test
        self._sold: dict[str, int] = {}
        self._number = 0

    async def go(self, steps: int) -> None:
        doings: list[Callable[[], Awaitable[None]]] = [
            self.sale, self.sale, self.sale, self.back, self.back, self.claim, self.answer, self.money, self.decide,
        ]  # fmt: skip
        for _ in range(steps):
            await self._chance.choice(doings)()
            await self.holds()

    async def sale(self) -> None:
        """Sold in the time of the agreement, whenever that becomes known."""
        self._number += 1
        units, name = self._chance.randint(1, 4), f"n{self._number}"
        await sell(self._shop, promoted(units, event_id=name, day=self._chance.randint(1, 29)), caller=WEB)
        self._sold[name] = units

    async def back(self) -> None:
        """Some of a receipt comes back."""
        if not self._sold:
            return
        name = self._chance.choice(sorted(self._sold))
        units = self._chance.randint(1, self._sold.pop(name))
        receipt = {"number": f"R-{name}", "tender": "card"}
        it = await Back.open(self._shop, quantity=units, method="mail", receipt=receipt)
        await it.receive(units)

    async def claim(self) -> None:
        if self._chance.random() < 0.5:
            await prepare(self._shop)
        elif await self.unclaimed_rows():
            await preparing.prepare_now(self._shop.database, "erp:A-17", ERP, at=now(), via="test")

    async def open_claims(self, *states: str) -> list[Claimed]:
        found = [Claimed(self._shop, one) for one in await claims(self._shop)]
        return [one for one in found if await one.state() in states]

    async def answer(self) -> None:
        for it in (await self.open_claims("sent"))[:1]:
            query = "SELECT amount_minor FROM claim_line WHERE journey_id = :id AND line_id = '1'"
            claimed = await self._shop.value(query, id=it.id)
            accepted = self._chance.choice((claimed, claimed // 2, 0))
            await it.answered(accepted, settlement=self._chance.choice(("cash", "deduction")))

    async def money(self) -> None:
        for it in (await self.open_claims("sent", "matched", "partially_settled"))[:1]:
            head = await it.head()
            left = head["amount"] - sum(
                head.get(name, 0) for name in ("settled", "released", "written_off", "reclaimed")
            )
            await it.paid(self._chance.randint(1, left))

    async def decide(self) -> None:
        for it in await self.open_claims("matched", "partially_settled"):
            if await it.cases():
                await it.decide(self._chance.choice(("accept", "write_off", "reclaim")))
                return

    async def unclaimed_rows(self) -> int:
        return int(await self._shop.value("SELECT count(*) FROM funding_accrual WHERE claim_id IS NULL"))

    async def holds(self) -> None:
        """What the books say is owed is what claims and accruals say."""
        free = await self._shop.value(
            "SELECT coalesce(sum(amount_minor), 0)::bigint FROM funding_accrual WHERE claim_id IS NULL"
        )
        assert await balance(self._shop, "vendor_funding") == free

    async def end(self) -> None:
        """A year later: what is late was claimed or released, and every vendor has paid what it was asked for."""
        for round_ in range(1, 6):
            await prepare(self._shop, now() + timedelta(days=40 * round_))
            for it in await self.open_claims("sent", "matched", "partially_settled"):
                if await it.cases():
                    await it.decide("write_off")
                head = await it.head()
                gone = sum(head.get(name, 0) for name in ("settled", "released", "written_off", "reclaimed"))
                if head["amount"] > gone:
                    await it.paid(head["amount"] - gone)


@pytest.mark.parametrize("seed", range(8))
async def test_nothing_of_a_season_is_nowhere(shop: Shop, seed: int) -> None:
    await shop.change(
        "INSERT INTO policy_document (version, effective_from, body)"
        " VALUES ('free', '2020-01-01', CAST(:body AS jsonb))",
        body='{"bands": {"claim": {"manager_minor": null, "finance_minor": null}, "write_off_minor": 100000000},'
        ' "claim": {"tolerance": {"permille": 0, "value_minor": 0}}}',
    )
    await agree(shop, terms=TERMS[seed % len(TERMS)], claim_every_days=10)
    story = Story(shop, seed)
    await story.go(28)
    await story.end()
    assert await story.unclaimed_rows() == 0
    earned = await shop.value(
        "SELECT coalesce(sum(amount_minor), 0)::bigint FROM funding_accrual WHERE kind <> 'reclaim'"
    )
    ended = await shop.value(
        "SELECT coalesce(sum(settled_minor + released_minor + written_off_minor), 0)::bigint FROM claim"
    )
    assert earned == ended
    assert await balance(shop, "vendor_funding") == await balance(shop, "vendor_claims") == 0
