"""What the pages of the counter share: the return that stands before somebody, and how an item's number is read."""

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import RowMapping

from domain.orders import Code
from domain.return_requests import ReturnView
from domain.returns import FINAL, ReturnState
from ledger.reads import counter
from ledger.reads.returns import return_view
from web.sessions import database_of
from web.store.floor import Floor

SKU = TypeAdapter[str](Code)


def is_sku(typed: str) -> bool:
    """Whether it may be the number of an item, or of a receipt."""
    try:
        SKU.validate_python(typed)
    except ValidationError:
        return False
    return True


async def return_of(floor: Floor, named: str) -> tuple[RowMapping, ReturnView]:
    """The return as it is recorded now. Raises `NotFound` for one that is elsewhere, unless its reference is given."""
    async with database_of(floor.request).read() as conn:
        row = await counter.return_here(conn, floor.place, named)
        return row, await return_view(conn, None, row["id"], sources={row["source"]})


def may_come(found: ReturnView) -> list[str]:
    """The lines of a return that may be exchanged, as far as its page knows."""
    return [line.line_id for line in found.lines if line.claimed and not line.refused and not line.refunded]


def may_exchange(found: ReturnView) -> bool:
    """Whether anything of a return may be exchanged (any more)."""
    if ReturnState(found.state) in FINAL or (found.exchange is not None and found.exchange.state != "off"):
        return False
    return bool(may_come(found))
