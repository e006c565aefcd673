"""Standing in: who gives whose verdicts between two instants, by a person's own token."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from domain.delegation import Status
from domain.errors import Malformed, NotAllowed
from domain.people import Person
from ledger import delegations
from ledger.delegations import DelegationView
from ledger.people import Caller, person_by_id
from web.api.responses import MISSING, WRITES, Number
from web.keys import OnBehalfOf, database_of, require

router = APIRouter(tags=["approvals"])
Who = Annotated[str, Field(min_length=1, max_length=320)]


class NewDelegation(BaseModel):
    """`to` stands in from `starts_at` (now, when left out) until `ends_at`. People are given by their id or their mail
    address. `for` is for admins: in whose place; whoever asks, when left out.
    """

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [
        {"to": "ben.oto", "starts_at": "2031-07-01T00:00:00+02:00", "ends_at": "2031-07-15T00:00:00+02:00"}
    ]})  # fmt: skip

    to: Who
    giver: Annotated[Who | None, Field(alias="for")] = None
    starts_at: AwareDatetime | None = None
    ends_at: AwareDatetime


class DelegationOut(BaseModel):
    """`from` has `to` give verdicts in their place; both may. `status`: coming, current or over."""

    delegation_id: int
    giver: Annotated[str, Field(serialization_alias="from")]
    giver_name: Annotated[str, Field(serialization_alias="from_name")]
    to: str
    to_name: str
    starts_at: datetime
    ends_at: datetime
    status: Status
    made_by_name: str | None
    ended_by_name: str | None


class DelegationList(BaseModel):
    items: list[DelegationOut]


def _shown(one: DelegationView) -> DelegationOut:
    return DelegationOut(
        delegation_id=one.id,
        giver=one.giver,
        giver_name=one.giver_name,
        to=one.taker,
        to_name=one.taker_name,
        starts_at=one.starts_at,
        ends_at=one.ends_at,
        status=one.status,
        made_by_name=one.made_by_name,
        ended_by_name=one.ended_by_name,
    )


def _own(caller: Caller, on_behalf_of: str | None) -> Person:
    """The person behind the token. Raises `NotAllowed` for a system's key, and for anybody else's name."""
    if on_behalf_of is not None:
        raise NotAllowed("Nobody delegates in somebody else's name. Leave X-On-Behalf-Of out and use your own token.")
    if caller.person is None:
        raise NotAllowed("Standing in is arranged with a person's own token, and this key is a system's.")
    return caller.person


Approver = Annotated[Caller, Depends(require("approve"))]


@router.get("/delegations", summary="Who stands in for whom")
async def get_delegations(request: Request, caller: Approver, everybody: bool = False) -> DelegationList:  # noqa: FBT001, FBT002
    """What the person behind the token has given or been given, newest first; what is over stays for 90 days.
    `everybody` is for admins: all of those whom they look after."""
    person = _own(caller, None)
    if everybody and not person.has_role("admin"):
        raise NotAllowed("Only an admin sees everybody's. Leave everybody out for your own.")
    async with database_of(request).read() as conn:
        found = await (delegations.everybodys(conn, person) if everybody else delegations.of_person(conn, person.id))
    return DelegationList(items=[_shown(one) for one in found])


@router.post("/delegations", status_code=201, summary="Have somebody stand in", responses=WRITES)
async def post_delegation(
    request: Request, caller: Approver, wanted: NewDelegation, on_behalf_of: OnBehalfOf = None
) -> DelegationOut:
    """From then on both may give the verdicts, and what was given is never passed on. Both are told by mail; circles,
    two at a time and spans that are over or longer than policy knows are refused."""
    person = _own(caller, on_behalf_of)
    database = database_of(request)
    number = await delegations.give(
        database,
        person,
        giver=await _address(request, wanted.giver, "/for") if wanted.giver else person.email,
        taker=await _address(request, wanted.to, "/to"),
        starts_at=wanted.starts_at,
        ends_at=wanted.ends_at,
        via="api",
    )
    async with database.read() as conn:
        made = await delegations.view(conn, number)
    assert made is not None  # it has just been made, and is never deleted
    return _shown(made)


@router.post("/delegations/{delegation_id}:end", summary="End it now", responses={**MISSING, **WRITES})
async def post_end(
    request: Request, caller: Approver, delegation_id: Number, on_behalf_of: OnBehalfOf = None
) -> DelegationOut:
    """By who gave it, who stands in, or an admin who looks after them. One that is to come never begins."""
    person = _own(caller, on_behalf_of)
    database = database_of(request)
    await delegations.end(database, person, delegation_id, via="api")
    async with database.read() as conn:
        ended = await delegations.view(conn, delegation_id)
    assert ended is not None
    return _shown(ended)


async def _address(request: Request, who: str, pointer: str) -> str:
    """The mail address of a person who is given by their id. Raises `Malformed` for nobody."""
    if "@" in who:
        return who
    async with database_of(request).read() as conn:
        found = await person_by_id(conn, who)
    if found is None or not found.email:
        raise Malformed(f"Nobody who works here has the id {who[:80]}.", pointer=pointer)
    return found.email
