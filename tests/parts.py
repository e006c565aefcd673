"""What Endcap is made of: each package of requirements.lock, as a bill of materials (CycloneDX).

`python -m tests.parts > endcap.cdx.json` writes it; the same lock makes the same parts.
"""

import re
import sys
from pathlib import Path
from typing import NamedTuple

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

LOCK = Path(__file__).parents[1] / "requirements.lock"
PINNED = re.compile(
    r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==(\S+?)(?: ;[^\\]*)?((?: \\\n +--hash=sha256:[0-9a-f]{64})+)$", re.MULTILINE
)


class Part(NamedTuple):
    """A package, its one version, and how many files of it are known by their digest."""

    name: str
    version: str
    files: int


def parts(lock: str) -> list[Part]:
    """Every package of a lock. Raises ValueError for a line that is none with a version and digests."""
    found = [Part(name, version, digests.count("--hash")) for name, version, digests in PINNED.findall(lock)]
    if left := [line for line in PINNED.sub("", lock).splitlines() if line.strip() and not line.startswith("#")]:
        raise ValueError(f"neither pinned nor with a digest: {left[0]}")
    return found


def bill(lock: str) -> str:
    """The bill of materials, as JSON."""
    made = Bom()
    for part in parts(lock):
        made.components.add(
            Component(
                name=part.name,
                version=part.version,
                type=ComponentType.LIBRARY,
                purl=PackageURL("pypi", None, part.name.lower().replace("_", "-"), part.version),
            )
        )
    return JsonV1Dot6(made).output_as_string(indent=1)


if __name__ == "__main__":
    sys.stdout.write(bill(LOCK.read_text(encoding="utf-8")) + "\n")
