"""Whom a look tells of what: prices set at the till, a margin that is thin, a vendor's cap that is nearly used up."""

from typing import Any

import pytest

from ledger import decisions
from tests.ledger.support.looking import HOUR, START, Watched
from tests.ledger.support.promoting import MIA, Promoted, hire
from tests.shop import FIN, Shop

pytestmark = pytest.mark.usefixtures("assortment")
BY_HAND: dict[str, Any] = {"override": {"reason": "label", "actor": "cashier-3"}}


async def case_of(shop: Shop, kind: str) -> dict[str, Any] | None:
    number = await shop.value("SELECT id FROM case_file WHERE kind = :kind AND closed_at IS NULL", kind=kind)
    if number is None:
        return None
    names = ("facts", "owner_role", "location", "episode")
    return {name: await shop.value(f"SELECT {name} FROM case_file WHERE id = :id", id=number) for name in names} | {  # noqa: S608
        "id": number
    }  # fmt: skip


class TestPricesSetAtTheTill:
    async def test_above_the_rate_merchandising_is_asked_with_the_places(self, shop: Shop) -> None:
        it = await Watched.open(shop)
        await it.sell("S1", 3, at=START + HOUR)
        await it.sell("S2", 2, at=START + HOUR, units=5, price_minor=900, **BY_HAND)
        found = await it.look(START + 2 * HOUR)
        assert found is not None
        assert (found.figures.overridden_units, found.figures.override_permille) == (10, 769)
        opened = await case_of(shop, "promo_override")
        assert opened is not None
        assert (opened["owner_role"], opened["location"]) == ("merchandiser", "S2")
        assert opened["facts"]["places"] == [{"location": "S2", "name": "Wiesbaden", "units": 10, "reason": "label"}]

    async def test_a_few_are_no_case(self, shop: Shop) -> None:
        it = await Watched.open(shop)
        await it.sell("S2", 1, at=START + HOUR, units=9, **BY_HAND)
        await it.look(START + 2 * HOUR)
        assert await case_of(shop, "promo_override") is None

    async def test_it_heals_when_the_share_falls(self, shop: Shop) -> None:
        it = await Watched.open(shop)
        await it.sell("S2", 2, at=START + HOUR, units=5, **BY_HAND)
        await it.look(START + 2 * HOUR)
        opened = await case_of(shop, "promo_override")
        assert opened is not None
        await it.sell("S1", 3, at=START + 2 * HOUR, units=100)
        await it.look(START + 3 * HOUR)
        assert await case_of(shop, "promo_override") is None
        resolution = await shop.value("SELECT resolution FROM case_file WHERE id = :id", id=opened["id"])
        assert resolution == "self_healed"

    async def test_what_was_noted_is_told_again_only_when_it_is_worse(self, shop: Shop) -> None:
        await hire(shop)
        it = await Watched.open(shop)
        await it.sell("S1", 2, at=START + HOUR, units=50)
        await it.sell("S2", 2, at=START + HOUR, units=6, **BY_HAND)
        await it.look(START + 2 * HOUR)
        opened = await case_of(shop, "promo_override")
        assert opened is not None
        await decisions.decide(shop.database, opened["id"], MIA, option_id="noted", parameters={}, via="test")
        await it.look(START + 3 * HOUR)
        assert await case_of(shop, "promo_override") is None
        await it.sell("S2", 2, at=START + 3 * HOUR, units=6, **BY_HAND)
        await it.look(START + 4 * HOUR)
        again = await case_of(shop, "promo_override")
        assert again is not None
        assert (again["id"], again["episode"]) == (opened["id"], 2)

    async def test_an_open_one_is_not_said_again_every_hour(self, shop: Shop) -> None:
        it = await Watched.open(shop)
        await it.sell("S2", 2, at=START + HOUR, units=5, **BY_HAND)
        for hours in (2, 3, 4):
            await it.look(START + hours * HOUR)
        assert await shop.value("SELECT repeat_count FROM case_file WHERE kind = 'promo_override'") == 0

    async def test_it_can_be_ended_from_the_case(self, shop: Shop) -> None:
        await hire(shop)
        it = await Watched.open(shop)
        await it.sell("S2", 2, at=START + HOUR, units=5, **BY_HAND)
        await it.look(START + 2 * HOUR)
        opened = await case_of(shop, "promo_override")
        assert opened is not None
        await decisions.decide(shop.database, opened["id"], MIA, option_id="end_now", parameters={}, via="test")
        promoted = Promoted(shop, it.id, None)  # type: ignore[arg-type]
        assert await promoted.state() == "reverting"
        assert await it.look(START + 3 * HOUR) is None


