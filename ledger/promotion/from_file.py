"""Takes the promotions of a CSV file: each by itself, as the API would; what is refused is named with its line."""

from collections.abc import Collection
from typing import NamedTuple

from domain.errors import DomainError
from domain.promotion_file import Refused, read
from domain.promotions import PromotionAnswer
from ledger.engine import Database
from ledger.people import Caller
from ledger.promotion import intake


class Loaded(NamedTuple):
    """What became of a file: those that are new, how many were there already, and what was refused, by line."""

    made: list[PromotionAnswer]
    repeated: int
    refused: list[Refused]


async def load(database: Database, text: str, source: str, *, channels: Collection[str]) -> Loaded:
    """Loading the same file again takes nothing twice. Raises `FileBroken` for a file without its columns."""
    caller = Caller(f"file:{source}", source, frozenset({"promotions:write"}), frozenset(), None, frozenset())
    found, refused = read(text)
    made: list[PromotionAnswer] = []
    repeated = 0
    for one in found:
        try:
            status, answer = await intake.define(database, caller, one.promotion, channels=channels, via="file")
        except DomainError as refusal:
            refused.append(Refused(one.line, one.promotion.promotion_id, f"{refusal.code}: {refusal.detail}"))
            continue
        if status == 201:
            made.append(answer)
        else:
            repeated += 1
    return Loaded(made, repeated, sorted(refused))
