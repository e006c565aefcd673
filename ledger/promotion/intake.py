"""Takes promotions that systems and people define, and other definitions of those that nobody has seen a price of."""

import json
from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select

from domain.errors import AlreadyPublished, Malformed, NotFound, StateConflict
from domain.ids import api_link, journey_id, parse_journey_id
from domain.messages import Message, Situation
from domain.policy import Policy
from domain.promotion import FINAL, OPEN_TO_CHANGE, Margin, PromotionState, in_words, is_below
from domain.promotions import ChangedPromotion, Definition, NewPromotion, PromotionAnswer
from domain.words import money
from ledger import bands, policies, reference, rows, situations, steps
from ledger.engine import Database
from ledger.funding import agreements
from ledger.idempotency import Answer, body_hash, claim_keys, keep_answer
from ledger.outbox import search_attributes
from ledger.people import Caller
from ledger.promotion import agreeing
from ledger.promotion.defining import Ground, Meant, check_overlap, meaning_of
from ledger.promotion.document import Promotion, lock_ground
from ledger.tables import journey, promotion, promotion_item, promotion_line, promotion_place
from ledger.transaction import Transaction

S = PromotionState
type Taken = tuple[int, PromotionAnswer]


async def define(
    database: Database,
    caller: Caller,
    wanted: NewPromotion,
    *,
    channels: Collection[str],
    via: str,
    idempotency_key: str | None = None,
    requested_by: str | None = None,
) -> Taken:
    """Record a promotion and, unless it is to stay a draft, submit it: (201, answer), or (200, the same) for a repeat.

    `channels` are those that prices can go to; `requested_by` is the person who defines it on a page.
    Raises `UnknownChannel`, `UnknownLocation`, `UnknownSku`, `UnknownCategory`, `Malformed`, `PromotionOverlap`,
    `IdempotencyMismatch`; what is refused writes nothing.
    """
    digest = body_hash(wanted.model_dump_json())
    keys = [f"promotion:{wanted.promotion_id}", *([f"key:{idempotency_key}"] if idempotency_key else [])]

    async def work(tx: Transaction) -> Taken:
        before = await claim_keys(tx, caller.source, keys, digest)
        if before is not None:
            return 200, PromotionAnswer.model_validate(before.body)
        meant = await _checked(tx, wanted, channels)
        await lock_ground(tx, meant.entity)
        at = await tx.now()
        it = await _open(tx, caller, wanted, meant, at, requested_by)
        answer = _answer(it, meant, len(wanted.channels))
        await keep_answer(tx, caller.source, keys, Answer(201, json.loads(answer.model_dump_json())))
        return 201, answer

    return await database.write(work, actor=requested_by or f"key:{caller.key_id}", via=via)


async def _checked(tx: Transaction, wanted: Definition, channels: Collection[str]) -> Meant:
    if wanted.starts_at <= await tx.now():
        raise Malformed("It would have begun already; choose a later starts_at.", pointer="/starts_at")
    return await meaning_of(tx.conn, wanted, channels)


async def _open(
    tx: Transaction, caller: Caller, wanted: NewPromotion, meant: Meant, at: datetime, requested_by: str | None
) -> Promotion:
    policy = await reference.policy_at(tx.conn, meant.place, at)
    asked_by, barred = requested_by or f"key:{caller.key_id}", [requested_by] if requested_by else []
    if requested_by is None and wanted.requested_by is not None:
        actor, people = await bands.actor_at(tx, caller.source, wanted.requested_by, meant.place.code)
        asked_by, barred = (actor if actor != bands.EVERYONE else wanted.requested_by), list(people)
    key = journey_id("promotion", caller.source, wanted.promotion_id)
    row: dict[str, Any] = {
        "id": key, "kind": "promotion", "source": caller.source, "key": wanted.promotion_id, "state": S.DRAFT.value,
        "location": meant.place.code, "region": meant.place.region, "entity": meant.entity, "channel": "",
        "currency": meant.currency, "requested_by": asked_by, "promised_at": wanted.starts_at, "opened_at": at,
        "dues": {}, "asks": {}, "detail": {"barred": sorted(barred), "requested": sorted(barred)},
        "policy_copy": await policies.keep(tx.conn, policy), "policy_version": policy.version,
    }  # fmt: skip
    await tx.conn.execute(insert(journey).values(**row))
    head = {"journey_id": key, "source": caller.source, "promotion_id": wanted.promotion_id, "entity": meant.entity}
    await tx.conn.execute(insert(promotion).values(**head, **_head(wanted, meant, policy), state=S.DRAFT.value))
    await _write_parts(tx, key, wanted, meant)
    it = await Promotion.load(tx, await tx.lock_journey(key))
    told = await _stand(it, wanted, meant, at)
    await steps.note(tx, key, "opened", wanted.promotion_id, told, at)
    tx.record("promotion.defined", key, at, after=_in_audit(wanted, meant))
    await it.save(at)
    situation = Situation(
        subject=key,
        state=it.row["state"],
        dues=situations.due_list(it.row["dues"]),
        approval_id=it.row["asks"].get("approval_id"),
    )
    tx.start(key, "promotion", situation, search_attributes(row))
    return it


