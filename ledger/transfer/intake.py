"""Takes transfers that systems and people ask for: many in one transaction, each with its own answer or refusal."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select, text

from domain.errors import DomainError, IdempotencyMismatch, Malformed, UnknownSku, WrongCurrency
from domain.policy import Policy
from domain.transfers import NewTransfer, TransferAnswer
from ledger import bands, reference, rows
from ledger.engine import Database
from ledger.idempotency import LOCK_KEYS, body_hash, lock_name
from ledger.people import Caller
from ledger.tables import idempotency
from ledger.transaction import Rank, Transaction
from ledger.transfer.opening import open_all
from ledger.transfer.wanted import Wanted, places_of

AT_ONCE = 200  # transfers of one transaction

type Result = tuple[int, TransferAnswer] | DomainError

_LOCK_KEYS = text(LOCK_KEYS.replace("$1::text[]", "CAST(:names AS text[])"))


@dataclass
class _Known:
    """Master data of one call: places and their policies are read together, each once."""

    at: datetime
    places: dict[str, reference.Place] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)

    async def learn(self, tx: Transaction, wanted: Sequence[NewTransfer]) -> None:
        """Read what is not known yet of the places that these name; their sources' policies too."""
        codes = {code for one in wanted for code in (one.from_, one.to)} - self.places.keys()
        if codes:
            self.places |= await reference.places(tx.conn, codes)
        sources = {one.from_ for one in wanted} & self.places.keys() - self.policies.keys()
        if sources:
            self.policies |= await reference.policies_at(tx.conn, [self.places[code] for code in sources], self.at)

    def place(self, code: str, pointer: str) -> reference.Place:
        """Raises `UnknownLocation`."""
        if code not in self.places:
            raise reference.unknown_location(code, pointer)
        return self.places[code]


async def request(
    database: Database,
    caller: Caller,
    wanted: Sequence[NewTransfer],
    *,
    via: str,
    idempotency_key: str | None = None,
    requested_by: str | None = None,
) -> list[Result]:
    """Take them, at most `AT_ONCE` in a transaction; one result for each, in the order given: (201, answer), (200, the
    same answer) for a repeat, or the refusal. A refused one writes nothing.

    `requested_by` is the person who asks on a page; the key of a system names its own in each transfer.
    """
    results: list[Result] = []
    known: _Known | None = None
    for first in range(0, len(wanted), AT_ONCE):
        part = wanted[first : first + AT_ONCE]

        async def work(tx: Transaction, part: Sequence[NewTransfer] = part) -> list[Result]:
            nonlocal known
            if known is None:
                known = _Known(await tx.now())
            return await _take(tx, caller, part, known, idempotency_key, requested_by)

        actor = requested_by or f"key:{caller.key_id}"
        results += await database.write(work, actor=actor, via=via)
    return results


async def _take(
    tx: Transaction,
    caller: Caller,
    wanted: Sequence[NewTransfer],
    known: _Known,
    idempotency_key: str | None,
    requested_by: str | None,
) -> list[Result]:
    digests = [body_hash(one.model_dump_json(by_alias=True)) for one in wanted]
    keys = [f"transfer:{one.transfer_id}" for one in wanted]
    extra = [f"key:{idempotency_key}"] if idempotency_key else []
    before = await _answers_before(tx, caller.source, [*keys, *extra])
    results: dict[int, Result] = {}
    openings: dict[int, Wanted] = {}
    seen: dict[str, int] = {}
    items = await reference.items(tx.conn, {line.sku for one in wanted for line in one.lines})
    await known.learn(tx, wanted)
    for number, one in enumerate(wanted):
        stored = before.get(keys[number]) or (before.get(extra[0]) if extra else None)
        try:
            if stored is not None:
                results[number] = _repeat(stored, digests[number], one.transfer_id)
            elif one.transfer_id in seen:
                twin = seen[one.transfer_id]
                if digests[twin] != digests[number]:
                    raise _other_body(one.transfer_id)
            else:
                opening = await _opening(tx, caller, one, known, set(items), requested_by)
                seen[one.transfer_id] = number
                openings[number] = opening
        except DomainError as refusal:
            results[number] = refusal
    if openings:
        await _write(tx, caller.source, openings, results, keys, digests, extra)
    for number, one in enumerate(wanted):
        if number not in results:  # it stands in the request twice
            status, answer = results[seen[one.transfer_id]]  # type: ignore[misc]  # the first was taken
            results[number] = (200 if status == 201 else status, answer)
    return [results[number] for number in range(len(wanted))]


