"""Markup in every text that people or systems may write, put there under the ledger's feet; columns by their names."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

from sqlalchemy import Column, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

import ledger.engine
from ledger import tables

# A column with one of these names holds what somebody outside has written, and so does a text of a document.
TELLING = frozenset({
    "name", "title", "text", "label", "reason", "reference", "address", "email", "phone", "pickup_person",
    "vendor", "vendor_name", "claims_email", "office", "carrier", "tracking", "serial", "authorization",
    "number", "story", "answer", "resolution", "waiting_reason", "disabled_reason", "because", "why", "why_not",
    "note", "detail", "error", "last_error", "picker", "counter", "actor", "description", "category",
    "document", "checkout", "claim_id", "order_reference", "provider_reference", "shipment_id",
    "override_reason", "override_actor", "cause_text",
})  # fmt: skip
# These only look like it: words and keys of ours, which no caller chooses freely.
OURS = frozenset({
    ("api_key", "name"), ("approval_side", "name"), ("adjustment_line", "reason"), ("movement", "reason"),
    ("transfer", "reason"), ("return_line", "reason"), ("return_disposition", "reason"), ("claim_line", "reason"),
    ("item", "category"), ("promotion_line", "category"), ("webhook_endpoint", "disabled_reason"), ("offer", "answer"),
    ("policy_document", "reason"), ("funding_agreement", "document"), ("funding_accrual", "document"),
    ("funding_accrual", "claim_id"), ("sale_line", "document"), ("return_line", "document"), ("idempotency", "answer"),
    ("case_event", "actor"), ("movement", "actor"), ("journey_step", "actor"), ("band_use", "actor"),
    ("journey_step", "detail"), ("location_status", "cause_text"), ("vendor_return", "reason"), ("offer", "because"),
    ("case_event", "detail"), ("journey", "detail"), ("saved_view", "query"), ("item_stop", "reason"),
    ("location_status", "reason"), ("audit", "reason"), ("case_file", "resolution"), ("hold", "checkout"),
    ("funding_agreement", "number"), ("funding_agreement", "vendor"), ("claim", "vendor"), ("vendor_return", "vendor"),
    ("person", "email"), ("payment_operation", "reason"), ("case_file", "waiting_reason"),
})  # fmt: skip
# Documents in which a sentence may stand.
DOCUMENTS = (
    "approval.facts", "case_file.facts", "case_file.options", "case_decision.option", "mail.context",
    "event_inbox.problem", "webhook_delivery.log", "vendor_return.credits", "transfer_parcel.lines",
)  # fmt: skip


AS_DOCUMENT, AS_PLACE = "CAST(CAST(:new AS text) AS jsonb)", "CAST(CAST(:at AS text) AS tid)"


def payload(number: int) -> str:
    """Ends an attribute, an element and a script, and calls back in four ways."""
    return (
        f'"\'></script></title></textarea><b data-stored="{number}">&lt;{{{{7*7}}}}</b>'
        f"<script>fetch('/called-back/{number}')</script><img src=/called-back/{number} onerror=alert(1)>"
    )


def columns() -> list[tuple[Table, Column[Any]]]:
    """Every column that is filled, in a fixed order: the place in it is the number of its payload."""
    return [
        (table, column)
        for table in sorted(tables.metadata.tables.values(), key=lambda one: one.name)
        for column in table.columns
        if isinstance(column.type, Text)
        and column.name in TELLING
        and (table.name, column.name) not in OURS
        and not column.primary_key
        and not column.foreign_keys
    ]


def _filled(value: Any, number: int, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _filled(one, number, name) for name, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, number, key) for one in value]
    is_sentence = isinstance(value, str) and (" " in value or key in TELLING)
    return payload(number) if is_sentence else value


async def fill(database: ledger.engine.Database) -> dict[int, str]:
    """Write it; returns the name of the column behind each number, of those that have a row."""
    names: dict[int, str] = {}
    async with database.engine.begin() as conn:
        # Triggers and references stand aside: what is append-only is filled as well.
        await conn.execute(text("SET LOCAL session_replication_role = replica"))
        for number, (table, column) in enumerate(columns()):
            query = f'UPDATE {table.name} SET "{column.name}" = :payload || ctid'  # noqa: S608  names of our own
            done = await conn.execute(text(query), {"payload": payload(number)})
            if done.rowcount:
                names[number] = f"{table.name}.{column.name}"
        for number, name in enumerate(DOCUMENTS, start=500):
            table_name, _, column_name = name.partition(".")
            assert isinstance(tables.metadata.tables[table_name].c[column_name].type, JSONB), name
            found = await conn.execute(text(f"SELECT ctid::text, {column_name} FROM {table_name}"))  # noqa: S608
            for ctid, document in found.all():
                changed = _filled(document, number)
                if changed != document:
                    query = f"UPDATE {table_name} SET {column_name} = {AS_DOCUMENT} WHERE ctid = {AS_PLACE}"  # noqa: S608
                    await conn.execute(text(query), {"new": json.dumps(changed), "at": ctid})
                    names[number] = name
    return names


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.bad: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            inside = (value or "").strip().lower()
            is_address = name in ("href", "src", "action", "formaction", "xlink:href")
            if name == "data-stored" or name.startswith("on") or (is_address and inside.startswith("javascript:")):
                self.bad.append(f"<{tag} {name}={value!r}>")
        if tag == "script" and not any(name == "src" and value for name, value in attrs):
            self.bad.append("<script>")

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def elements_of(html: str) -> tuple[list[str], str]:
    """What markup has become an element, and the text of a page."""
    page = _Elements()
    page.feed(html)
    page.close()
    return page.bad, "".join(page.words)
