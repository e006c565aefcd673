"""The manifests: a cluster's schema allows them, no process gets more than it needs, and they fit the code."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from settings import Settings
from web.api.health import PROBES

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
RELEASES = ("1.31", "1.34")  # the oldest that a provider still offers, and one of this year
KNOWN = {f"ENDCAP_{name.upper()}" for name in Settings.model_fields} | {"DATABASE_URL", "TEMPORAL_ADDRESS"}
UVICORNS = {"FORWARDED_ALLOW_IPS"}


def documents() -> list[tuple[str, dict[str, Any]]]:
    """Every object that the kustomization names, with a name to be told apart by."""
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    return [
        (f"{file}:{one['kind']}", one)
        for file in kustomization["resources"]
        for one in yaml.safe_load_all((FOLDER / file).read_text())
    ]


def pod_of(one: dict[str, Any]) -> dict[str, Any] | None:
    """The template of the pods that an object makes."""
    spec = one.get("spec", {})
    found: dict[str, Any] | None = spec.get("template") or spec.get("jobTemplate", {}).get("spec", {}).get("template")
    return found


OBJECTS = documents()
PODS = [(name, pod) for name, one in OBJECTS if (pod := pod_of(one)) is not None]
pods = pytest.mark.parametrize("pod", [pod for _, pod in PODS], ids=[name for name, _ in PODS])


def container(pod: dict[str, Any]) -> dict[str, Any]:
    (found,) = pod["spec"]["containers"]
    return dict(found)


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("one", [one for _, one in OBJECTS], ids=[name for name, _ in OBJECTS])
def test_a_clusters_schema_allows_it(one: dict[str, Any], release: str) -> None:
    kubernetes_validate.validate(one, release, strict=True)


def test_the_schema_refuses_what_is_misspelt_or_of_another_type() -> None:
    web = next(one for name, one in OBJECTS if name == "web.yaml:Deployment")
    for path, value in ((("spec", "replica"), 3), (("spec", "replicas"), "three")):
        wrong = copy.deepcopy(web)
        wrong[path[0]][path[1]] = value
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(wrong, RELEASES[-1], strict=True)


def test_every_file_is_named_and_every_kind_of_process_is_there() -> None:
    named = set(yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"])
    assert named == {file.name for file in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}
    assert {container(pod)["name"] for _, pod in PODS} == {"migrate", "web", "worker", "relay", "audit"}


@pods
def test_a_process_may_do_nothing_but_its_work(pod: dict[str, Any]) -> None:
    spec, one = pod["spec"], container(pod)
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"]
    assert f"--uid {spec['securityContext']['runAsUser']} " in (ROOT / "Dockerfile").read_text()
    assert one["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"cpu", "memory"} <= one["resources"]["requests"].keys()
    assert "memory" in one["resources"]["limits"]
    assert "image" in one
    assert "env" not in one, "settings come from the ConfigMap and the Secret, for all processes alike"


@pods
def test_a_process_is_started_by_a_file_of_the_image(pod: dict[str, Any]) -> None:
    command = container(pod).get("command")
    copied = (ROOT / "Dockerfile").read_text()
    if command is None:
        assert container(pod)["name"] == "web", "the image's own command is web"
        return
    assert command[0] == "python"
    assert f" {command[1]} " in copied
    assert (ROOT / command[1]).exists()


def test_settings_are_known_and_nothing_secret_stands_open() -> None:
    config = next(one["data"] for name, one in OBJECTS if name == "config.yaml:ConfigMap")
    assert config.keys() <= KNOWN | UVICORNS
    assert "*" not in config["FORWARDED_ALLOW_IPS"], "anybody could say where they come from"
    assert not {"DATABASE_URL", "ENDCAP_SECRET", "ENDCAP_PAYLOAD_KEYS", "ENDCAP_SMTP_PASSWORD"} & config.keys()
    told = set(re.findall(r"DATABASE_URL|ENDCAP_[A-Z_]+", (FOLDER / "config.yaml").read_text()))
    assert told <= KNOWN, "what is said of the Secret names settings too"
    values: dict[str, Any] = {
        name.removeprefix("ENDCAP_").lower(): value for name, value in config.items() if name in KNOWN
    }
    values |= {"database_url": "postgresql://e:e@db/e", "secret": "s" * 40, "payload_keys": f"k1:{'A' * 43}="}
    values |= {"photo_key_id": "id", "photo_key": "key"}
    made = Settings(_env_file=None, **values)
    assert not made.worker_relay, "relays have a Deployment of their own"


def test_a_worker_is_given_longer_to_stop_than_it_takes() -> None:
    config = next(one["data"] for name, one in OBJECTS if name == "config.yaml:ConfigMap")
    worker = next(pod for name, pod in PODS if name.startswith("worker"))
    assert worker["spec"]["terminationGracePeriodSeconds"] >= int(config["ENDCAP_GRACEFUL_SHUTDOWN_TIMEOUT_S"]) + 10


def test_what_selects_pods_finds_them() -> None:
    labels = [pod["metadata"]["labels"] for _, pod in PODS]
    selecting = 0
    for name, one in OBJECTS:
        spec = one.get("spec", {})
        wanted = spec.get("podSelector", spec.get("selector", {}))
        wanted = wanted.get("matchLabels", wanted)
        if wanted:
            selecting += 1
            assert any(wanted.items() <= found.items() for found in labels), name
    assert selecting >= 8


def test_probes_and_ports_are_those_that_web_serves() -> None:
    web = container(next(pod for name, pod in PODS if name.startswith("web")))
    assert {web[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")} <= PROBES
    (port,) = web["ports"]
    assert f'"--port", "{port["containerPort"]}"' in (ROOT / "Dockerfile").read_text()
