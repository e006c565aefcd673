"""Who is let in, by command: passwords, keys, and the identities of single sign-on; wires arguments to the ledger."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any

import typer

Change = Callable[..., Any]  # runs a change of the ledger, and says a refusal in a sentence


def add_access_commands(app: typer.Typer, change: Change) -> None:
    """Put the commands beside the others of `app`, given how a change is run."""

    @app.command()
    def password(email: str) -> None:
        """Give a person who was loaded a local account; asks for the password, or reads it from standard input."""
        from ledger.access import set_password

        chosen = typer.prompt("Password", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
        change(lambda database: set_password(database, email, chosen))
        typer.echo(f"{email} can sign in")

    @app.command()
    def link(
        email: str,
        subject: Annotated[str, typer.Argument(help="who they are to the provider: the claim sub of their tokens")],
        issuer: Annotated[str, typer.Option(help="the provider, as ENDCAP_OIDC_ISSUER has it")],
    ) -> None:
        """Say who a person is to the provider of single sign-on, where it does not vouch for mail addresses."""
        from ledger import sign_on

        change(lambda database: sign_on.link(database, email, issuer, subject))
        typer.echo(f"{email} signs in as {subject} of {issuer}")

    @app.command()
    def unlink(email: str) -> None:
        """Forget who a person is to the provider of single sign-on, and end their sessions."""
        from ledger import sign_on

        change(lambda database: sign_on.unlink(database, email))
        typer.echo(f"{email} is linked to nobody; their sessions are over")

    @app.command()
    def key(
        key_id: Annotated[str, typer.Argument(help="a name for the key, to revoke it by")],
        source: Annotated[str, typer.Option(help="the system that it speaks for; the prefix of what it creates")],
        scope: Annotated[list[str], typer.Option(help="orders:write, events:write, stock:adjust, read, decide, …")],
        about: Annotated[list[str] | None, typer.Option(help="another source whose orders it may name")] = None,
        person: Annotated[str | None, typer.Option(help="a person's own token: their id")] = None,
    ) -> None:
        """Make an API key and print it, once."""
        from ledger.access import create_key

        typer.echo(
            change(lambda database: create_key(database, key_id, source, scope, sources=about or [], person_id=person))
        )

    @app.command()
    def revoke(key_id: str) -> None:
        """End an API key at once."""
        from ledger.access import revoke_key

        change(lambda database: revoke_key(database, key_id))
        typer.echo(f"{key_id} is revoked")

    @app.command()
    def rotate(
        key_id: str,
        hours: Annotated[
            float, typer.Option(help="how long the key before goes on beside the new one; 0: no longer")
        ] = 24,
    ) -> None:
        """Give an API key anew and print it, once; the one before goes on for a while."""
        from ledger.access import rotate_key

        typer.echo(change(lambda database: rotate_key(database, key_id, older_for=timedelta(hours=hours))))
