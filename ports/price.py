"""Channels that show prices: one port, adapters over HTTP and over files that a shop can really use, and a sandbox.

A channel is told of prices, and asked what it will show; a promise is no price, so only what was read back counts.
Sending the same again changes nothing. Nothing here reads or writes Endcap's own records.

Numbers keep what was sent late from undoing what was sent since: a channel that has taken a price of a place, an item
and an instant under a number refuses one under a lower number. They rise with each conversation, across restarts too.

The HTTP contract: `POST {url}/prices` with `Authorization: Bearer <key>` and `{"channel", "prices": [{"location",
"sku", "valid_from", "price_minor", "currency", "deal", "number"}]}`; the channel shows each from its instant on. 2xx
with an optional `{"refused": [{"location", "sku", "valid_from", "reason"}]}` means taken. `POST {url}/prices/read` with
`{"channel", "prices": [{"location", "sku", "at"}]}` answers `{"prices": [{"location", "sku", "at", "price_minor",
"deal"}]}`: what is shown at that instant, as it is known now; what is left out is not shown. Anything else means that
the channel is away.

The files: `out/<number>-<digest>.csv` with the columns `location,sku,valid_from,price_minor,currency,deal,number` for
the channel to take, in the order of their names; into `shown/` it puts what it shows from which instant on
(`location,sku,valid_from,price_minor,deal`). Of several files that name the same price the last by name counts.
"""

import asyncio
import csv
import hashlib
import io
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import httpx2

from domain.promotion import ShelfPrice
from ports import bounded

ANSWER_TIMEOUT_S = 15.0
_REASON_LENGTH = 200
MOST_MINOR = 2**63  # what a database holds; a channel that shows more shows none of our prices
SENT = ("location", "sku", "valid_from", "price_minor", "currency", "deal", "number")
OLDER = "a newer price was taken already"
SHOWN = ("location", "sku", "valid_from", "price_minor", "deal")


class PriceAt(NamedTuple):
    """A price of a channel: of an item at a place from an instant on."""

    location: str
    sku: str
    valid_from: datetime


class PriceToShow(NamedTuple):
    """`deal` is "2+1" for buy two, get one free; "" for none. `number` is that of the conversation."""

    at: PriceAt
    price: ShelfPrice
    currency: str
    number: int


# It answers that it is not there, that it has too much to do, or that nobody of ours may speak to it: all of which says
# nothing about a price.
_SAYS_NOTHING = frozenset({401, 403, 429, 502, 503, 504})


class ChannelAway(Exception):
    """The channel does not answer, or not in a way that says anything; the text says how. `chokes`: it refused just
    what it was asked, so a single price may be to blame.
    """

    def __init__(self, how: str, *, chokes: bool = False) -> None:
        super().__init__(how)
        self.chokes = chokes


class PricePort(Protocol):
    """What Endcap needs of a channel. Both raise `ChannelAway`."""

    async def publish(self, prices: Sequence[PriceToShow]) -> Mapping[PriceAt, str]:
        """Tell it what to show; returns those that it refused, with the reason."""
        ...

    async def shown(self, prices: Sequence[PriceAt]) -> Mapping[PriceAt, ShelfPrice]:
        """What it shows at these instants, as it is known now; what it does not show is left out."""
        ...

    async def aclose(self) -> None:
        """Let go of connections and files."""
        ...


