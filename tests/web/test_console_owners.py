"""Owners of a region: everybody who is asked, gaps said plainly, other regions out of sight."""

import re

import ledger.engine
from domain.case_kinds import KINDS
from ledger import tables
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.retail import PEOPLE

__all__ = ["accounts", "browse", "sign_in"]
HELD = {role for _, role, region in PEOPLE.values() if region in ("", "NORTH")}


async def test_every_kind_is_listed_with_its_owner_and_who_is_asked_next(sign_in: SignIn) -> None:
    page = (await (await sign_in("sam.ortega")).get("/console/owners")).text
    for kind in KINDS.values():
        assert kind.title in page
    assert "Regional ops: Sam Ortega" in page
    assert "Sol Byrne" not in page


async def test_a_role_that_nobody_holds_is_said(sign_in: SignIn) -> None:
    page = (await (await sign_in("sam.ortega")).get("/console/owners")).text
    gaps = [kind for kind in KINDS.values() if kind.owner_role not in HELD]
    assert re.search(rf"<b>{len(gaps)} kinds have", page) is not None
    assert "nobody" in page


async def test_with_somebody_in_every_role_it_says_so(sign_in: SignIn, retailer: ledger.engine.Database) -> None:
    async with retailer.engine.begin() as conn:
        for role in {kind.owner_role for kind in KINDS.values()}:
            await conn.execute(tables.person_role.insert().values(person_id="ida.noor", role=role, region="NORTH"))
    page = (await (await sign_in("sam.ortega")).get("/console/owners?region=NORTH")).text
    assert "Every kind of case has somebody who owns it here" in page


async def test_a_person_who_left_owns_nothing(sign_in: SignIn, retailer: ledger.engine.Database) -> None:
    async with retailer.engine.begin() as conn:
        await conn.execute(tables.person.update().where(tables.person.c.id == "fin.weber").values(active=False))
    page = (await (await sign_in("sam.ortega")).get("/console/owners")).text
    assert "Fin Weber" not in page


async def test_a_region_that_one_does_not_see_is_not_there(sign_in: SignIn) -> None:
    sam = await sign_in("sam.ortega")
    for region in ("SOUTH", "NOWHERE"):
        assert (await sam.get(f"/console/owners?region={region}")).status_code == 404


def proof_of(page: str, region: str) -> list[str]:
    """The figures of a region's row: kinds, with an owner, without one, of which nobody is told."""
    row = re.search(rf'<tr><th scope="row"><a href="/console/owners\?region={region}".*?</tr>', page, re.DOTALL)
    assert row is not None
    return [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<td.*?</td>", row[0])]


async def test_each_region_proves_that_no_kind_is_without_an_owner(
    sign_in: SignIn, retailer: ledger.engine.Database
) -> None:
    ida = await sign_in("ida.noor")
    page = (await ida.get("/console/owners")).text
    total, missing = len(KINDS), sum(kind.owner_role not in HELD for kind in KINDS.values())
    unheard = sum(not {kind.owner_role, *kind.ladder} & HELD for kind in KINDS.values())
    assert unheard
    # Nobody integrates here, and nobody is an admin: of such kinds nobody is told at all.
    assert proof_of(page, "NORTH") == [str(number) for number in (total, total - missing, missing, unheard)]
    assert "Proven" not in page
    async with retailer.engine.begin() as conn:
        for role in {kind.owner_role for kind in KINDS.values()}:
            await conn.execute(tables.person_role.insert().values(person_id="ida.noor", role=role, region="NORTH"))
    page = (await ida.get("/console/owners")).text
    assert proof_of(page, "NORTH") == [str(number) for number in (total, total, 0, 0)]
    assert "Proven" not in page  # the South is not
    assert proof_of(page, "SOUTH")[2] != "0"
    page = (await (await sign_in("sam.ortega")).get("/console/owners")).text
    assert f"each of the {total} kinds of cases has somebody who owns it, in this region" in page


async def test_kinds_of_every_journey_are_among_them(sign_in: SignIn) -> None:
    page = (await (await sign_in("sam.ortega")).get("/console/owners")).text
    for kind in ("reservation_failure", "count_variance", "transfer_short", "return_review", "return_mismatch"):
        assert KINDS[kind].title in page
