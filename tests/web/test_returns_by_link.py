"""A customer's link to their return: looking changes nothing, what they send reaches somebody, and nobody else."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI

import ledger.engine
from domain.erasure import ErasureRequest
from ledger import erasing, links, photos
from ledger.transaction import Transaction
from ports.photos import FolderPhotos
from tests.ledger.support.returning import Back, collected
from tests.pictures import JPEG, exif, jpeg, png
from tests.shop import Shop, open_shop
from tests.web.conftest import open_app, settings_for
from tests.web.customers import browsers
from tests.web.robot import Robot
from tests.web.routes import everything

Browse = Callable[[], httpx2.AsyncClient]
Mailed = Callable[..., Awaitable[str]]


@pytest.fixture
async def shop(database: ledger.engine.Database) -> AsyncIterator[Shop]:
    opened = await open_shop(database.url)
    yield opened
    await opened.database.dispose()


@pytest.fixture
async def app(shop: Shop, tmp_path: Path) -> AsyncIterator[FastAPI]:
    async with open_app(settings_for(shop.database.url)) as made:
        made.state.photos = FolderPhotos(tmp_path)
        yield made


@pytest.fixture
async def browse(app: FastAPI) -> AsyncIterator[Browse]:
    async with browsers(app) as made:
        yield made


@pytest.fixture
async def back(shop: Shop) -> Back:
    """One of two packs came back by mail, and goes back to its customer."""
    made = await Back.open(shop, await collected(shop), method="mail")
    await made.receive()
    await made.inspect(condition="used", disposition="send_back")
    return made


async def mailed(back: Back, *, days: float = 2) -> str:
    """The path of the customer's link as it stands in the mail."""
    customer = (await back.row())["customer_id"]

    async def work(tx: Transaction) -> str:
        until = datetime.now(UTC) + timedelta(days=days)
        return await links.create(tx, expires_at=until, journey_id=back.id, customer_id=customer)

    return "/c/" + await back.shop.database.write(work, actor="test", via="test")


async def say(client: httpx2.AsyncClient, path: str, words: str, *pictures: bytes) -> httpx2.Response:
    page = (await client.get(path)).text
    form = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page))
    files = [("photo", ("me.jpg", one, "image/jpeg")) for one in pictures]
    return await client.post(path, data=form | {"words": words}, files=files or None, follow_redirects=True)


async def test_it_says_how_far_the_return_is_and_looking_changes_nothing(
    shop: Shop, back: Back, browse: Browse
) -> None:
    path, before = await mailed(back), await everything(shop.database)
    page = await browse().get(path)
    assert page.status_code == 200
    assert "1 not taken back, because of its condition; it comes back to you." in page.text
    assert "Return RT-" in page.text
    assert (page.headers["cache-control"], page.headers["x-robots-tag"]) == ("no-store", "noindex, nofollow")
    assert "script-src 'none'" in page.headers["content-security-policy"]
    robot = Robot(browse())
    await robot.walk(path)
    assert (path, 422) in robot.sent
    assert await everything(shop.database) == before


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("not_received", "If you have brought or sent it, "),
        ("cancelled", "If you want to bring it back all the same, "),
    ],
)
@pytest.mark.parametrize(("days", "how"), [(2, "tell us below."), (-1, "call the store.")])
async def test_a_return_that_came_to_nothing_says_what_is_left_to_do(
    shop: Shop, back: Back, browse: Browse, state: str, says: str, days: float, how: str
) -> None:
    await shop.change("UPDATE journey SET state = :state WHERE id = :id", state=state, id=back.id)
    page = (await browse().get(await mailed(back, days=days))).text
    assert says + how in page


async def test_words_and_photos_reach_somebody_and_stand_on_the_page(shop: Shop, back: Back, browse: Browse) -> None:
    path, client = await mailed(back), browse()
    answer = await say(client, path, "It was <b>broken</b>\nwhen it came", jpeg(exif(1)), png())
    assert answer.status_code == 200
    assert "Somebody looks at your return again" in answer.text
    assert "It was &lt;b&gt;broken&lt;/b&gt;<br>when it came" in answer.text
    assert await back.cases() == ["return_disputed"]
    shown = re.findall(rf'<img src="({path}/photos/\d+)"', answer.text)
    pictures = [await browse().get(one) for one in shown]
    assert [one.content for one in pictures] == [JPEG, png()]
    assert pictures[0].headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'; sandbox"
    assert pictures[0].headers["x-robots-tag"] == "noindex, nofollow"


