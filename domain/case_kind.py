"""What a kind of case is to people; the kinds themselves are in `case_kinds`."""

from pydantic import BaseModel


class CaseKind(BaseModel, frozen=True):
    """What a kind of case means for people.

    `owner_role` and `ladder` name roles, resolved to people of the case's region when they are asked. `runbook` is the
    gist of `web/runbooks/<kind>.md`.
    """

    kind: str
    title: str
    severity: str
    owner_role: str
    ladder: tuple[str, ...] = ("store_manager", "regional_ops", "admin")
    runbook: str
