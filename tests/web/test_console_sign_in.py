"""Signing in and out: sessions on the server, the same answer for every wrong try, no way to another site."""

from collections.abc import Callable
from datetime import timedelta

import httpx2
import pytest
from argon2 import extract_parameters
from sqlalchemy import func, update

import ledger.engine
from domain.errors import Malformed
from ledger import tables
from ledger.access import password_hasher, set_password
from ledger.sessions import end_all, hash_of
from ledger.transaction import Transaction
from tests.web.people import PASSWORD, SignIn, accounts, browse, email_of, sign_in
from tests.web.retail import rows
from web.sessions import _NOBODYS_HASH, same_site_path

__all__ = ["accounts", "browse", "sign_in"]
Browse = Callable[[], httpx2.AsyncClient]


async def change(database: ledger.engine.Database, table: object, **values: object) -> None:
    async def work(tx: Transaction) -> None:
        await tx.conn.execute(update(table).values(**values))  # type: ignore[arg-type]

    await database.write(work, actor="test", via="test")


class TestSignIn:
    async def test_the_right_password_leads_to_where_one_wanted_to_go(self, accounts: None, browse: Browse) -> None:
        client = browse()
        first = await client.get("/console/queue?tab=mine")
        assert (first.status_code, first.headers["location"]) == (303, "/sign-in?next=/console/queue%3Ftab%3Dmine")
        assert 'value="/console/queue?tab=mine"' in (await client.get(first.headers["location"])).text
        form = {"email": email_of("sam.ortega").upper(), "password": PASSWORD, "next": "/console/queue?tab=mine"}
        entered = await client.post("/sign-in", data=form)
        assert (entered.status_code, entered.headers["location"]) == (303, "/console/queue?tab=mine")
        assert "Sam Ortega" in (await client.get("/")).text

    async def test_the_cookie_is_out_of_reach_of_scripts_and_its_token_is_stored_nowhere(
        self, accounts: None, browse: Browse, retailer: ledger.engine.Database
    ) -> None:
        entered = await browse().post("/sign-in", data={"email": email_of("sam.ortega"), "password": PASSWORD})
        cookie = entered.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        token = entered.cookies["endcap_session"]
        [session] = await rows(retailer, tables.session)
        assert session["token_hash"] == hash_of(token)
        assert token not in str([await rows(retailer, table) for table in (tables.session, tables.audit)])

    @pytest.mark.parametrize(
        ("email", "password"), [(email_of("sam.ortega"), "wrong"), ("nobody@stores.example", PASSWORD), ("", "")]
    )
    async def test_every_wrong_try_gets_the_same_answer(
        self, accounts: None, browse: Browse, email: str, password: str
    ) -> None:
        answer = await browse().post("/sign-in", data={"email": email, "password": password})
        assert answer.status_code == 401
        assert "do not go together" in answer.text
        assert "set-cookie" not in answer.headers

    async def test_the_ninth_try_within_five_minutes_is_refused_even_with_the_right_password(
        self, accounts: None, browse: Browse
    ) -> None:
        client = browse()
        for _ in range(8):
            await client.post("/sign-in", data={"email": email_of("sam.ortega"), "password": "wrong"})
        answer = await client.post("/sign-in", data={"email": email_of("sam.ortega"), "password": PASSWORD})
        assert answer.status_code == 429
        other = await client.post("/sign-in", data={"email": email_of("ana.ruiz"), "password": PASSWORD})
        assert other.status_code == 303

    async def test_the_right_password_begins_the_count_anew(self, accounts: None, browse: Browse) -> None:
        client = browse()
        for password in [*["wrong"] * 7, PASSWORD, *["wrong"] * 7]:
            answer = await client.post("/sign-in", data={"email": email_of("sam.ortega"), "password": password})
            assert answer.status_code == (303 if password == PASSWORD else 401)

    async def test_a_session_that_somebody_planted_is_replaced(
        self, accounts: None, browse: Browse, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        client = await sign_in("sam.ortega")
        planted = client.cookies["endcap_session"]
        await client.post("/sign-in", data={"email": email_of("ana.ruiz"), "password": PASSWORD})
        assert client.cookies["endcap_session"] != planted
        ended = {row["token_hash"]: row["ended_at"] for row in await rows(retailer, tables.session)}
        assert ended[hash_of(planted)] is not None

    @pytest.mark.parametrize(
        "target",
        ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "", "a", "/\tx", None],
    )
    def test_next_never_leaves_this_site(self, target: str | None) -> None:
        assert same_site_path(target) == "/"

    def test_next_keeps_paths_of_this_site(self) -> None:
        assert same_site_path("/console/cases/7?x=1#y") == "/console/cases/7?x=1#y"

    async def test_another_site_cannot_sign_anybody_in(self, accounts: None, browse: Browse) -> None:
        headers = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
        form = {"email": email_of("sam.ortega"), "password": PASSWORD}
        assert (await browse().post("/sign-in", data=form, headers=headers)).status_code == 403


