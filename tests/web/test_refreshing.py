"""Open queues that look again at the same moment: one reading for those who are alike, and to each what is theirs."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import delete, update

import ledger.engine
from ledger import case, tables
from ledger.people import person_by_id
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.retail import a_case
from tests.web.test_queue_statements import REFRESH, ROWS, statements
from web.console.refreshing import Refreshing

__all__ = ["accounts", "browse", "sign_in"]
PARTIAL = {"HX-Request": "true", "HX-Request-Type": "partial"}
AtOnce = Callable[..., Awaitable[list[httpx2.Response]]]


def shown(page: str) -> list[int]:
    return [int(number) for number in re.findall(r'name="shown" value="(\d+)"', page)]


@pytest.fixture
async def alike(retailer: ledger.engine.Database) -> None:
    """Ana has the role that Sam has."""
    async with retailer.engine.begin() as conn:
        table = tables.person_role
        await conn.execute(update(table).where(table.c.person_id == "ana.ruiz").values(role="regional_ops"))


@pytest.fixture
async def at_once(app: FastAPI, sign_in: SignIn, eventually: Callable[..., Any]) -> AtOnce:
    """`await at_once(change, (client, address), …)`: each has asked before anything is read; `change` happens then."""
    finance = await sign_in("fin.weber")

    async def ask(change: Callable[[], Awaitable[object]] | None, *asked: tuple[httpx2.AsyncClient, str]) -> Any:
        refreshing: Refreshing = app.state.refreshing
        part = refreshing.rows if "row=" in asked[0][1] else refreshing.lists
        name = "row" if "row=" in asked[0][1] else "shown"
        async with refreshing.lane:
            earlier = asyncio.create_task(finance.get(f"/console/queue?{name}=1", headers=PARTIAL))
            await eventually(lambda: part.being_read == 1)
            tasks = [asyncio.create_task(client.get(address, headers=PARTIAL)) for client, address in asked]
            await eventually(lambda: part.waiting == len(asked))
            if change is not None:
                await change()
        await earlier
        return await asyncio.gather(*tasks)

    return ask


async def test_people_who_are_alike_share_a_reading_and_each_is_told_what_is_theirs(
    app: FastAPI, alike: None, sign_in: SignIn, retailer: ledger.engine.Database, at_once: AtOnce
) -> None:
    first, second = await a_case(retailer, "first"), await a_case(retailer, "second")
    ana, sam = await sign_in("ana.ruiz"), await sign_in("sam.ortega")
    assert (await ana.post(f"/console/cases/{first}/claim")).status_code == 303
    for name, most in (("row", ROWS), ("shown", REFRESH)):
        address = f"/console/queue?{name}={first}&{name}={second}"
        alone = [(await client.get(address, headers=PARTIAL)).text for client in (ana, sam)]
        with statements(app) as sent:
            both = await at_once(None, (ana, address), (sam, address))
        # The one that is held asks as well; who asks is asked for by each, or for several together.
        assert len(sent) <= 2 * most + 1, "\n".join(sent)
        words = [re.findall(r'>(Decide|Open|Claim)<span class="unseen">', answer.text) for answer in both]
        assert words == [["Decide", "Claim"], ["Open", "Claim"]]
        assert [shown(answer.text) for answer in both] == [[first, second]] * 2
        assert [re.sub(r"-?\d+ (s|min)", "", one.text) for one in both] == [
            re.sub(r"-?\d+ (s|min)", "", one) for one in alone
        ]


async def test_of_different_regions_each_sees_their_own_at_the_same_moment(
    sign_in: SignIn, retailer: ledger.engine.Database, at_once: AtOnce
) -> None:
    north, south = await a_case(retailer, "north"), await a_case(retailer, "south", location="S9")
    sam, sol, ida = [await sign_in(who) for who in ("sam.ortega", "sol.byrne", "ida.noor")]
    for name in ("row", "shown"):
        address = f"/console/queue?{name}={north}&{name}={south}"
        answers = await at_once(None, (sam, address), (sol, address), (ida, address))
        assert [shown(answer.text) for answer in answers] == [[north], [south], [north, south]]


async def test_whoever_has_lost_a_role_sees_nothing_of_what_a_colleague_reads_at_that_moment(
    alike: None, sign_in: SignIn, retailer: ledger.engine.Database, at_once: AtOnce
) -> None:
    number = await a_case(retailer, "first")
    ana, sam = await sign_in("ana.ruiz"), await sign_in("sam.ortega")
    address = f"/console/queue?shown={number}"
    assert [shown(one.text) for one in await at_once(None, (ana, address), (sam, address))] == [[number]] * 2
    async with retailer.engine.begin() as conn:
        await conn.execute(delete(tables.person_role).where(tables.person_role.c.person_id == "ana.ruiz"))
    lost, has = await at_once(None, (ana, address), (sam, address))
    assert (shown(lost.text), "You see no place yet" in lost.text) == ([], True)
    assert shown(has.text) == [number]
    lost, has = await at_once(None, (ana, f"/console/queue?row={number}"), (sam, f"/console/queue?row={number}"))
    assert (lost.text, shown(has.text)) == ("", [number])


async def test_what_changes_after_they_asked_and_before_it_is_read_is_in_it(
    sign_in: SignIn, retailer: ledger.engine.Database, at_once: AtOnce
) -> None:
    number = await a_case(retailer, "first")
    sam, ida = await sign_in("sam.ortega"), await sign_in("ida.noor")
    async with retailer.read() as conn:
        person = await person_by_id(conn, "sam.ortega")
    assert person is not None

    async def claim() -> None:
        await case.claim(retailer, number, person, via="test")

    address = f"/console/queue?row={number}"
    for answer in await at_once(claim, (sam, address), (ida, address)):
        assert ("Sam Ortega" in answer.text, "unclaimed" in answer.text) == (True, False)


async def test_what_is_meant_by_one_person_alone_is_not_shared(
    alike: None, sign_in: SignIn, retailer: ledger.engine.Database, at_once: AtOnce
) -> None:
    number = await a_case(retailer, "first")
    ana, sam = await sign_in("ana.ruiz"), await sign_in("sam.ortega")
    assert (await ana.post(f"/console/cases/{number}/claim")).status_code == 303
    for query in ("tab=mine", "mentions=me"):
        address = f"/console/queue?{query}&row={number}"
        both = [answer.text for answer in await at_once(None, (ana, address), (sam, address))]
        alone = [(await client.get(address, headers=PARTIAL)).text for client in (ana, sam)]
        left = ["Left this list" in one for one in both]
        assert left == ["Left this list" in one for one in alone] == [query == "mentions=me", True]


async def test_pages_that_show_different_rows_get_their_own_and_hear_of_the_rest(
    sign_in: SignIn, retailer: ledger.engine.Database, at_once: AtOnce
) -> None:
    first, second, third = [await a_case(retailer, name) for name in ("first", "second", "third")]
    sam, other = await sign_in("sam.ortega"), await sign_in("sam.ortega")
    answers = await at_once(
        None, (sam, f"/console/queue?shown={second}&shown={first}"), (other, f"/console/queue?shown={third}")
    )
    assert [shown(answer.text) for answer in answers] == [[second, first], [third]]
    assert [re.findall(r"\d new cases?", answer.text) for answer in answers] == [["1 new case"], ["2 new cases"]]


async def test_what_is_wrong_with_one_address_is_said_there_and_nobody_else_suffers(
    sign_in: SignIn, retailer: ledger.engine.Database, at_once: AtOnce
) -> None:
    number = await a_case(retailer, "first")
    sam, other = await sign_in("sam.ortega"), await sign_in("sam.ortega")
    bad, good = await at_once(
        None, (other, f"/console/queue?cursor=of-another-list&shown={number}"), (sam, f"/console/queue?shown={number}")
    )
    assert (bad.status_code, good.status_code) == (422, 200)
    assert shown(good.text) == [number]


async def test_times_are_those_of_each_ones_own_zone(
    alike: None, sign_in: SignIn, retailer: ledger.engine.Database, at_once: AtOnce
) -> None:
    """Days of a filter, and the hours of a place that the master data does not know any more, are the reader's."""
    number = await a_case(retailer, "first")
    ana, sam = await sign_in("ana.ruiz"), await sign_in("sam.ortega")
    async with retailer.engine.begin() as conn:
        where = tables.location.c.code == "S2"
        await conn.execute(update(tables.location).where(where).values(time_zone="Pacific/Kiritimati"))
        home = update(tables.person).where(tables.person.c.id == "ana.ruiz")
        await conn.execute(home.values(home_location="S2"))
    address = f"/console/queue?tab=done&shown={number}"
    there, here = await at_once(None, (ana, address), (sam, address))
    alone = [(await client.get(address, headers=PARTIAL)).text for client in (ana, sam)]
    assert [shown(one.text) for one in (there, here)] == [shown(one) for one in alone] == [[number], [number]]
