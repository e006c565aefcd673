"""Talking to channels about the prices of a promotion, outside of any transaction; what they show is then recorded."""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from temporalio import activity

from activities.taking import patient
from domain.errors import Malformed
from domain.messages import Situation, Step
from domain.promotion import PRICES_DUE
from ledger import situations
from ledger.engine import Database
from ledger.promotion import publishing, steps, telling
from ledger.promotion.prices import PriceKey
from ledger.promotion.publishing import Task
from ledger.promotion.telling import ToShow, Tried
from ports.price import ChannelAway, PriceAt, PricePort, PriceToShow

log = logging.getLogger("endcap.prices")
# A channel is talked to for so long; then the journey looks at what else is due, and goes on.
SLICE_S = 40.0
# Conversations in a row that end without an answer; then the channel is away, and the run is over.
AWAY_AFTER = 2
# Prices in a row at which it chokes alone; then it is no price that is to blame.
CHOKES = 3
# How often a channel is told again what is right, when somebody who was overtaken has told it something else.
TELL_AGAIN = 3


class Slice(NamedTuple):
    """What came of talking to a channel: whether all its rows are there, and why it was away."""

    is_made: bool
    away: str


class PublishingActivities:
    """`channels` are the adapters by channel."""

    def __init__(self, database: Database, channels: Mapping[str, PricePort], *, slice_s: float = SLICE_S) -> None:
        self._database = database
        self._channels = channels
        self._slice_s = slice_s

    @activity.defn(name="promotion.publish")
    @patient
    async def publish(self, step: Step) -> Situation:
        """Talk to one channel (`step.due` is `prices:<channel>`) for a while: tell it of prices, read them back, write
        down what it shows. Taken up where the last one ended, whoever took it.
        """
        channel = (step.due or "").removeprefix(PRICES_DUE)
        if not channel:
            raise Malformed("A publishing step names its channel.")
        task = await publishing.task_of(self._database, step.subject, channel)
        if task is None:  # the channel's prices are over already: there is nothing to do
            async with self._database.read() as conn:
                return await situations.recorded(conn, step.subject)
        done = await self._talk(task)
        return await steps.end_slice(self._database, step, task, is_made=done.is_made, away=done.away)

    async def _talk(self, task: Task) -> Slice:
        until = time.monotonic() + self._slice_s
        while await publishing.make_rows(self._database, task):
            activity.heartbeat("made")
            if time.monotonic() >= until:
                return Slice(is_made=False, away="")
        port = self._channels.get(task.channel)
        if port is None:
            return Slice(is_made=True, away="no adapter is set for it (ENDCAP_PRICE_CHANNELS)")
        return await self._tell(port, task, until)

    async def _tell(self, port: PricePort, task: Task, until: float) -> Slice:
        silent, told = 0, 0
        while time.monotonic() < until:
            number, prices = await telling.take(self._database, task)
            if not prices:
                break

            async def is_newest(number: int = number) -> bool:
                return await telling.is_newest(self._database, task, number)

            try:
                tried = await _apart(Talk(port, task, number, is_newest), prices, Patience())
                silent = 0
            except OvertakenError:
                break  # somebody else talks about it, or it is over: what was read is of yesterday
            except ChannelAway as away:
                silent += 1
                if silent >= AWAY_AFTER:
                    return Slice(is_made=True, away=str(away))
            else:
                recorded = await telling.record(self._database, task, tried, number)
                told += recorded.right
                if recorded.late:
                    await self._tell_again(port, task, recorded.late)
                    break
            activity.heartbeat(told)
        return Slice(is_made=True, away="")

    async def _tell_again(self, port: PricePort, task: Task, keys: list[PriceKey]) -> None:
        """The channel was told these prices after somebody had overtaken us: it is told what is right by now, until it
        shows that. Raises `ChannelAway` where it does not, so that the activity is tried again.
        """
        for _ in range(TELL_AGAIN):
            number, prices = await telling.take_right(self._database, task, keys)
            tried = await _converse(Talk(port, task, number), prices)
            keys = [one.key for one in tried if one.seen != one.wanted]
            if not keys:
                return
        log.error(
            "%s: %d prices of %s were told late, and are not shown right", task.channel, len(keys), task.journey_id
        )


class OvertakenError(Exception):
    """Somebody else has begun to talk to the channel about these prices, or nobody is to do so any more."""


async def _always() -> bool:
    return True


class Talk(NamedTuple):
    """A conversation with a channel; `is_newest` says whether it still is the one that counts."""

    port: PricePort
    task: Task
    number: int
    is_newest: Callable[[], Awaitable[bool]] = _always


class Patience:
    """How many prices in a row may each choke a channel by themselves before it counts as away."""

    def __init__(self) -> None:
        self.left = CHOKES

    def spend(self) -> bool:
        """Whether there is any left."""
        self.left -= 1
        return self.left > 0


async def _apart(talk: Talk, prices: list[ToShow], patience: Patience) -> list[Tried]:
    """Converse about all of them; where the channel chokes, about each half, until the price to blame is alone. Raises
    `ChannelAway`, `OvertakenError`.
    """
    try:
        tried = await _converse(talk, prices)
    except ChannelAway as away:
        if not away.chokes:
            raise
        if len(prices) == 1:
            if not patience.spend():
                raise
            return [Tried(prices[0].key, prices[0].wanted, None, str(away))]
    else:
        patience.left = CHOKES
        return tried
    half = len(prices) // 2
    return [*await _apart(talk, prices[:half], patience), *await _apart(talk, prices[half:], patience)]


async def _converse(talk: Talk, prices: list[ToShow]) -> list[Tried]:
    """Look first at what was sent before, send what is not right, look again. Raises `ChannelAway`, and
    `OvertakenError` before it sends what somebody else has taken over.
    """
    port, task = talk.port, talk.task
    seen = dict(await port.shown([_at(one.key) for one in prices if one.sent]))
    unseen = [one for one in prices if seen.get(_at(one.key)) != one.wanted]
    refused: Mapping[PriceAt, str] = {}
    if unseen:
        if not await talk.is_newest():
            raise OvertakenError
        refused = await port.publish(
            [PriceToShow(_at(one.key), one.wanted, task.currency, talk.number) for one in unseen]
        )
        seen |= await port.shown([_at(one.key) for one in unseen if _at(one.key) not in refused])
    return [Tried(one.key, one.wanted, seen.get(_at(one.key)), refused.get(_at(one.key), "")) for one in prices]


def _at(key: PriceKey) -> PriceAt:
    return PriceAt(*key)
