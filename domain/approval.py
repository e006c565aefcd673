"""Approvals: their states, the bands that ask for them, and who may give a verdict."""

from collections.abc import Collection

from domain.errors import NotAllowed, OwnRequest

APPROVAL_STATES = ("pending", "approved", "rejected", "expired", "superseded")
VERDICTS = ("approve", "reject", "ask")

APPROVAL_TRANSITIONS: dict[str, frozenset[str]] = {
    "pending": frozenset({"approved", "rejected", "expired", "superseded"}),
    "approved": frozenset(),
    "rejected": frozenset(),
    "expired": frozenset(),
    "superseded": frozenset(),
}


def check_may_approve(
    person_id: str, roles: Collection[str], *, asked_roles: Collection[str], barred: Collection[str]
) -> None:
    """Raise unless this person may decide this request.

    `barred` are the people who asked, counted or received: nobody approves what they began (`OwnRequest`).
    `asked_roles` are the roles of the ladder up to the level that it has reached (`NotAllowed`).
    """
    if person_id in barred:
        raise OwnRequest("Whoever asked for this cannot approve it; it needs somebody else.")
    if not set(roles) & set(asked_roles):
        wanted = " or ".join(sorted(role.replace("_", " ") for role in asked_roles))
        raise NotAllowed(f"This needs the role {wanted} at this place.")
