"""Every invariant is looked at: books that are broken on purpose are found, by the rule they break and by place."""

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text

from ledger.audit import RULES, Finding, audit
from tests.databases import Keeper, name_of
from tests.ledger.support.books import breaks_a_rule
from tests.ledger.support.funding import agree
from tests.ledger.support.promoting import Promoted
from tests.ledger.support.returning import Back
from tests.ledger.support.transfers import Moved
from tests.shop import PRICE_MINOR, TEA, Shop, open_shop, reopen_shop

ROOT = Path(__file__).resolve().parents[2]
COLLECTED, CANCELLED = "bopis:web:W-1", "bopis:web:W-2"

# rule → what breaks it, and where that is found
BREAKS: dict[str, tuple[str, str]] = {
    "open cases of one cause stand under an open parent": (
        ("INSERT INTO case_parent (id, key, kind, location, sku, region, entity, opened_at) OVERRIDING SYSTEM VALUE"
        " VALUES (7, 'pick_short|S1|TEA-1', 'pick_short', 'S1', 'TEA-1', 'R1', 'DE01', now())"),
        "parent 7",
    ),
    "a case of which somebody is asked to approve is being decided": (
        ("WITH asked AS (INSERT INTO approval (kind, subject, case_id, location, region, entity, facts, amount_minor,"
        " currency, band, requester, roles, opened_at, deadline_at, expires_at) VALUES ('refund', 's', 7, 'S1', 'R1',"
        " 'DE01', '{}', 5, 'EUR', 'manager', 'ana', '{store_manager}', now(), now(), now()))"
        " INSERT INTO case_file (id, kind, subject, dedupe_key, state, severity, location, region, entity, owner_role,"
        " currency, value_at_risk_minor, facts, opened_at) VALUES (7, 'pick_short', 's', 'k', 'claimed', 'high', 'S1',"
        " 'R1', 'DE01', 'regional_ops', 'EUR', 0, '{}', now())"),
        "case 7",
    ),
    "what can be undone was decided and not carried out": (
        ("INSERT INTO case_file (id, kind, subject, dedupe_key, severity, location, region, entity, owner_role,"
        " currency, value_at_risk_minor, facts, opened_at, applies_at) VALUES (7, 'pick_short', 's', 'k', 'high', 'S1',"
        " 'R1', 'DE01', 'regional_ops', 'EUR', 0, '{}', now(), now())"),
        "case 7",
    ),
    "a difference is charged by its customer's word": (
        ("INSERT INTO payment (id, journey_id, reference, tender, currency, amount_minor, authorized_minor,"
        " captured_minor, voided_minor, refund_requested_minor, refunded_minor) VALUES"
        " ('bopis:web:W-1/difference:c', 'bopis:web:W-1', 'difference:c', 'card', 'EUR', 5, 5, 5, 0, 0, 0),"
        " ('bopis:web:W-1/exchange:r', 'bopis:web:W-1', 'exchange:r', 'exchange', 'EUR', 5, 5, 0, 0, 0, 0)"),
        "bopis:web:W-1/difference:c",
    ),
    "a return asks about its exchange as long as the question is open": (
        ("INSERT INTO offer (journey_id, way, option, missing, asked_by, at, due_at) VALUES"
        " ('bopis:web:W-1', 'exchange', '{}', '{}', 'endcap', now(), now())"),
        "bopis:web:W-1",
    ),
    "movements explain every bucket": (
        "UPDATE stock SET damaged = damaged + 1 WHERE location = 'S2'", "S2 TEA-1 damaged"
    ),
    "holds explain what is reserved": (
        "UPDATE hold SET reserved = reserved - 1, lost = lost + 1 WHERE journey_id = 'bopis:web:W-3'", "S1 TEA-1"
    ),
    "the hold shelf is what orders have on it": (
        "UPDATE journey SET detail = detail || '{\"unclaimed\": {\"1\": 2}}' WHERE id = 'bopis:web:W-2'", "S1 TEA-1"
    ),
    "lines explain their holds": (
        "UPDATE journey_line SET reserved = reserved - 1 WHERE journey_id = 'bopis:web:W-3'", "bopis:web:W-3 1"
    ),
    "units in transit belong to open journeys": (
        ("INSERT INTO movement (kind, sku, quantity, from_location, from_account, to_location, to_account, entity,"
        " journey_id, cause, actor, at) VALUES ('shipped', 'TEA-1', 1, 'S2', 'available', 'S2', 'in_transit', 'DE01',"
        " 'bopis:web:W-1', 'test', 'test', now())"),
        "S2 TEA-1 bopis:web:W-1",
    ),
    "what was collected has left": (
        "UPDATE journey_line SET collected = 3, ordered = 3 WHERE journey_id = 'bopis:web:W-1'", "bopis:web:W-1 TEA-1"
    ),
    "every journal balances": (
        ("UPDATE journal_line SET debit_minor = debit_minor + 1 WHERE account = 'cogs'"
        " AND journal_id = (SELECT id FROM journal WHERE event = 'pos.sale')"),
        "journal ",
    ),
    "inventory account is what movements cost": ("UPDATE movement SET cost_minor = 0 WHERE kind = 'sold'", "DE01"),
    "deposits belong to open orders": (
        "UPDATE payment SET captured_minor = captured_minor - 1 WHERE journey_id = 'bopis:web:W-3'", "DE01"
    ),
    "refunds owed are paid or on their way": (
        "UPDATE payment SET refunded_minor = 1 WHERE journey_id = 'bopis:web:W-2'", "DE01"
    ),
    "what was sold and paid back stays within the line": (
        "UPDATE sale_line SET handed_over = 1 WHERE document = 'bopis:web:W-1'", "bopis:web:W-1 1"
    ),
    "each cause posts once what its movements cost": (
        ("WITH twice AS (INSERT INTO journal (entity, period, event, currency, journey_id, cause, rule_version,"
        " effective_at) SELECT entity, period, 'again', currency, journey_id, cause, '1', effective_at FROM journal"
        " WHERE event = 'pos.sale' RETURNING id)"
        " INSERT INTO journal_line (journal_id, line_no, account, debit_minor, credit_minor)"
        " SELECT id, 1, 'cogs', 600, 0 FROM twice UNION ALL SELECT id, 2, 'inventory', 0, 600 FROM twice"),
        "DE01 event:web:",
    ),
    "the cost of sales is what sold lines cost": (
        "UPDATE sale_line SET cost_minor = 0 WHERE document = 'bopis:web:W-1'", "bopis:web:W-1"
    ),
    "an order that has ended holds no deposit": (
        "UPDATE journey SET closed_at = now() WHERE id = 'bopis:web:W-3'", "bopis:web:W-3"
    ),
    "every entity's period balances": ("UPDATE journal SET period = '1999-01' WHERE event = 'pos.sale'", "journal "),
    "lines and policies belong to journeys": (
        "UPDATE journey SET policy = NULL, policy_copy = NULL WHERE id = 'bopis:web:W-1'", "bopis:web:W-1"
    ),
    "messages are delivered or waiting": (
        "UPDATE outbox SET recorded_at = now() - interval '11 minutes' WHERE target = 'bopis:web:W-1' AND seq = 1",
        "bopis:web:W-1",
    ),
    "messages of a target are numbered without a gap and end in their order": (
        "DELETE FROM outbox WHERE target = 'bopis:web:W-1' AND seq = 2", "bopis:web:W-1"
    ),
    "mails are sent, withdrawn, or say why not": (
        "UPDATE mail SET state = 'failed' WHERE journey_id = 'bopis:web:W-1'", "mail "
    ),
    "what was approved has the words that it needed": (
        ("INSERT INTO approval (kind, subject, location, region, entity, currency, band, requester, roles, state,"
        " quorum, opened_at, deadline_at, expires_at) VALUES ('refund', 's', 'S1', 'R1', 'DE01', 'EUR', 'refund', 'x',"
        " '{finance}', 'approved', 1, now(), now(), now())"),
        "approval ",
    ),
    "orders know what transfers bring them": (
        ("INSERT INTO awaited (transfer_id, journey_id, line_id, location, sku, quantity, at) VALUES"
        " ('transfer:wms:T-1', 'bopis:web:W-3', '1', 'S1', 'TEA-1', 1, now())"),
        "bopis:web:W-3 1",
    ),
    "what orders wait for is still to come": (
        ("WITH made AS (INSERT INTO awaited (transfer_id, journey_id, line_id, location, sku, quantity, at) VALUES"
        " ('transfer:wms:T-1', 'bopis:web:W-3', '1', 'S1', 'TEA-1', 9, now()))"
        " UPDATE journey SET detail = detail || '{\"coming\": {\"1\": 9}}' WHERE id = 'bopis:web:W-3'"),
        "transfer:wms:T-1 1",
    ),
    "transfer lines explain their holds": (
        "UPDATE transfer_line SET reserved = reserved + 1 WHERE journey_id = 'transfer:wms:T-2'", "transfer:wms:T-2 1"
    ),
    "goods in transit are shipped, neither received nor settled": (
        ("UPDATE transfer_line SET in_transit = in_transit + 1, shipped = shipped + 1"
        " WHERE journey_id = 'transfer:wms:T-1'"),
        "transfer:wms:T-1 TEA-1",
    ),
    "goods in transit are worth what the books say": (
        "UPDATE transfer_line SET transit_minor = transit_minor + 1 WHERE journey_id = 'transfer:wms:T-1'", "DE01"
    ),
    "what one entity owes another is owed to it": (
        ("WITH made AS (INSERT INTO journal (entity, period, event, currency, journey_id, cause, rule_version,"
        " effective_at) SELECT 'DE01', to_char(now(), 'YYYY-MM'), 'transfer.shipped', 'EUR', 'transfer:wms:T-1', 'x',"
        " '1', now() RETURNING id)"
        " INSERT INTO journal_line (journal_id, line_no, account, debit_minor, credit_minor)"
        " SELECT id, 1, 'due_from', 600, 0 FROM made UNION ALL SELECT id, 2, 'intercompany_margin', 0, 600 FROM made"),
        "transfer:wms:T-1",
    ),
    "transfer differences wait for an answer": ("UPDATE transfer_extra SET value_minor = 0", "DE01"),
    "claims against carriers are open or answered": (
        ("INSERT INTO carrier_claim (journey_id, line_id, sku, quantity, location, entity, currency, amount_minor,"
        " opened_at) VALUES ('transfer:wms:T-1', '1', 'TEA-1', 1, 'S2', 'DE01', 'EUR', 600, now())"),
        "DE01",
    ),
    "what a transfer has settled has a root cause": ("UPDATE transfer_extra SET settled = 1", "transfer:wms:T-4 1"),
    "a transfer that has ended has nothing on its way and no open question": (
        "UPDATE journey SET closed_at = now() WHERE id = 'transfer:wms:T-1'", "transfer:wms:T-1"
    ),
    "every journey has a workflow that was told of it": (
        "DELETE FROM outbox_counter WHERE target = 'bopis:web:W-3'", "bopis:web:W-3"
    ),
    "what came back waits for its disposition": (
        "UPDATE return_line SET received = received - 1, booked = booked - 1 WHERE line_id = '1'", "S1 TEA-1"
    ),
    "returns pending is what waiting goods cost": (
        "UPDATE return_line SET cost_minor = cost_minor + 1 WHERE line_id = '1'", "DE01"
    ),
    "units go back to one vendor by one document": (
        ("WITH v AS (INSERT INTO vendor_return (id, source, key, vendor, location, region, entity, currency, state,"
        " requested_by, opened_at) VALUES ('v', 'web', 'v', 'ACME', 'S1', 'R1', 'DE01', 'EUR', 'open', 'x', now())"
        " RETURNING id) INSERT INTO vendor_return_line (vendor_return_id, line_id, sku, quantity)"
        " SELECT id, '1', 'TEA-1', 99 FROM v"), "S1 TEA-1"
    ),
    "what waits for its vendor is what its disposition says it cost": (
        ("INSERT INTO return_disposition (journey_id, line_id, cause, quantity, condition, proposed, disposition,"
        " state, inspected_by, cost_minor, at) VALUES ('returns:web:RT-1', '1', 'x', 1, 'used', 'liquidate',"
        " 'return_to_vendor', 'applied', 'x', 600, now())"),
        "DE01"
    ),
    "vendors owe what is neither credited nor given up": (
        ("INSERT INTO vendor_return (id, source, key, vendor, location, region, entity, currency, state,"
        " requested_by, opened_at, cost_minor)"
        " VALUES ('v', 'web', 'v', 'ACME', 'S1', 'R1', 'DE01', 'EUR', 'shipped', 'x', now(), 5)"),
        "DE01"
    ),
    "a vendor return that is closed is owed nothing": (
        ("INSERT INTO vendor_return (id, source, key, vendor, location, region, entity, currency, state, requested_by,"
        " opened_at) VALUES ('v', 'web', 'v', 'ACME', 'S1', 'R1', 'DE01', 'EUR', 'credited', 'x', now())"), "v"
    ),
    "the refund liability is what returns still owe": (
        "UPDATE payment SET refunded_minor = refunded_minor + 1 WHERE journey_id = 'returns:web:RT-1'", "DE01"
    ),
    "sale lines know what returns brought back and were paid": (
        "UPDATE sale_line SET return_refunded = 0 WHERE document = 'bopis:web:W-1'", "bopis:web:W-1 1"
    ),
    "payments know what goes back for returns": (
        "UPDATE payment SET returned_minor = 0 WHERE journey_id = 'bopis:web:W-1'", "bopis:web:W-1"
    ),
    "what was refused is taken back with somebody else's word": (
        "UPDATE return_line SET ruling = ruling || '{\"override\": {\"id\": 1}}'", "returns:web:RT-1 1"
    ),
    "a return that has ended owes nothing and has nothing waiting": (
        "UPDATE journey SET closed_at = now() WHERE id = 'returns:web:RT-1'", "returns:web:RT-1"
    ),
    "what was accrued is claimed or waits for a claim": (
        "UPDATE funding_accrual SET amount_minor = amount_minor + 1", "DE01"
    ),
    "a promotion is in the state of its journey": (
        "UPDATE promotion SET state = 'active' WHERE promotion_id = 'P-1'", "promotion:pim:P-1"
    ),
    "no price is left behind by a promotion that is over": (
        "UPDATE price_publication SET state = 'pending'", "promotion:pim:P-1"
    ),
    "a price that counts as right was seen": (
        "UPDATE price_publication SET seen_minor = seen_minor + 1", "promotion:pim:P-1"
    ),
    "agreements count what was accrued by them": (
        "UPDATE funding_agreement SET units = units + 1 WHERE id = 'erp:A-17'", "erp:A-17"
    ),
    "no cap is passed": ("UPDATE funding_accrual SET amount_minor = 50", "erp:A-17"),
    "a line earns for no more units than the customer kept": (
        "UPDATE sale_line SET returned = 1 WHERE document LIKE 'receipt:%'", "receipt:web:S1:R1 1"
    ),
    "claims against vendors are what is open of them": (
        ("INSERT INTO claim (journey_id, agreement_id, entity, vendor, kind, currency, amount_minor, is_billed,"
        " frozen_at) VALUES ('claim:erp:A-17-1', 'erp:A-17', 'DE01', 'TEACO', 'final', 'EUR', 40, true, now())"),
        "DE01",
    ),
    "a claim is the sum of its lines and of what they were frozen from": (
        ("WITH made AS (INSERT INTO journey (id, kind, source, key, state, location, region, entity, channel, currency,"
        " opened_at) VALUES ('claim:erp:A-17-1', 'claim', 'erp', 'A-17-1', 'sent', 'DC', 'R1', 'DE01', '', 'EUR',"
        " now()))"
        " INSERT INTO claim (journey_id, agreement_id, entity, vendor, kind, currency, amount_minor, frozen_at)"
        " VALUES ('claim:erp:A-17-1', 'erp:A-17', 'DE01', 'TEACO', 'final', 'EUR', 40, now())"),
        "claim:erp:A-17-1",
    ),
    "a claim that is over has nothing open": (
        ("WITH made AS (INSERT INTO journey (id, kind, source, key, state, location, region, entity, channel, currency,"
        " opened_at, closed_at) VALUES ('claim:erp:A-17-1', 'claim', 'erp', 'A-17-1', 'settled', 'DC', 'R1', 'DE01',"
        " '', 'EUR', now(), now()))"
        " INSERT INTO claim (journey_id, agreement_id, entity, vendor, kind, currency, amount_minor, frozen_at)"
        " VALUES ('claim:erp:A-17-1', 'erp:A-17', 'DE01', 'TEACO', 'final', 'EUR', 40, now())"),
        "claim:erp:A-17-1",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
async def day(keeper: Keeper, template_database: str) -> AsyncIterator[str]:
    """Name of a database with a day in it, copied for each test."""
    async with keeper.database("day", template=template_database) as url:
        await a_day(url)
        yield name_of(url)


@pytest.fixture
async def shop(keeper: Keeper, day: str) -> AsyncIterator[Shop]:
    """The day, in a database that this test alone uses."""
    async with keeper.database("test", template=day) as url:
        opened = await reopen_shop(url)
        yield opened
        await opened.database.dispose()


async def a_day(url: str) -> None:
    """Collected, cancelled with goods on the hold shelf, still to be picked, sold at the till, and returned."""
    shop = await open_shop(url, tea={"S1": 9, "S2": 5})
    for key, quantity in (("W-1", 2), ("W-2", 1), ("W-3", 3)):
        journey = await shop.order(quantity, order_id=key)
        lines = [{"line_id": "1", "quantity": quantity}]
        if key != "W-3":
            assert (
                await shop.report("bopis.picked", journey_id=journey, picker="p", lines=lines)
            ).outcome == "accepted"
    await shop.report("bopis.handed_over", journey_id=COLLECTED, lines=None, actor="p")
    await shop.report("bopis.cancelled", journey_id=CANCELLED, lines=None)
    terms = {"kind": "scan_back", "rate_minor": 50, "cap_minor": 40}
    await agree(shop, terms=terms, starts_at="2020-01-01T00:00:00Z", ends_at="2099-01-01T00:00:00Z")
    sold = [{"line": "1", "sku": TEA, "quantity": 1, "unit_price_minor": PRICE_MINOR, "promotion_id": "TEA-MARCH"}]
    assert (await shop.report("pos.sale", location="S1", receipt="R1", lines=sold)).outcome == "accepted"
    back = await Back.open(shop, COLLECTED, return_id="RT-1")
    await back.receive()
    await transfers_under_way(shop)
    await (await Promoted.open(shop, promotion_id="P-1")).publish()
    await shop.database.dispose()


async def transfers_under_way(shop: Shop) -> None:
    """One in transit, one to be sent, one of which too many came."""
    first = await Moved.open(shop, (TEA, 2), transfer_id="T-1", **{"from": "S2", "to": "S1"})
    await first.ship(1)
    await Moved.open(shop, (TEA, 1), transfer_id="T-2", **{"from": "S2", "to": "S1"})
    over = await Moved.open(shop, (TEA, 1), transfer_id="T-4", **{"from": "S1", "to": "S2"})
    await over.ship()
    await over.receive(3)


async def look(shop: Shop) -> list[Finding]:
    async with shop.database.read() as conn:
        return await audit(conn)


async def breaks_one(shop: Shop) -> bool:
    async with shop.database.read() as conn:
        return await breaks_a_rule(conn)


async def break_(shop: Shop, statement: str) -> None:
    """Change rows past the triggers that would refuse it, as damage would."""
    async with shop.database.engine.begin() as conn:
        await conn.execute(text("SET LOCAL session_replication_role = replica"))
        assert (await conn.execute(text(statement.replace(":", "\\:")))).rowcount > 0, "nothing was broken"


def test_every_rule_is_broken_by_a_test() -> None:
    assert BREAKS.keys() == RULES.keys()


async def test_a_day_of_ordinary_work_breaks_nothing(shop: Shop) -> None:
    assert await look(shop) == []


@pytest.mark.parametrize("rule", BREAKS)
async def test_what_breaks_a_rule_is_found_by_it_and_by_place(shop: Shop, rule: str) -> None:
    statement, where = BREAKS[rule]
    assert not await breaks_one(shop)
    await break_(shop, statement)
    assert await breaks_one(shop), "all rules in one question do not see it"
    found = [finding for finding in await look(shop) if finding.rule == rule]
    assert found, f"{rule} does not see it"
    assert found[0].where.startswith(where)
    assert found[0].detail


async def test_other_ways_to_break_the_order_of_messages(shop: Shop) -> None:
    rule = "messages of a target are numbered without a gap and end in their order"
    await break_(
        shop, "UPDATE outbox SET done_at = now(), outcome = 'delivered' WHERE target = 'bopis:web:W-2' AND seq = 2"
    )
    await break_(shop, "UPDATE outbox SET done_at = now() WHERE target = 'bopis:web:W-3' AND seq = 1")
    details = {finding.where: finding.detail for finding in await look(shop) if finding.rule == rule}
    assert details == {
        "bopis:web:W-2": "message 2 ended before message 1",
        "bopis:web:W-3": "message 1 has ended, and nothing says how",
    }


async def test_other_ways_to_approve_with_too_few_words(shop: Shop) -> None:
    rule = "what was approved has the words that it needed"
    await break_(shop, BREAKS[rule][0])
    words = (
        "INSERT INTO approval_verdict (approval_id, person_id, verdict, via, at)"
        " SELECT id, 'max', 'approve', 'test', now() FROM approval"
    )
    await break_(shop, words)
    assert await look(shop) == []
    await break_(shop, "UPDATE approval SET barred = '{max}'")
    assert [finding.detail for finding in await look(shop)] == ["max agreed, who may not"]
    await break_(shop, "UPDATE approval SET barred = '{}'")
    await break_(
        shop,
        "INSERT INTO approval_side (approval_id, name, entity, region, need)"
        " SELECT id, 'S9', 'x', 'y', 1 FROM approval",
    )
    assert [finding.detail for finding in await look(shop)] == ["S9 needs 1 people, 0 could speak for it"]


async def test_the_command_lists_what_is_broken_and_says_so_by_its_exit_code(shop: Shop, tmp_path: Path) -> None:
    def endcap_audit() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "cli.py", "audit"],
            cwd=ROOT,
            env={"DATABASE_URL": shop.database.url, "ENDCAP_HOME": str(tmp_path), "PATH": ""},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    whole = endcap_audit()
    assert (whole.returncode, whole.stdout.strip()) == (0, f"{len(RULES)} rules hold")
    for rule in ("movements explain every bucket", "deposits belong to open orders"):
        await break_(shop, BREAKS[rule][0])
    broken = endcap_audit()
    assert broken.returncode == 1
    assert "movements explain every bucket: S2 TEA-1 damaged: book 1, movements 0" in broken.stdout
    assert "deposits belong to open orders: DE01: " in broken.stdout
    assert "findings" in broken.stderr
