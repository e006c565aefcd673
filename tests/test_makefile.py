"""What the Makefile gives to everything that it starts."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYTHONS_OWN = ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")


def given(**environment: str) -> list[str]:
    """What a recipe finds of Python's own settings, where `make` was called in such an environment."""
    words = " ".join(f'"$${name}"' for name in PYTHONS_OWN)
    others = {name: value for name, value in os.environ.items() if name not in (*PYTHONS_OWN, "MAKEFLAGS")}
    told = subprocess.run(
        ["make", "--silent", f"--eval=told: ; @printf '%s\\n' {words}", "told"],
        cwd=ROOT,
        env=others | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return told.stdout.split("\n")[:-1]


@pytest.mark.parametrize("forbids", ["1", "yes"])
def test_where_bytecode_is_forbidden_it_is_kept_apart_from_the_sources(forbids: str) -> None:
    assert given(PYTHONDONTWRITEBYTECODE=forbids) == ["", str(ROOT / ".venv" / "bytecode")]


@pytest.mark.parametrize("environment", [{}, {"PYTHONDONTWRITEBYTECODE": ""}, {"PYTHONPYCACHEPREFIX": "/elsewhere"}])
def test_elsewhere_the_environment_is_left_as_it_is(environment: dict[str, str]) -> None:
    assert given(**environment) == [environment.get(name, "") for name in PYTHONS_OWN]
