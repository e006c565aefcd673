"""Whose a link is: forwarded, of somebody who left, with a code, for several approvals."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import httpx2
import pytest
from sqlalchemy import update

import ledger.engine
from ledger import tables
from ledger.transaction import Transaction
from tests.web.links import form_of, mailed, state_of
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.retail import an_approval, rows

__all__ = ["accounts", "browse", "sign_in"]
Browse = Callable[[], httpx2.AsyncClient]


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
