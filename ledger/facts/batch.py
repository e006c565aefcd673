"""Takes consecutive events that touch goods only by one transaction; one that cannot be taken is left, and the others
are taken.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from sqlalchemy.exc import DBAPIError

from domain.errors import DomainError
from domain.events import EventOutcome, PosSale, StockReceived
from ledger import goods
from ledger.engine import Database
from ledger.facts.inbox import Arrived, claim, give_up
from ledger.facts.refusals import is_of_the_data
from ledger.people import Caller
from ledger.transaction import Transaction

MAX_LINES = 4_000  # of one transaction: its stock rows are locked until it commits


def touches_goods_only(arrived: Arrived) -> bool:
    """Whether no order is concerned and nobody has to look: a delivery, a receipt without a line of an order.

    An adjustment is tested against its band under a lock, and so has a transaction of its own.
    """
    data = arrived.data
    if isinstance(data, PosSale):
        return all(line.order_id is None or line.line_id is None for line in data.lines)
    return isinstance(data, StockReceived) and all(line.order_id is None for line in data.lines)


def lines_of(arrived: Arrived) -> int:
    return len(arrived.data.lines) if isinstance(arrived.data, PosSale | StockReceived) else 1


def parts(run: Sequence[Arrived]) -> Iterator[list[Arrived]]:
    """The run in transactions of at most `MAX_LINES` lines; an event is never divided."""
    part: list[Arrived] = []
    lines = 0
    for arrived in run:
        if part and lines + lines_of(arrived) > MAX_LINES:
            yield part
            part, lines = [], 0
        part.append(arrived)
        lines += lines_of(arrived)
    if part:
        yield part


@dataclass
class Taken:
    """Outcomes of a batch by event id, and the events that must be taken, or set aside, one by one."""

    outcomes: dict[str, EventOutcome] = field(default_factory=dict)
    left: list[Arrived] = field(default_factory=list)


async def take_many(database: Database, caller: Caller, run: Sequence[Arrived]) -> Taken:
    """Take events (each id once) as far as they can be taken together.

    Where the database refuses the data of the whole, halves are tried, so that one bad event fails alone.
    """
    try:
        return await database.write(lambda tx: _take(tx, caller, run), actor=f"key:{caller.key_id}", via="api")
    except DBAPIError as error:
        if not is_of_the_data(error):
            raise
    if len(run) == 1:
        return Taken(left=list(run))
    middle = len(run) // 2
    first = await take_many(database, caller, run[:middle])
    second = await take_many(database, caller, run[middle:])
    return Taken(first.outcomes | second.outcomes, first.left + second.left)


async def _take(tx: Transaction, caller: Caller, run: Sequence[Arrived]) -> Taken:
    done = Taken()
    places = goods.places_of(tx.conn)
    await places.refresh(tx.conn, {arrived.data.location for arrived in run})
    facts, costs = await _known(tx, places, caller, run)
    wanted = [arrived for arrived in run if arrived.event.id in facts]
    done.left = [arrived for arrived in run if arrived.event.id not in facts]
    ours = []
    for arrived, before in zip(wanted, await claim(tx, caller.source, wanted) if wanted else (), strict=True):
        if before is None:
            ours.append(arrived)
        else:
            done.outcomes[arrived.event.id] = before
    if not ours:
        return done
    refused = []
    answers = await goods.take(tx, [facts[arrived.event.id] for arrived in ours], costs, places.sources)
    for arrived, answer in zip(ours, answers, strict=True):
        if isinstance(answer, DomainError):
            refused.append(arrived)
        else:
            outcome = "duplicate" if answer == goods.DUPLICATE else "accepted"
            done.outcomes[arrived.event.id] = arrived.outcome(outcome)
    await give_up(tx, caller.source, refused)
    done.left += refused
    return done


async def _known(
    tx: Transaction, places: goods.Places, caller: Caller, run: Sequence[Arrived]
) -> tuple[dict[str, goods.GoodsFact], goods.Costs]:
    """The facts by event id that the master data knows, and unit costs.

    What is missing here is taken alone, and is told there what is wrong with it.
    """
    facts = {}
    for arrived in run:
        with suppress(DomainError):
            facts[arrived.event.id] = goods.fact_of(
                places, caller, arrived.data, arrived.cause(caller.source), arrived.event.occurred_at
            )
    costs = await goods.read_costs(tx.conn, {(fact.place.entity, sku) for fact in facts.values() for sku in fact.skus})
    known = {}
    for event_id, fact in facts.items():
        with suppress(DomainError):
            goods.check_items(fact, costs)
            known[event_id] = fact
    return known, costs