class TestFinance:
    async def test_a_margin_near_its_floor_is_told(self, shop: Shop) -> None:
        it = await Watched.open(shop, margin_floor_permille=300)
        await it.sell("S1", 20, at=START + HOUR, price_minor=870)  # cost 6.00: 31 %
        await it.look(START + 2 * HOUR)
        opened = await case_of(shop, "promo_exposure")
        assert opened is not None
        assert opened["owner_role"] == "finance"
        assert (opened["facts"]["margin_permille"], opened["facts"]["floor_permille"]) == (310, 300)
        assert opened["facts"]["cap_used_permille"] is None

    async def test_one_that_earns_enough_is_not(self, shop: Shop) -> None:
        it = await Watched.open(shop, margin_floor_permille=300)
        await it.sell("S1", 20, at=START + HOUR)
        await it.look(START + 2 * HOUR)
        assert await case_of(shop, "promo_exposure") is None

    async def test_a_handful_of_units_says_nothing(self, shop: Shop) -> None:
        it = await Watched.open(shop, margin_floor_permille=300)
        await it.sell("S1", 19, at=START + HOUR, price_minor=700)
        await it.look(START + 2 * HOUR)
        assert await case_of(shop, "promo_exposure") is None

    async def test_below_the_floor_it_is_told_again(self, shop: Shop) -> None:
        it = await Watched.open(shop, margin_floor_permille=300)
        await it.sell("S1", 20, at=START + HOUR, price_minor=870)
        await it.look(START + 2 * HOUR)
        opened = await case_of(shop, "promo_exposure")
        assert opened is not None
        await decisions.decide(shop.database, opened["id"], FIN, option_id="noted", parameters={}, via="test")
        await it.look(START + 3 * HOUR)
        assert await case_of(shop, "promo_exposure") is None
        await it.sell("S1", 20, at=START + 3 * HOUR, price_minor=620)
        await it.look(START + 4 * HOUR)
        again = await case_of(shop, "promo_exposure")
        assert again is not None
        assert again["facts"]["grade"] == 2

    async def test_a_cap_that_is_nearly_used_up_is_told(self, shop: Shop) -> None:
        it = await Watched.open(shop)
        await shop.change(
            "INSERT INTO funding_agreement (id, number, source, entity, office, vendor, currency, signed_on, document,"
            " starts_at, ends_at, terms, claim_window_days, opened_by, at, accrued_minor) VALUES ('erp:A-1', 'A-1',"
            " 'erp', 'DE01', 'S1', 'V-1', 'EUR', '2026-01-01', 'a.pdf', '2026-01-01', '2199-01-01',"
            ' CAST(\'{"kind": "scan_back", "rate_minor": 10, "cap_minor": 1000}\' AS jsonb), 30, \'test\', now(), 0)'
        )
        await shop.change(
            "INSERT INTO funded_promotion (entity, promotion_id, agreement_id) VALUES ('DE01', :key, 'erp:A-1')",
            key=it.key,
        )
        await it.sell("S1", 1, at=START + HOUR, units=91)
        await it.look(START + 2 * HOUR)
        opened = await case_of(shop, "promo_exposure")
        assert opened is not None
        assert opened["facts"]["cap_used_permille"] == 910
