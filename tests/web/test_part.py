"""Parts of the application: each has only addresses that begin as it says, and answers for no other."""

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.routing import Match

from tests.web.conftest import settings_for
from web.app import create_app
from web.part import Part

APP = create_app(settings_for("postgresql://nobody@127.0.0.1/none"))


def parts(candidates: Any) -> Iterator[tuple[Part, list[str]]]:
    """Every part with the addresses of its routes."""
    for one in candidates:
        if hasattr(one, "effective_candidates"):
            if isinstance(one.original_router, Part):
                yield one.original_router, [context.path for context in one.effective_route_contexts()]
            yield from parts(one.effective_candidates())


FOUND = list(parts(APP.routes))


def test_there_are_parts_for_systems_for_stores_and_for_links() -> None:
    assert sorted(begins for part, _ in FOUND for begins in part.begins) == ["/a/", "/api/v1/", "/c/", "/store"]


@pytest.mark.parametrize(("part", "paths"), FOUND, ids=[part.begins[0] for part, _ in FOUND])
def test_no_route_of_a_part_has_an_address_that_begins_otherwise(part: Part, paths: list[str]) -> None:
    assert paths
    assert [path for path in paths if not path.startswith(part.begins)] == []


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
def test_an_address_leads_where_it_would_lead_without_parts(method: str, path: str, is_there: bool) -> None:
    def found() -> list[Match]:
        scope = {"type": "http", "method": method, "path": path, "root_path": "", "headers": [], "app": APP}
        return [one.matches(scope)[0] for one in APP.routes]

    with_parts = found()
    with pytest.MonkeyPatch.context() as without:
        without.delattr(Part, "matches")
        assert found() == with_parts
    assert (Match.FULL in with_parts) == is_there
