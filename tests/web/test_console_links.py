"""Approval by a link in a mail: looking decides nothing, a verdict is given once, every end has its own page."""

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from sqlalchemy import update

import ledger.engine
from ledger import tables
from ledger.approval import create_link, supersede
from ledger.transaction import Transaction
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.retail import an_approval, rows

__all__ = ["accounts", "browse", "sign_in"]
Browse = Callable[[], httpx2.AsyncClient]


async def mailed(
    database: ledger.engine.Database,
    approval_id: int,
    person_id: str = "ana.ruiz",
    *,
    hours: int = 8,
    code: str | None = None,
) -> str:
    """The path of a link as it stands in the mail."""

    async def work(tx: Transaction) -> str:
        until = datetime.now(UTC) + timedelta(hours=hours)
        return await create_link(tx, approval_id, person_id, expires_at=until, code=code)

    return "/a/" + await database.write(work, actor="test", via="test")


async def state_of(database: ledger.engine.Database, approval_id: int) -> str:
    [row] = [row for row in await rows(database, tables.approval) if row["id"] == approval_id]
    return str(row["state"])


def form_of(page: str) -> dict[str, str]:
    """The hidden fields as the page has them."""
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page))


class TestLooking:
    async def test_get_and_head_show_and_never_decide(self, retailer: ledger.engine.Database, browse: Browse) -> None:
        approval_id = await an_approval(retailer)
        path = await mailed(retailer, approval_id)
        for client in (browse(), browse()):
            for method in ("GET", "HEAD", "GET"):
                answer = await client.request(method, path)
                assert answer.status_code == 200
                assert answer.headers["cache-control"] == "no-store"
        assert await state_of(retailer, approval_id) == "pending"
        assert await rows(retailer, tables.approval_verdict) == []

    async def test_the_page_says_what_each_way_leads_to_and_preselects_none(
        self, retailer: ledger.engine.Database, browse: Browse
    ) -> None:
        path = await mailed(retailer, await an_approval(retailer))
        page = (await browse().get(path)).text
        for words in (
            "For Ana Ruiz", "Sam Ortega", "30.00 USD", "If you approve", "If you reject", "If you do nothing",
            "it goes to finance as well", "Cannot be undone",
        ):  # fmt: skip
            assert words in page
        assert " checked" not in page

    async def test_the_page_has_no_script_and_nothing_from_elsewhere(
        self, retailer: ledger.engine.Database, browse: Browse
    ) -> None:
        answer = await browse().get(await mailed(retailer, await an_approval(retailer)))
        assert "<script" not in answer.text
        assert not re.search(r'(?:src|href)="(?:https?:)?//', answer.text)
        policy = answer.headers["content-security-policy"]
        assert "script-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["referrer-policy"] == "same-origin"
        assert "noindex" in answer.headers["x-robots-tag"]


