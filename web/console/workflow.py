"""The way from a case or a journey to its workflow on Temporal's own pages."""

from urllib.parse import quote

from fastapi import Request

from domain.people import Person
from settings import Settings

LOOKS_INTO_WORKFLOWS = ("admin", "integration_owner")


def workflow_link(request: Request, person: Person, target: str) -> str | None:
    """Where Temporal shows the workflow of a target; None where no address is set, and for every other role."""
    settings: Settings = request.app.state.settings
    if settings.temporal_ui_url is None or not any(person.has_role(role) for role in LOOKS_INTO_WORKFLOWS):
        return None
    namespace = quote(settings.temporal_namespace, safe="")
    return f"{settings.temporal_ui_url}/namespaces/{namespace}/workflows/{quote(target, safe='')}"
