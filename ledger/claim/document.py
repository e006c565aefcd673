"""A claim, loaded under its journey's lock: what was frozen, what the vendor has said to it, and what became of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, NamedTuple, override

from sqlalchemy import RowMapping, Table, select

from domain import claim as rules
from domain import funding_postings
from domain.claim import ClaimState, Figures, Short, state_by_figures
from domain.errors import UnknownLine
from domain.postings import Line
from ledger import mails, tables
from ledger.changes import Row
from ledger.document import Document, Rules
from ledger.journal import Entry
from ledger.transaction import Transaction

GIVEN_UP = ("released", "written_off", "reclaimed")  # each a column `<name>_minor` of a claim and of its lines


class Moment(NamedTuple):
    """What causes a change, and when it happened."""

    cause: str
    at: datetime


@dataclass(kw_only=True)
class Claim(Document):
    """The whole claim. `place` is its agreement's office."""

    head: Row = field(init=False)
    agreement: Mapping[str, Any] = field(init=False)
    lines: dict[str, Row] = field(default_factory=dict)

    rules: ClassVar[Rules] = rules

    @classmethod
    async def load(cls, tx: Transaction, row: RowMapping | Mapping[str, Any]) -> "Claim":
        it = await cls.begin(tx, row)
        (it.head,) = await it.read(tables.claim)
        lines = await it.read(tables.claim_line)
        it.lines = {line["line_id"]: line for line in sorted(lines, key=lambda line: int(line["line_id"]))}
        wanted = select(tables.funding_agreement).where(tables.funding_agreement.c.id == it.head["agreement_id"])
        it.agreement = dict((await tx.conn.execute(wanted)).mappings().one())
        return it

    # ------------------------------------------------------------------ what is true
    @property
    def state(self) -> ClaimState:
        return ClaimState(self.row["state"])

    @property
    def vendor(self) -> str:
        return str(self.agreement["vendor_name"] or self.agreement["vendor"])

    def line(self, line_id: str) -> Row:
        """A line. Raises `UnknownLine`, naming how many there are."""
        if line_id not in self.lines:
            raise UnknownLine(
                f"The claim has no line {line_id}; its lines are 1 to {len(self.lines)}.", pointer="/data/lines"
            )
        return self.lines[line_id]

    def figures(self) -> Figures:
        return Figures(
            self.head["amount_minor"],
            self.head["accepted_minor"],
            self.head["settled_minor"],
            given_up(self.head),
            is_answered=any(line["accepted_minor"] is not None for line in self.lines.values()),
        )

    def short(self) -> list[Short]:
        """What the vendor has not accepted and nobody has decided about, line by line."""
        found = []
        for line_id, line in self.lines.items():
            if line["accepted_minor"] is None:
                continue
            missing = line["amount_minor"] - line["accepted_minor"] - given_up(line)
            if missing:
                found.append(Short(line_id, missing, line["amount_minor"], line["reason"]))
        return found

    # ------------------------------------------------------------------ changing it
    def post(self, event: str, moment: Moment, lines: list[Line]) -> None:
        """Post lines of this claim's entity; each cause posts an event once."""
        authority = self.policy.authority.of_posting(event)
        self.tx.post(
            Entry(
                self.row["entity"], event, self.row["currency"], moment.cause, lines, moment.at, self.id, authority
            )
        )  # fmt: skip

    def give_up(self, how: str, moment: Moment) -> int:
        """What is short is `released`, `written_off` or `reclaimed`, line by line; returns the amount."""
        total = 0
        for one in self.short():
            self.lines[one.line_id][f"{how}_minor"] += one.amount_minor
            total += one.amount_minor
        self.head[f"{how}_minor"] += total
        self._post_given_up(how, total, moment)
        return total

    def give_up_unpaid(self, how: str, moment: Moment) -> int:
        """Everything that is still open, accepted or not: the vendor will not pay. Returns the amount.

        What was paid was paid for the first lines; the rest of each is given up.
        """
        paid, total = self.head["settled_minor"], 0
        for line in self.lines.values():
            left = line["amount_minor"] - given_up(line)
            covered = min(max(left, 0), max(paid, 0))
            paid -= covered
            line["accepted_minor"] = covered
            line[f"{how}_minor"] += left - covered
            total += left - covered
        self.head["accepted_minor"] = sum(line["accepted_minor"] for line in self.lines.values())
        self.head[f"{how}_minor"] += total
        self._post_given_up(how, total, moment)
        return total

    def _post_given_up(self, how: str, total: int, moment: Moment) -> None:
        posted = {
            "released": funding_postings.released(total, billed=bool(self.head["is_billed"])),
            "written_off": funding_postings.written_off(total),
            "reclaimed": funding_postings.claimed_again(total),
        }[how]
        self.post(f"claim.{how}", moment, posted)

    def settle(self, amount_minor: int, settlement: str, moment: Moment) -> None:
        """Money is there."""
        self.head["settled_minor"] += amount_minor
        self.head["settlement"] = settlement
        self.post("claim.settled", moment, funding_postings.settled(amount_minor, settlement))

    def stand(self, moment: Moment) -> None:
        """The state that the figures of a claim that is with the vendor amount to, with its due instants."""
        now = self.figures()
        self.go(state_by_figures(now, before=self.state))
        if self.is_final:
            self.head["settled_at"] = moment.at
        if now.unpaid_minor <= 0:
            self.drop_dues("payment")
        elif now.is_answered and "payment" not in self.row["dues"]:
            self.due("payment", moment.at + timedelta(seconds=self.policy.claim.pay_s))

    async def mail_vendor(self, template: str, dedupe: str, at: datetime) -> bool:
        """Queue a mail with the claim's papers to the vendor; False where it has no address."""
        if not self.agreement["claims_email"]:
            return False
        await mails.queue(
            self.tx,
            template=template,
            dedupe_key=f"{self.id}:{template}:{dedupe}",
            not_before=at,
            journey_id=self.id,
            agreement_id=self.agreement["id"],
            offset_s=self.row["clock_offset_s"],
        )
        return True

    # ------------------------------------------------------------------ asking and saving
    @override
    def about(self, kind: str) -> dict[str, Any]:
        return {"claim": self.row["key"]} | (
            {} if kind == "journey_stuck" else {"vendor": self.vendor, "agreement": self.agreement["number"]}
        )

    def rows(self) -> Iterable[tuple[Table, Iterable[Row]]]:
        yield tables.claim, [self.head]
        yield tables.claim_line, self.lines.values()


def given_up(row: Mapping[str, Any]) -> int:
    """What of a claim, or of a line, is released, written off or waits for another claim."""
    return sum(row[f"{name}_minor"] for name in GIVEN_UP)
