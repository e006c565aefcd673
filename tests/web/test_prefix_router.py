"""Routers by prefix: each has only addresses that begin as it says, and answers for no other."""

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.routing import Match

from tests.web.conftest import settings_for
from web.app import create_app
from web.prefix_router import PrefixRouter

APP = create_app(settings_for("postgresql://nobody@127.0.0.1/none"))


def prefix_routers(candidates: Any) -> Iterator[tuple[PrefixRouter, list[str]]]:
    """Every one with the addresses of its routes."""
    for one in candidates:
        if hasattr(one, "effective_candidates"):
            if isinstance(one.original_router, PrefixRouter):
                yield one.original_router, [context.path for context in one.effective_route_contexts()]
            yield from prefix_routers(one.effective_candidates())


FOUND = list(prefix_routers(APP.routes))


def test_there_is_one_each_for_systems_for_stores_and_for_links() -> None:
    assert sorted(begins for router, _ in FOUND for begins in router.begins) == ["/a/", "/api/v1/", "/c/", "/store"]


@pytest.mark.parametrize(("router", "paths"), FOUND, ids=[router.begins[0] for router, _ in FOUND])
def test_no_route_of_one_has_an_address_that_begins_otherwise(router: PrefixRouter, paths: list[str]) -> None:
    assert paths
    assert [path for path in paths if not path.startswith(router.begins)] == []


@pytest.mark.parametrize(
    ("method", "path", "is_there"),
    [
        ("GET", "/store", True),
        ("GET", "/a/t", True),
        ("POST", "/c/t", True),
        ("GET", "/console/cases/1", True),
        ("GET", "/api/v1/cases/1", True),
        ("DELETE", "/api/v1/cases/1", False),
        ("GET", "/a", False),
        ("GET", "/storeys", False),
        ("GET", "/api/v2/cases", False),
    ],
)
def test_an_address_leads_where_it_would_lead_without_them(method: str, path: str, is_there: bool) -> None:
    def found() -> list[Match]:
        scope = {"type": "http", "method": method, "path": path, "root_path": "", "headers": [], "app": APP}
        return [one.matches(scope)[0] for one in APP.routes]

    with_prefixes = found()
    with pytest.MonkeyPatch.context() as without:
        without.delattr(PrefixRouter, "matches")
        assert found() == with_prefixes
    assert (Match.FULL in with_prefixes) == is_there
