"""Owners of a region: everybody who is asked, gaps said plainly, other regions out of sight."""

import re

import ledger.engine
from domain.case_kinds import KINDS
from ledger import tables
from tests.web.people import SignIn, accounts, browse, sign_in

__all__ = ["accounts", "browse", "sign_in"]


async def test_every_kind_is_listed_with_its_owner_and_who_is_asked_next(sign_in: SignIn) -> None:
    page = (await (await sign_in("sam.ortega")).get("/console/owners")).text
    for kind in KINDS.values():
        assert kind.title in page
    assert "Regional ops: Sam Ortega" in page
    assert "Sol Byrne" not in page


async def test_a_role_that_nobody_holds_is_said(sign_in: SignIn) -> None:
    page = (await (await sign_in("sam.ortega")).get("/console/owners")).text
    gaps = {kind.title for kind in KINDS.values() if kind.owner_role in ("integration_owner", "admin")}
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
