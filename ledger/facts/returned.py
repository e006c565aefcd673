"""Events about returns: the return that is meant is found and locked, and takes its fact."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, NamedTuple

from domain.return_requests import PosReturn, ReturnReference
from ledger.people import Caller
from ledger.returns import at_the_till, facts, finding
from ledger.returns.document import Return
from ledger.transaction import Transaction

type Handler = Callable[[Return, Any, str, datetime], Awaitable[str]]

ON_RETURNS: dict[str, Handler] = {
    "return.shipped": facts.shipped,
    "return.received": facts.received,
    "return.inspected": facts.inspected,
    "pos.return": at_the_till.rung_up,
}


class Taken(NamedTuple):
    """The return that took the fact, and what became of it; `about` is None where there is no such return yet."""

    about: str | None
    outcome: str = at_the_till.TAKEN


async def take(
    tx: Transaction,
    caller: Caller,
    kind: str,
    data: ReturnReference | PosReturn,
    cause: str,
    at: datetime,
    *,
    check: Callable[[Return], None] | None = None,
) -> Taken:
    """Take a fact about a return. A till needs none: what it takes back begins one."""
    if isinstance(data, PosReturn) and data.return_id is None:
        return Taken(*await at_the_till.begun(tx, caller, data, cause, at))
    assert data.return_id is not None
    about = await finding.find(tx, caller, data.return_id, data.return_source)
    if about is None:
        return Taken(None)
    it = await Return.load(tx, await tx.lock_journey(about))
    if check is not None:
        check(it)
    done = await ON_RETURNS[kind](it, data, cause, it.clock(at))
    return Taken(about, at_the_till.DUPLICATE if done == at_the_till.DUPLICATE else at_the_till.TAKEN)
