"""Codes by which people and systems say why: root causes by kind of case, and the reasons of documents."""

from collections.abc import Mapping
from typing import NamedTuple

from domain import adjustments, count, returns, transfer
from domain.policy import Policy

# Kinds of cases that ask for a root cause by themselves, with some of their answers; policy adds to them.
FIXED: Mapping[str, tuple[str, ...]] = {
    "count_variance": count.ROOT_CAUSES,
    **dict.fromkeys(sorted(set(transfer.CASE_KINDS.values())), transfer.ROOT_CAUSES),
}


class Reasons(NamedTuple):
    """The reasons of one kind of document. `asked` says of whom; `where` is the page that lists the documents."""

    document: str
    title: str
    asked: str
    codes: tuple[str, ...]
    where: str


REASONS = (
    Reasons(
        "adjustment",
        "Adjustments of the book",
        "whoever asks for one gives it, line by line",
        tuple(adjustments.REASONS),
        "/console/adjustments",
    ),
    Reasons(
        "returns",
        "Returns",
        "the customer gives it, line by line; windows and fees of the policy go by it",
        returns.REASONS,
        "/console/journeys?kind=returns",
    ),
    Reasons("count", "Counts", "why a shelf is counted", count.REASONS, "/console/counts"),
    Reasons("transfer", "Transfers", "why goods move", transfer.REASONS, "/console/journeys?kind=transfer"),
)


def reasons_of(policy: Policy) -> tuple[Reasons, ...]:
    """The reasons of every kind of document, those of the policy as it has them."""
    overrides = Reasons(
        "return_override",
        "Returns taken back although they were refused",
        "whoever asks for it gives it; somebody else must agree",
        policy.returns.override_reasons,
        "/console/journeys?kind=returns",
    )
    return (*REASONS, overrides)


def root_causes(policy: Policy) -> dict[str, tuple[str, ...]]:
    """The root causes that are asked for, by kind of case, as the policy has it."""
    return {**policy.cases.root_causes, **FIXED}
