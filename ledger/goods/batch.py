"""Takes many facts about goods in one transaction: everything is locked and read set-based, decided in memory in the
order given, and written from arrays.

The locks follow `ledger.transaction.Rank`: stock rows, waiting demand, average costs of what arrived. Hold rows are
covered by their stock rows.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import text

from domain.errors import ReceiptMismatch
from domain.events import PosSale, StockReceived
from ledger import feed, rows
from ledger.doubt import Taken, doubt
from ledger.found import Demand
from ledger.goods.book import Book, drawn, raised
from ledger.goods.fact import Costs, GoodsFact, UnitCost
from ledger.goods.receipts import Receipts
from ledger.shelf import Cause
from ledger.transaction import Rank, Transaction

TAKEN = None
DUPLICATE = "duplicate"
Answer = ReceiptMismatch | str | None  # of one fact: why it was not taken, `DUPLICATE`, or `TAKEN`


async def take(tx: Transaction, facts: Sequence[GoodsFact], costs: Costs, sources: Sequence[str]) -> list[Answer]:
    """Take facts whose places and items are known; the answers stand in the order of the facts.

    `costs` holds every (entity, SKU) of theirs; `sources` are the systems that may report a receipt a second time.
    """
    await tx.lock_stock({(fact.place.code, sku) for fact in facts for sku in fact.skus})
    known = await Receipts.read(tx.conn, facts, sources)
    answers: list[Answer] = []
    for fact in facts:
        try:
            again = isinstance(fact.data, PosSale) and await known.was_taken(fact, fact.data)
            answers.append(DUPLICATE if again else TAKEN)
        except ReceiptMismatch as refusal:
            answers.append(refusal)
    fresh = [fact for fact, answer in zip(facts, answers, strict=True) if answer is TAKEN]
    demand = await Demand.lock(tx, raised(fresh))
    on_hand = await _lock_averages(tx, fresh, costs)
    book = Book(tx, costs, demand, on_hand)
    for fact in fresh:
        book.take(fact)
    await demand.write()
    await _doubt_what_lacks(tx, fresh)
    await _write(tx, book)
    await feed.mark(tx.conn, _told(fresh))
    return answers


_MISSING_AVERAGES = text(
    "INSERT INTO average_cost (entity, sku, unit_cost_e4)"
    " SELECT * FROM unnest(CAST(:entities AS text[]), CAST(:skus AS text[]), CAST(:costs AS bigint[]))"
    " ON CONFLICT DO NOTHING"
)
_LOCK_AVERAGES = text(
    "SELECT a.entity, a.sku, a.unit_cost_e4 FROM average_cost a"
    " JOIN unnest(CAST(:entities AS text[]), CAST(:skus AS text[])) AS w(entity, sku) USING (entity, sku)"
    " ORDER BY a.entity, a.sku FOR UPDATE OF a"
)
# Where statistics are behind (shops were just opened), a join with the pairs themselves reads all of stock for each
# of them. This reads pairs too many where entities have different SKUs, and each row once.
_ON_HAND = text(
    "SELECT l.entity, s.sku, sum(s.available + s.reserved + s.staged + s.quarantined + s.count_pending)::bigint"
    " FROM stock s JOIN location l ON l.code = s.location"
    " WHERE l.entity = ANY(CAST(:entities AS text[])) AND s.sku = ANY(CAST(:skus AS text[]))"
    " GROUP BY l.entity, s.sku"
)


async def _lock_averages(tx: Transaction, facts: Iterable[GoodsFact], costs: Costs) -> dict[tuple[str, str], int]:
    """Lock the average cost of everything that arrived, and read it and the units it is an average of.

    Two deliveries of an item to two places of an entity wait for each other here, so neither average is lost.
    """
    pairs = sorted(
        {(fact.place.entity, sku) for fact in facts if isinstance(fact.data, StockReceived) for sku in fact.skus}
    )
    if not pairs:
        return {}
    tx.enter(Rank.MONEY)
    arrays = {"entities": [pair[0] for pair in pairs], "skus": [pair[1] for pair in pairs]}
    await tx.conn.execute(_MISSING_AVERAGES, {**arrays, "costs": [costs[pair].average_e4 for pair in pairs]})
    for entity, sku, average in await tx.conn.execute(_LOCK_AVERAGES, arrays):
        costs[entity, sku] = UnitCost(average, costs[entity, sku].standard_minor)
    on_hand = dict.fromkeys(pairs, 0)
    each_once = {name: sorted(set(values)) for name, values in arrays.items()}
    for entity, sku, units in await tx.conn.execute(_ON_HAND, each_once):
        if (entity, sku) in on_hand:
            on_hand[entity, sku] = int(units)
    return on_hand


_SALE_LINES = rows.Columns(
    "sale_line",
    {
        "document": "text",
        "line_id": "text",
        "sku": "text",
        "entity": "text",
        "location": "text",
        "currency": "text",
        "quantity": "int",
        "unit_price_minor": "bigint",
        "gross_minor": "bigint",
        "discount_minor": "bigint",
        "vendor_funded_minor": "bigint",
        "coupon_minor": "bigint",
        "tax_minor": "bigint",
        "promotion_id": "text",
        "regular_price_minor": "bigint",
        "override_reason": "text",
        "override_actor": "text",
        "handed_over": "int",
        "cost_minor": "bigint",
    },
)
_AVERAGE = text(
    "UPDATE average_cost a SET unit_cost_e4 = w.cost"
    " FROM unnest(CAST(:entities AS text[]), CAST(:skus AS text[]), CAST(:costs AS bigint[])) AS w(entity, sku, cost)"
    " WHERE a.entity = w.entity AND a.sku = w.sku"
)


def _told(facts: Sequence[GoodsFact]) -> dict[str, datetime]:
    """Until when the till of each place has told what it sold."""
    told: dict[str, datetime] = {}
    for fact in facts:
        if isinstance(fact.data, PosSale):
            told[fact.place.code] = max(told.get(fact.place.code, fact.at), fact.at)
    return told


async def _doubt_what_lacks(tx: Transaction, facts: Sequence[GoodsFact]) -> None:
    """Where the facts have left the book below zero, promised units may be what was sold; the last fact says why."""
    short = {place for place in drawn(facts) if tx.shelf.quantity(*place, "available") < 0}
    if not short and not tx.shelf.has_unchecked():
        return
    await doubt(
        tx,
        {
            place: Taken(Cause(fact.cause, tx.actor, fact.at, fact.place.entity), fact.policy.stock.doubt_first)
            for fact in facts
            for place in drawn([fact])
            if place in short
        },
    )


async def _write(tx: Transaction, book: Book) -> None:
    """Sale lines and new averages; movements, quantities and journals follow when the transaction is flushed."""
    await _SALE_LINES.write(tx.conn, book.sale_lines)
    if book.averages:
        pairs = sorted(book.averages)
        await tx.conn.execute(
            _AVERAGE,
            {
                "entities": [pair[0] for pair in pairs],
                "skus": [pair[1] for pair in pairs],
                "costs": [book.averages[pair] for pair in pairs],
            },
        )
