"""A funding agreement as somebody types it: what is wrong with it is said in sentences and all at once."""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from domain.errors import Malformed
from domain.funding import NewAgreement
from domain.promotion_form import MOST_SAID, Said, read_permille
from domain.words import read_money

KINDS = ("scan_back", "percent", "lump_sum")
BASES = ("discount", "sales", "regular_price")


def read_terms(typed: Mapping[str, str], currency: str) -> tuple[dict[str, Any], list[Said]]:
    """`rate` is an amount for each unit, a share in per cent, or the whole sum, by `kind`; `tiers` has on each line the
    unit from which another rate holds, and that rate.
    """
    if typed["kind"] not in KINDS:
        return {}, [Said("kind", "Choose how the vendor pays.")]
    reading = _Reading(typed, currency)
    terms = reading.lump_sum() if typed["kind"] == "lump_sum" else reading.by_unit()
    return terms, reading.said


class _Reading:
    """Reads the fields of some terms, and keeps what is wrong with them."""

    def __init__(self, typed: Mapping[str, str], currency: str) -> None:
        self.said: list[Said] = []
        self._typed, self._currency = typed, currency
        self._terms: dict[str, Any] = {"kind": typed["kind"]}

    def lump_sum(self) -> dict[str, Any]:
        self._take("rate", "amount_minor", lambda: read_money(self._typed["rate"], self._currency))
        units = self._typed["expected_units"]
        self._take("expected_units", "expected_units", lambda: read_count(units, "how many units it is for"))
        for field in ("tiers", "cap"):
            if self._typed[field]:
                self.said.append(Said(field, "A lump sum has no tiers and no cap; leave this empty."))
        return self._terms

    def by_unit(self) -> dict[str, Any]:
        self._take("rate", self._rate_name, lambda: self._rate(self._typed["rate"]))
        if self._terms["kind"] == "percent":
            self._terms["base"] = self._typed["base"] or "discount"
        if self._typed["cap"]:
            self._take("cap", "cap_minor", lambda: read_money(self._typed["cap"], self._currency))
        tiers = []
        for number, text in enumerate(self._typed["tiers"].splitlines(), start=1):
            try:
                tiers += self._tier(text)
            except Malformed as refused:
                self.said.append(Said("tiers", f"Tier {number}: {refused.detail}"))
        if tiers:
            self._terms["tiers"] = tiers
        return self._terms

    @property
    def _rate_name(self) -> str:
        return "rate_minor" if self._terms["kind"] == "scan_back" else "permille"

    def _rate(self, text: str) -> int:
        if self._terms["kind"] == "scan_back":
            return read_money(text, self._currency)
        return read_permille(text.removesuffix("%").strip(), "/rate")

    def _tier(self, text: str) -> list[dict[str, int]]:
        words = text.replace(":", " ").split()
        if words and len(words) != 2:
            raise Malformed("Write on each line a unit, and what each earns from it on, as 1001 0.60.")
        return (
            [{"from_units": read_count(words[0], "the unit"), self._rate_name: self._rate(words[1])}] if words else []
        )

    def _take(self, field: str, name: str, work: Callable[[], int]) -> None:
        try:
            self._terms[name] = work()
        except Malformed as refused:
            self.said.append(Said(field, refused.detail))


def read_count(typed: str, what: str) -> int:
    """A whole number above zero. Raises `Malformed`, naming `what`."""
    digits = typed.strip().replace(",", "")
    if not (digits.isascii() and digits.isdecimal() and 0 < len(digits) <= 10 and int(digits)):
        raise Malformed(f"Write {what} as a whole number.")
    return int(digits)


_CALLED = {
    "number": "The number", "vendor": "The vendor's code", "vendor_name": "The vendor's name",
    "claims_email": "The address for claims", "signed_on": "The day", "document": "The document",
    "starts_at": "The start", "ends_at": "The end", "promotions": "The promotions", "skus": "The items",
    "claim_every_days": "The days between claims", "claim_window_days": "The window", "terms": "The terms",
    "office": "The office", "entity": "The company", "currency": "The currency",
}  # fmt: skip
_FIELD_OF = {"terms": "rate", "currency": "entity"}


def field_of(pointer: str | None) -> str:
    """The field of the form at which a pointer into an agreement points; "" for none."""
    first = (pointer or "").strip("/").split("/", maxsplit=1)[0]
    return _FIELD_OF.get(first, first if first in _CALLED else "")


def read(body: dict[str, Any]) -> tuple[NewAgreement | None, list[Said]]:
    """The agreement, or everything that is wrong with it."""
    try:
        return NewAgreement.model_validate(body), []
    except ValidationError as error:
        said = []
        for problem in error.errors()[:MOST_SAID]:
            first = str(problem["loc"][0]) if problem["loc"] else ""
            why = problem["msg"].removeprefix("Value error, ")
            said.append(Said(_FIELD_OF.get(first, first), f"{_CALLED.get(first, 'It')}: {why[0].lower()}{why[1:]}."))
        return None, said
