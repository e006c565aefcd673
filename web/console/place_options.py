"""The places of a company as the choices of a form: hundreds on every page of the queue, the same on each."""

from functools import lru_cache

from markupsafe import Markup

from ledger.reads.places import Visible


@lru_cache(maxsize=64)
def place_options(seen: Visible, chosen: str | None) -> Markup:
    """An `option` for each place, by name and code; the one with the code `chosen` is selected. Kept for as many
    people's places as look at the queue about the same time.
    """
    option = Markup('<option value="{}"{}>{} ({})</option>')
    return Markup("").join(
        option.format(one.code, Markup(" selected") if one.code == chosen else "", one.name, one.code)
        for one in seen.places
    )
