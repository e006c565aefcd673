"""Whom a provider of single sign-on names is one person of ours, by name and provider, whatever it looks like."""

from __future__ import annotations

import pytest
from sqlalchemy import func

import ledger.engine
from ledger import sign_on as records
from ledger import tables
from tests.provider import Provider
from tests.web.people import accounts, browse, email_of
from tests.web.retail import rows
from tests.web.test_sign_on import SAM, Browse, change, enter, provider, settings

__all__ = ["accounts", "browse", "provider", "settings"]


async def test_it_leads_also_to_an_address_with_other_letters(browse: Browse, provider: Provider) -> None:
    answer = await enter(browse(), provider, next="/console/cases?text=Käse ☃")
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"] == "/console/cases?text=K%C3%A4se%20%E2%98%83"


async def test_the_same_name_at_another_provider_is_somebody_else(
    accounts: None, browse: Browse, provider: Provider, retailer: ledger.engine.Database
) -> None:
    await records.link(retailer, email_of("ana.ruiz"), "https://other.example", "p-7")
    await records.link(retailer, email_of("fin.weber"), provider.issuer.upper(), "p-7")
    client = browse()
    await enter(client, provider)
    assert "Sam Ortega" in (await client.get("/console/help")).text


@pytest.mark.parametrize("sign", ["\N{KELVIN SIGN}", "\N{FULLWIDTH LATIN SMALL LETTER K}", "k\u200b"])
async def test_an_address_that_only_looks_like_somebodys_is_nobodys(
    browse: Browse, provider: Provider, retailer: ledger.engine.Database, sign: str
) -> None:
    """Made small, the sign of the kelvin is a `k`: whoever registers it at the provider would be taken for Kim."""
    await change(retailer, tables.person, email=func.concat("kim+", tables.person.c.id, "@stores.example"))
    provider.person = {"sub": "p-9", "email": f"{sign}im+{SAM}@stores.example", "email_verified": True}
    assert (await enter(browse(), provider)).status_code == 401
    assert await rows(retailer, tables.person_identity) == []
    provider.person = {"sub": "p-9", "email": f"Kim+{SAM}@Stores.example", "email_verified": True}
    assert (await enter(browse(), provider)).status_code == 303
