"""Every denial is written down: who, what, from where; and administrators read it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import insert

import ledger.engine
from ledger import denials as records
from ledger import tables
from ledger.denials import Counted, Denied
from ledger.transaction import Transaction
from tests.web.conftest import As
from tests.web.people import PASSWORD, SignIn, accounts, browse, email_of, sign_in
from tests.web.retail import rows
from web.denials import MOST, Denials

__all__ = ["accounts", "browse", "sign_in"]
Browse = Callable[[], httpx2.AsyncClient]


async def written(app: FastAPI, retailer: ledger.engine.Database) -> list[dict[str, Any]]:
    """What there is after the process has written what it had counted."""
    await app.state.denials.write(retailer)
    return sorted(await rows(retailer, tables.denial), key=lambda row: row["id"])


async def admin(retailer: ledger.engine.Database) -> None:
    async def work(tx: Transaction) -> None:
        await tx.conn.execute(insert(tables.person_role).values(person_id="sam.ortega", role="admin"))

    await retailer.write(work, actor="test", via="test")


class TestWrittenDown:
    async def test_a_key_that_is_unknown_and_one_without_the_scope(
        self, app: FastAPI, as_key: As, retailer: ledger.engine.Database
    ) -> None:
        for key in ("", "gone", "mute"):
            await as_key(key).get("/api/v1/journeys")
        found = await written(app, retailer)
        assert {(row["status"], row["code"], row["who"]) for row in found} == {
            (401, "missing_key", ""),
            (401, "unknown_key", ""),
            (403, "insufficient_scope", "key:mute"),
        }
        assert {row["remote"] for row in found} == {"127.0.0.1"}

    async def test_a_wrong_password_under_the_account_and_never_what_was_typed(
        self, app: FastAPI, accounts: None, browse: Browse, retailer: ledger.engine.Database
    ) -> None:
        for email in (email_of("sam.ortega"), "no.one@stores.example"):
            await browse().post("/sign-in", data={"email": email, "password": "a wrong word"})
        found = await written(app, retailer)
        assert {(row["code"], row["who"]) for row in found} == {
            ("wrong_password", "person:sam.ortega"),
            ("wrong_password", ""),
        }
        assert "a wrong word" not in str(found)
        assert "no.one" not in str(found)

    async def test_what_a_person_may_not_do_or_not_see(
        self, app: FastAPI, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        ida = await sign_in("ida.noor")
        assert (await ida.get("/console/denials")).status_code == 403
        assert (await ida.get("/console/cases/4711")).status_code == 404
        found = await written(app, retailer)
        assert {(row["status"], row["who"], row["route"], row["path"]) for row in found} == {
            (403, "person:ida.noor", "/console/denials", "/console/denials"),
            (404, "person:ida.noor", "/console/cases/{case_id}", "/console/cases/4711"),
        }

    async def test_a_form_from_another_site(
        self, app: FastAPI, browse: Browse, retailer: ledger.engine.Database
    ) -> None:
        headers = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
        await browse().post("/sign-in", data={}, headers=headers)
        [found] = await written(app, retailer)
        assert (found["status"], found["code"]) == (403, "cross_origin")

    async def test_a_link_that_never_was_without_its_token(
        self, app: FastAPI, browse: Browse, retailer: ledger.engine.Database
    ) -> None:
        await browse().get("/a/some-secret-token")
        await browse().get("/c/some-secret-token")
        found = await written(app, retailer)
        assert {(row["code"], row["path"]) for row in found} == {
            ("unknown_link", "/a/{token}"),
            ("unknown_link", "/c/{token}"),
        }

    async def test_what_is_allowed_or_merely_wrong_is_none(
        self, app: FastAPI, sign_in: SignIn, browse: Browse, web: httpx2.AsyncClient, retailer: ledger.engine.Database
    ) -> None:
        sam = await sign_in("sam.ortega")
        await sam.get("/console/queue")
        await browse().get("/console/queue")  # leads to the sign-in
        await browse().get("/nowhere")  # of somebody who is nobody
        await web.post("/api/v1/bopis-orders", json={})
        assert await written(app, retailer) == []


class TestCounted:
    DENIED = Denied(403, "not_allowed", "GET", "/x", "person:sam.ortega", "192.0.2.1")

    async def test_equal_ones_of_a_minute_are_one_row(self, retailer: ledger.engine.Database) -> None:
        at = datetime(2026, 3, 3, 14, 2, 7, tzinfo=UTC)
        for seconds in (0, 5, 40, 60):
            counted = Counted(3, at + timedelta(seconds=seconds), f"/x/{seconds}")
            await records.record(retailer, {self.DENIED: counted})
        found = sorted(await rows(retailer, tables.denial), key=lambda row: row["id"])
        seen = [(row["times"], row["last_at"].second, row["path"]) for row in found]
        assert seen == [(9, 47, "/x/40"), (3, 7, "/x/60")]

    async def test_a_process_holds_so_many_different_ones(self, retailer: ledger.engine.Database) -> None:
        denials = Denials()
        for number in range(MOST + 50):
            denials.count(self.DENIED._replace(remote=f"r{number}"), "/x", None)
        await denials.write(retailer)
        found = await rows(retailer, tables.denial)
        assert len(found) == MOST + 1
        assert [row["times"] for row in found if row["code"] == "too_many_different"] == [50]

    async def test_with_the_database_away_they_are_kept_and_written_when_it_is_back(
        self, retailer: ledger.engine.Database
    ) -> None:
        denials = Denials()
        denials.count(self.DENIED, "/x", None)
        away = ledger.engine.Database("postgresql://nobody@127.0.0.1:1/none")
        await denials.write(away)
        await away.dispose()
        denials.count(self.DENIED, "/x", None)
        await denials.write(retailer)
        assert [row["times"] for row in await rows(retailer, tables.denial)] == [2]

    async def test_a_process_that_ends_writes_the_rest(self, retailer: ledger.engine.Database) -> None:
        denials = Denials()
        denials.count(self.DENIED, "/x", retailer)
        await denials.close(retailer)
        assert len(await rows(retailer, tables.denial)) == 1

    async def test_old_ones_are_forgotten(self, retailer: ledger.engine.Database) -> None:
        now = datetime.now(UTC)
        for days in (1, 89, 91):
            await records.record(retailer, {self.DENIED: Counted(1, now - timedelta(days=days), "/x")})
        assert await records.sweep(retailer, now) == 1
        assert len(await rows(retailer, tables.denial)) == 2


class TestRead:
    async def test_by_administrators_alone(self, sign_in: SignIn) -> None:
        for person in ("sam.ortega", "ida.noor", "fin.weber", "ana.ruiz"):
            assert (await (await sign_in(person)).get("/console/denials")).status_code == 403

    async def test_newest_first_of_one_person_or_one_address(
        self, app: FastAPI, sign_in: SignIn, as_key: As, retailer: ledger.engine.Database
    ) -> None:
        await (await sign_in("ida.noor")).get("/console/denials")
        await app.state.denials.write(retailer)
        await as_key("mute").get("/api/v1/journeys")
        await app.state.denials.write(retailer)
        await admin(retailer)
        sam = await sign_in("sam.ortega")
        page = (await sam.get("/console/denials")).text
        assert page.index("key:mute") < page.index("Ida Noor")
        page = (await sam.get("/console/denials", params={"who": "person:ida.noor"})).text
        assert "Ida Noor" in page
        assert "key:mute</a>" not in page
        assert "Nobody was refused" in (await sam.get("/console/denials", params={"remote": "192.0.2.9"})).text
        assert "/console/denials" in (await sam.get("/console/more")).text
        assert "/console/denials" not in (await (await sign_in("ida.noor")).get("/console/more")).text

    async def test_page_by_page(self, sign_in: SignIn, retailer: ledger.engine.Database) -> None:
        at = datetime(2026, 3, 3, 14, 2, 7, tzinfo=UTC)
        denied = [TestCounted.DENIED._replace(remote=f"r{number:03}") for number in range(records.PAGE + 7)]
        await records.record(retailer, dict.fromkeys(denied, Counted(1, at, "/x")))
        await admin(retailer)
        sam = await sign_in("sam.ortega")
        first = (await sam.get("/console/denials?who=person:sam.ortega")).text
        [older] = [part.split('"')[0].replace("&amp;", "&") for part in first.split('<p><a href="')[1:]]
        second = (await sam.get(older)).text
        assert (first.count("/x</code>"), second.count("/x</code>")) == (records.PAGE, 7)
        assert "Older ones" not in second

    @pytest.mark.parametrize("before", ["0", "-1", "x", "9" * 30])
    async def test_an_odd_place_to_go_on_from(
        self, sign_in: SignIn, retailer: ledger.engine.Database, before: str
    ) -> None:
        await admin(retailer)
        assert (await (await sign_in("sam.ortega")).get(f"/console/denials?before={before}")).status_code == 422


async def test_signing_in_is_no_denial(
    app: FastAPI, accounts: None, browse: Browse, retailer: ledger.engine.Database
) -> None:
    await browse().post("/sign-in", data={"email": email_of("sam.ortega"), "password": PASSWORD})
    assert await written(app, retailer) == []