async def _write(
    tx: Transaction,
    source: str,
    openings: dict[int, Wanted],
    results: dict[int, Result],
    keys: Sequence[str],
    digests: Sequence[bytes],
    extra: Sequence[str],
) -> None:
    await tx.lock_stock(places_of(openings.values()))
    costs: dict[tuple[str, str], int] = {}
    for entity in sorted({one.place.entity for one in openings.values()}):
        skus = {sku for one in openings.values() if one.place.entity == entity for _, sku, _ in one.lines}
        costs |= {(entity, sku): cost for sku, cost in (await reference.unit_costs(tx.conn, entity, skus)).items()}
    answers = await open_all(tx, list(openings.values()), costs)
    answered = []
    for number, answer in zip(openings, answers, strict=True):
        results[number] = (201, answer)
        told = {"body_hash": digests[number], "status": 201, "answer": json.loads(answer.model_dump_json())}
        answered += [{"source": source, "key": key, **told} for key in (keys[number], *extra)]
    await rows.write(tx.conn, idempotency, answered)


async def _answers_before(tx: Transaction, source: str, keys: Sequence[str]) -> dict[str, tuple[bytes, object]]:
    """The stored (body hash, answer) by key; whoever uses one of the keys now is waited for."""
    tx.enter(Rank.KEYS)
    await tx.conn.execute(_LOCK_KEYS, {"names": [lock_name(source, key) for key in keys]})
    rows = await tx.conn.execute(
        select(idempotency.c.key, idempotency.c.body_hash, idempotency.c.answer).where(
            idempotency.c.source == source, idempotency.c.key.in_(keys)
        )
    )
    return {row.key: (row.body_hash, row.answer) for row in rows}


def _other_body(transfer_id: str) -> IdempotencyMismatch:
    return IdempotencyMismatch(
        f"{transfer_id} was used before with another body; send the same body again, or use a new id."
    )


def _repeat(stored: tuple[bytes, object], digest: bytes, transfer_id: str) -> Result:
    if stored[0] != digest:
        raise _other_body(transfer_id)
    return 200, TransferAnswer.model_validate(stored[1])


async def _opening(
    tx: Transaction, caller: Caller, one: NewTransfer, known: _Known, items: set[str], requested_by: str | None
) -> Wanted:
    """Raises `UnknownLocation`, `UnknownSku`, `WrongCurrency`, `Malformed`."""
    place, target = known.place(one.from_, "/from"), known.place(one.to, "/to")
    unknown = [number for number, line in enumerate(one.lines) if line.sku not in items]
    if unknown:
        raise UnknownSku(
            f"SKU {one.lines[unknown[0]].sku} is not in the master data. Correct it, or have it loaded first.",
            pointer=f"/lines/{unknown[0]}/sku",
        )
    if place.currency != target.currency:
        raise WrongCurrency(
            f"{place.name} keeps its books in {place.currency}, {target.name} in {target.currency}; goods go between"
            " them by a sale, not by a transfer.",
            pointer="/to",
        )
    if one.needed_by is not None and one.needed_by <= known.at:
        raise Malformed("It would be needed before it is asked for; choose a later time.", pointer="/needed_by")
    actor: str | None = None
    barred: tuple[str, ...] = ()
    asked_by = f"key:{caller.key_id}"
    if requested_by is not None:
        actor, barred, asked_by = requested_by, (requested_by,), requested_by
    elif one.requested_by is not None:
        actor, barred = await bands.actor_at(tx, caller.source, one.requested_by, place.code)
        asked_by = actor if actor != bands.EVERYONE else one.requested_by
    return Wanted(
        place=place,
        target=target,
        policy=known.policies[place.code],
        source=caller.source,
        key=one.transfer_id,
        reason=one.reason,
        lines=[(line.line_id, line.sku, line.quantity) for line in one.lines],
        at=known.at,
        needed_by=one.needed_by,
        requested_by=asked_by,
        barred=barred,
        band_actor=actor,
    )
