"""The web process: what it serves is the application, and what it was made of is not looked through again."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# In a process of its own: the collector belongs to the whole process.
LOOK = """
import gc, json
from web import app, process
plain = sorted(route.path for route in app.create_app().routes if hasattr(route, "path"))
made = process.create_app()
paths = sorted(route.path for route in made.routes if hasattr(route, "path"))
class Ring: pass
ring = Ring(); ring.itself = ring
import weakref
seen = weakref.ref(ring); del ring
gc.collect()
print(json.dumps({"same": paths == plain, "frozen": gc.get_freeze_count(), "young": gc.get_threshold()[0],
                  "enabled": gc.isenabled(), "collected": seen() is None}))
"""


def look(**environment: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "ENDCAP_DEMO": "on", "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    return subprocess.run(
        [sys.executable, "-c", LOOK], cwd=ROOT, env=env | environment, capture_output=True, text=True, check=False
    )


async def test_it_serves_the_application_and_still_collects_garbage() -> None:
    done = await asyncio.to_thread(look)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["same"]
    assert found["frozen"] > 10_000
    assert found["young"] > 700
    assert found["enabled"]
    assert found["collected"]


async def test_settings_that_are_refused_stop_it_by_name() -> None:
    done = await asyncio.to_thread(look, ENDCAP_DEMO="off")
    assert done.returncode != 0
    assert "ENDCAP_SECRET" in done.stderr


@pytest.mark.parametrize("file", ["Dockerfile", "embedded/children.py"])
def test_everything_that_starts_a_web_process_starts_this_one(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    assert "web.process:create_app" in text
    assert "web.app:create_app" not in text
