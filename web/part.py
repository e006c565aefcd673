"""A part of the application that is not looked through for the addresses of others.

The framework asks every route in turn whether an address is its own, at each level of routers again: a page of the
console was compared with every route of the API first, twice.
"""

from typing import Any

from fastapi import APIRouter
from starlette.routing import Match
from starlette.types import Scope


class Part(APIRouter):
    """A router whose addresses all begin with one of `begins`; what its routes say of any other address is nothing."""

    def __init__(self, *begins: str, **more: Any) -> None:
        super().__init__(**more)
        self.begins = begins

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As the framework asks a router that is included in another."""
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        return super().matches(scope) if path.startswith(self.begins) else (Match.NONE, {})
