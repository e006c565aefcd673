"""The API is sent what its document allows, and what it does not: no answer is a mistake of ours, and each is one that
the document knows. `ENDCAP_FUZZ_EXAMPLES` (default 6) is how long a chain of calls goes on.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
from fastapi import FastAPI
from sqlalchemy import text

import ledger.engine
from ledger.transaction import Transaction
from tests.serving import serving
from tests.web.retail import key_text
from web.openapi import PUBLISHED

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
)
# The places and the item of the document's own examples, so that these are taken and lead on.
EXAMPLES = (
    "INSERT INTO item (sku, name, price_minor, cost_minor) VALUES ('1082185', 'Milk', 129, 70)",
    "INSERT INTO location (code, name, region, entity, latitude, longitude) VALUES"  # noqa: ISC004  one statement
    " ('S0330', 'Store S0330', 'NORTH', 'US01', 40, -80), ('S0331', 'Store S0331', 'NORTH', 'US01', 40, -80)",
    "INSERT INTO stock (location, sku, available) VALUES ('S0330', '1082185', 0), ('S0331', '1082185', 0)",
)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_every_answer_is_one_that_the_document_knows(
    app: FastAPI, retailer: ledger.engine.Database, tmp_path: Path
) -> None:
    async def seed(tx: Transaction) -> None:
        for statement in EXAMPLES:
            await tx.conn.execute(text(statement))

    await retailer.write(seed, actor="test", via="test")
    async with serving(app) as port:
        arguments = [
            "run", str(PUBLISHED), f"--url=http://127.0.0.1:{port}",
            f"--header=Authorization: Bearer {key_text('web')}",
            "--phases=examples,coverage,stateful", f"--checks={','.join(CHECKS)}", "--seed=7", "--no-color",
            f"--max-examples={os.environ.get('ENDCAP_FUZZ_EXAMPLES', '6')}", "--suppress-health-check=all",
        ]  # fmt: skip
        running = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "schemathesis.cli", *arguments, cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said = (await running.communicate())[0].decode()
    assert "Test cases:" in said, said
    assert running.returncode == 0, said.partition("= FAILURES =")[2] or said