async def test_sent_twice_it_is_one_message(shop: Shop, back: Back, browse: Browse) -> None:
    path, client = await mailed(back), browse()
    for _ in range(2):
        assert (await say(client, path, "The lid is gone.", png())).status_code == 200
    said = "SELECT count(*) FROM person_note WHERE subject = :id"
    assert await shop.value(said, id=back.id) == 1
    assert await shop.value("SELECT count(*) FROM photo") == 1


@pytest.mark.parametrize(
    ("words", "pictures", "status", "says"),
    [
        ("   ", (), 422, "Write something, or choose a photo"),
        ("Look", (b"<svg/>",), 422, "Send a JPEG or a PNG"),
        ("x" * 4_001, (), 422, "4,000 characters at most"),
        ("Look", tuple(png(shade=one) for one in range(5)), 422, "Send 4 photos at once"),
    ],
    ids=["nothing", "no photo", "too long", "too many"],
)
async def test_what_is_wrong_is_said_and_the_words_stay_in_their_field(
    shop: Shop, back: Back, browse: Browse, words: str, pictures: tuple[bytes, ...], status: int, says: str
) -> None:
    answer = await say(browse(), await mailed(back), words, *pictures)
    assert answer.status_code == status
    assert says in answer.text
    assert f">{words}</textarea>" in answer.text
    assert await back.cases() == []
    assert await shop.value("SELECT count(*) FROM photo") == 0


async def test_a_form_from_elsewhere_says_nothing(shop: Shop, back: Back, browse: Browse) -> None:
    path = await mailed(back)
    answer = await browse().post(path, data={"words": "Pay me", "proof": "0" * 64})
    assert answer.status_code == 403
    assert "was not opened in this browser" in answer.text
    assert await back.cases() == []


async def test_an_old_link_still_tells_and_takes_nothing(shop: Shop, back: Back, browse: Browse) -> None:
    path = await mailed(back, days=-1)
    page = await browse().get(path)
    assert page.status_code == 200
    assert "takes no messages any more" in page.text
    answer = await browse().post(path, data={"words": "Late"})
    assert answer.status_code == 403
    assert await back.cases() == []


async def test_nobody_elses_photos_are_shown(shop: Shop, back: Back, browse: Browse) -> None:
    path = await mailed(back)
    await say(browse(), path, "", png())
    other = await Back.open(shop, await collected(shop))
    number = await shop.value("SELECT id FROM photo")
    for wrong in (f"{await mailed(other)}/photos/{number}", f"{path}/photos/{number + 1}", f"/c/x/photos/{number}"):
        assert (await browse().get(wrong)).status_code == 404


async def test_whoever_is_forgotten_leaves_no_words_and_no_picture(
    shop: Shop, back: Back, browse: Browse, app: FastAPI, tmp_path: Path
) -> None:
    path = await mailed(back)
    await say(browse(), path, "Kim Lee, Rheinstr. 1", png())
    assert [one for one in tmp_path.rglob("*") if one.is_file()]
    wanted = ErasureRequest(journey_id=back.id)
    at = datetime.now(UTC)
    gone = await erasing.ask(shop.database, wanted, viewer=None, sources=None, actor="ada", via="test", at=at)
    assert gone.erased == 1
    number = await shop.value("SELECT id FROM photo")
    assert (await browse().get(f"{path}/photos/{number}")).status_code == 404
    assert await photos.sweep(shop.database, app.state.photos.remove) == 1
    assert await photos.sweep(shop.database, app.state.photos.remove) == 0
    assert [one for one in tmp_path.rglob("*") if one.is_file()] == []
    assert await shop.value("SELECT count(*) FROM photo") == 0
    assert await shop.value("SELECT count(*) FROM person_note WHERE subject = :id", id=back.id) == 0


async def test_what_is_refused_or_sent_again_fills_no_store(
    shop: Shop, back: Back, browse: Browse, tmp_path: Path
) -> None:
    """Whoever holds a link could send the same photo for ever, or one too many: nothing of it may stay."""
    path, client = await mailed(back), browse()

    def kept() -> int:
        return sum(1 for one in tmp_path.rglob("*") if one.is_file())

    for shades in ((1, 2, 3, 4), (1, 2, 3, 4), (5, 6, 7, 8), (9, 10, 11, 12)):
        assert (await say(client, path, "Look", *(png(shade=one) for one in shades))).status_code == 200
    assert kept() == await shop.value("SELECT count(*) FROM photo") == photos.MOST_OF_CUSTOMER
    for shade in (13, 14):
        refused = await say(client, path, "Look once more", png(shade=shade))
        assert (refused.status_code, "photos at most" in refused.text) == (422, True)
    assert kept() == await shop.value("SELECT count(*) FROM photo") == photos.MOST_OF_CUSTOMER
