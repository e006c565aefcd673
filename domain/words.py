"""How amounts, instants and words are written for people: the same on pages and in mails. Pure text, no markup."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from domain.case_kinds import KINDS
from domain.errors import Malformed
from domain.journey_kinds import is_journey, journey_words

WITHOUT_MINOR = frozenset({"JPY", "KRW", "CLP", "ISK", "VND"})
WITH_THOUSANDTHS = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
MOST_DIGITS = 12
ACRONYMS = {"dc": "DC", "atp": "ATP", "sku": "SKU", "pos": "POS", "cogs": "COGS"}


def _digits_of(currency: str) -> int:
    """How many digits of an amount stand behind its point."""
    if currency in WITHOUT_MINOR:
        return 0
    return 3 if currency in WITH_THOUSANDTHS else 2


def money(amount_minor: int, currency: str) -> str:
    """`12.90 USD` from 1290; the sign stands before the figure."""
    sign = "\N{MINUS SIGN}" if amount_minor < 0 else ""
    amount = abs(amount_minor)
    digits = _digits_of(currency)
    if not digits:
        return f"{sign}{amount:,} {currency}"
    whole, part = divmod(amount, 10**digits)
    return f"{sign}{whole:,}.{part:0{digits}d} {currency}"


def read_money(text: str, currency: str) -> int:
    """Minor units from an amount as people write it: `12.90`, `12,90`, `12`. Raises `Malformed`."""
    digits = _digits_of(currency)
    whole, found, part = text.strip().replace(",", ".").partition(".")
    is_amount = all(word.isascii() and word.isdecimal() for word in (whole, part or "0"))
    if not is_amount or (found and not part) or len(part) > digits or len(whole) > MOST_DIGITS:
        example = "12" if digits == 0 else f"12.{'9':0<{digits}}"
        raise Malformed(f"Write an amount of {currency} such as {example}, without a sign.")
    return int(whole + f"{part:0<{digits}}"[:digits])


def plain_money(amount_minor: int, currency: str) -> str:
    """An amount as it stands in a field, to be read again by `read_money`: `1290.50`."""
    return money(amount_minor, currency).removesuffix(f" {currency}").replace(",", "")


def local(instant: datetime, zone: str = "UTC") -> str:
    """`Sat 21 Nov, 20:40 EST`: the zone is always written."""
    there = instant.astimezone(ZoneInfo(zone))
    return f"{there:%a} {there.day} {there:%b, %H:%M %Z}"


def closing(instant: datetime, zone: str = "UTC") -> str:
    """When a time ends, for customers: midnight is `the end of Fri 27 Nov, EST`, so that nobody comes the day after."""
    there = instant.astimezone(ZoneInfo(zone))
    if there.hour or there.minute:
        return local(instant, zone)
    day = there - timedelta(seconds=there.second + 1)
    return f"the end of {day:%a} {day.day} {day:%b}, {there:%Z}"


def read_local(text: str, zone: str) -> datetime:
    """`2026-11-21T16:30` in `zone` as UTC. Raises `Malformed`."""
    try:
        there = datetime.fromisoformat(text)
        return (there if there.tzinfo else there.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Malformed("Say until when, as a date and a time.") from error


def span(length: timedelta) -> str:
    """`2 d 3 h`, `3 h 05 min`, `12 min`, without a sign."""
    minutes = int(abs(length).total_seconds() // 60)
    days, rest = divmod(minutes, 1440)
    hours, minutes = divmod(rest, 60)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"


def moment(seconds: int) -> str:
    """A short while to the second: `20 s`, `2 min`, `1 min 30 s`."""
    minutes, rest = divmod(seconds, 60)
    return " ".join([f"{minutes} min"] * bool(minutes) + [f"{rest} s"] * bool(rest or not minutes))


def until(due: datetime, now: datetime) -> str:
    """`42 min left` or `1 h 10 min over`."""
    return f"{span(due - now)} left" if due >= now else f"{span(now - due)} over"


@lru_cache(maxsize=4_096)
def words(text: str) -> str:
    """`ship_to_store` → `Ship to store`."""
    joined = " ".join(ACRONYMS.get(part, part) for part in text.split("_"))
    return capital(joined)


def capital(text: str) -> str:
    """`gets the goods` → `Gets the goods`."""
    return text[:1].upper() + text[1:]


def subject_words(subject: str) -> str:
    """What a case is about, from its key: `bopis:web:W-1|event:…` → `Order W-1`, `pos|unknown_sku|SKU 7 …` → `SKU 7 …
    (from pos)`, `S1|APPLE` → `S1, APPLE`.
    """
    if is_journey(subject):
        return journey_words(subject.split("|", 1)[0])
    source, _, rest = subject.partition("|")
    code, found, detail = rest.partition("|")
    if found:
        return f"{detail} (from {source})"
    return f"{source}, {code}" if code else source


def units(count: int) -> str:
    """`1 unit`, `2 units`."""
    return "1 unit" if count == 1 else f"{count} units"


def more(count: int) -> str:
    """`one more has`, `2 more have`."""
    return "one more has" if count == 1 else f"{count} more have"


def nth(number: int) -> str:
    """`1st`, `2nd`, `11th`, `22nd`."""
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def kind_title(kind: str) -> str:
    """The title of a kind of case as people read it."""
    return KINDS[kind].title if kind in KINDS else words(kind)
