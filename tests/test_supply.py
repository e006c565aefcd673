"""What Endcap is built from: each package pinned by version and digest and named in a bill; no secret in our files."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.parts import LOCK, bill, parts

ROOT = Path(__file__).parents[1]
# What keys and tokens look like; each is put together here so that this file holds none.
SECRETS = {
    "a private key": re.compile("-----BEGIN " + r"(?:[A-Z]+ )?PRIVATE KEY-----\s+[A-Za-z0-9+/]{40}"),
    "a key of a cloud": re.compile(r"\b(?:AK" + r"IA|AS" + r"IA)(?!\w*EXAMPLE\b)[0-9A-Z]{16}\b"),
    "a token of a code host": re.compile(r"\bg" + r"h[pousr]_[A-Za-z0-9]{36}\b"),
    "a token of a chat": re.compile(r"\bxo" + r"x[abprs]-[0-9]{8,}-"),
    "a key of a payment provider": re.compile(r"\b[sr]k_" + r"live_[A-Za-z0-9]{16,}"),
    "a password within an address": re.compile(
        r"://[a-z0-9._-]+:(?!secret|endcap|password|\$|\{|<|%)[A-Za-z0-9_-]{12,}@"
    ),
}
LARGEST = 2_000_000


def ours() -> list[Path]:
    """Every file of the repository; of a copy without its history, every file outside of folders made by tools."""
    if not (ROOT / ".git").exists():
        found = ((file, file.relative_to(ROOT).parts) for file in ROOT.rglob("*"))
        return [file for file, parts in found if not any(part.startswith(".") for part in parts)]
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name]


def test_package_and_image_name_every_module_that_stands_by_itself() -> None:
    modules = {file.stem for file in ROOT.glob("*.py")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert set(project["tool"]["setuptools"]["py-modules"]) == modules
    copied = re.findall(r"\b(\w+)\.py\b", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    assert modules - set(copied) == set()


class TestParts:
    def test_each_package_has_one_version_and_its_digests(self) -> None:
        found = parts(LOCK.read_text(encoding="utf-8"))
        assert len(found) > 100
        assert len({part.name.lower() for part in found}) == len(found)
        assert all(part.files for part in found)

    @pytest.mark.parametrize(
        "line", ["requests", "requests>=2", "requests==2.0", "-e .", "git+https://x.example/a.git"]
    )
    def test_what_is_not_pinned_is_named(self, line: str) -> None:
        with pytest.raises(ValueError, match="neither pinned nor with a digest"):
            parts(LOCK.read_text(encoding="utf-8") + f"{line}\n")

    def test_the_bill_names_every_one(self) -> None:
        lock = LOCK.read_text(encoding="utf-8")
        made = json.loads(bill(lock))
        assert (made["bomFormat"], made["specVersion"]) == ("CycloneDX", "1.6")
        assert {(one["name"], one["version"]) for one in made["components"]} == {part[:2] for part in parts(lock)}
        assert all(one["purl"].startswith("pkg:pypi/") for one in made["components"])


class TestSecrets:
    def test_no_file_holds_one(self) -> None:
        found = [
            f"{file.relative_to(ROOT)}: {what}"
            for file in ours()
            if file.is_file() and file.stat().st_size < LARGEST
            for what, pattern in SECRETS.items()
            if pattern.search(file.read_bytes().decode("utf-8", "replace"))
        ]
        assert found == []

    @pytest.mark.parametrize(
        ("what", "text"),
        [
            ("a private key", "-----BEGIN " + "PRIVATE KEY-----\n" + "A" * 64),
            ("a key of a cloud", "AK" + "IA" + "0" * 16),
            ("a token of a code host", "gh" + "p_" + "a" * 36),
            ("a key of a payment provider", "sk_" + "live_" + "a" * 24),
            ("a password within an address", "postgresql://app:" + "Tr0ub4dor-and-3" + "@db.example/shop"),
        ],
    )
    def test_one_would_be_found(self, what: str, text: str) -> None:
        assert SECRETS[what].search(f"key = {text}")
