"""Which order, and which return, a caller means."""

from sqlalchemy import select

from domain.errors import AmbiguousReference, NotAllowed, NotFound
from domain.ids import journey_id
from ledger.people import Caller
from ledger.returns.opening import KIND
from ledger.tables import journey
from ledger.transaction import Transaction


async def find_order(tx: Transaction, caller: Caller, named: str, source: str | None) -> str:
    """The journey of an order that a key may speak about. Raises `NotFound`, `NotAllowed`, `AmbiguousReference`."""
    sources = sorted({caller.source, *caller.sources})
    if source is not None and source not in sources:
        raise NotAllowed(f"This key may not speak about orders of {source}.", pointer="/order_source")
    among = [source] if source is not None else sources
    wanted = [named, *(journey_id("bopis", one, named) for one in among)]
    rows = await tx.conn.execute(
        select(journey.c.id, journey.c.source).where(
            journey.c.id.in_(wanted), journey.c.kind == "bopis", journey.c.source.in_(among)
        )
    )
    found = {str(row.id): str(row.source) for row in rows}
    own = [key for key, of in found.items() if of == caller.source]
    if not found:
        raise NotFound(f"There is no order {named} that this key may speak about.", pointer="/order_reference")
    if not own and len(found) > 1:
        raise AmbiguousReference(
            f"Order {named} exists in several sources; name order_source.", pointer="/order_source"
        )
    return own[0] if own else next(iter(found))


async def find(tx: Transaction, caller: Caller, named: str, source: str | None = None) -> str | None:
    """The return that a caller means by its id, or by its journey's own; None where there is none yet.

    Raises `NotAllowed` for a source that the key may not speak about.
    """
    sources = sorted({caller.source, *caller.sources})
    if source is not None and source not in sources:
        raise NotAllowed(f"This key may not speak about returns of {source}.", pointer="/data/return_source")
    among = [source] if source is not None else sources
    wanted = [named, *(journey_id(KIND, one, named) for one in among)]
    rows = await tx.conn.execute(
        select(journey.c.id, journey.c.source).where(
            journey.c.id.in_(wanted), journey.c.kind == KIND, journey.c.source.in_(among)
        )
    )
    found = sorted(rows, key=lambda row: (row.source != caller.source, wanted.index(row.id)))
    if len(found) > 1 and found[0].source != caller.source:
        raise AmbiguousReference(f"Return {named} exists in several sources; name return_source.")
    return str(found[0].id) if found else None
