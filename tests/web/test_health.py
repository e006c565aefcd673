"""Health: the process by itself, its readiness check by check, and figures that are true at the moment of asking."""

import asyncio
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from asyncpg.exceptions import DiskFullError, UniqueViolationError
from sqlalchemy import text

from ledger import storage
from ledger.engine import Database
from ledger.transaction import Transaction
from settings import Settings
from tests.web.conftest import open_app, open_clients, settings_for
from tests.web.retail import NOW, a_case, order
from tests.web.test_api_orders import ORDERS, problem

As = Callable[[str], httpx2.AsyncClient]


async def run(database: Database, statement: str) -> None:
    async def work(tx: Transaction) -> None:
        await tx.conn.execute(text(statement))

    await database.write(work, actor="test", via="test")


QUEUE_MAIL = "INSERT INTO mail (dedupe_key, template, context, not_before) VALUES ('k', 'order_placed', '{}', now())"


class TestReadiness:
    async def test_all_is_well(self, as_key: As) -> None:
        response = await as_key("").get("/readyz")
        body = response.json()
        assert (response.status_code, body["status"]) == (200, "ok")
        assert {name: check["status"] for name, check in body["checks"].items()} == {
            "database": "ok", "storage": "ok", "migrations": "ok", "outbox": "ok", "mail": "ok",
            "clock": "ok",
        }  # fmt: skip

    async def test_a_database_behind_this_code_is_not_ready(self, as_key: As, retailer: Database) -> None:
        await run(retailer, "UPDATE alembic_version SET version_num = '0000_older'")
        response = await as_key("").get("/readyz")
        assert response.status_code == 503
        assert "endcap migrate" in response.json()["checks"]["migrations"]["detail"]

    async def test_a_database_that_would_forget_what_it_has_acknowledged_is_not_ready(
        self, retailer: Database, settings: Settings
    ) -> None:
        async def ready() -> tuple[int, str]:
            async with open_app(settings) as app, open_clients(app) as made:  # as a process that starts
                answer = await made("").get("/readyz")
                return answer.status_code, answer.json()["checks"]["database"]["detail"]

        name = urlsplit(retailer.plain_url).path.lstrip("/")
        await run(retailer, f'ALTER DATABASE "{name}" SET synchronous_commit = off')
        status, says = await ready()
        assert (status, "set synchronous_commit to on" in says) == (503, True)
        await run(retailer, f'ALTER DATABASE "{name}" RESET synchronous_commit')
        assert (await ready())[0] == 200

    async def test_a_message_that_waits_long_is_a_warning_and_orders_are_still_taken(
        self, web: httpx2.AsyncClient, retailer: Database
    ) -> None:
        await web.post(ORDERS, json=order("W-1"))
        await run(retailer, "UPDATE outbox SET recorded_at = now() - interval '10 minutes'")
        response = await web.get("/readyz")
        check = response.json()["checks"]["outbox"]
        assert (response.status_code, check["status"]) == (200, "warn")
        assert re.search(r"oldest for 6\d\d s", check["detail"])
        assert (await web.post(ORDERS, json=order("W-2"))).status_code == 201

    @pytest.mark.parametrize(
        ("meanwhile", "says"),
        [
            ("UPDATE mail SET not_before = now() - interval '11 minutes'", "oldest for 6"),
            ("UPDATE mail SET attempts = 3", "1 tried three times"),
        ],
    )
    async def test_a_mail_that_waits_long_or_is_refused_again_and_again_is_a_warning(
        self, web: httpx2.AsyncClient, retailer: Database, meanwhile: str, says: str
    ) -> None:
        await run(retailer, QUEUE_MAIL)
        assert (await web.get("/readyz")).json()["checks"]["mail"]["status"] == "ok"
        await run(retailer, meanwhile)
        response = await web.get("/readyz")
        check = response.json()["checks"]["mail"]
        assert (response.status_code, check["status"]) == (200, "warn")
        assert says in check["detail"]

    async def test_a_mail_that_is_meant_for_later_is_no_warning(
        self, web: httpx2.AsyncClient, retailer: Database
    ) -> None:
        await run(retailer, QUEUE_MAIL)
        later = "UPDATE mail SET not_before = now() + interval '1 day', recorded_at = now() - interval '2 days'"
        await run(retailer, later)
        assert (await web.get("/readyz")).json()["checks"]["mail"]["status"] == "ok"

    async def test_without_a_database_the_process_lives_and_is_not_ready(self, unused_tcp_port: int) -> None:
        settings = settings_for(f"postgresql://endcap:secret@127.0.0.1:{unused_tcp_port}/endcap")
        async with open_app(settings) as app, open_clients(app) as made:
            client = made("web")
            assert (await client.get("/healthz")).json() == {"status": "ok"}
            response = await client.get("/readyz")
            assert response.status_code == 503
            assert {check["status"] for check in response.json()["checks"].values()} == {"fail"}
            assert "secret" not in response.text
            refused = await client.post(ORDERS, json=order("W-1"))
            problem(refused, 503, "unavailable")
            assert refused.headers["retry-after"]


