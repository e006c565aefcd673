"""A router that answers only for addresses with its own prefixes.

The framework asks every route in turn whether an address is its own, at each level of routers anew: without this, a
page of the console was compared with every route of the API first, twice.
"""

from typing import Any

from fastapi import APIRouter
from starlette.routing import Match
from starlette.types import Scope


class PrefixRouter(APIRouter):
    """A router whose addresses all begin with one of `begins`; its routes are not asked about any other."""

    def __init__(self, *begins: str, **more: Any) -> None:
        super().__init__(**more)
        self.begins = begins

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As the framework asks a router that is included in another."""
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        return super().matches(scope) if path.startswith(self.begins) else (Match.NONE, {})
