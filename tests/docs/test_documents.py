"""What the documents name is there: links, files, commands, pictures, settings; and a word of the glossary has one
meaning.
"""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

import cli
from domain.kpi import KPIS
from settings import EmbeddedSettings
from tests import gate

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")
OUTSIDE = ("http://", "https://", "mailto:")
BLOCK = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`]+)`")
# What measuring writes (`bench/results/`) is there once somebody has measured.
OURS = re.compile(
    r"(?!bench/results/)(activities|bench|commands|demo|deploy|docs|domain|embedded|ledger|ports|tests|web|workflows)/[\w./-]+"
)
COMMANDS = typer.main.get_command(cli.app)
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def anchors(document: Path) -> set[str]:
    """The names by which the headings of a document are linked to, as the usual renderers make them."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(document: Path, text: str) -> list[str]:
    """The links of `text`, as it would stand in `document`, that lead to no file or no heading."""
    broken = []
    for link in LINK.findall(text):
        if link.startswith(OUTSIDE):
            continue
        file, _, anchor = link.partition("#")
        target = (document.parent / file).resolve() if file else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    return broken


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path) -> None:
    assert broken_links(document, document.read_text()) == []


@pytest.mark.parametrize("link", ["docs/lost.md", "docs/operating.md#lost", "#lost"])
def test_a_link_that_leads_nowhere_would_be_noticed(link: str) -> None:
    assert broken_links(ROOT / "README.md", f"see [this]({link})") == [link]


def code_of(text: str) -> Iterator[str]:
    """What stands in code: each line of a block, each span elsewhere; lines that go on are one."""
    for block in BLOCK.findall(text):
        yield from block.replace("\\\n", " ").splitlines()
    for span in SPAN.findall(BLOCK.sub("", text)):
        yield " ".join(span.split())


def unknown_command(line: str) -> str:
    """What is wrong with a line that calls `endcap`, `make` or `python`; empty for everything else."""
    plain = re.sub(r'"[^"]*"', "", line).partition("#")[0]
    match re.sub(r"^(\w+=\S* )*(\.venv/bin/)?", "", plain).split():
        case ["endcap", *rest]:
            return _unknown_of_ours(rest)
        case ["make", *rest]:
            return " ".join(word for word in rest if "=" not in word and word not in TARGETS)
        case ["python", "-m", module, *_]:
            file = ROOT / module.replace(".", "/")
            return "" if file.with_suffix(".py").is_file() or (file / "__main__.py").is_file() else module
        case ["python", file, *_]:
            return "" if (ROOT / file).is_file() else file
    return ""


def _unknown_of_ours(words: list[str]) -> str:
    """The first word that names no command, or no option of the command that is called."""
    command: Any = COMMANDS
    for word in words:
        known = getattr(command, "commands", {})
        if word.startswith("--"):
            if word.partition("=")[0] not in {name for option in command.params for name in option.opts}:
                return word
        elif known:
            if word not in known:
                return word
            command = known[word]
    return ""


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_and_file_is_there(document: Path) -> None:
    text = document.read_text()
    assert [line for line in code_of(text) if unknown_command(line)] == []
    named = (OURS.fullmatch(code.partition("::")[0]) for code in SPAN.findall(BLOCK.sub("", text)))
    assert [file[0] for file in named if file and not (ROOT / file[0]).exists()] == []


@pytest.mark.parametrize(
    "line",
    [
        *("endcap lode folder", "endcap load --sauce pim folder", "endcap webhook ad URL", "ENDCAP_DEMO=off make upp"),
        *("python -m bench.speed", "python relays.py", ".venv/bin/endcap audits", "endcap key shop --scop read"),
    ],
)
def test_a_command_that_is_not_there_would_be_noticed(line: str) -> None:
    assert unknown_command(line)


def test_the_pictures_are_those_that_the_script_takes() -> None:
    pictures = runpy.run_path(str(ROOT / "docs" / "screenshots.py"), run_name="looking")["PICTURES"]
    taken = {name for picture in pictures for name in picture.files()}
    assert {file.name for file in (ROOT / "docs" / "screenshots").iterdir()} == taken


def test_every_setting_is_explained_to_operators() -> None:
    explained = (ROOT / "docs" / "operating.md").read_text().partition("## Settings")[2]
    for name, field in EmbeddedSettings.model_fields.items():
        alias = getattr(field.validation_alias, "choices", [f"ENDCAP_{name.upper()}"])[0]
        assert f"`{alias}`" in explained, f"docs/operating.md, Settings: {alias} is missing"


def test_the_glossary_is_sorted_and_each_word_stands_in_it_once() -> None:
    table = (ROOT / "docs" / "glossary.md").read_text().partition("## Figures")[0]
    words = [word.lower() for word in re.findall(r"^\| \*\*(.+?)\*\*", table, re.MULTILINE)]
    assert words == sorted(set(words))


def test_the_glossary_defines_each_figure_in_the_words_of_page_and_api() -> None:
    table = (ROOT / "docs" / "glossary.md").read_text().partition("## Figures")[2].partition("Beside these")[0]
    defined = dict(re.findall(r"^\| \*\*(.+?)\*\* \| (.+) \|$", table, re.MULTILINE))
    assert defined == {kpi.title[0].lower() + kpi.title[1:]: kpi.definition for kpi in KPIS}


def test_every_test_that_answers_a_complaint_is_there() -> None:
    rows = re.findall(r"^\| (\d+) \| .* \| (.*) \|$", (ROOT / "docs" / "complaints.md").read_text(), re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 21))
    for number, held_by in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", held_by)
        assert named, number
        for file, name in named:
            assert re.search(rf"def {name}\(", (ROOT / file).read_text()), f"complaint {number}: {file} has no {name}"


def test_every_test_that_the_gate_names_is_there() -> None:
    cases = gate.plan()
    assert len({case.number for case in cases}) == len(cases) > 70
    for case in cases:
        for file, name in case.tests:
            assert re.search(rf"def {name}\(", (ROOT / file).read_text()), f"{case.number}: {file} has no {name}"


@pytest.mark.parametrize(("document", "begins"), [("returns.md", "## What shows it"), ("console.md", "## The queue")])
def test_every_test_that_a_page_of_promises_names_is_there(document: str, begins: str) -> None:
    shown = (ROOT / "docs" / document).read_text().split(begins)[1]
    rows = [row for row in shown.splitlines() if re.match(r"\| (?!.* (held|shown) by \|)", row)]
    assert len(rows) > 15
    for row in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)((?:::\w+)*)`", row)
        assert named, row
        for file, parts in named:
            text = (ROOT / file).read_text()
            for name in filter(None, parts.split("::")):
                assert re.search(rf"(def|class) {name}\b", text), f"{file} has no {name}"