def _head(wanted: Definition, meant: Meant, policy: Policy) -> dict[str, Any]:
    floor = wanted.margin_floor_permille
    return {
        "name": wanted.name,
        "offer": wanted.offer.model_dump(mode="json"),
        "stacking": wanted.stacking,
        "starts_at": wanted.starts_at,
        "ends_at": wanted.ends_at,
        "agreement_id": wanted.agreement_id,
        "margin_floor_permille": policy.promotion.margin_floor_permille if floor is None else floor,
        "margin_permille": meant.margin.permille,
        "discount_minor": meant.margin.discount_minor,
    }


async def _write_parts(tx: Transaction, key: str, wanted: Definition, meant: Meant) -> None:
    conn = tx.conn
    _, source, named = parse_journey_id(key)
    await agreements.pay_for(tx, source, meant.entity, named, wanted.agreement_id)
    await rows.copy(
        conn,
        "promotion_line",
        ("journey_id", "number", "sku", "category", "forecast_units"),
        [
            (key, number, line.sku, line.category, line.forecast_units)
            for number, line in enumerate(wanted.lines, start=1)
        ],
    )
    await rows.copy(conn, "promotion_item", ("journey_id", "sku"), [(key, sku) for sku in meant.items])
    await rows.copy(
        conn,
        "promotion_place",
        ("journey_id", "channel", "location"),
        [(key, channel, code) for channel in wanted.channels for code in meant.locations],
    )


def _in_audit(wanted: Definition, meant: Meant) -> dict[str, Any]:
    return {
        "offer": wanted.offer.model_dump(mode="json"),
        "items": len(meant.items),
        "places": len(meant.locations) * len(wanted.channels),
        "starts_at": wanted.starts_at.isoformat(),
        "ends_at": wanted.ends_at.isoformat(),
        "margin_permille": meant.margin.permille,
    }


async def _stand(it: Promotion, wanted: NewPromotion | ChangedPromotion, meant: Meant, at: datetime) -> str:
    """A draft, or submitted: agreed to at once, or asked about. The ground is locked. Returns what was done."""
    prices = len(meant.items) * len(meant.locations) * len(wanted.channels)
    said = f"{in_words(wanted.offer).capitalize()}: {prices:,} prices; at forecast {_earns(meant.margin, it)}."
    it.row["dues"] = {"lapse": wanted.ends_at.isoformat()}
    if not wanted.submit:
        return f"{said} A draft."
    return f"{said} {await submitted(it, meant.items, wanted.channels, meant.locations, at)}"


def _earns(margin: Margin, it: Promotion) -> str:
    share = "nothing is taken in" if margin.permille is None else f"{margin.permille / 10:g} % margin"
    return f"{share}, {money(margin.discount_minor, it.row['currency'])} less"


async def submitted(
    it: Promotion, items: Collection[str], channels: Collection[str], places: Collection[str], at: datetime
) -> str:
    """A draft is submitted. Raises `PromotionOverlap`. The ground is locked; returns what was done."""
    head = it.head
    ground = Ground(
        it.id, head["entity"], head["stacking"], head["starts_at"], head["ends_at"], list(items), list(channels),
        list(places),
    )  # fmt: skip
    await check_overlap(it.tx.conn, ground)
    it.drop_dues("lapse")
    if is_below(head["margin_permille"], head["margin_floor_permille"]):
        it.go(S.PENDING_APPROVAL)
        it.due("start", head["starts_at"])
        it.row["asks"] = {"approval_id": await agreeing.ask(it, "merchandising", at)}
        return f"Below the floor of {head['margin_floor_permille'] / 10:g} %: merchandising and finance are asked."
    return agreeing.agreed(it, at)


