"""What the page of a case shows of its comments: who was told, who waits to be answered, whom one can tell."""

from typing import Any

from domain.comments import strangers
from domain.people import Person
from ledger.reads.beside_case import BesideCase
from ledger.reads.cases import CaseDetail
from ledger.replies import may_edit


def comments_of(person: Person, case: CaseDetail, found: BesideCase) -> dict[str, Any]:
    names = {event.id: [one.id for one in found.told.get(event.id, [])] for event in case.events}
    return {
        "told_of": found.told,
        "strangers_in": {
            event.id: unknown
            for event in case.events
            if event.kind == "comment" and event.note and (unknown := strangers(event.note, names[event.id]))
        },
        "mentions_me": found.unanswered,
        "colleagues": found.colleagues,
        "replies": found.replies,
        "may_edit_replies": may_edit(person),
    }
