"""A channel that shows prices, behind the real adapter: it can be away, refuse, or say yes and show something else."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import httpx2

from domain.promotion import ShelfPrice
from ports.price import HttpPriceChannel

type Cell = tuple[str, str]  # (location, SKU)


class Channel:
    """What a channel shows from which instant on. `regular` is what it showed before it was told of anything."""

    def __init__(self, name: str, regular: dict[str, int]) -> None:
        self.name = name
        self.regular = regular
        self.told: dict[Cell, dict[datetime, ShelfPrice]] = {}
        self.numbers: dict[tuple[Cell, datetime], int] = {}
        self.minds_numbers = True  # it refuses what is older than what it took
        self.is_away = False
        self.goes_away: Callable[[], bool] = lambda: False
        self.now: datetime | None = None  # the instant at which it is spoken to, where somebody says it
        self.refuses: Callable[[Cell], bool] = lambda _cell: False
        self.lies: Callable[[Cell], bool] = lambda _cell: False  # it says yes, and keeps what it showed
        self.meanwhile: Callable[[], Awaitable[object]] | None = None  # happens once, after it has said yes
        self.chokes: Callable[[Cell], bool] = lambda _cell: False  # one of these fails the whole request
        self.requests = 0
        self.sent = 0  # prices

    def port(self) -> HttpPriceChannel:
        """The adapter that Endcap uses, speaking to this channel."""
        return HttpPriceChannel(
            self.name, "https://channel.example/v1", "key-1", transport=httpx2.MockTransport(self._answer)
        )

    def shows(self, location: str, sku: str, at: datetime) -> ShelfPrice:
        """What customers see at an instant."""
        known = self.told.get((location, sku), {})
        since = sorted(known)
        number = bisect_right(since, at)
        return known[since[number - 1]] if number else ShelfPrice(self.regular[sku])

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.requests += 1
        if self.is_away or self.goes_away():
            return httpx2.Response(503)
        body = json.loads(request.content)
        assert body["channel"] == self.name
        if any(self.chokes((row["location"], row["sku"])) for row in body["prices"]):
            return httpx2.Response(500)
        assert request.headers["Authorization"] == "Bearer key-1"
        take = {"/v1/prices": self._take, "/v1/prices/read": self._read}[request.url.path]
        answer = take(body["prices"])
        if self.meanwhile is not None:
            happens, self.meanwhile = self.meanwhile, None
            await happens()
        return httpx2.Response(200, json=answer)

    def _take(self, prices: list[dict[str, Any]]) -> dict[str, Any]:
        refused = []
        self.sent += len(prices)
        for row in prices:
            cell = row["location"], row["sku"]
            if self.refuses(cell):
                named = {name: row[name] for name in ("location", "sku", "valid_from")}
                refused.append({**named, "reason": "the till is off"})
            elif not self.lies(cell):
                at = datetime.fromisoformat(row["valid_from"])
                if self.minds_numbers and row["number"] < self.numbers.get((cell, at), 0):
                    named = {name: row[name] for name in ("location", "sku", "valid_from")}
                    refused.append({**named, "reason": "a newer price was taken already"})
                    continue
                self.numbers[cell, at] = row["number"]
                self.told.setdefault(cell, {})[at] = ShelfPrice(row["price_minor"], row["deal"])
        return {"refused": refused}

    def _read(self, prices: list[dict[str, Any]]) -> dict[str, Any]:
        found = []
        for row in prices:
            shown = self.shows(row["location"], row["sku"], datetime.fromisoformat(row["at"]))
            found.append({**row, "price_minor": shown.price_minor, "deal": shown.deal})
        return {"prices": found}
