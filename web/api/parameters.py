"""What an address of the API may ask for: a parameter that no route knows is refused by name, never ignored."""

from collections.abc import Iterator
from typing import cast

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from domain.errors import Malformed


def known_to(route: APIRoute) -> frozenset[str]:
    """The names of a route's query parameters, those of its dependencies included."""
    return frozenset(_names(route.dependant))


def _names(dependant: Dependant) -> Iterator[str]:
    yield from (field.alias for field in dependant.query_params)
    for below in dependant.dependencies:
        yield from _names(below)


async def refuse_unknown(request: Request) -> None:
    """Raises `Malformed` for the first parameter that the route does not know."""
    if not request.query_params:
        return
    known = known_to(cast("APIRoute", request.scope["route"]))
    for name in request.query_params:
        if name not in known:
            listed = ", ".join(sorted(known)) or "none"
            raise Malformed(
                f"There is no parameter {name[:80]} here; known are: {listed}. Leave it out, or correct its name.",
                pointer=f"/query/{name[:80]}",
            )
