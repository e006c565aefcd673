"""Comments, who is told of them, and canned replies."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import insert

from domain.errors import Malformed, NotAllowed, NotFound, StateConflict
from domain.messages import Step
from domain.people import Grant, Person
from ledger import case, replies
from ledger.bopis import steps
from ledger.reads import comments
from ledger.reads.case_filter import CaseFilter
from ledger.reads.case_lists import list_cases
from ledger.reads.cases import case_detail
from ledger.tables import person, person_role, policy_document
from tests.shop import ADA, ANA, FIN, MAX, Shop

FAR = Person("far", "Far Away", "far@shop.example", (Grant("regional_ops", "", "R9", ""),))


async def a_case(shop: Shop) -> int:
    journey = await shop.order(8)
    told = await steps.open_case(shop.database, Step(subject=journey, occurrence="1", at=datetime.now(UTC)))
    assert told.case_id is not None
    return told.case_id


async def say(shop: Shop, case_id: int, by: Person, text: str, *tell: str) -> list[str]:
    """Who was told."""
    event_id = await case.comment(shop.database, case_id, by, text=text, tell=tell, via="test")
    async with shop.database.read() as conn:
        return [one.id for one in (await comments.told_on(conn, case_id)).get(event_id, [])]


async def waiting_for(shop: Shop, who: Person) -> list[tuple[int, str]]:
    async with shop.database.read() as conn:
        return [(one.case_id, one.comment.text) for one in await comments.unanswered(conn, who)]


@pytest.fixture
async def far(shop: Shop) -> Person:
    """Somebody of another region."""
    async with shop.database.engine.begin() as conn:
        await conn.execute(insert(person).values(id=FAR.id, name=FAR.name, email=FAR.email))
        await conn.execute(insert(person_role).values(person_id=FAR.id, **FAR.grants[0]._asdict()))
    return FAR


class TestMentions:
    async def test_who_is_mentioned_is_told_once_and_gets_a_mail(self, shop: Shop) -> None:
        case_id = await a_case(shop)
        assert await say(shop, case_id, ANA, "Look here, @max, and @MAX: what do you think?", "max") == ["max"]
        assert await waiting_for(shop, MAX) == [(case_id, "Look here, @max, and @MAX: what do you think?")]
        assert await waiting_for(shop, ANA) == []
        sent = await shop.value("SELECT count(*) FROM mail WHERE template = 'case_mentioned' AND person_id = 'max'")
        assert sent == 1

    @pytest.mark.parametrize("table", ["mail", "mention", "case_event", "audit"])
    async def test_nothing_of_what_was_written_stands_outside_the_notes(self, shop: Shop, table: str) -> None:
        await say(shop, await a_case(shop), ANA, "Kim Lee has a blue coat, @max")
        found = await shop.value(f"SELECT count(*) FROM {table} t WHERE t::text LIKE '%blue coat%'")  # noqa: S608
        assert found == 0

    async def test_policy_may_leave_the_mail_out(self, shop: Shop) -> None:
        async with shop.database.engine.begin() as conn:
            body = {"cases": {"mention_mail": False}}
            start = datetime(2020, 1, 1, tzinfo=UTC)
            await conn.execute(insert(policy_document).values(version="quiet", effective_from=start, body=body))
        assert await say(shop, await a_case(shop), ANA, "@max?") == ["max"]
        assert await shop.value("SELECT count(*) FROM mail WHERE template = 'case_mentioned'") == 0

    async def test_who_does_not_see_the_case_is_not_told(self, shop: Shop, far: Person) -> None:
        case_id = await a_case(shop)
        assert await say(shop, case_id, ANA, "@far and @nobody should know") == []
        with pytest.raises(Malformed, match="far does not see this case"):
            await say(shop, case_id, ANA, "Look", far.id)
        with pytest.raises(NotFound):
            await say(shop, case_id, far, "Hello")
        assert await shop.value("SELECT count(*) FROM case_event WHERE kind = 'comment'") == 1

    async def test_nobody_tells_themselves(self, shop: Shop) -> None:
        assert await say(shop, await a_case(shop), ANA, "Remember this, @ana", "ana") == []

    async def test_too_many_at_once_are_refused_and_nothing_is_kept(self, shop: Shop) -> None:
        case_id = await a_case(shop)
        with pytest.raises(Malformed, match="20 people at most"):
            await say(shop, case_id, ANA, " ".join(f"@p{number}" for number in range(21)))
        assert await shop.value("SELECT count(*) FROM case_event WHERE kind = 'comment'") == 0

    async def test_an_answer_or_a_word_of_having_seen_it_ends_the_waiting(self, shop: Shop) -> None:
        case_id = await a_case(shop)
        await say(shop, case_id, ANA, "@max @fin, please")
        await say(shop, case_id, MAX, "Done.")
        await case.seen(shop.database, case_id, FIN, via="test")
        await case.seen(shop.database, case_id, FIN, via="test")
        assert await waiting_for(shop, MAX) == []
        assert await waiting_for(shop, FIN) == []
        await say(shop, case_id, ANA, "@max, once more")
        assert await waiting_for(shop, MAX) == [(case_id, "@max, once more")]

    async def test_who_has_lost_the_region_is_not_shown_what_mentions_them(self, shop: Shop) -> None:
        case_id = await a_case(shop)
        await say(shop, case_id, ANA, "@max")
        moved = MAX._replace(grants=FAR.grants)
        assert await waiting_for(shop, moved) == []
        with pytest.raises(NotFound):
            await case.seen(shop.database, case_id, moved, via="test")

    async def test_the_queue_finds_what_mentions_somebody(self, shop: Shop) -> None:
        case_id, other = await a_case(shop), await a_case(shop)
        await say(shop, case_id, ANA, "@max")
        await say(shop, other, ANA, "@fin")
        async with shop.database.read() as conn:
            found = await list_cases(conn, MAX, CaseFilter(mentions=MAX.id))
        assert [one.id for one in found.items] == [case_id]

    async def test_the_same_comment_sent_twice_is_one(self, shop: Shop) -> None:
        case_id = await a_case(shop)
        first = await case.comment(shop.database, case_id, ANA, text="Look, @max", via="test")
        assert await case.comment(shop.database, case_id, ANA, text="Look, @max ", via="test") == first
        assert await case.comment(shop.database, case_id, MAX, text="Look, @max", via="test") != first
        assert await shop.value("SELECT count(*) FROM mention") == 1
        assert await shop.value("SELECT count(*) FROM case_event WHERE kind = 'comment'") == 2

    async def test_a_comment_never_changes(self, shop: Shop) -> None:
        case_id = await a_case(shop)
        await say(shop, case_id, ANA, "First")
        with pytest.raises(Exception, match="append"):
            await shop.change("UPDATE case_event SET text = 'x' WHERE case_id = :id", id=case_id)
        async with shop.database.read() as conn:
            assert [one.note for one in (await case_detail(conn, ADA, case_id)).events if one.note] == ["First"]

    async def test_colleagues_are_those_who_see_the_place(self, shop: Shop, far: Person) -> None:
        async with shop.database.read() as conn:
            found = await comments.colleagues(conn, "DE01", "R1", "S1", but="ana")
        assert [one.id for one in found] == ["max", "ada", "fin"]
        assert far.id not in {one.id for one in found}


class TestReplies:
    async def keep(self, shop: Shop, title: str, text: str, kind: str = "", who: Person = ANA) -> int:
        return await replies.save_reply(shop.database, who, kind=kind, title=title, text=text)

    async def titles(self, shop: Shop, kind: str) -> list[str]:
        async with shop.database.read() as conn:
            return [one.title for one in await replies.replies(conn, kind)]

    async def test_those_of_the_kind_come_first_and_those_of_others_not_at_all(self, shop: Shop) -> None:
        await self.keep(shop, "A fresh one", "For {order} at {place}.", "pick_overdue")
        here = await self.titles(shop, "pick_overdue")
        assert here == ["A fresh one", "Called the store", "Waiting for the customer"]
        assert "A fresh one" not in await self.titles(shop, "count_overdue")

    async def test_one_is_worded_anew_and_offered_no_more(self, shop: Shop) -> None:
        number = await self.keep(shop, "Mine", "Once", "pick_overdue")
        again = await replies.save_reply(
            shop.database, ADA, kind="pick_overdue", title="Mine", text="Twice", reply_id=number
        )
        async with shop.database.read() as conn:
            (found,) = [one for one in await replies.replies(conn, "pick_overdue") if one.title == "Mine"]
        assert (again, found.text, found.changed_by) == (number, "Twice", "ada")
        await replies.retire_reply(shop.database, ANA, number)
        assert "Mine" not in await self.titles(shop, "pick_overdue")
        with pytest.raises(NotFound):
            await replies.retire_reply(shop.database, ANA, number)
        assert await self.keep(shop, "Mine", "A third", "pick_overdue") != number

    @pytest.mark.parametrize(
        ("title", "text", "kind", "said"),
        [
            ("", "x", "", "title"),
            ("t" * 81, "x", "", "80"),
            ("t", " ", "", "Write a reply"),
            ("t", "x" * 2001, "", "2,000"),
            ("t", "Dear {customer}", "", "{customer} stands for nothing"),
            ("t", "x", "unheard_of", "no kind of case unheard_of"),
        ],
    )
    async def test_what_is_refused_says_what_to_change(
        self, shop: Shop, title: str, text: str, kind: str, said: str
    ) -> None:
        with pytest.raises(Malformed, match=said):
            await self.keep(shop, title, text, kind)

    async def test_a_title_stands_once_for_a_kind(self, shop: Shop) -> None:
        await self.keep(shop, "Mine", "x", "pick_overdue")
        with pytest.raises(StateConflict, match="already"):
            await self.keep(shop, "mine", "y", "pick_overdue")
        await self.keep(shop, "Mine", "z", "pick_short")

    @pytest.mark.parametrize("who", [MAX, FIN], ids=lambda who: who.id)
    async def test_other_roles_change_none(self, shop: Shop, who: Person) -> None:
        with pytest.raises(NotAllowed):
            await self.keep(shop, "Mine", "x", who=who)
        with pytest.raises(NotAllowed):
            await replies.retire_reply(shop.database, who, 1)
