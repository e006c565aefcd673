"""Requests that no browser makes: what cannot be read is refused by name, never a failure of ours, and soon."""

from collections.abc import Callable

import httpx2
import pytest

import ledger.engine
from tests.web.links import mailed
from tests.web.people import PASSWORD, accounts, browse, email_of, sign_in
from tests.web.retail import an_approval
from web.errors import WebError
from web.kept import read_kept
from web.sessions import same_site_path
from web.strict_json import _no_duplicates

__all__ = ["accounts", "browse", "sign_in"]
Browse = Callable[[], httpx2.AsyncClient]
NO_ADDRESSES = ["http://[::1", "//[", "http://]x[", "http://\u2100.example"]


class Name(str):
    """A key of an object that counts how often it is compared with others of the same hash or place."""

    __slots__ = ()
    compared = 0

    def __eq__(self, other: object) -> bool:
        Name.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


class TestJson:
    def test_a_key_that_comes_twice_among_thousands_is_found_in_one_pass(self) -> None:
        """Two megabytes hold a quarter of a million keys: comparing each with each would take this process minutes."""
        names = [Name(f"k{number}") for number in range(3_000)]
        Name.compared = 0
        with pytest.raises(WebError, match="k2999"):
            _no_duplicates([*((name, 1) for name in names), (Name("k2999"), 2)])
        assert Name.compared < 10 * len(names)


class TestAddresses:
    @pytest.mark.parametrize("origin", ["http://[::1", "http://]x[", "http://[x]y"])
    async def test_an_origin_that_is_no_address_is_another_site(self, browse: Browse, origin: str) -> None:
        client = browse()
        del client.headers["sec-fetch-site"]
        answer = await client.post("/sign-in", data={"email": "a", "password": "b"}, headers={"Origin": origin})
        assert answer.status_code == 403
        assert "another site" in answer.text

    @pytest.mark.parametrize("referer", ["http://[::1", "//["])
    async def test_a_page_from_nowhere_leads_to_the_sign_in_and_the_first_page(
        self, browse: Browse, referer: str
    ) -> None:
        answer = await browse().post("/console/cases/1/release", headers={"Referer": referer})
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/")

    @pytest.mark.parametrize("target", NO_ADDRESSES)
    def test_next_is_the_first_page(self, target: str) -> None:
        assert same_site_path(target) == "/"

    async def test_signing_in_with_such_a_next_leads_there(self, accounts: None, browse: Browse) -> None:
        form = {"email": email_of("sam.ortega"), "password": PASSWORD, "next": "//["}
        answer = await browse().post("/sign-in", data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")


class TestKept:
    @pytest.mark.parametrize("kept", ["[" * 12_000, '["/x", ' + "[" * 12_000])
    async def test_what_is_nested_without_end_is_refused(self, browse: Browse, kept: str) -> None:
        for path in ("/sign-in", "/sign-in/go-on"):
            answer = await browse().post(path, data={"email": "a", "password": "b", "kept": kept})
            assert answer.status_code in (401, 422), answer.text
            assert "internal" not in answer.text.lower()

    def test_half_a_character_is_replaced(self) -> None:
        """A page with it could not be sent at all."""
        kept = read_kept('["/x", [["a", "b\\ud800c"]]]')
        assert kept is not None
        assert kept.fields == (("a", "b?c"),)


class TestProof:
    async def test_a_proof_of_letters_that_no_proof_has_proves_nothing(
        self, accounts: None, browse: Browse, retailer: ledger.engine.Database
    ) -> None:
        link, client = await mailed(retailer, await an_approval(retailer)), browse()
        assert (await client.get(link)).status_code == 200
        answer = await client.post(link, data={"verdict": "approve", "proof": "\u00e9" * 64})
        assert answer.status_code == 403
        assert "not opened in this browser" in answer.text
