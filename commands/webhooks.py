"""`endcap webhook …`: what an operator does with outgoing webhooks. It wires arguments to the ledger."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from domain.webhooks import Webhook
    from ledger.engine import Database

Change = Callable[..., Any]  # runs a change of the ledger, and says a refusal in a sentence


def webhook_commands(change: Change, refuse: Callable[[str], Any]) -> typer.Typer:
    """The commands, given how a change is run and how a refusal is said."""
    app = typer.Typer(no_args_is_help=True, help="Outgoing webhooks: who is told of changes, and whether it arrives.")

    @app.command("add")
    def add(
        url: Annotated[str, typer.Argument(help="https://…")],
        source: Annotated[str, typer.Option(help="whose journeys it hears of")],
        kind: Annotated[list[str], typer.Option("--type", help="bopis.ready_for_pickup, case.*, … or *")],
        about: Annotated[list[str] | None, typer.Option(help="another source it hears of; * is everybody's")] = None,
        local: Annotated[bool, typer.Option("--local", help="development: http and this machine")] = False,  # noqa: FBT002
    ) -> None:
        """Register a webhook and print its secret, once."""
        from pydantic import ValidationError

        from domain.webhooks import WebhookIn
        from ledger import webhooks

        try:
            wanted = WebhookIn(url=url, types=tuple(kind))
        except ValidationError as error:
            refuse(error.errors()[0]["msg"].removeprefix("Value error, "))
            return

        async def work(database: Database) -> Any:
            return await webhooks.register(
                database, wanted, source=source, sources=about or [], allow_local=local, actor="operator", via="cli"
            )

        made = change(work, sealed=True)
        typer.echo(f"{made.id}\n{made.secret}")

    @app.command("list")
    def list_all() -> None:
        """List webhooks: id, source, state, what waits, what it is told of, where it goes."""
        from ledger.reads.webhooks import list_endpoints

        async def read(database: Database) -> list[Webhook]:
            async with database.read() as conn:
                return await list_endpoints(conn, owner=None)

        for one in change(read):
            typer.echo(f"{one.id}  {one.source}  {one.state}  {one.waiting} wait  {','.join(one.types)}  {one.url}")

    def on_one(name: str, said: str, help_text: str) -> None:
        @app.command(name, help=help_text)
        def run(webhook_id: str) -> None:
            from ledger import webhooks

            act: Callable[..., Awaitable[Any]] = getattr(webhooks, name)
            change(lambda database: act(database, webhook_id, owner=None, actor="operator", via="cli"))
            typer.echo(f"{webhook_id} {said}")

    on_one("enable", "is enabled; what waits is sent", "Send to a disabled webhook again.")
    on_one("remove", "is removed", "Send nothing to a webhook any more.")
    on_one("ping", "is sent a ping", "Send a ping, to try the address and the signature.")

    @app.command("rotate")
    def rotate(webhook_id: str) -> None:
        """Give a webhook a new secret and print it, once; the one before signs beside it for a day."""
        from ledger import webhooks

        made = change(
            lambda database: webhooks.rotate(database, webhook_id, owner=None, actor="operator", via="cli"),
            sealed=True,
        )
        typer.echo(made.secret)

    @app.command("redeliver")
    def redeliver(webhook_id: str, delivery_id: int) -> None:
        """Send one delivery again, under the same message id."""
        from ledger import webhooks

        change(
            lambda database: webhooks.redeliver(
                database, webhook_id, delivery_id, owner=None, actor="operator", via="cli"
            )
        )
        typer.echo(f"{delivery_id} is sent again")

    return app
