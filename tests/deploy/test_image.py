"""The image, without an engine: what its Dockerfile copies, in a folder of its own, started by the commands and with
the environment of the compose file. Nothing that only development or the demo has is in reach, and nothing is written
into its folder.
"""

import asyncio
import json
import os
import re
import shutil
import signal
import sys
import tomllib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import distribution, packages_distributions
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest
import yaml
from packaging.requirements import Requirement

from embedded.ports import free_port
from tests.conftest import Database

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
# Whoever is not of the image is not found, although this machine has it.
HIDE = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {hidden}:
            raise ModuleNotFoundError(f"{{name}} is not in the image", name=name)
sys.meta_path.insert(0, Hidden())
"""


def copied() -> list[str]:
    """Files and folders that the last stage takes from the repository."""
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    found = re.findall(r"^COPY (?!--from)(.+) \S+$", last, re.MULTILINE)
    return [one.rstrip("/") for line in found for one in line.split()]


def of_the_image() -> set[str]:
    """Distributions that the product needs at run time, and what they need."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pending = [Requirement(one) for one in project["dependencies"]]
    known: set[tuple[str, str]] = set()
    while pending:
        wanted = pending.pop()
        for extra in ("", *wanted.extras):
            key = re.sub(r"[-_.]+", "-", wanted.name).lower(), extra
            if key in known or not (wanted.marker is None or wanted.marker.evaluate({"extra": extra})):
                continue
            known.add(key)
            for text in distribution(wanted.name).requires or ():
                below = Requirement(text)
                if below.marker is None or below.marker.evaluate({"extra": extra}):
                    pending.append(Requirement(text.partition(";")[0]))
    return {name for name, _ in known}


def hidden() -> set[str]:
    """What this machine could import and the image cannot."""
    ours = of_the_image()
    others = {
        name
        for name, found in packages_distributions().items()
        if not any(re.sub(r"[-_.]+", "-", one).lower() in ours for one in found)
    }
    rooms = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or any(path.glob("*.py"))}
    return (others | rooms) - {Path(one).stem for one in copied()} - {"_virtualenv", "distutils-precedence"}


class Image:
    """`folder`: what the image has; `environment`: what compose tells a process of it."""

    def __init__(self, folder: Path, home: Path, url: str) -> None:
        self.folder = folder
        given = {"ENDCAP_SECRET": "s" * 40, "ENDCAP_PAYLOAD_KEYS": f"k1:{'A' * 43}="}
        told = SERVICES["web"]["environment"]
        self.environment = {
            name: given.get(name) or re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value)) for name, value in told.items()
        } | {
            "DATABASE_URL": url, "TEMPORAL_ADDRESS": "127.0.0.1:1",
            "ENDCAP_SMTP_HOST": "127.0.0.1", "ENDCAP_SMTP_PORT": "1", "ENDCAP_HOME": str(home),
            "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": str(home),
        }  # fmt: skip

    async def begin(self, *command: str) -> asyncio.subprocess.Process:
        words = [sys.executable if word == "python" else word for word in command]
        return await asyncio.create_subprocess_exec(
            *words, cwd=self.folder, env=self.environment,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip

    async def run(self, *command: str) -> str:
        """A command that ends; what it says."""
        process = await self.begin(*command)
        said = (await process.communicate())[0].decode()
        assert process.returncode == 0, said
        return said

    @asynccontextmanager
    async def running(self, *command: str, ends_with: int = 0) -> AsyncIterator[None]:
        """A process that goes on until it is asked to stop, and then ends well."""
        process = await self.begin(*command)
        reading = asyncio.create_task(process.communicate())
        try:
            yield
            assert process.returncode is None, (await reading)[0].decode()
            process.send_signal(signal.SIGTERM)
            said = (await reading)[0].decode()
            assert process.returncode == ends_with, said
        finally:
            if process.returncode is None:
                process.kill()
                await reading


@pytest.fixture
def image(tmp_path: Path, bare_database: Database) -> Image:
    folder, home = tmp_path / "srv", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    for one in copied():
        if (ROOT / one).is_dir():
            shutil.copytree(ROOT / one, folder / one, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / one, folder / one)
    (home / "sitecustomize.py").write_text(HIDE.format(hidden=repr(hidden())))
    return Image(folder, home, bare_database.url)


def test_what_it_has_and_has_not_is_known() -> None:
    found = hidden()
    assert {"embedded", "demo", "bench", "tests", "pytest", "playwright", "aiosmtpd", "psutil"} <= found
    assert not {"web", "ledger", "cli", "worker", "relay", "fastapi", "temporalio", "sqlalchemy", "greenlet"} & found


async def test_each_of_its_processes_starts_works_and_ends(
    image: Image, eventually: Callable[..., Awaitable[Any]]
) -> None:
    before = sorted(image.folder.rglob("*"))
    assert "newest schema" in await image.run(*SERVICES["migrate"]["command"])
    await image.run("python", "cli.py", "audit")
    port = free_port()
    (command,) = re.findall(r"^CMD (\[.+\])$", DOCKERFILE, re.MULTILINE)
    web = [str(port) if word == "8400" else word for word in json.loads(command)]
    web[web.index("0.0.0.0")] = "127.0.0.1"  # noqa: S104
    connection = await asyncpg.connect(image.environment["DATABASE_URL"])

    async def there() -> bool:
        """All three are connected; without Temporal a relay listens, the one within the worker too."""
        rows = await connection.fetch(
            "SELECT application_name, count(*) FROM pg_stat_activity WHERE datname = current_database() GROUP BY 1"
        )
        found = {row["application_name"]: row["count"] for row in rows}
        assert {"endcap-web", "endcap-worker"} <= found.keys(), found
        assert found.get("endcap-relay-listen") == 2, found
        return True

    async with AsyncExitStack() as stack:
        # When all is done, uvicorn ends by the signal that it was sent.
        await stack.enter_async_context(image.running(*web, ends_with=-signal.SIGTERM))
        for words in (SERVICES["worker"]["command"], ["python", "relay.py"]):
            await stack.enter_async_context(image.running(*words))
        client = await stack.enter_async_context(
            httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False)
        )

        async def answers() -> bool:
            try:
                return (await client.get("/healthz")).status_code == 200
            except httpx2.TransportError:
                return False

        await eventually(answers)
        page = await client.get("/sign-in")
        (style,) = re.findall(r'href="(/static/[^"]+\.css[^"]*)"', page.text)[:1]
        for path in ("/sign-in", style, "/api/v1/openapi.json", "/readyz"):
            assert (await client.get(path)).status_code in (200, 503), path
        await client.get("/sign-in", headers={"Cookie": "endcap_session=x"})  # asks the ledger
        await eventually(there)
    await connection.close()
    assert sorted(image.folder.rglob("*")) == before, "the image is read-only"
