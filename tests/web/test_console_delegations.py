"""The page of delegations: dates as people write them, whose they are, ended at once, refused with what was typed."""

from datetime import UTC, datetime, timedelta

import pytest

import ledger.engine
from ledger import tables
from tests.web.people import SignIn, accounts, browse, email_of, sign_in
from tests.web.retail import an_approval, rows

__all__ = ["accounts", "browse", "sign_in"]
PAGE = "/console/delegations"


def days(to: str, *, giver: str = "") -> dict[str, str]:
    today = datetime.now(UTC).date()
    first, last = (today + timedelta(days=number) for number in (0, 3))
    others = {"for": email_of(giver)} if giver else {}
    return {"to": email_of(to), "start": first.isoformat(), "until": last.isoformat(), **others}


async def make_admin(database: ledger.engine.Database, person_id: str) -> None:
    async with database.engine.begin() as conn:
        await conn.execute(tables.person_role.insert().values(person_id=person_id, role="admin"))


async def test_the_last_day_counts_in_full_and_today_begins_now(
    sign_in: SignIn, retailer: ledger.engine.Database
) -> None:
    ana = await sign_in("ana.ruiz")
    wanted = days("fin.weber")
    assert (await ana.post(PAGE, data=wanted)).status_code == 303
    (row,) = await rows(retailer, tables.delegation)
    assert (row["from_person"], row["to_person"]) == ("ana.ruiz", "fin.weber")
    assert row["starts_at"] <= datetime.now(UTC)
    assert row["ends_at"] == datetime.fromisoformat(wanted["until"]).replace(tzinfo=UTC) + timedelta(days=1)
    page = (await ana.get(PAGE)).text
    assert "Fin Weber" in page
    assert "End now" in page


async def test_whoever_stands_in_decides_from_their_own_list_and_the_record_says_for_whom(
    sign_in: SignIn, retailer: ledger.engine.Database
) -> None:
    approval_id = await an_approval(retailer)
    fin, ana = await sign_in("fin.weber"), await sign_in("ana.ruiz")
    assert "Nothing waits for you" in (await fin.get("/console/approvals")).text
    await ana.post(PAGE, data=days("fin.weber"))
    assert "Refund of W-1" in (await fin.get("/console/approvals")).text
    path = f"/console/approvals/{approval_id}"
    assert "You stand in for Ana Ruiz." in (await fin.get(path)).text
    assert (await fin.post(f"{path}/verdict", data={"verdict": "approve"})).status_code == 303
    assert "Approved by Fin Weber for Ana Ruiz" in (await ana.get(path)).text


async def test_ended_on_the_page_it_is_over_at_once(sign_in: SignIn, retailer: ledger.engine.Database) -> None:
    ana, fin = await sign_in("ana.ruiz"), await sign_in("fin.weber")
    await ana.post(PAGE, data=days("fin.weber"))
    (row,) = await rows(retailer, tables.delegation)
    assert (await fin.post(f"{PAGE}/{row['id']}/end")).status_code == 303
    page = (await ana.get(PAGE)).text
    assert "ended by Fin Weber" in page
    assert "End now" not in page
    assert (await ana.post(f"{PAGE}/{row['id']}/end")).status_code == 409


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        ({"to": "nobody@stores.example"}, "Nobody who works here signs in as nobody@stores.example"),
        ({"to": "ana.ruiz@stores.example"}, "nobody stands in for themselves"),
        ({"start": "3 March"}, "Write the first day as year-month-day"),
        ({"until": ""}, "Write the last day as year-month-day"),
        ({"until": "2001-01-01"}, "The last day is before the first one"),
        ({"until": "9999-12-31"}, "with its full year"),
        ({"until": "2899-12-31"}, "longer than a year"),
        ({"for": "sam.ortega@stores.example"}, "Only Sam Ortega or an admin"),
    ],
)
async def test_what_is_wrong_is_said_and_what_was_typed_stays(
    sign_in: SignIn, retailer: ledger.engine.Database, sent: dict[str, str], says: str
) -> None:
    ana = await sign_in("ana.ruiz")
    typed = days("fin.weber") | sent
    answer = await ana.post(PAGE, data=typed)
    assert answer.status_code in (403, 422)
    assert says in answer.text
    if "for" not in sent:
        for name in ("to", "start", "until"):
            assert f'name="{name}"' in answer.text
            assert f'value="{typed[name]}"' in answer.text
    assert await rows(retailer, tables.delegation) == []


async def test_a_circle_is_refused(sign_in: SignIn, retailer: ledger.engine.Database) -> None:
    ana, sam = await sign_in("ana.ruiz"), await sign_in("sam.ortega")
    await ana.post(PAGE, data=days("sam.ortega"))
    answer = await sam.post(PAGE, data=days("ana.ruiz"))
    assert (answer.status_code, "That would be a circle" in answer.text) == (409, True)


async def test_an_admin_sees_and_makes_everybodys_and_nobody_else_does(
    sign_in: SignIn, retailer: ledger.engine.Database
) -> None:
    await make_admin(retailer, "fin.weber")
    fin, sam = await sign_in("fin.weber"), await sign_in("sam.ortega")
    made = await fin.post(PAGE, data=days("sam.ortega", giver="ana.ruiz"))
    assert (made.status_code, made.headers["location"]) == (303, f"{PAGE}?view=all")
    assert "entered by Fin Weber" in (await fin.get(f"{PAGE}?view=all")).text
    sol = await sign_in("sol.byrne")
    for page in (await sol.get(f"{PAGE}?view=all"), await sol.get(PAGE)):
        assert "Sam Ortega" not in page.text
    assert "Everybody" not in (await sam.get(f"{PAGE}?view=all")).text
    (row,) = await rows(retailer, tables.delegation)
    assert (await sol.post(f"{PAGE}/{row['id']}/end")).status_code == 404
    assert (await fin.post(f"{PAGE}/{row['id']}/end", data={"view": "all"})).headers["location"] == f"{PAGE}?view=all"


async def test_the_name_from_a_mail_is_filled_in_and_harmless(sign_in: SignIn) -> None:
    ana = await sign_in("ana.ruiz")
    page = (await ana.get(PAGE, params={"to": '"><script>x</script>'})).text
    assert "<script>x" not in page
