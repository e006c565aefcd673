"""The places of a company as the choices of a form: hundreds on every page of the queue, the same on each."""

from collections.abc import Sequence
from functools import lru_cache

from markupsafe import Markup

from ledger.reads.places import Place


def place_options(places: Sequence[Place], chosen: str | None) -> Markup:
    """An `option` for each place, by name and code; the one with the code `chosen` is selected."""
    return _written(tuple((one.code, one.name) for one in places), chosen)


@lru_cache(maxsize=64)
def _written(named: tuple[tuple[str, str], ...], chosen: str | None) -> Markup:
    """Kept for as many people's places as look at the queue about the same time; it knows nothing but its arguments."""
    option = Markup('<option value="{}"{}>{} ({})</option>')
    return Markup("").join(
        option.format(code, Markup(" selected") if code == chosen else "", name, code) for code, name in named
    )
