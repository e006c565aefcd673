"""What open pages are told, and who is told together."""

from collections.abc import Callable
from typing import Any

import pytest

from domain.people import Grant, Person
from ledger.listening import Change
from web import watching
from web.watching import Cohorts, News, Watcher


def change(number: int, version: int = 1, *, what: str = "case", is_new: bool = False, region: str = "R1") -> Change:
    return Change(what, number, version, is_new, "DE01", region, "S1")


def somebody(name: str = "ana", region: str = "R1") -> Watcher:
    person = Person(name, name, f"{name}@shop.example", (Grant("regional_ops", "", region, ""),))
    return Watcher(person, f"token of {name}")


class TestNews:
    """What one page, or several, are told at one moment."""

    def test_each_is_named_once_in_its_newest_version(self) -> None:
        news = News()
        for version in (2, 4, 3):
            news.add(change(17, version))
        news.add(change(18, is_new=True))
        assert news.told == {"case": {17: 4, 18: 1}, "new": ["case"]}

    def test_more_than_can_be_named_are_many_however_many_they_are(self) -> None:
        news = News()
        for number in range(10 * watching.MOST_NAMED):
            news.add(change(number))
        assert sum(len(named) for named in news.changed.values()) <= watching.MOST_NAMED
        assert news.told == {"many": True}

    def test_a_page_that_has_not_taken_what_came_first_is_told_of_both_at_once(self) -> None:
        page, first, second = somebody(), News(), News()
        for news, number in ((first, 17), (first, 18), (second, 17)):
            news.add(change(number, 5 if news is first and number == 17 else 1, is_new=news is second))
        first.mark, second.mark, first.look = "e-3", "e-4", True
        page.tell(first)
        page.tell(second)
        taken = page.take()
        assert taken is not None
        assert taken.told == {"case": {17: 5, 18: 1}, "new": ["case"], "look": True}
        assert taken.text.startswith("id: e-4\nevent: changed\n")
        assert page.take() is None
        assert first.told["case"] == {17: 5, 18: 1}  # others hold the same news
        assert second.told == {"case": {17: 1}, "new": ["case"]}

    def test_a_page_that_takes_nothing_costs_no_more_memory(self) -> None:
        page = somebody()
        for number in range(10 * watching.MOST_NAMED):
            news = News()
            news.add(change(number))
            page.tell(news)
            taken = page._news
            assert taken is not None
            assert sum(len(named) for named in taken.changed.values()) <= watching.MOST_NAMED
        found = page.take()
        assert found is not None
        assert found.told == {"many": True}


class TestCohorts:
    """Who is told together."""

    async def test_pages_with_the_same_grants_are_told_the_same_at_the_same_moment(
        self, eventually: Callable[..., Any]
    ) -> None:
        cohorts = Cohorts(lambda: "e-1")
        ana, sam, sol = somebody("ana"), somebody("sam"), somebody("sol", "R2")
        for page in (ana, sam, sol):
            cohorts.join(page)
        for number in (1, 2):
            cohorts.hear(change(number))
        await eventually(ana.wake.is_set)
        first, second = ana.take(), sam.take()
        assert first is not None
        assert first is second
        assert first.told == {"case": {1: 1, 2: 1}, "new": []}
        assert sol.take() is None

    async def test_many_pages_with_the_same_grants_are_several_cohorts(self) -> None:
        cohorts = Cohorts(lambda: "e-1")
        pages = [somebody(f"p{number}") for number in range(2 * watching.MOST_TOGETHER + 1)]
        for page in pages:
            cohorts.join(page)
        assert [len(one.watchers) for one in cohorts.all] == [watching.MOST_TOGETHER, watching.MOST_TOGETHER, 1]
        for page in pages[: watching.MOST_TOGETHER]:
            cohorts.leave(page)
            cohorts.leave(page)  # a second time does nothing
        assert [len(one.watchers) for one in cohorts.all] == [watching.MOST_TOGETHER, 1]
        cohorts.join(pages[0])
        assert [len(one.watchers) for one in cohorts.all] == [watching.MOST_TOGETHER, 2]

    async def test_who_leaves_is_told_nothing_and_the_others_are(self, eventually: Callable[..., Any]) -> None:
        cohorts = Cohorts(lambda: "e-1")
        ana, sam = somebody("ana"), somebody("sam")
        for page in (ana, sam):
            cohorts.join(page)
        cohorts.hear(change(1))
        cohorts.leave(ana)
        await eventually(sam.wake.is_set)
        assert ana.take() is None
        cohorts.leave(sam)
        assert cohorts.all == []

    async def test_lists_are_looked_at_when_it_is_time_and_something_has_changed(
        self, eventually: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(watching, "LOOKS_APART_S", 0.0)
        monkeypatch.setattr(watching, "EVENTS_APART_S", 0.0)
        cohorts, page = Cohorts(lambda: "e-1"), somebody()
        cohorts.join(page)
        told = []
        for one in (change(7, what="approval"), change(1), None, change(8, what="approval")):
            cohorts.hear(one)
            await eventually(page.wake.is_set)
            news = page.take()
            assert news is not None
            told.append(news.told)
        # An approval changes no list of cases; of many every page looks by itself.
        assert told == [
            {"approval": {7: 1}, "new": []},
            {"case": {1: 1}, "new": [], "look": True},
            {"many": True},
            {"approval": {8: 1}, "new": []},
        ]

    async def test_lists_are_not_looked_at_again_so_soon(
        self, eventually: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(watching, "LOOKS_APART_S", 100_000.0)
        cohorts, page = Cohorts(lambda: "e-1"), somebody()
        cohorts.join(page)
        cohorts.hear(change(1))
        await eventually(page.wake.is_set)
        news = page.take()
        assert news is not None
        assert "look" not in news.told
