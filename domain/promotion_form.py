"""A promotion as somebody types it: its offer, its items, and what is wrong with them, in sentences and all at once."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from domain.errors import Malformed
from domain.promotion import AmountOff, FixedPrice, Offer, PercentOff
from domain.promotions import Definition
from domain.words import plain_money, read_money

OFFERS = ("percent", "amount", "price", "buy_get")
MOST_TYPED = 200_000
MOST_SAID = 30  # refusals of one field; whoever pastes a wrong column need not read five thousand
CATEGORY = "category"


class Said(NamedTuple):
    """Why a field cannot be taken as it is; `field` is its name in the form."""

    field: str
    why: str


def read_lines(typed: str) -> tuple[list[dict[str, Any]], list[Said]]:
    """`SKU units`, or `category NAME units`, one a line, with spaces or a tab between; columns of a spreadsheet."""
    if len(typed) > MOST_TYPED:
        return [], [Said("lines", f"Enter at most {MOST_TYPED:,} characters, or upload a file.")]
    lines: list[dict[str, Any]] = []
    wrong: list[Said] = []
    for number, text in enumerate(typed.splitlines(), start=1):
        words = text.split()
        if not words:
            continue
        units = words[-1]
        if len(words) < 2 or not (units.isascii() and units.isdecimal()) or not int(units):
            why = f"Line {number} ends with no whole number of units: “{text.strip()[:60]}”."
        elif words[0].lower() == CATEGORY:
            why = "" if len(words) > 2 else f"Line {number} names no category: “{text.strip()[:60]}”."
        else:
            why = "" if len(words) == 2 else f"Line {number} is no SKU and a number: “{text.strip()[:60]}”."
        if why:
            wrong.append(Said("lines", why))
            continue
        named = {"category": " ".join(words[1:-1])} if words[0].lower() == CATEGORY else {"sku": words[0]}
        lines.append({**named, "forecast_units": int(units)})
    if not lines and not wrong:
        wrong.append(Said("lines", "Enter what it is for: on each line a SKU, and how many you expect to sell."))
    return lines, wrong[:MOST_SAID]


def write_lines(lines: Sequence[Any]) -> str:
    """Lines of a definition as they would be typed."""
    return "\n".join(
        f"{line.sku if line.sku is not None else f'{CATEGORY} {line.category}'} {line.forecast_units}" for line in lines
    )


def read_offer(kind: str, typed: str, currency: str) -> dict[str, Any]:
    """`20` or `12,5` for a share in per cent, `1.50` for money, `2+1` for a deal. Raises `Malformed`."""
    typed = typed.strip()
    match kind:
        case "percent":
            return {"kind": kind, "off_permille": read_permille(typed.removesuffix("%").strip(), "/value")}
        case "amount":
            return {"kind": kind, "off_minor": read_money(typed, currency)}
        case "price":
            return {"kind": kind, "price_minor": read_money(typed, currency)}
        case "buy_get":
            buy, plus, get = (word.strip() for word in typed.partition("+"))
            if not (plus and _is_number(buy) and _is_number(get)):
                raise Malformed("Write a deal as 2+1: two are paid, one more is free.", pointer="/value")
            return {"kind": kind, "buy": int(buy), "get": int(get)}
        case _:
            raise Malformed("Choose what is offered.", pointer="/offer")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 6


def write_offer(offer: Offer, currency: str) -> str:
    """The value of an offer as it would be typed."""
    match offer:
        case PercentOff():
            return f"{offer.off_permille / 10:g}"
        case AmountOff():
            return plain_money(offer.off_minor, currency)
        case FixedPrice():
            return plain_money(offer.price_minor, currency)
        case _:
            return f"{offer.buy}+{offer.get}"


def read_permille(typed: str, pointer: str) -> int:
    """Thousandths from a share in per cent, with one digit after the point at most. Raises `Malformed`."""
    sign = -1 if typed.startswith(("-", "\N{MINUS SIGN}")) else 1
    whole, point, part = typed.lstrip("-\N{MINUS SIGN}").replace(",", ".").partition(".")
    if not _is_number(whole) or (point and not (_is_number(part) and len(part) == 1)):
        raise Malformed("Write a share in per cent such as 20 or 12.5.", pointer=pointer)
    return sign * (int(whole) * 10 + int(part or 0))


# Where a field of a definition is typed, and what it is called there.
_FIELDS = {
    "promotion_id": ("promotion_id", "The code"),
    "name": ("name", "The name"),
    "offer": ("value", "The offer"),
    "lines": ("lines", "The items"),
    "channels": ("channel", "The channels"),
    "entity": ("where", "The company"),
    "locations": ("locations", "The places"),
    "starts_at": ("starts_at", "The start"),
    "ends_at": ("ends_at", "The end"),
    "stacking": ("stacking", "Together with others"),
    "margin_floor_permille": ("floor", "The floor"),
    "agreement_id": ("agreement_id", "The agreement"),
}


def field_of(pointer: str | None) -> str:
    """The field of the form at which a pointer into a definition points; "" for none."""
    return _FIELDS.get((pointer or "").strip("/").split("/", maxsplit=1)[0], ("", ""))[0]


def read[D: Definition](kind: type[D], body: dict[str, Any]) -> tuple[D | None, list[Said]]:
    """The definition, or everything that is wrong with it."""
    try:
        return kind.model_validate(body), []
    except ValidationError as error:
        said = []
        for problem in error.errors()[:MOST_SAID]:
            place = [str(part) for part in problem["loc"]]
            field, called = _FIELDS.get(place[0] if place else "", ("", "It"))
            where = f", {int(place[1]) + 1}." if field == "lines" and len(place) > 1 and place[1].isdecimal() else ""
            why = problem["msg"].removeprefix("Value error, ")
            said.append(Said(field, f"{called}{where}: {why[0].lower()}{why[1:]}."))
        return None, said
