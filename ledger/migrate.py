"""Brings a database to the present schema: Alembic, forward only, each migration safe on a running system."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from ledger.engine import asyncpg_url

HERE = Path(__file__).parent / "migrations"


def config(database_url: str) -> Config:
    """Alembic's configuration without a file: where the migrations are, and which database they concern."""
    made = Config()
    made.set_main_option("script_location", str(HERE))
    made.attributes["url"] = asyncpg_url(database_url)
    return made


def upgrade(database_url: str) -> None:
    """Apply what is missing. Running it again does nothing; two at once wait for each other."""
    command.upgrade(config(database_url), "head")


def head() -> str:
    """The newest migration that this code knows."""
    found = ScriptDirectory(str(HERE)).get_current_head()
    if found is None:
        raise RuntimeError("there are no migrations")
    return found
