"""The metadata that all tables share, and the column shapes that recur."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, Identity, MetaData, Text, func
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# An index that keeps the least and the most of each few pages: for what stands about in the order in which it is asked
# for, in a table whose rows must cost next to nothing to write.
BY_PAGES: dict[str, Any] = {
    "postgresql_using": "brin",
    "postgresql_with": {"pages_per_range": 32, "autosummarize": "on"},
}


def instant(name: str, *, nullable: bool = False) -> Column[datetime]:
    """A point in time, always with its zone."""
    return Column(name, DateTime(timezone=True), nullable=nullable)


def recorded_at() -> Column[datetime]:
    """When the database learned of the row, by the database's own clock; `at` columns say when it happened."""
    return Column("recorded_at", DateTime(timezone=True), nullable=False, server_default=func.now())


def minor(name: str, *, nullable: bool = False, default: str | None = "0") -> Column[int]:
    """An amount of money in the currency's minor unit (cents)."""
    return Column(name, BigInteger, nullable=nullable, server_default=None if nullable else default)


def number(name: str = "id") -> Column[int]:
    """A number given by the database."""
    return Column(name, BigInteger, Identity(always=False), primary_key=True)


def document(name: str, *, nullable: bool = False, default: str = "'{}'::jsonb") -> Column[Any]:
    """A JSON document whose shape is a pydantic model of `domain`."""
    return Column(name, JSONB, nullable=nullable, server_default=None if nullable else sql(default))


def one_of(column: str, values: Sequence[str]) -> CheckConstraint:
    """A column that holds one of a closed list of words."""
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=f"{column}_known")


def word(name: str, *, nullable: bool = False, primary_key: bool = False, default: str | None = None) -> Column[str]:
    """A short text: a code, a name, an id."""
    return Column(name, Text, nullable=nullable, primary_key=primary_key, server_default=default)
