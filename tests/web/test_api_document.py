"""Every `curl` of docs/api.md is run as it stands there, in order, and answers with the status written behind it."""

import re
import shlex
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from typing import NamedTuple

import httpx2

import web
from domain.errors import leaves
from ledger.engine import Database
from tests.web.retail import a_case, an_approval, key_text

PAGE = (Path(web.__file__).parent.parent / "docs" / "api.md").read_text(encoding="utf-8")
As = Callable[[str], httpx2.AsyncClient]


class Example(NamedTuple):
    command: str
    status: int


def examples() -> list[Example]:
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    found = [
        Example(command, int(status))
        for block in blocks
        for command, status in re.findall(r"(curl .*?)   # (\d{3})\n", block, re.DOTALL)
    ]
    assert len(found) == sum(block.count("curl ") for block in blocks), "an example without its status"
    return found


async def run(client: httpx2.AsyncClient, command: str, values: dict[str, str]) -> httpx2.Response:
    """What curl would do with these arguments; an option that is not known here fails."""
    words = shlex.split(Template(command.replace("\\\n", " ")).substitute(values))
    assert words.pop(0) == "curl"
    method, url, body = "GET", "", None
    headers: dict[str, str] = {}
    while words:
        word = words.pop(0)
        if word == "-X":
            method = words.pop(0)
        elif word == "-H":
            name, _, value = words.pop(0).partition(": ")
            headers[name] = value
        elif word == "-d":
            body = words.pop(0).encode()
        else:
            assert word.startswith("http"), word
            url = word
    return await client.request(method, url, headers=headers, content=body)


async def test_every_example_answers_as_it_says(as_key: As, retailer: Database) -> None:
    values = {
        "BASE": "http://endcap.test",
        "KEY": key_text("web"),
        "TOKEN": key_text("ana"),
        "SOURCE": "web",
        "STORE": "S1",
        "OTHER": "S2",
        "NOW": datetime.now(UTC).isoformat(),
        "SKU": "APPLE",
        "PERSON": "sam.ortega",
        "COLLEAGUE": "fin.weber",
        "CASE": str(await a_case(retailer, "S1|APPLE")),
        "OPTION": "dismiss",
        "APPROVAL": str(await an_approval(retailer)),
    }
    client = as_key("")
    found = examples()
    assert len(found) >= 15
    for example in found:
        response = await run(client, example.command, values)
        assert response.status_code == example.status, f"{example.command}\n{response.text}"
    collected = await as_key("web").get("/api/v1/journeys/bopis:web:W-1001")
    assert collected.json()["state"] == "collected"


def test_every_code_of_the_domain_is_explained() -> None:
    explained = set(re.findall(r"`([a-z_]+)`", PAGE.split("## Problems")[1]))
    assert {leaf.code for leaf in leaves().values()} <= explained


def test_every_code_of_the_http_layer_is_explained() -> None:
    sources = [path.read_text(encoding="utf-8") for path in Path(web.__file__).parent.glob("*.py")]
    codes = set()
    for source in sources:
        codes |= set(re.findall(r'WebError\(\s*\d+,\s*"([a-z_]+)"', source))
        codes |= set(re.findall(r'_bad\(\s*"([a-z_]+)"', source))
        codes |= set(re.findall(r'problem\(\s*\d+,\s*"([a-z_]+)"', source))
    assert {"bad_json", "internal_error", "body_too_large"} <= codes
    explained = set(re.findall(r"`([a-z_]+)`", PAGE.split("## Problems")[1]))
    assert codes <= explained
