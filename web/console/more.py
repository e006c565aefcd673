"""The page *More*: what has no place of its own in the navigation, each with a sentence that says what it is."""

from collections.abc import Sequence
from typing import NamedTuple

from fastapi import APIRouter, Request
from fastapi.responses import Response

from domain.journey_kinds import JOURNEY_KINDS
from domain.people import Person
from web.pages import ConsoleRoute, page
from web.sessions import SignedIn

router = APIRouter(route_class=ConsoleRoute)


class Way(NamedTuple):
    """A page, and whom it is for (nobody named: everybody)."""

    label: str
    href: str
    says: str
    roles: tuple[str, ...] = ()

    def is_for(self, person: Person) -> bool:
        return not self.roles or any(person.has_role(role) for role in self.roles)


# What stands together, in this order; a page that is not named here stands at the end.
ABOUT = {
    "Goods": ("/console/adjustments", "/console/transfers/moving", "/console/vendor-returns"),
    "Money": ("/console/vendor-claims", "/console/funding", "/console/claims", "/console/refunds"),
    "Who decides": ("/console/owners", "/console/approvers", "/console/delegations"),
    "How cases are worked": ("/console/codes", "/console/replies", "/console/help"),
    "Systems": ("/console/events", "/console/webhooks", "/console/denials"),
}
REST = "Also"
WAYS = (
    Way("Adjustments", "/console/adjustments", "Who corrected the book, where, by how much and why."),
    Way("On the way", "/console/transfers/moving", "Goods in transit between places, by age and value."),
    Way("Carrier claims", "/console/claims", "What carriers are to pay for goods that were lost or broken on the way."),
    Way("Vendor returns", "/console/vendor-returns", "What goes back to vendors, what they owe of it, and since when."),
    Way("Vendor funding", "/console/funding", "What vendors have signed to pay of promotions, and what has accrued."),
    Way("Refunds today", "/console/refunds", "What payment providers have confirmed since midnight."),
    Way("Approvers", "/console/approvers", "Who approves what at a place, from which amount, and who stands in today."),
    Way("Standing in", "/console/delegations", "Who gives your verdicts while you are away, and whose you give."),
    Way("Owners", "/console/owners", "Whose each kind of case is, who is asked next, and where nobody is."),
    Way("Codes", "/console/codes", "Root causes and reasons: where each is asked for, how often it was given."),
    Way("Canned replies", "/console/replies", "Comments that are needed often, by kind of case."),
    Way(
        "Events set aside",
        "/console/events",
        "What systems reported and Endcap could not understand; taken again here.",
    ),
    Way(
        "Webhooks",
        "/console/webhooks",
        "Which systems are told of changes, and whether it arrives.",
        ("integration_owner", "admin"),
    ),
    Way("Denials", "/console/denials", "Who was refused what, and from where.", ("admin",)),
    Way("Help", "/console/help", "The keys of the console, the words of its pages, and who you are here."),
)


def grouped(ways: Sequence[Way]) -> dict[str, list[Way]]:
    """By what they are about; nothing is left out."""
    by_page = {way.href: way for way in ways}
    found = {about: [by_page.pop(page) for page in pages if page in by_page] for about, pages in ABOUT.items()}
    return {about: some for about, some in {**found, REST: list(by_page.values())}.items() if some}


@router.get("/console/more")
async def show(request: Request, person: SignedIn) -> Response:
    """What of it the reader may open."""
    kinds = [kind for kind in JOURNEY_KINDS.values() if kind.section == "more"]
    journeys = [Way(kind.plural, kind.list_page, f"{kind.introduction.split('. ')[0].rstrip('.')}.") for kind in kinds]
    groups = grouped([*journeys, *(way for way in WAYS if way.is_for(person))])
    return page(request, "more.html", {"person": person, "section": "more", "groups": groups})
