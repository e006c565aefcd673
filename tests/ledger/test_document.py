"""What a journey's document keeps, whatever its kind: changed rows alone are written, dues, closing, what is let go."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, select

from domain.bopis import BopisState
from domain.count import CountState
from domain.errors import StateConflict
from domain.returns import ReturnState
from domain.transfer import TransferState
from ledger.bopis.order import Order
from ledger.changes import Row
from ledger.count.sheet import Sheet
from ledger.document import Document
from ledger.returns.document import Return
from ledger.tables import count_line, transfer_extra
from ledger.transaction import Transaction
from ledger.transfer.document import Transfer
from tests.ledger.support.counting import Count
from tests.ledger.support.returning import Back, collected
from tests.ledger.support.transfers import Moved
from tests.shop import TEA, Shop

KINDS: tuple[tuple[type[Document], str], ...] = (
    (Order, BopisState.EXPIRED),
    (Sheet, CountState.POSTED),
    (Transfer, TransferState.CLOSED),
    (Return, ReturnState.REQUESTED),
)
"""Each kind, and a state that may not follow the one in which its journey begins here."""


def name_of(one: object) -> str:
    return getattr(one, "__name__", str(one))


async def begun(shop: Shop, kind: type[Document]) -> str:
    """A journey of this kind that has just begun."""
    if kind is Order:
        return await shop.order()
    if kind is Sheet:
        return (await Count.open(shop)).id
    if kind is Transfer:
        return (await Moved.open(shop)).id
    return (await Back.open(shop, await collected(shop))).id


class TestSaving:
    async def test_only_rows_that_changed_are_written(self, shop: Shop) -> None:
        one = await Count.open(shop, TEA)
        statements: list[str] = []

        async def work(tx: Transaction) -> None:
            sheet = await Sheet.load(tx, await tx.lock_journey(one.id))
            event.listen(shop.database.engine.sync_engine, "before_cursor_execute", heard)
            await sheet.save(datetime.now(UTC))
            assert not any("count_line" in said for said in statements)
            sheet.lines[TEA, ""]["root_cause"] = "theft"
            await sheet.save(datetime.now(UTC))

        def heard(_conn: object, _cursor: object, statement: str, *_more: object) -> None:
            statements.append(statement)

        try:
            await shop.database.write(work, actor="test", via="test")
        finally:
            event.remove(shop.database.engine.sync_engine, "before_cursor_execute", heard)
        assert sum("UPDATE count_line" in said for said in statements) == 1
        assert await shop.value("SELECT root_cause FROM count_line WHERE journey_id = :id", id=one.id) == "theft"

    async def test_a_change_within_a_json_document_is_a_change(self, shop: Shop) -> None:
        own = await begun(shop, Return)

        async def work(tx: Transaction) -> None:
            it = await Return.load(tx, await tx.lock_journey(own))
            next(iter(it.lines.values()))["ruling"]["seen"] = True
            await it.save(datetime.now(UTC))

        await shop.database.write(work, actor="test", via="test")
        assert await shop.value("SELECT ruling -> 'seen' FROM return_line WHERE journey_id = :id", id=own) is True

    async def test_a_new_row_is_inserted_once_and_knows_its_number(self, shop: Shop) -> None:
        own = await begun(shop, Transfer)
        at = datetime.now(UTC)

        async def work(tx: Transaction) -> int:
            it = await Transfer.load(tx, await tx.lock_journey(own))
            more: Row = {
                "journey_id": own, "line_id": "1", "kind": "over", "location": "S2", "sku": TEA, "quantity": 1,
                "settled": 1, "value_minor": 0, "root_cause": "sender_error", "at": at,
            }  # fmt: skip
            it.extras.append(more)
            await it.save(at)
            more["settled"] = 0
            await it.save(at)
            more["settled"] = 1
            await it.save(at)
            return int(more["id"])

        number = await shop.database.write(work, actor="test", via="test")
        async with shop.database.read() as conn:
            kept = (await conn.execute(select(transfer_extra.c.id, transfer_extra.c.settled))).all()
        assert [tuple(row) for row in kept] == [(number, 1)]

    async def test_a_row_that_was_written_by_other_means_is_not_inserted_again(self, shop: Shop) -> None:
        one = await Count.open(shop, TEA)
        at = datetime.now(UTC)

        async def work(tx: Transaction) -> None:
            sheet = await Sheet.load(tx, await tx.lock_journey(one.id))
            again = dict(sheet.lines[TEA, ""])
            sheet.lines[TEA, ""] = again
            sheet.remember(count_line, (again,))
            await sheet.save(at)

        await shop.database.write(work, actor="test", via="test")
        assert await shop.value("SELECT count(*) FROM count_line WHERE journey_id = :id", id=one.id) == 1


class TestEveryKind:
    @pytest.mark.parametrize(("kind", "state"), KINDS, ids=name_of)
    async def test_a_state_that_may_not_follow_is_refused_and_nothing_changes(
        self, shop: Shop, kind: type[Document], state: str
    ) -> None:
        own = await begun(shop, kind)
        before = await shop.value("SELECT row(state, version)::text FROM journey WHERE id = :id", id=own)

        async def work(tx: Transaction) -> None:
            it = await kind.load_with_cases(tx, await tx.lock_journey(own))
            assert not it.is_final
            it.go(state)

        with pytest.raises(StateConflict, match="cannot become"):
            await shop.database.write(work, actor="test", via="test")
        assert await shop.value("SELECT row(state, version)::text FROM journey WHERE id = :id", id=own) == before

    @pytest.mark.parametrize("kind", [kind for kind, _ in KINDS], ids=name_of)
    async def test_it_stays_open_with_its_dues_until_it_is_over(self, shop: Shop, kind: type[Document]) -> None:
        own = await begun(shop, kind)
        due = datetime.now(UTC) + timedelta(days=3)

        async def work(tx: Transaction) -> int:
            it = await kind.load_with_cases(tx, await tx.lock_journey(own))
            it.due("later", due)
            await it.save(datetime.now(UTC))
            return int(it.row["version"])

        version = await shop.database.write(work, actor="test", via="test")
        assert await shop.value("SELECT dues ->> 'later' FROM journey WHERE id = :id", id=own) == due.isoformat()
        assert await shop.value("SELECT closed_at FROM journey WHERE id = :id", id=own) is None
        assert await shop.value("SELECT version FROM journey WHERE id = :id", id=own) == version


class TestDues:
    async def test_a_due_instant_is_dropped_with_what_leads_up_to_it_and_nothing_else(self, shop: Shop) -> None:
        one = await Count.open(shop)

        async def work(tx: Transaction) -> set[str]:
            sheet = await Sheet.load(tx, await tx.lock_journey(one.id))
            sheet.row["dues"] = {}
            for name in ("window", "window_reminder_1", "windowed", "wait"):
                sheet.due(name, datetime.now(UTC))
            sheet.drop_dues("window", "never_set")
            return set(sheet.row["dues"])

        assert await shop.database.write(work, actor="test", via="test") == {"windowed", "wait"}