class TestVerdict:
    async def test_approving_is_recorded_once_and_the_second_comer_is_told_who(
        self, retailer: ledger.engine.Database, browse: Browse
    ) -> None:
        approval_id = await an_approval(retailer)
        path = await mailed(retailer, approval_id)
        ana = browse()
        form = form_of((await ana.get(path)).text) | {"verdict": "approve"}
        first = await ana.post(path, data=form)
        assert (first.status_code, first.headers["location"]) == (303, path)
        assert await state_of(retailer, approval_id) == "approved"
        second = await ana.post(path, data=form)
        assert second.status_code == 409
        assert "Approved by Ana Ruiz" in second.text
        assert "Approved by Ana Ruiz" in (await browse().get(path)).text
        assert len(await rows(retailer, tables.approval_verdict)) == 1

    async def test_rejecting_needs_a_reason_that_is_kept_when_it_is_missing_elsewhere(
        self, retailer: ledger.engine.Database, browse: Browse
    ) -> None:
        approval_id = await an_approval(retailer)
        path = await mailed(retailer, approval_id)
        ana = browse()
        form = form_of((await ana.get(path)).text)
        silent = await ana.post(path, data=form | {"verdict": "reject", "note": " "})
        assert (silent.status_code, await state_of(retailer, approval_id)) == (422, "pending")
        assert (await ana.post(path, data=form | {"verdict": "reject", "note": "too much"})).status_code == 303
        assert await state_of(retailer, approval_id) == "rejected"

    async def test_a_long_reason_is_counted_as_the_browser_counts_it(
        self, retailer: ledger.engine.Database, browse: Browse
    ) -> None:
        approval_id = await an_approval(retailer)
        path = await mailed(retailer, approval_id)
        client = browse()
        form = form_of((await client.get(path)).text)
        lines = "a line\r\n" * 800  # 5,600 characters in the field, 6,400 on the wire
        refused = await client.post(path, data={**form, "verdict": "reject", "note": lines})
        assert refused.status_code == 422
        assert "4,000 characters at most; this one has 5,599" in refused.text
        assert "a line\na line" in refused.text.replace("\r", "")
        form = form_of(refused.text)
        taken = await client.post(path, data={**form, "verdict": "reject", "note": "a line\r\n" * 571})
        assert taken.status_code == 303  # 3,997 characters in the field, 4,568 on the wire
        assert await state_of(retailer, approval_id) == "rejected"

    async def test_a_question_leaves_it_open(self, retailer: ledger.engine.Database, browse: Browse) -> None:
        approval_id = await an_approval(retailer)
        path = await mailed(retailer, approval_id)
        ana = browse()
        form = form_of((await ana.get(path)).text)
        assert (await ana.post(path, data=form | {"verdict": "ask", "note": "why?"})).status_code == 303
        assert await state_of(retailer, approval_id) == "pending"
        assert "asked: why?" in (await ana.get(path)).text

    async def test_a_form_sent_as_it_was_shown_decides_nothing(
        self, retailer: ledger.engine.Database, browse: Browse
    ) -> None:
        approval_id = await an_approval(retailer)
        path = await mailed(retailer, approval_id)
        robot = browse()
        answer = await robot.post(path, data=form_of((await robot.get(path)).text))
        assert answer.status_code == 422
        assert "nothing is chosen for you" in answer.text
        assert await state_of(retailer, approval_id) == "pending"

    async def test_a_form_from_another_browser_or_for_another_link_is_refused(
        self, retailer: ledger.engine.Database, browse: Browse
    ) -> None:
        approval_id, other_id = await an_approval(retailer), await an_approval(retailer)
        path, other = await mailed(retailer, approval_id), await mailed(retailer, other_id)
        ana = browse()
        form = form_of((await ana.get(path)).text) | {"verdict": "approve"}
        await ana.get(other)
        assert (await browse().post(path, data=form)).status_code == 403
        assert (await ana.post(other, data=form)).status_code == 403
        assert (await ana.post(path, data=form | {"proof": "0" * 64})).status_code == 403
        assert [await state_of(retailer, number) for number in (approval_id, other_id)] == ["pending", "pending"]

    async def test_another_site_cannot_send_it(self, retailer: ledger.engine.Database, browse: Browse) -> None:
        approval_id = await an_approval(retailer)
        path = await mailed(retailer, approval_id)
        ana = browse()
        form = form_of((await ana.get(path)).text) | {"verdict": "approve"}
        for headers in (
            {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
            {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
            {"Origin": "http://sub.endcap.test", "Sec-Fetch-Site": "same-site"},
        ):
            assert (await ana.post(path, data=form, headers=headers)).status_code == 403
        assert await state_of(retailer, approval_id) == "pending"

    async def test_two_devices_make_one_verdict(self, retailer: ledger.engine.Database, browse: Browse) -> None:
        approval_id = await an_approval(retailer)
        path = await mailed(retailer, approval_id)
        phone, desk = browse(), browse()
        forms = [form_of((await client.get(path)).text) for client in (phone, desk)]
        assert (await phone.post(path, data=forms[0] | {"verdict": "approve"})).status_code == 303
        late = await desk.post(path, data=forms[1] | {"verdict": "reject", "note": "no"})
        assert late.status_code == 409
        assert await state_of(retailer, approval_id) == "approved"


class TestEnds:
    @pytest.mark.parametrize("path", ["/a/nonsense", "/a/" + "A" * 43, "/a/..%2f..%2fetc"])
    async def test_a_link_that_never_was_tells_nothing(
        self, retailer: ledger.engine.Database, browse: Browse, path: str
    ) -> None:
        for answer in (await browse().get(path), await browse().post(path, data={"verdict": "approve"})):
            assert answer.status_code == 404

    async def test_a_truncated_or_changed_token_opens_nothing(
        self, retailer: ledger.engine.Database, browse: Browse
    ) -> None:
        path = await mailed(retailer, await an_approval(retailer))
        for wrong in (path[:-1], path + "A", path[:-1] + ("A" if path[-1] != "A" else "B")):
            assert (await browse().get(wrong)).status_code == 404

    async def test_guessing_is_slowed_down(self, retailer: ledger.engine.Database, browse: Browse) -> None:
        client = browse()
        answers = [(await client.get(f"/a/guess-{number}")).status_code for number in range(31)]
        assert (answers[0], answers[-1]) == (404, 503)

    async def test_an_expired_link_says_so_and_a_new_one_can_be_asked_for_once_an_hour(
        self, retailer: ledger.engine.Database, browse: Browse
    ) -> None:
        approval_id = await an_approval(retailer)
        before = len(await rows(retailer, tables.mail))
        path = await mailed(retailer, approval_id, hours=-1)
        ana = browse()
        shown = await ana.get(path)
        assert shown.status_code == 410
        assert "This link has expired" in shown.text
        assert (await ana.post(path, data={"verdict": "approve"})).status_code == 409
        untold = await ana.post(f"{path}/again", data=form_of(shown.text))
        assert (untold.status_code, "Tick that a new link" in untold.text) == (422, True)
        assert len(await rows(retailer, tables.mail)) == before
        for _ in range(2):
            answer = await ana.post(f"{path}/again", data={"send": "yes"})
            assert "A new link is on its way" in answer.text
        assert len(await rows(retailer, tables.mail)) == before + 1
        assert await state_of(retailer, approval_id) == "pending"

    async def test_a_revoked_link_says_so(self, retailer: ledger.engine.Database, browse: Browse) -> None:
        approval_id = await an_approval(retailer)
        path = await mailed(retailer, approval_id)

        async def revoke(tx: Transaction) -> None:
            await tx.conn.execute(update(tables.link).values(revoked_at=datetime.now(UTC)))

        await retailer.write(revoke, actor="test", via="test")
        shown = await browse().get(path)
        assert (shown.status_code, "was withdrawn" in shown.text) == (410, True)

    async def test_a_superseded_request_says_so(self, retailer: ledger.engine.Database, browse: Browse) -> None:
        approval_id = await an_approval(retailer)
        path = await mailed(retailer, approval_id)

        async def change(tx: Transaction) -> None:
            await tx.lock_approval(approval_id)
            await supersede(tx, approval_id, datetime.now(UTC))

        await retailer.write(change, actor="test", via="test")
        shown = await browse().get(path)
        assert (shown.status_code, "Superseded" in shown.text) == (410, True)
        assert (await browse().post(path, data={"verdict": "approve"})).status_code == 409

    async def test_a_working_link_needs_no_new_one(self, retailer: ledger.engine.Database, browse: Browse) -> None:
        path = await mailed(retailer, await an_approval(retailer))
        before = len(await rows(retailer, tables.mail))
        assert (await browse().post(f"{path}/again", data={"send": "yes"})).status_code == 422
        assert len(await rows(retailer, tables.mail)) == before


class TestWho:
    async def test_above_the_amount_the_link_alone_decides_nothing_but_the_signed_in_approver_does(
        self, retailer: ledger.engine.Database, browse: Browse, sign_in: SignIn
    ) -> None:
        approval_id = await an_approval(retailer, amount_minor=60_000)
        path = await mailed(retailer, approval_id)
        client = browse()
        page = await client.get(path)
        assert "above what a link alone may decide" in page.text
        assert "proof" not in form_of(page.text)
        answer = await client.post(path, data={"verdict": "approve", "version": "2"})
        assert answer.status_code == 403
        assert await state_of(retailer, approval_id) == "pending"
        ana = await sign_in("ana.ruiz")
        own = f"/console/approvals/{approval_id}"
        form = form_of((await ana.get(own)).text) | {"verdict": "approve"}
        assert (await ana.post(f"{own}/verdict", data=form)).status_code == 303
        assert await state_of(retailer, approval_id) == "approved"

    async def test_somebody_else_who_is_signed_in_may_read_and_not_answer(
        self, retailer: ledger.engine.Database, sign_in: SignIn
    ) -> None:
        approval_id = await an_approval(retailer)
        path = await mailed(retailer, approval_id)
        sam = await sign_in("sam.ortega")
        page = await sam.get(path)
        assert "signed in as Sam Ortega" in page.text
        assert "Send verdict" not in page.text
        assert (await sam.post(path, data={"verdict": "approve"})).status_code == 403
        assert await state_of(retailer, approval_id) == "pending"

    async def test_the_requester_cannot_approve_with_a_link_of_his_own(
        self, retailer: ledger.engine.Database, browse: Browse
    ) -> None:
        approval_id = await an_approval(retailer)
        path = await mailed(retailer, approval_id, "sam.ortega")
        client = browse()
        page = await client.get(path)
        assert "Whoever asked for this cannot approve it" in page.text
        assert (await client.post(path, data={"verdict": "approve"})).status_code == 403
        assert await state_of(retailer, approval_id) == "pending"

    async def test_the_link_of_somebody_who_left_opens_nothing(
        self, retailer: ledger.engine.Database, browse: Browse
    ) -> None:
        path = await mailed(retailer, await an_approval(retailer))

        async def leave(tx: Transaction) -> None:
            await tx.conn.execute(update(tables.person).where(tables.person.c.id == "ana.ruiz").values(active=False))

        await retailer.write(leave, actor="test", via="test")
        assert (await browse().get(path)).status_code == 404


class TestForwarded:
    """Somebody else has opened the link: it says whose it is, and what they can do instead."""

    async def test_whoever_may_decide_too_is_led_to_do_so_as_themselves(
        self, retailer: ledger.engine.Database, sign_in: SignIn
    ) -> None:
        async with retailer.engine.begin() as conn:
            grant = {"person_id": "fin.weber", "role": "store_manager", "region": "NORTH"}
            await conn.execute(tables.person_role.insert().values(grant))
        approval_id = await an_approval(retailer)
        path = await mailed(retailer, approval_id)
        page = (await (await sign_in("fin.weber")).get(path)).text
        assert "This link is Ana Ruiz's" in page
        assert f'href="/console/approvals/{approval_id}">Decide it as yourself' in page
        assert "Send verdict" not in page

    async def test_whoever_sees_the_place_and_may_not_decide_can_ask_to_stand_in_once_a_day(
        self, retailer: ledger.engine.Database, sign_in: SignIn
    ) -> None:
        approval_id = await an_approval(retailer, requester="ida.noor")
        path = await mailed(retailer, approval_id)
        sam = await sign_in("sam.ortega")
        page = (await sam.get(path)).text
        assert "Ask Ana Ruiz to let me stand in" in page
        assert "Refund of W-1" in page
        for _ in range(2):
            answer = await sam.post(f"{path}/stand-in")
            assert "Ana Ruiz is asked by mail" in answer.text
        asked = [row for row in await rows(retailer, tables.mail) if row["template"] == "delegation_asked"]
        assert [(row["person_id"], row["context"]) for row in asked] == [("ana.ruiz", {"asked_by": "sam.ortega"})]
        assert await rows(retailer, tables.delegation) == []

    async def test_to_somebody_of_another_region_it_shows_nothing_of_what_it_asks(
        self, retailer: ledger.engine.Database, sign_in: SignIn
    ) -> None:
        path = await mailed(retailer, await an_approval(retailer))
        answer = await (await sign_in("sol.byrne")).get(path)
        assert answer.status_code == 403
        assert "This link is Ana Ruiz's" in answer.text
        for words in ("Refund", "30.00", "Sam Ortega", "S1"):
            assert words not in answer.text

    async def test_nobody_who_is_not_signed_in_or_is_the_addressee_asks_to_stand_in(
        self, retailer: ledger.engine.Database, browse: Browse, sign_in: SignIn
    ) -> None:
        path = await mailed(retailer, await an_approval(retailer))
        before = len(await rows(retailer, tables.mail))
        for client in (browse(), await sign_in("ana.ruiz"), await sign_in("ida.noor")):
            assert (await client.post(f"{path}/stand-in")).status_code == 403
        assert (await browse().post("/a/nonsense/stand-in")).status_code == 404
        assert len(await rows(retailer, tables.mail)) == before

    async def test_a_new_link_goes_to_the_addressee_whoever_asks(
        self, retailer: ledger.engine.Database, sign_in: SignIn
    ) -> None:
        path = await mailed(retailer, await an_approval(retailer), hours=-1)
        await (await sign_in("sam.ortega")).post(f"{path}/again", data={"send": "yes"})
        again = [row for row in await rows(retailer, tables.mail) if row["context"].get("occasion") == "again"]
        assert [row["person_id"] for row in again] == ["ana.ruiz"]


class TestCode:
    """Where policy wants it, a code that stands in the mail is asked for before a verdict is taken."""

    async def test_the_right_code_decides_also_with_a_space_in_it(
        self, retailer: ledger.engine.Database, browse: Browse
    ) -> None:
        approval_id = await an_approval(retailer)
        path = await mailed(retailer, approval_id, code="012345")
        ana = browse()
        page = (await ana.get(path)).text
        assert "Code from the mail" in page
        assert "012345" not in page
        form = form_of(page) | {"verdict": "approve", "code": "012 345"}
        assert (await ana.post(path, data=form)).status_code == 303
        assert await state_of(retailer, approval_id) == "approved"

    async def test_without_the_code_nothing_is_decided_and_what_was_written_stays(
        self, retailer: ledger.engine.Database, browse: Browse
    ) -> None:
        approval_id = await an_approval(retailer)
        path = await mailed(retailer, approval_id, code="012345")
        ana = browse()
        form = form_of((await ana.get(path)).text) | {"verdict": "reject", "note": "far too much"}
        answer = await ana.post(path, data=form)
        assert (answer.status_code, "4 tries are left" in answer.text) == (403, True)
        assert "far too much" in answer.text
        assert await state_of(retailer, approval_id) == "pending"

    async def test_five_wrong_ones_lock_the_link_and_a_new_one_can_be_asked_for(
        self, retailer: ledger.engine.Database, browse: Browse
    ) -> None:
        approval_id = await an_approval(retailer)
        path = await mailed(retailer, approval_id, code="012345")
        ana = browse()
        form = form_of((await ana.get(path)).text) | {"verdict": "approve"}
        for number in range(5):
            answer = await ana.post(path, data=form | {"code": f"99999{number}"})
            assert answer.status_code == 403
        right = await ana.post(path, data=form | {"code": "012345"})
        assert right.status_code == 409
        shown = await browse().get(path)
        assert (shown.status_code, "takes no answer any more" in shown.text) == (410, True)
        assert await state_of(retailer, approval_id) == "pending"
        assert "on its way" in (await ana.post(f"{path}/again", data={"send": "yes"})).text

    async def test_guesses_at_the_same_moment_are_all_counted(
        self, retailer: ledger.engine.Database, browse: Browse
    ) -> None:
        approval_id = await an_approval(retailer)
        path = await mailed(retailer, approval_id, code="012345")
        ana = browse()
        form = form_of((await ana.get(path)).text) | {"verdict": "approve"}
        await asyncio.gather(*(ana.post(path, data=form | {"code": f"99999{number}"}) for number in range(8)))
        (row,) = await rows(retailer, tables.link)
        assert row["code_misses"] == 5
        assert row["code_hash"] is not None

    async def test_a_form_sent_as_it_was_shown_costs_no_try(
        self, retailer: ledger.engine.Database, browse: Browse
    ) -> None:
        path = await mailed(retailer, await an_approval(retailer), code="012345")
        robot = browse()
        assert (await robot.post(path, data=form_of((await robot.get(path)).text))).status_code == 422
        (row,) = await rows(retailer, tables.link)
        assert row["code_misses"] == 0


class TestSeveral:
    """Where two must agree, each by a link of their own."""

    async def test_the_page_says_who_has_agreed_and_whose_word_is_missing(
        self, retailer: ledger.engine.Database, browse: Browse, sign_in: SignIn
    ) -> None:
        async def two(tx: Transaction) -> None:
            body = {"approvals": {"quorum": 2}}
            row = {"version": "two", "effective_from": datetime(2020, 1, 1, tzinfo=UTC), "body": body}
            await tx.conn.execute(tables.policy_document.insert().values(row))

        await retailer.write(two, actor="test", via="test")
        approval_id = await an_approval(retailer)  # one manager is too few: finance is asked at once
        ana, fin = browse(), browse()
        hers, his = await mailed(retailer, approval_id), await mailed(retailer, approval_id, "fin.weber")
        page = (await ana.get(hers)).text
        assert "0 of 2 have agreed." in page
        assert "One more has agreed" not in page
        assert "Once one more has agreed" in page
        before = form_of((await fin.get(his)).text)
        assert (await ana.post(hers, data=form_of(page) | {"verdict": "approve"})).status_code == 303
        assert await state_of(retailer, approval_id) == "pending"
        page = (await ana.get(hers)).text
        for words in (
            "1 of 2 has agreed.",
            "Ana Ruiz agreed, ",
            "Fin Weber&#39;s word is missing.",
            "You have agreed.",
        ):
            assert words in page
        assert 'value="approve"' not in page
        again = await ana.post(hers, data=form_of(page) | {"verdict": "approve"})
        assert (again.status_code, "You have agreed already" in again.text) == (409, True)
        sam = await sign_in("sam.ortega")
        assert "1 of 2 agreed" in (await sam.get("/console/approvals?view=pending")).text
        # What Fin had open before Ana agreed is still what he decides about.
        assert (await fin.post(his, data=before | {"verdict": "approve"})).status_code == 303
        assert await state_of(retailer, approval_id) == "approved"
        assert "Approved by Ana Ruiz and Fin Weber" in (await ana.get(hers)).text


class TestConsolePage:
    async def test_the_list_shows_what_waits_for_the_viewer(
        self, retailer: ledger.engine.Database, sign_in: SignIn
    ) -> None:
        await an_approval(retailer)
        ana, sam = await sign_in("ana.ruiz"), await sign_in("sam.ortega")
        assert "Refund of W-1" in (await ana.get("/console/approvals")).text
        assert "Nothing waits for you" in (await sam.get("/console/approvals")).text
        assert "Refund of W-1" in (await sam.get("/console/approvals?view=pending")).text

    @pytest.mark.parametrize(("person", "status"), [("sam.ortega", 403), ("fin.weber", 403), ("sol.byrne", 404)])
    async def test_who_may_not_decide_is_refused_by_name(
        self, retailer: ledger.engine.Database, sign_in: SignIn, person: str, status: int
    ) -> None:
        approval_id = await an_approval(retailer)
        client = await sign_in(person)
        answer = await client.post(f"/console/approvals/{approval_id}/verdict", data={"verdict": "approve"})
        assert answer.status_code == status
        assert await state_of(retailer, approval_id) == "pending"
