"""The alarms: each expression is one that Prometheus reads, asks for figures that we give, and has its page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from domain.case_kinds import KINDS
from web.api.health import Metrics

ROOT = Path(__file__).resolve().parents[2]
RULES = [
    rule
    for group in yaml.safe_load((ROOT / "deploy" / "prometheus" / "endcap.rules.yml").read_text())["groups"]
    for rule in group["rules"]
]
NAMES = [rule["alert"] for rule in RULES]
NOT_OURS = {"up", "kube_job_status_failed"}  # of Prometheus, and of what watches the cluster
SUFFIXES = ("", "_total", "_bucket", "_sum", "_count")


def selectors(expression: str) -> list[Any]:
    """What an expression asks for; raises where Prometheus could not read it."""
    found: list[Any] = []

    def look(node: Any) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)
        return True

    promql_parser.walk(promql_parser.parse(expression), look)
    return found


def ours() -> dict[str, set[str]]:
    """The labels of every figure of ours, by its name."""
    made = Metrics()
    every = [made.requests, made.seconds, *made.gauges.values()]
    return {f"{one._name}{end}": set(one._labelnames) for one in every for end in SUFFIXES}


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_it_asks_for_figures_that_there_are(rule: dict[str, Any]) -> None:
    known = ours()
    asked = selectors(rule["expr"])
    assert asked
    for one in asked:
        if one.name in NOT_OURS:
            continue
        labels = {matcher.name: matcher.value for matcher in one.matchers.matchers}
        assert one.name in known, f"{one.name} is no figure of /metrics"
        assert labels.keys() <= known[one.name], f"{one.name} has no label {labels.keys() - known[one.name]}"
        if one.name == "endcap_cases_open":
            assert set(labels["kind"].split("|")) <= KINDS.keys()


def test_an_expression_that_cannot_be_read_is_noticed() -> None:
    with pytest.raises(ValueError, match=r"unexpected|expected|invalid"):
        selectors("sum by (kind (endcap_cases_open)) >")


def test_every_alarm_has_its_page_and_every_page_its_alarm() -> None:
    pages = re.findall(r"^## (\w+)$", (ROOT / "docs" / "alarms.md").read_text(), flags=re.MULTILINE)
    assert pages == NAMES


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_it_says_whom_it_calls_and_what_is_wrong(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"]
    if rule["labels"]["severity"] == "page" and rule["alert"] != "EndcapAuditFailed":
        assert rule["for"], "nobody is woken by one bad scrape"
