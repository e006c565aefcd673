"""Open pages, and what each has not been told yet.

Pages whose people have the same grants are told together, a few at a time: they ask for the same rows at the same
moment then, and one reading is enough for them (`web.console.refreshing`).
"""

import asyncio
import json
import secrets
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from domain.people import Grant, Person
from ledger import sessions
from ledger.listening import Change

MOST_NAMED = 50  # rows named in one event; of more it says that there are many
MOST_TOGETHER = 8  # what they ask for comes as a whole, and somebody who opens a page stands behind it
EVENTS_APART_S = 0.5
LOOKS_APART_S = 12.0


class News:
    """What has changed, as numbers and versions: {"case": {17: 4}, "new": ["case"]}, or that there is much.

    `mark` is how much had been heard when it was told; `look` has lists of cases looked at as a whole.
    """

    def __init__(self) -> None:
        self.mark = ""
        self.look = False
        self.changed: dict[str, dict[int, int]] = defaultdict(dict)
        self.new: set[str] = set()
        self.many = False
        self._text: str | None = None

    def add(self, change: Change) -> None:
        named = self.changed[change.what]
        if self.many or (len(named) >= MOST_NAMED and change.id not in named):
            self.add_many()
            return
        named[change.id] = max(change.version, named.get(change.id, 0))
        if change.is_new:
            self.new.add(change.what)

    def add_many(self) -> None:
        """More than can be named has changed, or may have."""
        self.changed.clear()
        self.new.clear()
        self.many = True

    def with_later(self, later: "News") -> "News":
        """Both, for a page that has not taken the first one yet."""
        both = News()
        both.mark, both.look = later.mark, self.look or later.look
        both.many = self.many or later.many
        for one in () if both.many else (self, later):
            both.new |= one.new
            for what, named in one.changed.items():
                together = both.changed[what]
                together |= {number: max(version, together.get(number, 0)) for number, version in named.items()}
        if any(len(named) > MOST_NAMED for named in both.changed.values()):
            both.add_many()
        return both

    @property
    def told(self) -> dict[str, Any]:
        """As the page gets it."""
        if self.many:
            return {"many": True}
        look = {"look": True} if self.look else {}
        return {**self.changed, "new": sorted(self.new), **look}

    @property
    def text(self) -> str:
        """The event, written once for all that are told together."""
        if self._text is None:
            data = json.dumps(self.told, separators=(",", ":"))
            self._text = f"id: {self.mark}\nevent: changed\ndata: {data}\n\n"
        return self._text


class Watcher:
    """One open page: who looks, by which session, and what it has not been told yet."""

    def __init__(self, person: Person, token: str) -> None:
        self.person = person
        self.session = sessions.hash_of(token)
        self.ended: str | None = None  # why the stream ends, in the word that the page knows
        self.wake = asyncio.Event()
        self._news: News | None = None

    def tell(self, news: News) -> None:
        self._news = news if self._news is None else self._news.with_later(news)
        self.wake.set()

    def end(self, why: str) -> None:
        self.ended = self.ended or why
        self.wake.set()

    def take(self) -> News | None:
        """What is to be told now."""
        self.wake.clear()
        news, self._news = self._news, None
        return news


class Cohort:
    """Pages with the same grants, told at the same moments: at once, and then no sooner than half a second later."""

    def __init__(self, mark: Callable[[], str]) -> None:
        self.watchers: set[Watcher] = set()
        self._mark = mark
        self._news = News()
        self._timer: asyncio.TimerHandle | None = None
        self._told_at = float("-inf")
        # Not all cohorts of one morning at the same moment.
        self._look_at = asyncio.get_running_loop().time() + LOOKS_APART_S * (0.5 + secrets.randbelow(500) / 1000)
        self._has_changed = False  # since the lists were looked at

    def hear(self, change: Change | None) -> None:
        """A change that all of them may see; None for any number of them."""
        if change is None:
            self._news.add_many()
        else:
            self._news.add(change)
            self._has_changed |= change.what == "case"
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(max(self._told_at + EVENTS_APART_S, loop.time()), self._tell)

    def _tell(self) -> None:
        self._timer = None
        news, self._news = self._news, News()
        news.mark = self._mark()
        self._told_at = now = asyncio.get_running_loop().time()
        if self._has_changed and now >= self._look_at:
            news.look, self._has_changed, self._look_at = True, False, now + LOOKS_APART_S
        for watcher in self.watchers:
            watcher.tell(news)

    def close(self) -> None:
        """Nobody is left, or is to be told anything more."""
        if self._timer is not None:
            self._timer.cancel()


class Cohorts:
    """All open pages by what their people may see."""

    def __init__(self, mark: Callable[[], str]) -> None:
        self._mark = mark
        self._by_grants: dict[tuple[Grant, ...], list[Cohort]] = defaultdict(list)

    @property
    def all(self) -> list[Cohort]:
        return [cohort for alike in self._by_grants.values() for cohort in alike]

    def join(self, watcher: Watcher) -> None:
        alike = self._by_grants[watcher.person.grants]
        for cohort in alike:
            if len(cohort.watchers) < MOST_TOGETHER:
                cohort.watchers.add(watcher)
                return
        alike.append(Cohort(self._mark))
        alike[-1].watchers.add(watcher)

    def leave(self, watcher: Watcher) -> None:
        """A second time does nothing."""
        grants = watcher.person.grants
        alike = self._by_grants.get(grants, [])
        for cohort in alike:
            if watcher in cohort.watchers:
                cohort.watchers.remove(watcher)
                if not cohort.watchers:
                    cohort.close()
                    alike.remove(cohort)
                break
        if not alike:
            self._by_grants.pop(grants, None)

    def hear(self, change: Change | None) -> None:
        """None: any number may have been missed."""
        for grants, alike in self._by_grants.items():
            if change is None or any(grant.covers(change.entity, change.region, change.location) for grant in grants):
                for cohort in alike:
                    cohort.hear(change)
