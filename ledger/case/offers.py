"""The options of a case: as they are written down, with what is asked along with them, and what stays refused."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.case import CaseOption
from ledger.tables import case_file

ROOT_CAUSE = "root_cause"


def as_stored(row: Mapping[Any, Any]) -> list[CaseOption]:
    """The options as they were last written down."""
    return [CaseOption.model_validate(option) for option in row["options"]]


def asking_why(options: Sequence[CaseOption], causes: tuple[str, ...]) -> list[CaseOption]:
    """The options, each with the root cause to choose along with it; one that asks for it by itself keeps its own."""
    if not causes:
        return list(options)
    return [
        option.model_copy(update={"choices": {**option.choices, ROOT_CAUSE: option.choices.get(ROOT_CAUSE, causes)}})
        for option in options
    ]


def refused_stay_refused(before: Sequence[CaseOption], now: Sequence[CaseOption]) -> list[CaseOption]:
    """What an approver rejected is not offered again in this episode, with the reason why."""
    why = {option.id: option.why_not for option in before if not option.allowed}
    return [
        option.model_copy(update={"allowed": False, "why_not": why[option.id]}) if option.id in why else option
        for option in now
    ]


async def write_down(conn: AsyncConnection, row: Mapping[Any, Any], options: Sequence[CaseOption]) -> None:
    """Keep the options that a decision was made among."""
    await conn.execute(
        update(case_file)
        .where(case_file.c.id == row["id"])
        .values(options=[option.model_dump(mode="json") for option in options])
    )
