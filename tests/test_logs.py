"""Whatever is logged, an event is one line: nobody writes a line of their own into it, or moves a terminal's cursor."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# In a process of its own: how it logs is set once for a whole process.
SAY = r"""
import logging, telemetry
from settings import read_settings
telemetry.start(read_settings(), "test")
log = logging.getLogger("endcap.test")
log.warning("the server said: %s", "later\r\n2026-01-01T00:00:00Z [error] forged\x1b[2J\u2028\u202e\x85 end")
try:
    raise ValueError("first\nsecond")
except ValueError:
    log.exception("it failed")
telemetry.stop()
"""


def said(log_format: str) -> list[str]:
    env = {"PATH": os.environ["PATH"], "ENDCAP_DEMO": "on", "ENDCAP_LOG_FORMAT": log_format}
    done = subprocess.run([sys.executable, "-c", SAY], cwd=ROOT, env=env, capture_output=True, check=True)
    return done.stdout.decode().split("\n")


@pytest.mark.parametrize("log_format", ["console", "json"])
async def test_what_others_wrote_begins_no_line_and_moves_nothing(log_format: str) -> None:
    first, second, *rest = await asyncio.to_thread(said, log_format)
    assert "later" in first
    assert "end" in first
    assert first.isprintable()
    if log_format == "json":
        assert json.loads(first)["event"].startswith("the server said: later")
        assert rest == [""]
    assert "it failed" in second
    assert "ValueError" in second + "".join(rest)
