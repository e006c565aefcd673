"""A return, loaded under its journey's lock: its lines and the sale lines that they came from, changed together."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, override

from sqlalchemy import RowMapping, Table, func, select, text

from domain import exchanges, returns
from domain.errors import NotFound
from domain.payments import part_of
from domain.refunds import Bought
from domain.returns import FINAL, Progress, ReturnState
from ledger.changes import Row
from ledger.document import Document, Rules
from ledger.funding.change import ACCRUED, Funded, not_kept
from ledger.journal import Entry
from ledger.tables import payment, return_line, sale_line
from ledger.transaction import Rank, Transaction

SaleKey = tuple[str, str]  # (document, line)
_COUNTED = (
    "received", "booked", "asked", "accepted", "declined", "refunded",
    "refunded_minor", "tax_minor", "fee_minor", "cost_minor", "disposed_cost_minor",
)  # fmt: skip


@dataclass(kw_only=True)
class Return(Document):
    """The whole return, and the sale lines that it takes back. `save` works its state out."""

    lines: dict[str, Row] = field(default_factory=dict)
    sales: dict[SaleKey, Row] = field(default_factory=dict)
    replacement: RowMapping | None = None  # the journey of the order that it is exchanged for, locked
    _progress: Progress | None = None
    _not_kept: dict[SaleKey, int] = field(default_factory=dict)  # units of each sale line, as they were

    rules: ClassVar[Rules] = returns

    @classmethod
    async def read_alone(cls, tx: Transaction, row: RowMapping | Mapping[str, Any]) -> "Return":
        """From the journey's row, locked by the caller; nothing else is locked."""
        it = await cls.begin(tx, row)
        it.lines = {line["line_id"]: line for line in await it.read(return_line)}
        return it

    @classmethod
    async def load(cls, tx: Transaction, row: RowMapping | Mapping[str, Any]) -> "Return":
        """The same, with the order that it returns and the cases about it locked."""
        it = await cls.read_alone(tx, row)
        await it.lock_order()
        await it.lock_cases()
        return it

    @classmethod
    @override
    async def load_with_cases(cls, tx: Transaction, row: RowMapping | Mapping[str, Any]) -> "Return":
        return await cls.load(tx, row)

    @override
    async def lock_cases(self) -> None:
        await super().lock_cases()
        if "override" in self.row["detail"]:
            await self.tx.lock_approval(self.row["detail"]["override"]["approval_id"])

    @property
    def state(self) -> ReturnState:
        return ReturnState(self.row["state"])

    @property
    def order(self) -> str | None:
        """The journey of the order that is returned."""
        found: str | None = self.row["detail"].get("order")
        return found

    @property
    def exchange(self) -> dict[str, Any] | None:
        """What the return is exchanged for: `order` (its journey), `lines`, `credit_minor`, `state`, `because`; of one
        that costs more, what its customer is asked (`ledger/returns/difference.py`).
        """
        found: dict[str, Any] | None = self.row["detail"].get("exchange")
        return found

    @property
    def kept_for_exchange(self) -> frozenset[str]:
        """Lines whose refund is kept for a replacement."""
        exchange = self.exchange
        return frozenset(exchange["lines"]) if exchange and exchange["state"] in exchanges.OPEN else frozenset()

    # ------------------------------------------------------------------ locks
    async def lock_order(self) -> None:
        """The order's lock covers its sale lines and payments; a receipt's are locked by themselves. A replacement is
        locked with its return.
        """
        if self.order is not None:
            await self.tx.lock_journey(self.order)
        exchange = self.exchange
        if exchange is not None and exchange["state"] != "off":
            await self._lock_replacement(exchange["order"])

    async def _lock_replacement(self, order: str) -> None:
        """The order, where it is there and this return's: one of that name may be another's, until it was placed."""
        try:
            row = await self.tx.lock_journey(order)
        except NotFound:
            return
        own = select(payment.c.id).where(
            payment.c.journey_id == order, payment.c.reference == exchanges.credit_of(self.id)
        )
        if (await self.tx.conn.execute(own)).first() is not None:
            self.replacement = row

    async def lock_goods(self, skus: Iterable[str] = ()) -> None:
        """Stock here of every line and of further SKUs; then the sale lines that the lines came from."""
        wanted = {str(line["sku"]) for line in self.lines.values()} | set(skus)
        await self.tx.lock_stock({(self.location, sku) for sku in wanted})
        await self.lock_sales()

    async def lock_sales(self) -> None:
        documents = {str(line["document"]) for line in self.lines.values() if line["document"]}
        if not documents or self.sales:
            return
        self.tx.enter(Rank.MONEY)
        rows = await self.tx.conn.execute(
            select(sale_line)
            .where(sale_line.c.document.in_(sorted(documents)))
            .order_by(sale_line.c.document, sale_line.c.line_id)
            .with_for_update()
        )
        self.sales = {(row["document"], row["line_id"]): dict(row) for row in rows.mappings()}
        self.remember(sale_line, self.sales.values())
        self._not_kept = {key: not_kept(sale) for key, sale in self.sales.items()}

    def sale_of(self, line: Mapping[str, Any]) -> dict[str, Any] | None:
        """The sale line that a line came from; the sales are locked."""
        return self.sales.get((line["document"], line["sale_line_id"])) if line["document"] else None

    # ------------------------------------------------------------------ people
    @override
    def about(self, kind: str) -> dict[str, Any]:
        return {"return" if kind == "journey_stuck" else "return_id": self.row["key"]}

    # ------------------------------------------------------------------ books
    def entry(self, event: str, cause: str, lines: list[Any], at: datetime) -> Entry:
        """A journal entry of this return."""
        authority = self.policy.authority.of_posting(event)
        return Entry(self.row["entity"], event, self.row["currency"], cause, lines, at, self.id, authority)

    async def progress(self) -> Progress:
        """How far units and money are: what was asked of a provider is owed until it is confirmed."""
        found = await self.tx.conn.execute(
            select(func.count())
            .select_from(payment)
            .where(payment.c.journey_id == self.id, payment.c.refunded_minor < payment.c.refund_requested_minor)
        )
        looked_at = sum(line["accepted"] + line["declined"] for line in self.lines.values())
        worked = bool(self.row["detail"].get("in_work"))
        # What the customer is asked about an exchange is waited for, as an answer of ours.
        is_exchanging = self.exchange is not None and self.exchange["state"] in exchanges.ASKED
        return Progress(
            received=sum(line["received"] for line in self.lines.values()),
            looked_at=looked_at,
            touched=looked_at + sum(line["asked"] for line in self.lines.values()) + worked,
            is_owed=bool(found.scalar_one()) or bool(self.row["detail"].get("under_review")) or is_exchanging,
            is_asking=bool(self.row["asks"]) or is_exchanging,
        )

    def rows(self) -> Iterable[tuple[Table, Iterable[Row]]]:
        yield return_line, self.lines.values()
        yield sale_line, self.sales.values()

    @property
    def rests(self) -> bool:
        """What is owed is waited for, whatever the state, and so is the answer to what was refused."""
        assert self._progress is not None
        is_asking = bool(self.row["asks"]) or "override" in self.row["detail"]
        return self.is_final and not is_asking and not self._progress.is_owed

    async def is_over(self) -> bool:
        return self.rests

    async def save(self, at: datetime) -> None:
        """Go where units and money lead, and write what changed."""
        self._progress = await self.progress()
        wanted = returns.state_of(self.state, self._progress)
        if self._is_paid_without_goods(self._progress):
            wanted = ReturnState.CLOSED
        self.go(wanted)
        self._fund(at)
        await super().save(at)

    def _fund(self, at: datetime) -> None:
        """What a vendor pays of units that came back is taken back, or given again with units that went again."""
        cause, authority = f"returned:{self.id}:{self.row['version'] + 1}", self.policy.authority.of_posting(ACCRUED)
        for key, sale in self.sales.items():
            units = not_kept(sale) - self._not_kept[key]
            if units and sale["promotion_id"] is not None:
                self.tx.fund(Funded.returned(sale, units, cause, at, authority, journey_id=self.id))
            self._not_kept[key] = not_kept(sale)

    def _is_paid_without_goods(self, progress: Progress) -> bool:
        """Whether nothing is to come back: what the customer keeps is refunded, the rest was declined."""
        if progress.received or progress.is_owed or self.row["asks"] or self.state in FINAL:
            return False
        wanted = [line for line in self.lines.values() if not line["ruling"].get("refused")]
        return bool(wanted) and all(
            line["ruling"].get("keeps") and line["refunded"] >= line["claimed"] for line in wanted
        )


