"""Forms are no JSON: what browsers send by them is text of any kind. Nothing of it is an error of ours on any page."""

import re
from pathlib import Path

import pytest

import web.pages
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.routes import FORM, PAGES, ids
from tests.web.store import staff

__all__ = ["accounts", "browse", "ids", "sign_in", "staff"]
TEMPLATES = Path(web.pages.__file__).parent / "templates"
FIELDS = sorted(
    {name for file in TEMPLATES.rglob("*.html") for name in re.findall(r' name="([a-z_]+)"', file.read_text())}
)
ODD = {
    "nothing": "\x00",
    "a bell": "ring\x07ring",
    "a number without end": "9" * 150,
    "two signs": "--5",
    "the first instant": "0001-01-01T00:00",
}
# What a form needs before anybody looks at its texts.
RIGHT = FORM | {"amount": "1.00", "settlement": "cash", "all": "on"}


def test_there_are_fields() -> None:
    assert {"note", "reason", "amount", "reference"} <= set(FIELDS)
    assert len(FIELDS) > 80


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
async def test_no_field_of_any_form_breaks_a_page(ids: dict[str, str], staff: None, sign_in: SignIn, odd: str) -> None:
    """All fields at once, those that choose what is done being right; and then these as well."""
    got: dict[str, int] = {}
    for person in ("sam.ortega", "pia.lund"):
        client = await sign_in(person)
        for route in PAGES:
            if route.method == "POST" and not route.path.startswith("/sign-"):
                for kept in (RIGHT, {"settlement": "cash"}, {}):
                    form = dict.fromkeys([*FIELDS, *FORM], odd) | kept | ({"note": odd, "reason": odd} if kept else {})
                    answer = await client.post(route.with_ids(ids), data=form)
                    if answer.status_code >= 500:
                        got[f"{person} {route}"] = answer.status_code
    assert got == {}