def _answer(it: Promotion, meant: Meant, channels: int) -> PromotionAnswer:
    return PromotionAnswer(
        journey_id=it.id,
        promotion_id=it.row["key"],
        state=it.row["state"],
        items=len(meant.items),
        places=len(meant.locations) * channels,
        margin_permille=meant.margin.permille,
        discount_minor=meant.margin.discount_minor,
        currency=meant.currency,
        approval_id=it.row["asks"].get("approval_id"),
        links={"self": api_link("promotions", it.id)},
    )


def check_open_to_change(it: Promotion) -> None:
    """Raises `AlreadyPublished` once channels were told, `StateConflict` once it is over."""
    if it.state in FINAL:
        raise StateConflict(f"The promotion is {it.state.value}; define a new one.")
    if it.state not in OPEN_TO_CHANGE:
        raise AlreadyPublished(
            f"The promotion is {it.state.value} and channels have been told of its prices; end or cancel it, and define"
            " a new one."
        )


async def amend(
    database: Database, about: str, wanted: ChangedPromotion, *, channels: Collection[str], actor: str, via: str
) -> None:
    """Another definition: whoever was asked is asked no more, and whoever the new one needs is.

    Raises as `define` does, and `AlreadyPublished`, `StateConflict`, `NotFound`.
    """

    async def work(tx: Transaction) -> None:
        whose = await entity_of(tx, about)
        await lock_ground(tx, whose)
        meant = await _checked(tx, wanted, channels)
        if meant.entity != whose:
            raise Malformed(f"It belongs to {whose}; define one of {meant.entity} by itself.", pointer="/entity")
        row = await tx.lock_journey(about)
        it = await Promotion.load(tx, row)
        check_open_to_change(it)
        at = await tx.now(row["clock_offset_s"])
        await it.lock_cases()
        await it.answer_asks("it was defined anew", at)
        it.go(S.DRAFT)
        it.head |= _head(wanted, meant, it.policy) | {"approved_at": None}
        it.row["detail"] = dict.fromkeys(("barred", "requested"), it.row["detail"]["requested"])
        for table in (promotion_line, promotion_item, promotion_place):
            await tx.conn.execute(delete(table).where(table.c.journey_id == about))
        await _write_parts(tx, about, wanted, meant)
        told = await _stand(it, wanted, meant, at)
        await steps.note(tx, about, "amended", str(row["version"]), f"Changed. {told}", at)
        tx.record("promotion.amended", about, at, after=_in_audit(wanted, meant))
        await it.save(at)
        tx.tell(about, Message.PROMOTION_CHANGED)

    await database.write(work, actor=actor, via=via)


async def submit(database: Database, about: str, *, actor: str, via: str) -> None:
    """Submit a draft as it stands. Raises `StateConflict` for what is no draft, `PromotionOverlap`, `Malformed`."""

    async def work(tx: Transaction) -> None:
        await lock_ground(tx, await entity_of(tx, about))
        row = await tx.lock_journey(about)
        it = await Promotion.load(tx, row)
        if it.state is not S.DRAFT:
            raise StateConflict(f"The promotion is {it.row['state'].replace('_', ' ')}; only a draft is submitted.")
        at = await tx.now(row["clock_offset_s"])
        if it.head["starts_at"] <= at:
            raise Malformed("Its start has passed; change it first.", pointer="/starts_at")
        places = await it.places()
        channels, codes = {channel for channel, _ in places}, {code for _, code in places}
        told = await submitted(it, await it.items(), channels, codes, at)
        await steps.note(tx, about, "submitted", str(row["version"]), told, at)
        tx.record("promotion.submitted", about, at)
        await it.save(at)
        tx.tell(about, Message.PROMOTION_CHANGED)

    await database.write(work, actor=actor, via=via)


async def entity_of(tx: Transaction, about: str) -> str:
    """The entity of a promotion, which never changes. Raises `NotFound`."""
    found = await tx.conn.execute(select(promotion.c.entity).where(promotion.c.journey_id == about))
    whose = found.scalar()
    if whose is None:
        raise NotFound(f"There is no promotion {about}.")
    return str(whose)