class TestSessionEnds:
    async def test_after_signing_out_the_cookie_opens_nothing(self, sign_in: SignIn, browse: Browse) -> None:
        client = await sign_in("sam.ortega")
        stolen = client.cookies["endcap_session"]
        assert (await client.post("/sign-out")).headers["location"] == "/sign-in"
        thief = browse()
        answer = await thief.get("/", headers={"Cookie": f"endcap_session={stolen}"})
        assert answer.status_code == 303

    @pytest.mark.parametrize("column", ["expires_at", "last_seen_at"])
    async def test_a_session_ends_with_time(
        self, sign_in: SignIn, retailer: ledger.engine.Database, column: str
    ) -> None:
        client = await sign_in("sam.ortega")
        await change(retailer, tables.session, **{column: func.now() - timedelta(hours=4)})
        assert (await client.get("/")).status_code == 303

    async def test_a_new_password_ends_the_sessions_of_the_old_one(
        self, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        client = await sign_in("sam.ortega")
        await change(retailer, tables.credential, changed_at=func.clock_timestamp())
        assert (await client.get("/")).status_code == 303

    async def test_everywhere_means_everywhere(self, sign_in: SignIn, retailer: ledger.engine.Database) -> None:
        clients = [await sign_in("sam.ortega"), await sign_in("sam.ortega")]
        assert await end_all(retailer, "sam.ortega") == 2
        assert [(await client.get("/")).status_code for client in clients] == [303, 303]

    async def test_who_has_left_is_out_at_once(self, sign_in: SignIn, retailer: ledger.engine.Database) -> None:
        client = await sign_in("sam.ortega")
        await change(retailer, tables.person, active=False)
        assert (await client.get("/")).status_code == 303

    async def test_htmx_is_sent_to_the_sign_in_page_by_a_header(self, accounts: None, browse: Browse) -> None:
        headers = {"HX-Request": "true", "HX-Request-Type": "partial"}
        answer = await browse().get("/console/queue?tab=mine", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["hx-redirect"] == "/sign-in?next=/console/queue%3Ftab%3Dmine"

    @pytest.mark.parametrize(
        "path",
        ["/", "/console/queue", "/console/cases/1", "/console/journeys", "/console/journeys/bopis:web:W-1",
         "/console/stock", "/console/approvals", "/console/approvals/1", "/console/refunds"],
    )  # fmt: skip
    async def test_no_page_opens_without_a_session(self, accounts: None, browse: Browse, path: str) -> None:
        answer = await browse().get(path)
        assert (answer.status_code, answer.headers["location"].split("?")[0]) == (303, "/sign-in")

    @pytest.mark.parametrize(
        "path",
        ["/console/cases/1/claim", "/console/cases/1/decide", "/console/cases/1/comment", "/console/cases/1/release",
         "/console/cases/1/wait", "/console/approvals/1/verdict", "/console/journeys/bopis:web:W-1/skip",
         "/console/queue/claim"],
    )  # fmt: skip
    async def test_no_form_acts_without_a_session(self, accounts: None, browse: Browse, path: str) -> None:
        answer = await browse().post(path, data={})
        assert (answer.status_code, answer.headers["location"].split("?")[0]) == (303, "/sign-in")


class TestHashes:
    @pytest.mark.parametrize(
        "email",
        [
            email_of("sam.ortega"),
            email_of("ana.ruiz").upper(),
            "nobody@stores.example",
            "",
            "x" * 300,
            "\u0131@x.example",
        ],
    )
    async def test_each_wrong_try_is_one_check_of_a_password(
        self,
        accounts: None,
        browse: Browse,
        retailer: ledger.engine.Database,
        monkeypatch: pytest.MonkeyPatch,
        email: str,
    ) -> None:
        """Known, known and gone, without a password, unknown: nobody learns by the time which it was."""

        async def leave(tx: Transaction) -> None:
            await tx.conn.execute(update(tables.person).where(tables.person.c.id == "ana.ruiz").values(active=False))

        await retailer.write(leave, actor="test", via="test")
        checked: list[str] = []

        def check(given: str, _password: str) -> bool:
            checked.append(given)
            return False

        monkeypatch.setattr("web.sessions._matches", check)
        answer = await browse().post("/sign-in", data={"email": email, "password": "wrong"})
        assert answer.status_code == 401
        assert len(checked) == 1
        assert (checked[0] == _NOBODYS_HASH) == (email != email_of("sam.ortega"))

    def test_an_unknown_address_costs_as_much_work_as_a_known_one(self) -> None:
        """However an account was made, its hash has the cost of the one that nobody's password is checked against."""
        wanted = extract_parameters(_NOBODYS_HASH)
        assert extract_parameters(password_hasher().hash("x")) == wanted

    async def test_a_password_is_the_same_in_both_normal_forms(
        self, browse: Browse, retailer: ledger.engine.Database
    ) -> None:
        await set_password(retailer, email_of("sam.ortega"), "correct cafe\u0301 horse")
        for word in ("caf\u00e9", "cafe\u0301"):
            form = {"email": email_of("sam.ortega"), "password": f"correct {word} horse"}
            assert (await browse().post("/sign-in", data=form)).status_code == 303
        with pytest.raises(Malformed, match="U\\+0000"):
            await set_password(retailer, email_of("sam.ortega"), "correct\0horse")

    async def test_a_password_of_the_command_line_has_that_cost_too(self, retailer: ledger.engine.Database) -> None:
        await set_password(retailer, email_of("sam.ortega"), PASSWORD)
        [row] = await rows(retailer, tables.credential)
        assert extract_parameters(row["password_hash"]) == extract_parameters(_NOBODYS_HASH)
