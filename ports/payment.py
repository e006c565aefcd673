"""Payment providers: one port, an adapter over HTTP that a shop can really use, and a sandbox that can be told to fail.

A provider is asked to move money under a key; the same key never moves it twice. Nothing here reads or writes Endcap's
own records.

The HTTP contract: `POST {url}/{capture|charge|void|refund|renew}` with `Authorization: Bearer <key>` and
`Idempotency-Key: <operation>`, body `{"operation_id", "payment_reference", "tender", "amount_minor", "currency"}`.
Answers: 2xx with an optional `{"reference"}` (of a renewal also `{"authorized_until"}`, RFC 3339) means done; 402 with
an optional `{"reason"}` means declined for good; anything else, or no answer in time, means unknown, and the same
request is sent again with the same key.

`capture` takes what was authorised. `charge` takes more than that, by the means of the payment that is named, with its
owner's word; a `refund` of it names the reference with which the charge was answered, or else the charge's own key.
"""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import httpx2

from domain.payments import PaymentOutcome
from ports import bounded

ANSWER_TIMEOUT_S = 15.0
_REASON_LENGTH = 200

DECLINED_ENDING = 13
SILENT_ENDING = 17


class PaymentRequest(NamedTuple):
    """One operation at a provider. `operation_id` is its idempotency key; `amount_minor` is in `currency`."""

    operation_id: str
    kind: str  # capture | charge | void | refund | renew
    payment_reference: str
    tender: str
    amount_minor: int
    currency: str


class PaymentPort(Protocol):
    """What Endcap needs of a payment provider."""

    async def carry_out(self, request: PaymentRequest) -> PaymentOutcome:
        """Move the money once, however often this is called with one `operation_id`. Never raises for a bad answer."""
        ...

    async def aclose(self) -> None:
        """Let go of connections and files."""
        ...


class HttpPaymentProvider:
    """A provider behind the HTTP contract above."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timeout_s: float = ANSWER_TIMEOUT_S,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._client = httpx2.AsyncClient(
            base_url=url.rstrip("/") + "/",
            headers={"Authorization": f"Bearer {key}"},
            timeout=httpx2.Timeout(timeout_s),
            follow_redirects=False,  # a redirect could carry the key, or the money, to somebody else
            transport=transport,
        )

    async def carry_out(self, request: PaymentRequest) -> PaymentOutcome:
        """Ask once. Whatever is not a clear yes or no is `unknown`."""
        try:
            answer = await bounded.ask(
                self._client,
                "POST",
                request.kind,
                headers={"Idempotency-Key": request.operation_id},
                json={
                    "operation_id": request.operation_id,
                    "payment_reference": request.payment_reference,
                    "tender": request.tender,
                    "amount_minor": request.amount_minor,
                    "currency": request.currency,
                },
            )
        except httpx2.HTTPError as error:
            return PaymentOutcome("unknown", error=f"no answer: {type(error).__name__}")
        body = _json_object(answer)
        if answer.is_success:
            # What a provider writes otherwise is left out, and policy says until when.
            until = bounded.instant_of(body.get("authorized_until"))
            reference = bounded.words_of(body.get("reference"), _REASON_LENGTH)
            return PaymentOutcome("succeeded", reference=reference, authorized_until=until)
        if answer.status_code == 402:
            reason = bounded.words_of(body.get("reason"), _REASON_LENGTH)
            return PaymentOutcome("declined", error=reason or "declined by the provider")
        return PaymentOutcome("unknown", error=f"answered {answer.status_code}")

    async def aclose(self) -> None:
        await self._client.aclose()


def _json_object(answer: httpx2.Response) -> dict[str, Any]:
    """The body, where it is a JSON object; a provider may answer with nothing at all."""
    try:
        body = bounded.json_of(answer)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


class SandboxPaymentProvider:
    """A provider of its own for the demo, with a record of its own in an SQLite file: the same key, the same answer.

    It moves no money. An amount whose last two digits are 13 is declined. One that ends in 17 is carried out, but the
    first answer is lost, as it happens with real providers: Endcap hears nothing, asks again with the same key and then
    learns that it was done. A key that comes back with another amount or kind is declined.
    """

    def __init__(self, record: Path) -> None:
        self._path = record
        record.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(record, timeout=10)) as conn, conn:
            conn.execute(
                "CREATE TABLE IF NOT EXISTS operation (key TEXT PRIMARY KEY, kind TEXT NOT NULL,"
                " amount_minor INTEGER NOT NULL, currency TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL,"
                " asked INTEGER NOT NULL)"
            )

    async def carry_out(self, request: PaymentRequest) -> PaymentOutcome:
        """The recorded answer of this key, or a new one by the rules above; `unknown` while it cannot write."""
        try:
            return await asyncio.to_thread(self._carry_out, request)
        except sqlite3.OperationalError as error:  # its disk is full, say: asked again under the same key later
            return PaymentOutcome("unknown", error=f"the sandbox cannot write its record: {error}")

    async def aclose(self) -> None:
        """Nothing is kept open between two operations."""

    def _carry_out(self, request: PaymentRequest) -> PaymentOutcome:
        declined = request.amount_minor % 100 == DECLINED_ENDING
        state, reason = ("declined", "the sandbox declines amounts that end in 13") if declined else ("succeeded", "")
        row = (request.operation_id, request.kind, request.amount_minor, request.currency, state, reason)
        with closing(sqlite3.connect(self._path, timeout=10)) as conn, conn:
            conn.execute("INSERT INTO operation VALUES (?, ?, ?, ?, ?, ?, 0) ON CONFLICT (key) DO NOTHING", row)
            kind, amount, currency, state, reason, asked = conn.execute(
                "UPDATE operation SET asked = asked + 1 WHERE key = ?"
                " RETURNING kind, amount_minor, currency, state, reason, asked",
                (request.operation_id,),
            ).fetchone()
        if (kind, amount, currency) != (request.kind, request.amount_minor, request.currency):
            return PaymentOutcome("declined", error="this key was used before for another operation")
        if amount % 100 == SILENT_ENDING and asked == 1:
            return PaymentOutcome("unknown", error="no answer: the first one to an amount that ends in 17 is lost")
        if state == "declined":
            return PaymentOutcome("declined", error=reason)
        return PaymentOutcome("succeeded", reference=f"sandbox-{request.operation_id}")
