"""The matrix of approvers: every kind and band, people by name, gaps said plainly, other places out of sight."""

import re
from datetime import UTC, datetime, timedelta

import pytest

import ledger.engine
from domain.policy import ApprovalPolicy
from ledger import tables
from tests.web.people import SignIn, accounts, browse, sign_in

__all__ = ["accounts", "browse", "sign_in"]
PAGE = "/console/approvers"


async def policy(database: ledger.engine.Database, **approvals: object) -> None:
    async with database.engine.begin() as conn:
        row = {"version": "v", "effective_from": datetime(2020, 1, 1, tzinfo=UTC), "body": {"approvals": approvals}}
        await conn.execute(tables.policy_document.insert().values(row))


async def hire_admin(database: ledger.engine.Database) -> None:
    async with database.engine.begin() as conn:
        await conn.execute(tables.person_role.insert().values(person_id="ida.noor", role="admin"))


async def test_every_kind_is_listed_with_its_amounts_and_people(sign_in: SignIn) -> None:
    page = (await (await sign_in("sam.ortega")).get(PAGE)).text
    for words in ("Refund", "Appeasement", "Write off", "Adjustment", "Count", "Transfer", "200.00 USD", "Ana Ruiz"):
        assert words in page, words
    assert "Every kind of approval has people enough here" in page
    assert "Sol Byrne" not in page


@pytest.mark.parametrize("kind", sorted(ApprovalPolicy().ladders))
def test_every_ladder_ends_with_an_admin_so_that_no_kind_is_without_an_approver(kind: str) -> None:
    ladder = ApprovalPolicy().ladder(kind)
    assert ladder[-1] == "admin"
    assert "finance" in ladder


async def test_a_kind_that_nobody_can_approve_is_named(sign_in: SignIn, retailer: ledger.engine.Database) -> None:
    async with retailer.engine.begin() as conn:
        await conn.execute(tables.person.update().where(tables.person.c.id == "fin.weber").values(active=False))
    sam = await sign_in("sam.ortega")
    page = (await sam.get(PAGE)).text
    said = re.search(r"(\d+) kinds have too few people .* unless somebody gets a role: (.+?)\.</p>", page)
    assert said is not None
    # Finance is asked first, or merchandising, which nobody is here.
    below = {"write_off", "claim", "policy change", "promotion"}
    banded = {
        f"{kind} above the limit of finance" for kind in ("adjustment", "count", "transfer", "claim", "return override")
    }
    named = [one.lower().replace("write off", "write_off") for one in said[2].split(", ")]
    assert set(named) == below | banded
    assert int(said[1]) == len(named)
    assert "nobody" in page
    await hire_admin(retailer)
    assert "Every kind of approval has people enough here" in (await sam.get(PAGE)).text


async def test_what_one_level_is_too_small_for_is_asked_of_the_next_at_once_or_of_nobody(
    sign_in: SignIn, retailer: ledger.engine.Database
) -> None:
    await policy(retailer, quorums={"refund": {"manager": 2}, "count": {"manager": 9}})
    page = (await (await sign_in("sam.ortega")).get(PAGE)).text
    row = page.split('<th scope="row">Refund')[1].split("</tr>")[0]
    assert ">2</td>" in row
    assert row.index("Fin Weber") < row.index("<ol")
    assert "1 kind has too few people to approve it here" in page


async def test_who_stands_in_today_is_named(sign_in: SignIn, retailer: ledger.engine.Database) -> None:
    now = datetime.now(UTC)
    async with retailer.engine.begin() as conn:
        given = {"from_person": "ana.ruiz", "starts_at": now - timedelta(days=1)}
        for taker, ends in (("sam.ortega", now + timedelta(days=1)), ("sol.byrne", now - timedelta(hours=1))):
            await conn.execute(tables.delegation.insert().values(given | {"to_person": taker, "ends_at": ends}))
    page = (await (await sign_in("sam.ortega")).get(PAGE)).text
    assert "Sam Ortega stands in for Ana Ruiz." in page
    assert "Sol Byrne" not in page


async def test_a_place_that_one_does_not_see_is_not_there(sign_in: SignIn) -> None:
    sam = await sign_in("sam.ortega")
    for place in ("S9", "NOWHERE"):
        assert (await sam.get(f"{PAGE}?place={place}")).status_code == 404
    assert (await sam.get(f"{PAGE}?place=S2")).status_code == 200