def new_line(journey_id: str, line_id: str, sku: str, **values: Any) -> dict[str, Any]:
    """A line with nothing received and nothing refunded."""
    return {
        "journey_id": journey_id,
        "line_id": line_id,
        "sku": sku,
        "reason": "changed_mind",
        "serial": None,
        "unit_price_minor": None,
        "document": None,
        "sale_line_id": None,
        "claimed": 0,
        **dict.fromkeys(_COUNTED, 0),
        "ruling": {},
        **values,
    }


def waiting(line: Mapping[str, Any]) -> int:
    """Units of a line that came and have no disposition yet, nor one that somebody is asked about."""
    return int(line["received"] - line["accepted"] - line["declined"] - line["asked"])


def _paid(sale: Mapping[str, Any], units: int) -> int:
    """What the customer paid for the first `units` of a line, tax included."""

    def part(column: str) -> int:
        return part_of(sale[column], sale["quantity"], 0, units)

    paid = part("gross_minor") - part("discount_minor") - part("coupon_minor") - part("appeasement_minor")
    return paid + (0 if sale["tax_included"] else part("tax_minor"))


def bought(sale: Mapping[str, Any]) -> Bought:
    """The money of the units of a sale line that were handed over.

    Shares of units that were handed over and of units that were cancelled are cumulative over both together, so what is
    left when the cancelled ones' money is taken off is exactly what was paid for those that the customer took.
    """
    gone = sale["handed_over"] + sale["refunded_quantity"]
    cancelled = sale["refunded_minor"] - sale["return_refunded_minor"]
    return Bought(
        units=sale["handed_over"],
        paid_minor=_paid(sale, gone) - cancelled,
        tax_minor=part_of(sale["tax_minor"], sale["quantity"], sale["refunded_quantity"], sale["handed_over"]),
        cost_minor=sale["cost_minor"],
        refunded=sale["return_refunded"],
        refunded_minor=sale["return_refunded_minor"],
        refunded_tax_minor=sale["return_refunded_tax_minor"],
    )


_CLAIMED = text(
    "SELECT l.sale_line_id, sum(l.claimed - l.booked)::int AS units FROM return_line l JOIN journey j"
    " ON j.id = l.journey_id WHERE l.document = :document AND j.closed_at IS NULL AND l.claimed > l.booked"
    " AND coalesce(l.ruling ->> 'refused', '') = '' GROUP BY 1"
)


async def claimed_elsewhere(tx: Transaction, document: str) -> dict[str, int]:
    """Units of each line of a document that open returns have announced and that have not come yet."""
    rows = await tx.conn.execute(_CLAIMED, {"document": document})
    return {row.sale_line_id: row.units for row in rows}
