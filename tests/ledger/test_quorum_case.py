"""One word of several, and a question, are lines of the timeline of the case that an approval is about."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.errors import AlreadyDecided, NotAllowed
from ledger import case, reference
from ledger.reads.cases import case_detail
from ledger.transaction import Transaction
from tests.ledger.test_quorum import BEN, ask, hire, say, state
from tests.shop import ADA, FIN, MAX, Shop


@pytest.fixture
async def case_id(shop: Shop) -> int:
    """A case that is being decided, and that an approval is about."""

    async def work(tx: Transaction) -> int:
        place, at = await reference.place(tx.conn, "S1"), datetime.now(UTC)
        policy = await reference.policy_at(tx.conn, place, at)
        facts = {"order": "W-1", "units": {}}
        opening = case.Opening("put_away_overdue", "W-1", place, policy, at, facts=facts)
        return (await case.open_case(tx, opening)).id

    number = await shop.database.write(work, actor="test", via="test")
    await shop.change("UPDATE case_file SET state = 'deciding'")
    return number


async def told(shop: Shop, case_id: int) -> list[tuple[str, str, str | None]]:
    """What its timeline says of approvals."""
    async with shop.database.read() as conn:
        events = (await case_detail(conn, None, case_id)).events
    return [(one.kind, one.text, one.note) for one in events if one.kind.startswith("approval_")]


async def test_one_word_of_several(shop: Shop, case_id: int) -> None:
    await hire(shop, BEN)
    number = await ask(shop, 2, case_id=case_id)
    await say(shop, number, MAX, note="Seen the receipt.")
    said = f"Max Weber agreed (approval {number}): 1 of 2, 1 still missing."
    assert await told(shop, case_id) == [("approval_approve", said, "Seen the receipt.")]
    await say(shop, number, BEN)
    assert await state(shop) == "approved"
    assert len(await told(shop, case_id)) == 1  # what the last word leads to is told by what it leads to


async def test_somebodys_stand_in_says_for_whom(shop: Shop, case_id: int) -> None:
    await hire(shop, BEN)
    day, now = timedelta(days=1), datetime.now(UTC)
    await shop.change(
        "INSERT INTO delegation (from_person, to_person, starts_at, ends_at, made_by)"
        " VALUES ('max', 'fin', :since, :until, 'max')",
        since=now - day,
        until=now + day,
    )
    number = await ask(shop, 2, case_id=case_id)
    await say(shop, number, FIN)
    [(_, text, _)] = await told(shop, case_id)
    assert text == f"Fin Olsen agreed for Max Weber (approval {number}): 1 of 2, 1 still missing."


async def test_a_question(shop: Shop, case_id: int) -> None:
    number = await ask(shop, 1, case_id=case_id)
    await say(shop, number, MAX, "ask", "Which receipt?")
    text = f"Max Weber has a question about approval {number}; its clock stands until it is answered."
    assert await told(shop, case_id) == [("approval_ask", text, "Which receipt?")]


async def test_a_word_that_is_refused_leaves_no_line(shop: Shop, case_id: int) -> None:
    await hire(shop, BEN)
    number = await ask(shop, 2, case_id=case_id)
    await say(shop, number, MAX)
    for person, refusal in ((MAX, AlreadyDecided), (ADA, NotAllowed)):
        with pytest.raises(refusal):
            await say(shop, number, person)
    assert len(await told(shop, case_id)) == 1