def _written(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


# ---------------------------------------------------------------------- over HTTP
class HttpPriceChannel:
    """A channel behind the HTTP contract above."""

    def __init__(
        self,
        channel: str,
        url: str,
        key: str,
        *,
        timeout_s: float = ANSWER_TIMEOUT_S,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._channel = channel
        self._client = httpx2.AsyncClient(
            base_url=url.rstrip("/") + "/",
            headers={"Authorization": f"Bearer {key}"},
            timeout=httpx2.Timeout(timeout_s),
            follow_redirects=False,  # a redirect could carry the key to somebody else
            transport=transport,
        )

    async def publish(self, prices: Sequence[PriceToShow]) -> Mapping[PriceAt, str]:
        """Send them in one request."""
        body = [
            {
                "location": one.at.location,
                "sku": one.at.sku,
                "valid_from": _written(one.at.valid_from),
                "price_minor": one.price.price_minor,
                "currency": one.currency,
                "deal": one.price.deal,
                "number": one.number,
            }
            for one in prices
        ]
        answer = await self._ask("prices", body)
        by_key = {_key_of(one.at): one.at for one in prices}
        refused: dict[PriceAt, str] = {}
        for row in _rows(answer.get("refused", [])):
            at = by_key.get((str(row.get("location")), str(row.get("sku")), bounded.instant_of(row.get("valid_from"))))
            if at is not None:
                refused[at] = bounded.words_of(row.get("reason"), _REASON_LENGTH) or "refused by the channel"
        return refused

    async def shown(self, prices: Sequence[PriceAt]) -> Mapping[PriceAt, ShelfPrice]:
        """Ask for them in one request."""
        if not prices:
            return {}
        body = [{"location": one.location, "sku": one.sku, "at": _written(one.valid_from)} for one in prices]
        answer = await self._ask("prices/read", body)
        by_key = {_key_of(one): one for one in prices}
        found: dict[PriceAt, ShelfPrice] = {}
        for row in _rows(answer.get("prices")):
            at = by_key.get((str(row.get("location")), str(row.get("sku")), bounded.instant_of(row.get("at"))))
            minor = row.get("price_minor")
            if at is not None and isinstance(minor, int) and not isinstance(minor, bool) and abs(minor) < MOST_MINOR:
                found[at] = ShelfPrice(minor, bounded.words_of(row.get("deal"), _REASON_LENGTH) or "")
        return found

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _ask(self, path: str, prices: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        asked = {"channel": self._channel, "prices": list(prices)}
        try:
            answer = await bounded.ask(self._client, "POST", path, json=asked)
        except httpx2.HTTPError as error:
            raise ChannelAway(f"no answer: {type(error).__name__}") from error
        if not answer.is_success:
            chokes = answer.status_code >= 400 and answer.status_code not in _SAYS_NOTHING
            raise ChannelAway(f"answered {answer.status_code}", chokes=chokes)
        if not answer.content:
            return {}
        try:
            body = bounded.json_of(answer)
        except ValueError as error:
            raise ChannelAway("answered something that is no JSON") from error
        if not isinstance(body, dict):
            raise ChannelAway("answered something that is no JSON object")
        return body


def _key_of(at: PriceAt) -> tuple[str, str, datetime | None]:
    return at.location, at.sku, at.valid_from.astimezone(UTC)


def _rows(value: object) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise ChannelAway("answered prices that are no list of objects")
    return value


# ---------------------------------------------------------------------- over files
class CsvPriceChannel:
    """A channel that takes files from a folder and puts what it shows into another."""

    def __init__(self, folder: Path) -> None:
        self._out, self._shown = folder / "out", folder / "shown"
        self._read: dict[Path, tuple[tuple[int, int], dict[tuple[str, str], list[tuple[datetime, ShelfPrice]]]]] = {}

    async def publish(self, prices: Sequence[PriceToShow]) -> Mapping[PriceAt, str]:
        """Write one file, whole or not at all; a file refuses nothing."""
        await asyncio.to_thread(self._write, prices)
        return {}

    async def shown(self, prices: Sequence[PriceAt]) -> Mapping[PriceAt, ShelfPrice]:
        """What the files of the channel say, where they say something at all."""
        return await asyncio.to_thread(self._look, prices)

    async def aclose(self) -> None:
        """Nothing is kept open."""

    def _write(self, prices: Sequence[PriceToShow]) -> None:
        written = io.StringIO()
        writer = csv.writer(written, lineterminator="\n")
        writer.writerow(SENT)
        for one in prices:
            at, price = one.at, one.price
            writer.writerow(
                (at.location, at.sku, _written(at.valid_from), price.price_minor, one.currency, price.deal, one.number)
            )
        content = written.getvalue().encode()
        newest = max((one.number for one in prices), default=0)
        name = f"{newest:020d}-{hashlib.sha256(content).hexdigest()[:20]}"
        try:
            self._out.mkdir(parents=True, exist_ok=True)
            whole, part = self._out / f"{name}.csv", self._out / f".{name}.part"
            part.write_bytes(content)
            part.replace(whole)
        except OSError as error:
            raise ChannelAway(f"the folder cannot be written: {error.strerror}") from error

    def _look(self, prices: Sequence[PriceAt]) -> dict[PriceAt, ShelfPrice]:
        try:
            files = sorted(self._shown.glob("*.csv"))
            known = [self._content(path) for path in files]
        except OSError as error:
            raise ChannelAway(f"the folder cannot be read: {error.strerror}") from error
        self._read = {path: self._read[path] for path in files}
        found: dict[PriceAt, ShelfPrice] = {}
        for one in prices:
            latest: tuple[datetime, ShelfPrice] | None = None
            for content in known:
                for since, price in content.get((one.location, one.sku), ()):
                    if since <= one.valid_from and (latest is None or since >= latest[0]):
                        latest = since, price
            if latest is not None:
                found[one] = latest[1]
        return found

    def _content(self, path: Path) -> dict[tuple[str, str], list[tuple[datetime, ShelfPrice]]]:
        """Read a file once, until it is another one."""
        stat = path.stat()
        mark = stat.st_mtime_ns, stat.st_size
        before = self._read.get(path)
        if before is not None and before[0] == mark:
            return before[1]
        try:
            content = _shown_in(path)
        except (csv.Error, UnicodeDecodeError) as error:
            raise ChannelAway(f"shown/{path.name} is no CSV file in UTF-8") from error
        self._read[path] = mark, content
        return content


def _shown_in(path: Path) -> dict[tuple[str, str], list[tuple[datetime, ShelfPrice]]]:
    content: dict[tuple[str, str], list[tuple[datetime, ShelfPrice]]] = {}
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        missing = [name for name in SHOWN if name not in (reader.fieldnames or ())]
        if missing:
            raise ChannelAway(f"shown/{path.name} lacks the column {missing[0]}")
        for row in reader:
            since, written = bounded.instant_of(row["valid_from"]), str(row["price_minor"])
            if since is None or not (written.isascii() and written.isdecimal() and len(written) < 19):
                raise ChannelAway(f"shown/{path.name}, line {reader.line_num}: no instant with its zone, or no price")
            price = ShelfPrice(int(written), bounded.words_of(row["deal"], _REASON_LENGTH) or "")
            content.setdefault((row["location"], row["sku"]), []).append((since, price))
    return content


# ---------------------------------------------------------------------- sandbox
class SandboxPriceChannel:
    """A channel of its own for the demo, with a record of its own in an SQLite file: it shows what it is told, and
    refuses what is older than that.
    """

    def __init__(self, channel: str, record: Path) -> None:
        self._channel, self._path = channel, record
        record.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(record, timeout=10)) as conn, conn:
            conn.execute(
                "CREATE TABLE IF NOT EXISTS price (channel TEXT, location TEXT, sku TEXT, valid_from TEXT,"
                " price_minor INTEGER NOT NULL, deal TEXT NOT NULL, number INTEGER NOT NULL DEFAULT 0,"
                " PRIMARY KEY (channel, location, sku, valid_from))"
            )
            if "number" not in {row[1] for row in conn.execute("PRAGMA table_info(price)")}:
                conn.execute("ALTER TABLE price ADD COLUMN number INTEGER NOT NULL DEFAULT 0")

    async def publish(self, prices: Sequence[PriceToShow]) -> Mapping[PriceAt, str]:
        """Keep those that are newer than what is kept."""
        return await asyncio.to_thread(self._keep, prices)

    async def shown(self, prices: Sequence[PriceAt]) -> Mapping[PriceAt, ShelfPrice]:
        """The latest that holds at each instant."""
        return await asyncio.to_thread(self._look, prices)

    async def aclose(self) -> None:
        """Nothing is kept open."""

    def _keep(self, prices: Sequence[PriceToShow]) -> dict[PriceAt, str]:
        try:
            with closing(sqlite3.connect(self._path, timeout=10)) as conn, conn:
                return self._kept(conn, prices)
        except sqlite3.OperationalError as error:
            raise ChannelAway(f"the sandbox cannot write its record: {error}") from error

    def _kept(self, conn: sqlite3.Connection, prices: Sequence[PriceToShow]) -> dict[PriceAt, str]:
        refused = {}
        for one in prices:
            at, price = one.at, one.price
            kept = conn.execute(
                "INSERT INTO price (channel, location, sku, valid_from, price_minor, deal, number)"
                " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET price_minor = excluded.price_minor,"
                " deal = excluded.deal, number = excluded.number WHERE excluded.number >= price.number",
                (
                    self._channel, at.location, at.sku, _written(at.valid_from), price.price_minor, price.deal,
                    one.number,
                ),
            )  # fmt: skip
            if not kept.rowcount:
                refused[at] = OLDER
        return refused

    def _look(self, prices: Sequence[PriceAt]) -> dict[PriceAt, ShelfPrice]:
        found: dict[PriceAt, ShelfPrice] = {}
        with closing(sqlite3.connect(self._path, timeout=10)) as conn:
            for one in prices:
                row = conn.execute(
                    "SELECT price_minor, deal FROM price WHERE channel = ? AND location = ? AND sku = ?"
                    " AND valid_from <= ? ORDER BY valid_from DESC LIMIT 1",
                    (self._channel, one.location, one.sku, _written(one.valid_from)),
                ).fetchone()
                if row is not None:
                    found[one] = ShelfPrice(*row)
        return found
