"""A customer's link whose time is over reads, and does nothing any more, whatever form somebody kept of it: with a code
or without one, also while what it is about still waits for an answer.
"""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from sqlalchemy import update

from ledger import links, tables
from ledger.transaction import Transaction
from tests.ledger.support.offers import Asked, asked
from tests.ledger.support.orders import pick
from tests.shop import Shop
from tests.web import test_customer_links as offers
from tests.web import test_exchange_links as exchanges
from tests.web.customers import Browse, browse, shop
from tests.web.routes import everything
from tests.web.test_customer_links import form_of

__all__ = ["browse", "shop"]


async def over(shop: Shop, path: str, **values: object) -> None:
    """The link's time is over from now on, or something else became of it."""
    given = values or {"expires_at": datetime.now(UTC) - timedelta(minutes=1)}
    where = tables.link.c.token_hash == links.token_hash(path.removeprefix("/c/"))

    async def work(tx: Transaction) -> None:
        await tx.conn.execute(update(tables.link).where(where).values(**given))

    await shop.database.write(work, actor="test", via="test")


async def kept_form(client: httpx2.AsyncClient, path: str) -> dict[str, str]:
    return form_of((await client.get(path)).text)


class TestOver:
    @pytest.mark.parametrize("answer", ["accept", "leave_out", "cancel"])
    async def test_a_question_is_not_answered_by_it(self, shop: Shop, browse: Browse, answer: str) -> None:
        path, client = await offers.mailed(await asked(shop)), browse()
        form = await kept_form(client, path) | {"answer": answer}
        await over(shop, path)
        before = await everything(shop.database)
        late = await client.post(path, data=form)
        assert (late.status_code, "time to answer" in late.text) == (409, True)
        assert await everything(shop.database) == before

    async def test_a_replacement_is_not_paid_by_it(self, shop: Shop, browse: Browse) -> None:
        path, client = await exchanges.mailed(await exchanges.dear(shop)), browse()
        form = await kept_form(client, path) | {"answer": "accept"}
        await over(shop, path)
        before = await everything(shop.database)
        late = await client.post(path, data=form)
        assert (late.status_code, "time to answer" in late.text) == (409, True)
        assert await everything(shop.database) == before

    async def test_nor_without_the_code_of_its_mail(self, shop: Shop, browse: Browse) -> None:
        path, client = await exchanges.mailed(await exchanges.dear(shop)), browse()
        await over(shop, path, code_hash=b"of another", expires_at=datetime.now(UTC) + timedelta(hours=1))
        form = await kept_form(client, path) | {"answer": "accept"}
        await over(shop, path)
        before = await everything(shop.database)
        assert (await client.post(path, data=form)).status_code == 409
        assert await everything(shop.database) == before

    @pytest.mark.parametrize("answer", ["extend", "cancel"])
    @pytest.mark.parametrize("how", ["expired", "revoked"])
    async def test_an_order_that_waits_is_neither_kept_longer_nor_cancelled(
        self, shop: Shop, browse: Browse, answer: str, how: str
    ) -> None:
        """The link of a mail from long ago, of an order that somebody has kept waiting since."""
        waits = await shop.order(1, at="S2")
        await pick(shop, waits, 1)
        path, client = await offers.mailed(Asked(shop, waits), about="pickup"), browse()
        form = await kept_form(client, path) | {"answer": answer}
        await over(shop, path, **({"revoked_at": datetime.now(UTC)} if how == "revoked" else {}))
        before = await everything(shop.database)
        late = await client.post(path, data=form)
        assert (late.status_code, "This link" in late.text) == (409, True)
        assert await everything(shop.database) == before


class TestCodes:
    async def link(self, shop: Shop, code: str) -> str:
        async def work(tx: Transaction) -> str:
            until = datetime.now(UTC) + timedelta(hours=1)
            customer = await shop.value("SELECT customer_id FROM journey WHERE id = :id", id=self.order)
            return await links.create(tx, expires_at=until, journey_id=self.order, customer_id=customer, code=code)

        self.order = await shop.order(1, at="S2")
        return await shop.database.write(work, actor="test", via="test")

    async def test_of_many_at_once_five_are_tried_and_then_the_right_one_is_too_late(self, shop: Shop) -> None:
        token = await self.link(shop, "123456")
        tries = [links.check_code(shop.database, token, f"{number:06}") for number in range(12)]
        found = await asyncio.gather(*tries, return_exceptions=True)
        assert all(isinstance(one, Exception) for one in found)
        assert sum("left" in str(one) for one in found) == links.MISSES - 1
        with pytest.raises(Exception, match="five times"):
            await links.check_code(shop.database, token, "123456")

    async def test_the_code_of_another_link_is_wrong(self, shop: Shop) -> None:
        first, second = await self.link(shop, "123456"), await self.link(shop, "654321")
        with pytest.raises(Exception, match="4 tries are left"):
            await links.check_code(shop.database, first, "654321")
        await links.check_code(shop.database, second, " 654 321 ")
