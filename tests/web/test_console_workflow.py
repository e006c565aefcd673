"""The way to Temporal's pages: for those who look into workflows, where an address is set."""

import httpx2
import pytest
from starlette.requests import Request

from domain.people import Grant, Person
from settings import Settings
from web.console.workflow import workflow_link


class App:
    def __init__(self, settings: Settings) -> None:
        self.state = type("State", (), {"settings": settings})()


def link(role: str, url: str | None) -> str | None:
    settings = Settings(_env_file=None, demo=True, temporal_ui_url=url)
    request = Request({"type": "http", "app": App(settings), "headers": []})
    return workflow_link(request, Person("p", "P", "", (Grant(role),)), "bopis:web:W/1 ?")


@pytest.mark.parametrize("role", ["admin", "integration_owner"])
def test_it_names_the_namespace_and_the_workflow(role: str) -> None:
    found = link(role, "https://temporal.example/")
    assert found == "https://temporal.example/namespaces/endcap/workflows/bopis%3Aweb%3AW%2F1%20%3F"
    assert httpx2.URL(found).host == "temporal.example"


@pytest.mark.parametrize("role", ["regional_ops", "auditor", "store_manager"])
def test_others_have_none(role: str) -> None:
    assert link(role, "https://temporal.example") is None


@pytest.mark.parametrize("url", [None, ""])
def test_without_an_address_there_is_none(url: str | None) -> None:
    assert link("admin", url) is None
