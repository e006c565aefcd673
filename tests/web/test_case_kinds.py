"""Every kind of case brings what its page shows: facts with a type and a partial, and a runbook."""

from __future__ import annotations

import re

import pytest
from jinja2 import TemplateNotFound

import ledger.engine
from domain.case_fact import Facts
from domain.case_facts import FACTS, OtherFacts, facts_of
from domain.case_kinds import KINDS
from domain.people import ROLES
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.retail import a_case
from web.pages import templates
from web.runbook import FOLDER, SECTIONS, as_html, runbook

__all__ = ["accounts", "browse", "sign_in"]
EACH = pytest.mark.parametrize("kind", list(KINDS))


def lacks(kind: str) -> list[str]:
    """What a kind of case has not brought."""
    found = []
    if kind not in FACTS:
        found.append("the type of its facts in domain/case_facts.py")
    else:
        try:
            templates.get_template(f"cases/facts/{FACTS[kind].partial}")
        except TemplateNotFound:
            found.append(f"the template cases/facts/{FACTS[kind].partial}")
    file = FOLDER / f"{kind}.md"
    if not file.is_file():
        return [*found, f"its runbook web/runbooks/{kind}.md"]
    text = file.read_text(encoding="utf-8")
    if text.splitlines()[0] != f"# {KINDS[kind].title}":
        found.append(f"its title, “{KINDS[kind].title}”, on the runbook")
    if tuple(re.findall(r"^## (.*)$", text, re.MULTILINE)) != SECTIONS:
        found.append(f"the sections of a runbook: {', '.join(SECTIONS)}")
    if any(not body.strip() for body in re.split(r"^## .*$", text, flags=re.MULTILINE)[1:]):
        found.append("something in each section of its runbook")
    return found


class TestEveryKind:
    @EACH
    def test_it_brings_facts_and_a_runbook(self, kind: str) -> None:
        assert lacks(kind) == []

    def test_a_kind_without_them_would_be_noticed(self) -> None:
        assert len(lacks("unheard_of")) == 2

    @EACH
    def test_its_owner_and_its_ladder_are_roles(self, kind: str) -> None:
        assert {KINDS[kind].owner_role, *KINDS[kind].ladder} <= set(ROLES)
        assert KINDS[kind].runbook

    def test_nothing_is_left_of_a_kind_that_is_gone(self) -> None:
        assert set(FACTS) == set(KINDS)
        assert {file.stem for file in FOLDER.glob("*.md")} == set(KINDS)
        partials = {name.rsplit("/", 1)[1] for name in templates.list_templates() if name.startswith("cases/facts/")}
        shapes: list[type[Facts]] = [*FACTS.values(), OtherFacts]
        assert partials == {shape.partial for shape in shapes}


class TestFacts:
    def test_another_shape_is_not_forced_into_the_type(self) -> None:
        assert facts_of("pick_short", {"order": "W-1", "gone": 3}) is None
        assert isinstance(facts_of("unheard_of", {"anything": 1}), OtherFacts)

    def test_each_type_refuses_what_nobody_shows(self) -> None:
        for shape in set(FACTS.values()) - {OtherFacts}:
            assert issubclass(shape, Facts)
            if shape.model_config["extra"] == "forbid":
                assert facts_of(next(kind for kind in FACTS if FACTS[kind] is shape), {"something_new": 1}) is None

    async def test_what_was_written_in_another_shape_is_shown_as_it_stands(
        self, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        case_id = await a_case(retailer, "S1/APPLE")
        page = (await (await sign_in("sam.ortega")).get(f"/console/cases/{case_id}")).text
        assert "<dt>Available</dt><dd>-2</dd>" in page


class TestRunbook:
    async def test_it_stands_beside_the_case(self, sign_in: SignIn, retailer: ledger.engine.Database) -> None:
        case_id = await a_case(retailer, "S1/APPLE")
        page = (await (await sign_in("sam.ortega")).get(f"/console/cases/{case_id}")).text
        assert KINDS["negative_inventory"].runbook in page
        for section in SECTIONS:
            assert f"<h3>{section}</h3>" in page
        assert "<strong>Have it counted</strong> when nothing explains it" in page

    def test_markup_in_the_source_is_text(self) -> None:
        html = as_html('<script>alert(1)</script>\n\n[press](javascript:alert(1)) <b onclick="x">b</b>')
        assert "<script" not in html
        assert "<b" not in html
        assert 'href="javascript' not in html

    @pytest.mark.parametrize("kind", ["unheard_of", "../case_kinds", "", "pick_short.md"])
    def test_there_is_none_for_what_is_no_kind(self, kind: str) -> None:
        assert runbook(kind) is None
