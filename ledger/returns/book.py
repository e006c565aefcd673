"""A return, loaded under its journey's lock: its lines and the sale lines that they came from, changed together."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import RowMapping, func, insert, select, text, update

from domain import returns
from domain.case import CaseOption
from domain.ids import parse_journey_id
from domain.payments import part_of
from domain.policy import Policy
from domain.refunds import Bought
from domain.returns import FINAL, Progress, ReturnState
from ledger import approval, case, mails, policies, reference
from ledger.journal import Entry
from ledger.shelf import Cause
from ledger.tables import journey, payment, return_line, sale_line
from ledger.transaction import Rank, Transaction
from ledger.webhooks.announcing import announce

SaleKey = tuple[str, str]  # (document, line)
_SAVED = ("state", "location", "region", "dues", "asks", "detail", "closed_at", "version", "suspended_from")
_LINE_VALUES = (
    "received",
    "booked",
    "asked",
    "accepted",
    "declined",
    "refunded",
    "refunded_minor",
    "tax_minor",
    "fee_minor",
    "cost_minor",
    "disposed_cost_minor",
    "ruling",
)
_SALE_VALUES = (
    "returned",
    "refunded_minor",
    "return_refunded",
    "return_refunded_minor",
    "return_refunded_tax_minor",
    "clawed_minor",
)


@dataclass
class Return:
    """The whole return. Rows are plain dicts; `save` writes those that changed, and works the state out."""

    tx: Transaction
    row: dict[str, Any]
    lines: dict[str, dict[str, Any]]
    policy: Policy
    place: reference.Place
    sales: dict[SaleKey, dict[str, Any]] = field(default_factory=dict)
    _before: dict[str, dict[str, Any]] = field(default_factory=dict)
    _sales_before: dict[SaleKey, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    async def read(cls, tx: Transaction, row: RowMapping | Mapping[str, Any]) -> "Return":
        """From the journey's row, locked by the caller; nothing else is locked."""
        found = await tx.conn.execute(
            select(return_line).where(return_line.c.journey_id == row["id"]).order_by(return_line.c.line_id)
        )
        it = cls(
            tx,
            dict(row),
            {line["line_id"]: dict(line) for line in found.mappings()},
            await policies.of_journey(tx.conn, row),
            await reference.place(tx.conn, row["location"]),
        )
        it.row |= {name: dict(row[name]) for name in ("dues", "asks", "detail")}
        it._before = {key: line | {"ruling": dict(line["ruling"])} for key, line in it.lines.items()}
        return it

    @classmethod
    async def load(cls, tx: Transaction, row: RowMapping | Mapping[str, Any]) -> "Return":
        """The same, with the order that it returns and the cases about it locked."""
        it = await cls.read(tx, row)
        await it.lock_order()
        await it.lock_cases()
        return it

    @property
    def id(self) -> str:
        return str(self.row["id"])

    @property
    def location(self) -> str:
        return str(self.row["location"])

    @property
    def state(self) -> ReturnState:
        return ReturnState(self.row["state"])

    @property
    def order(self) -> str | None:
        """The journey of the order that is returned."""
        found: str | None = self.row["detail"].get("order")
        return found

    def cause(self, cause: str, at: datetime, actor: str | None = None) -> Cause:
        return Cause(cause, actor or self.tx.actor, at, self.row["entity"], self.id)

    def clock(self, at: datetime) -> datetime:
        """An instant on this journey's clock, which a demo may have moved on."""
        return at + timedelta(seconds=self.row["clock_offset_s"])

    def go(self, state: ReturnState) -> None:
        """Change state. Raises `StateConflict` where the transition table has no such way."""
        returns.check_transition(self.row["state"], state)
        self.row["state"] = state.value

    def due(self, name: str, at: datetime) -> None:
        self.row["dues"][name] = at.isoformat()

    def drop_dues(self, *names: str) -> None:
        for name in names:
            self.row["dues"].pop(name, None)

    # ------------------------------------------------------------------ locks
    async def lock_order(self) -> None:
        """The order's lock covers its sale lines and payments; a receipt's are locked by themselves."""
        if self.order is not None:
            await self.tx.lock_journey(self.order)

    async def lock_cases(self) -> None:
        await self.tx.lock_asks(self.row)

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
        self._sales_before = {key: dict(sale) for key, sale in self.sales.items()}

    def sale_of(self, line: Mapping[str, Any]) -> dict[str, Any] | None:
        """The sale line that a line came from; the sales are locked."""
        return self.sales.get((line["document"], line["sale_line_id"])) if line["document"] else None

    # ------------------------------------------------------------------ people
    async def open_case(
        self,
        kind: str,
        at: datetime,
        *,
        text: str,
        facts: Mapping[str, Any],
        options: Sequence[CaseOption],
        sku: str = "",
        value_at_risk_minor: int = 0,
    ) -> case.CaseRef:
        """Open the case of this kind about this return, or say anew what is true of it now."""
        return await case.open_case(
            self.tx,
            case.Opening(
                kind=kind,
                subject=self.id,
                place=self.place,
                policy=self.policy,
                at=at,
                journey_id=self.id,
                channel=self.row["channel"],
                sku=sku,
                facts={"return" if kind == "journey_stuck" else "return_id": self.row["key"], **facts},
                options=options,
                value_at_risk_minor=value_at_risk_minor,
                clock_offset_s=self.row["clock_offset_s"],
                text=text,
            ),
        )

    async def answer_asks(self, because: str, at: datetime) -> None:
        """What the journey waits for has answered itself: the case heals, an approval is superseded."""
        asks = self.row["asks"]
        if asks.get("approval_id"):
            await approval.supersede(self.tx, asks["approval_id"], at)
        if asks.get("case_id"):
            await case.heal(self.tx, asks["case_id"], because, at)
        self.row["asks"] = {}

    async def mail_customer(self, template: str, dedupe: str, at: datetime, **context: Any) -> None:
        """Queue a mail to the customer, or have the source write, as policy says."""
        if self.policy.authority.notice == "source":
            data = {"notice": template, "notice_id": f"{self.id}:{template}:{dedupe}", "journey_id": self.id}
            data |= {"key": self.row["key"], "state": self.row["state"], "seq": self.row["version"] + 1, **context}
            await announce(self.tx, "notice.requested", about=self.row["source"], subject=self.id, at=at, data=data)
            return
        await mails.queue(
            self.tx,
            template=template,
            dedupe_key=f"{self.id}:{template}:{dedupe}",
            not_before=at,
            customer_id=self.row["customer_id"],
            journey_id=self.id,
            context=context,
            offset_s=self.row["clock_offset_s"],
        )

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
        return Progress(
            received=sum(line["received"] for line in self.lines.values()),
            looked_at=looked_at,
            touched=looked_at + sum(line["asked"] for line in self.lines.values()) + worked,
            is_owed=bool(found.scalar_one()) or bool(self.row["detail"].get("under_review")),
            is_asking=bool(self.row["asks"].get("case_id")),
        )

    async def save(self, at: datetime) -> None:
        """Write what changed, with the state that follows from it; close what is over, reopen what is not."""
        progress = await self.progress()
        wanted = returns.state_of(self.state, progress)
        if self._is_paid_without_goods(progress):
            wanted = ReturnState.CLOSED
        self.go(wanted)
        await self._write_lines()
        if self.state in FINAL and not self.row["asks"] and not progress.is_owed:
            self.row["dues"] = {}
            self.row["closed_at"] = self.row["closed_at"] or at
        else:
            self.row["closed_at"] = None
        self.row["version"] += 1
        await self.tx.conn.execute(
            update(journey).where(journey.c.id == self.id).values(**{name: self.row[name] for name in _SAVED})
        )

    def _is_paid_without_goods(self, progress: Progress) -> bool:
        """Whether nothing is to come back: what the customer keeps is refunded, the rest was declined."""
        if progress.received or progress.is_owed or self.row["asks"] or self.state in FINAL:
            return False
        wanted = [line for line in self.lines.values() if not line["ruling"].get("refused")]
        return bool(wanted) and all(
            line["ruling"].get("keeps") and line["refunded"] >= line["claimed"] for line in wanted
        )

    async def _write_lines(self) -> None:
        for key, line in self.lines.items():
            before = self._before.get(key)
            if before is None:
                await self.tx.conn.execute(insert(return_line).values(**line))
            elif line != before:
                await self.tx.conn.execute(
                    update(return_line)
                    .where(return_line.c.journey_id == self.id, return_line.c.line_id == key)
                    .values(**{name: line[name] for name in _LINE_VALUES})
                )
            self._before[key] = line | {"ruling": dict(line["ruling"])}
        for sale_key, sale in self.sales.items():
            if sale != self._sales_before[sale_key]:
                await self.tx.conn.execute(
                    update(sale_line)
                    .where(sale_line.c.document == sale_key[0], sale_line.c.line_id == sale_key[1])
                    .values(**{name: sale[name] for name in _SALE_VALUES})
                )
                self._sales_before[sale_key] = dict(sale)


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
        **dict.fromkeys(_LINE_VALUES, 0),
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


def source_of(journey_id: str) -> str:
    return parse_journey_id(journey_id).source