class TestRoom:
    """What PostgreSQL says on a full disk, said by a trigger: a disk that is really full is in tests/faults."""

    async def test_a_full_disk_is_refused_by_name_and_said_until_there_is_room(
        self, web: httpx2.AsyncClient, retailer: Database
    ) -> None:
        assert (await web.get("/readyz")).json()["checks"]["storage"]["status"] == "ok"
        await run(
            retailer,
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$",
        )
        await run(retailer, "CREATE TRIGGER full_disk BEFORE INSERT ON movement EXECUTE FUNCTION full_disk()")
        refused = await web.post(ORDERS, json=order("W-1"))
        problem(refused, 503, "storage_full")
        assert "nothing was recorded" in refused.json()["detail"]
        assert refused.headers["retry-after"]
        event: dict[str, Any] = {"id": "e1", "type": "stock.received", "occurred_at": NOW.isoformat()}
        event |= {"data": {"location": "S1", "document": "d", "lines": [{"sku": "APPLE", "quantity": 1}]}}
        problem(await web.post("/api/v1/events", json={"events": [event]}), 503, "storage_full")
        assert (await web.get("/api/v1/journeys/bopis:web:W-1")).status_code == 404

        await run(retailer, "DROP TRIGGER full_disk ON movement")
        assert (await web.post(ORDERS, json=order("W-1"))).status_code == 201
        assert (await web.post("/api/v1/events", json={"events": [event]})).json()["results"][0][
            "outcome"
        ] == "accepted"

    async def test_a_write_that_finds_no_room_makes_the_process_unready(
        self, web: httpx2.AsyncClient, app: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(
            storage, "_WRITE", text("DO $$ BEGIN RAISE EXCEPTION 'full' USING ERRCODE = '53100'; END $$")
        )
        kept: Database = app.state.database
        kept.storage.refused(DiskFullError("could not extend file"))
        response = await web.get("/readyz")
        check = response.json()["checks"]["storage"]
        assert (response.status_code, check["status"]) == (503, "fail")
        assert "make room" in check["detail"]
        assert "endcap_storage_full 1.0" in (await web.get("/metrics")).text
        monkeypatch.undo()
        assert (await web.get("/readyz")).json()["checks"]["storage"]["status"] == "ok"
        assert "endcap_storage_full 0.0" in (await web.get("/metrics")).text
        kept.storage.refused(UniqueViolationError("no matter of room"))
        monkeypatch.setattr(storage, "_WRITE", text("SELECT nothing"))  # room was seen a moment ago
        assert (await web.get("/readyz")).status_code == 200


class TestMetrics:
    async def test_figures_are_those_of_the_moment(self, web: httpx2.AsyncClient, retailer: Database) -> None:
        await web.post(ORDERS, json=order("W-1"))
        await web.get("/api/v1/journeys/bopis:web:W-404")
        await a_case(retailer, "S1|APPLE")
        body = (await web.get("/metrics")).text
        assert 'endcap_cases_open{kind="negative_inventory",severity="medium"} 1.0' in body
        assert 'endcap_journeys_open{kind="bopis",state="reserved"} 1.0' in body
        assert "endcap_outbox_waiting 2.0" in body
        assert "endcap_stock_negative 0.0" in body
        route = 'method="GET",route="/api/v1/journeys/{journey_id}",status="404"'
        assert f"endcap_http_requests_total{{{route}}} 1.0" in body
        assert "W-404" not in body
        await run(retailer, "UPDATE journey SET state = 'cancelled', closed_at = now()")
        assert "endcap_journeys_open{" not in (await web.get("/metrics")).text

    async def test_from_elsewhere_a_key_is_needed(self, app: Any, as_key: As) -> None:
        transport = httpx2.ASGITransport(app=app, client=("10.1.2.3", 4711))
        async with httpx2.AsyncClient(transport=transport, base_url="http://endcap.test") as outside:
            problem(await outside.get("/metrics"), 401, "missing_key")
        forwarded = {"X-Forwarded-For": "10.1.2.3"}
        problem(await as_key("").get("/metrics", headers=forwarded), 401, "missing_key")
        problem(await as_key("mute").get("/metrics", headers=forwarded), 403, "insufficient_scope")
        assert (await as_key("pos").get("/metrics", headers=forwarded)).status_code == 200


class TestUnderLoad:
    async def test_more_requests_than_connections_wait_and_are_all_answered(self, as_key: As) -> None:
        answers = await asyncio.gather(*(as_key("web").get("/api/v1/stock") for _ in range(60)))
        assert {answer.status_code for answer in answers} == {200}
