"""What a process that runs for a day does once, and a test with an engine of its own would do again for each: compile
statements, and ask the server what it is.

Statements are compiled as ever and say the same; engines of the tests share what came of it, as requests of one process
do. Nothing else of an engine is shared: neither its connections nor its listeners.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.util import LRUCache

_MOST = 20_000  # a few kilobytes each
_PLAIN = (bool, int, str, tuple)
_compiled: LRUCache[Any, Any] = LRUCache(_MOST)
_servers: dict[tuple[str | None, int | None], dict[str, Any]] = {}  # what each has said of itself


class OneDialect(PGDialect_asyncpg):
    """PostgreSQL by asyncpg, equal to every other of a server that says the same of itself."""

    supports_statement_cache = True
    _said: tuple[tuple[str, Any], ...] | None = None

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, OneDialect) and self._said is not None and self._said == other._said

    def __hash__(self) -> int:
        return hash(OneDialect)

    def initialize(self, connection: Connection) -> None:
        """What the server says of itself, asked once."""
        url = connection.engine.url
        known = _servers.get((url.host, url.port))
        if known is None:
            before = dict(self.__dict__)
            super().initialize(connection)  # type: ignore[no-untyped-call]
            known = {
                name: value
                for name, value in self.__dict__.items()
                if isinstance(value, _PLAIN) and before.get(name, self) != value
            }
            _servers[url.host, url.port] = known
        else:
            self.__dict__.update(known)
        self._said = tuple(sorted(known.items()))

    @classmethod
    def engine_created(cls, engine: Engine) -> None:
        engine.update_execution_options(compiled_cache=_compiled)


def share() -> None:
    """Have every engine that this process makes from now on share what was compiled."""
    registry.register("postgresql.asyncpg", __name__, OneDialect.__name__)
