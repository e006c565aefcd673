"""What the page of a case shows of its comments: who was told, who waits to be answered, whom one can tell."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from domain.comments import strangers
from domain.people import Person
from ledger.reads.cases import CaseDetail
from ledger.reads.comments import colleagues, told_on, unanswered_on
from ledger.replies import may_edit, replies


async def comments_of(conn: AsyncConnection, person: Person, case: CaseDetail) -> dict[str, Any]:
    told = await told_on(conn, case.id)
    names = {event.id: [one.id for one in told.get(event.id, [])] for event in case.events}
    return {
        "told_of": told,
        "strangers_in": {
            event.id: found
            for event in case.events
            if event.kind == "comment" and event.note and (found := strangers(event.note, names[event.id]))
        },
        "mentions_me": await unanswered_on(conn, person, case.id),
        "colleagues": await colleagues(conn, case.entity, case.region, case.location, but=person.id),
        "replies": await replies(conn, case.kind),
        "may_edit_replies": may_edit(person),
    }
