"""Whether anybody knows of a fault in what Endcap builds on: asks about every package of requirements.lock.

`python -m tests.advisories` ends with 0 only where every package was asked about and none has a known fault. Where
nobody could be asked, that is said as such: it is neither a fault nor its absence, and keeps the gate shut.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
ASK = ("--format", "json", "--progress-spinner", "off", "--require-hashes", "--disable-pip", "-r", "requirements.lock")
MOST_NAMED = 5


class Verdict(NamedTuple):
    """What came of asking; `is_clean` where the gate may open."""

    is_clean: bool
    words: str


def judged(said: str, complaint: str) -> Verdict:
    """What pip-audit's answer means: its JSON (nothing, where it has given up) and what it wrote beside it."""
    try:
        packages = json.loads(said)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = (complaint.strip().splitlines() or ["no reason was given"])[-1]
        return Verdict(is_clean=False, words=f"open: nobody could be asked about known faults ({last}). {ELSEWHERE}")
    faults = [
        f"{one['name']} {one['version']}: {fault['id']}, mended in {', '.join(fault['fix_versions']) or 'none yet'}"
        for one in packages
        for fault in one.get("vulns", ())
    ]
    if faults:
        return Verdict(is_clean=False, words="KNOWN FAULTS\n" + "\n".join(faults))
    unasked = [one["name"] for one in packages if "skip_reason" in one]
    if unasked or not packages:
        named = ", ".join(unasked[:MOST_NAMED]) + (" and others" if len(unasked) > MOST_NAMED else "")
        return Verdict(
            is_clean=False,
            words=f"open: about {len(unasked)} of {len(packages)} packages nobody could be asked ({named}). "
            f"{ELSEWHERE}",
        )
    return Verdict(is_clean=True, words=f"No known fault in {len(packages)} packages.")


ELSEWHERE = "Ask where the index has advisories, before a release: `python -m tests.advisories`."


def main() -> int:
    """Ask, say what came of it; the exit code."""
    asked = subprocess.run(
        [sys.executable, "-m", "pip_audit", *ASK], cwd=ROOT, capture_output=True, text=True, check=False
    )
    verdict = judged(asked.stdout, asked.stderr)
    sys.stdout.write(f"Known faults of what we build on\n{verdict.words}\n")
    return 0 if verdict.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
