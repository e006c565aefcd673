"""`endcap events …`: what an operator does with events that were set aside. It wires arguments to the ledger."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ledger.engine import Database

Change = Callable[..., Any]  # runs a change of the ledger, and says a refusal in a sentence


def event_commands(change: Change, refuse: Callable[[str], Any]) -> typer.Typer:
    """The commands, given how a change is run and how a refusal is said."""
    app = typer.Typer(no_args_is_help=True, help="Events that were set aside: look at them, take them again.")

    @app.command("list")
    def list_events(
        source: Annotated[str | None, typer.Option(help="only those of one system")] = None,
        case: Annotated[int | None, typer.Option(help="only those of one case")] = None,
        limit: Annotated[int, typer.Option(min=1, max=10_000, help="at most so many")] = 100,
    ) -> None:
        """List quarantined events, the oldest first: source, id, type, when it happened, case, and what is wrong."""
        from ledger.reads.events import SetAside, list_set_aside

        async def read(database: Database) -> list[SetAside]:
            async with database.read() as conn:
                return await list_set_aside(conn, None, source=source, case_id=case, limit=limit)

        for row in change(read):
            case_of_it = f"case {row.case_id}" if row.case_id else "no case"
            when = f"{row.occurred_at:%Y-%m-%d %H:%M %Z}"
            typer.echo(f"{row.source}  {row.event_id}  {row.type}  {when}  {case_of_it}  {row.detail}")

    @app.command("replay")
    def replay_events(
        event_id: Annotated[str | None, typer.Argument(help="one event, with --source")] = None,
        source: Annotated[str | None, typer.Option(help="the events of one system")] = None,
        case: Annotated[int | None, typer.Option(help="the events of one case")] = None,
        every: Annotated[bool, typer.Option("--all", help="every quarantined event")] = False,  # noqa: FBT002
    ) -> None:
        """Take quarantined events again after the master data was mended; exit code 1 when one is still not taken."""
        from domain.events import EventOutcome
        from ledger.facts import replay

        if event_id is not None and source is None:
            refuse("an event's id is unique within its source: name it with --source")
        if not every and event_id is None and source is None and case is None:
            refuse("say what to replay: an event with --source, --source, --case, or --all")

        async def take(database: Database) -> list[EventOutcome]:
            return await replay(database, actor="cli", case_id=case, source=source, event_id=event_id)

        outcomes = change(take, sealed=True)
        for one in outcomes:
            typer.echo(f"{one.id}  {one.outcome}" + (f"  {one.problem['detail']}" if one.problem else ""))
        wrong = sum(one.outcome not in ("accepted", "duplicate") for one in outcomes)
        if wrong:
            refuse(f"{wrong} of {len(outcomes)} events were not taken")
        typer.echo(f"{len(outcomes)} events were taken")

    return app
