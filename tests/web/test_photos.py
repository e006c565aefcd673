"""Photos of what came back: taken with the inspection, judged by their bytes, shown to whoever may see the return."""

from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

import ledger.engine
from ledger import tables
from ports.photos import FolderPhotos, PhotosAwayError
from tests.pictures import HOME, JPEG, exif, jpeg, png
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.retail import rows
from tests.web.store import facts, form_of, staff
from tests.web.test_store_inspecting import BACK, PATH, came_back

__all__ = ["accounts", "browse", "came_back", "sign_in", "staff"]
pytestmark = pytest.mark.usefixtures("staff", "came_back", "folder")
type Ledger = ledger.engine.Database


@pytest.fixture
def folder(app: FastAPI, tmp_path: Path) -> Path:
    """Where this test's photos are kept."""
    app.state.photos = FolderPhotos(tmp_path)
    return tmp_path


def files(*contents: bytes, name: str = "photo.jpg") -> list[tuple[str, tuple[str, bytes, str]]]:
    return [("photo:1", (name, content, "image/jpeg")) for content in contents]


async def send(client: httpx2.AsyncClient, *contents: bytes, **more: Any) -> httpx2.Response:
    """The page's form as it stands, with photos and what else is typed into it."""
    form = form_of((await client.get(PATH)).text) | more
    return await client.post(PATH, data=form, files=files(*contents))


def kept(folder: Path) -> list[bytes]:
    return [one.read_bytes() for one in sorted(folder.rglob("*")) if one.is_file()]


async def test_photos_come_with_what_was_found_and_are_shown_to_who_decides(
    sign_in: SignIn, retailer: Ledger, folder: Path
) -> None:
    pia = await sign_in("pia.lund")
    answer = await send(pia, jpeg(exif(1)), png(), **{"quantity:1": "1", "condition:1": "used"})
    assert answer.status_code == 200
    assert "2 photos added." in answer.text
    assert "The rest is still to be inspected." in answer.text
    found = await rows(retailer, tables.photo)
    assert [(row["media_type"], row["person_id"], row["line_id"]) for row in found] == [
        ("image/jpeg", "pia.lund", "1"), ("image/png", "pia.lund", "1"),
    ]  # fmt: skip
    assert sorted(kept(folder)) == sorted([JPEG, png()])
    sam = await sign_in("sam.ortega")
    page = (await sam.get(f"/console/journeys/{BACK}")).text
    assert "2 photos added." in page
    for row, content in zip(found, (JPEG, png()), strict=True):
        assert f'<img src="/console/photos/{row["id"]}" alt="Photo' in page
        shown = await sam.get(f"/console/photos/{row['id']}")
        assert (shown.status_code, shown.content) == (200, content)
        assert shown.headers["content-type"] == row["media_type"]
        assert shown.headers["x-content-type-options"] == "nosniff"
        assert shown.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'; sandbox"
        assert shown.headers["content-disposition"].startswith(f'inline; filename="photo-{row["id"]}.')
        assert shown.headers["cache-control"] == "private, no-store"


async def test_photos_alone_leave_what_was_typed_in_its_fields(sign_in: SignIn, retailer: Ledger, folder: Path) -> None:
    pia = await sign_in("pia.lund")
    answer = await send(pia, JPEG, **{"quantity:1": "1", "reason:1": "soft", "condition:1": "used", "act": "photos"})
    assert "1 photo added." in answer.text
    assert await facts(retailer) == []
    form = form_of(answer.text)
    assert (form["quantity:1"], form["reason:1"]) == ("1", "soft")
    assert '<option value="used" selected>' in answer.text


async def test_the_same_photo_again_is_no_second(sign_in: SignIn, retailer: Ledger) -> None:
    pia = await sign_in("pia.lund")
    await send(pia, JPEG, act="photos")
    again = await send(pia, jpeg(exif(1)), act="photos")
    assert again.status_code == 422
    assert "none came" in again.text
    assert len(await rows(retailer, tables.photo)) == 1


async def test_a_photo_stays_where_the_rest_of_the_form_is_wrong(sign_in: SignIn, retailer: Ledger) -> None:
    answer = await send(await sign_in("pia.lund"), JPEG, **{"quantity:1": "9", "condition:1": "new"})
    assert answer.status_code == 422
    assert "1 photo added." in answer.text
    assert "2 wait to be inspected" in answer.text
    assert await facts(retailer) == []
    assert len(await rows(retailer, tables.photo)) == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "Send a JPEG or a PNG"),
        (JPEG[:-9], "cut off on its way"),
        (JPEG + bytes(8_000_000), "8 MB at most"),
        (b"", "The photo is empty"),
    ],
    ids=["svg", "cut off", "large", "empty"],
)
async def test_what_is_no_photo_is_said_beside_its_field_and_nothing_is_saved(
    sign_in: SignIn, retailer: Ledger, folder: Path, content: bytes, says: str
) -> None:
    answer = await send(await sign_in("pia.lund"), content, **{"quantity:1": "1", "condition:1": "new"})
    assert answer.status_code == 422
    assert says in answer.text
    assert 'aria-describedby="problem-photo:1"' in answer.text
    assert (await facts(retailer), await rows(retailer, tables.photo), kept(folder)) == ([], [], [])


async def test_more_at_once_than_a_form_takes(sign_in: SignIn, retailer: Ledger, folder: Path) -> None:
    pia = await sign_in("pia.lund")
    answer = await send(pia, *(png(shade=number) for number in range(5)), act="photos")
    assert "Send 4 photos at once at most" in answer.text
    assert kept(folder) == []
    whole = await send(pia, bytes(40_000_000))
    assert whole.status_code == 413


async def test_more_of_one_return_than_there_may_be(
    sign_in: SignIn, retailer: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.photos.MOST_OF_STAFF", 2)
    pia = await sign_in("pia.lund")
    await send(pia, png(shade=1), png(shade=2), act="photos")
    answer = await send(pia, png(shade=3), act="photos")
    assert answer.status_code == 422
    assert "A return has 2 photos at most" in answer.text
    assert len(await rows(retailer, tables.photo)) == 2


async def test_a_large_body_is_for_pages_with_photos_alone(sign_in: SignIn) -> None:
    answer = await (await sign_in("pia.lund")).post("/store/S1/put-away/x", content=bytes(60_000))
    assert answer.status_code == 413


async def test_only_the_store_adds_photos_and_only_its_region_sees_them(sign_in: SignIn, retailer: Ledger) -> None:
    pia = await sign_in("pia.lund")
    form = form_of((await pia.get(PATH)).text) | {"act": "photos"}
    for person, status in (("lea.marx", 404), ("sol.byrne", 404), ("ida.noor", 403)):
        answer = await (await sign_in(person)).post(PATH, data=form, files=files(JPEG))
        assert answer.status_code == status, person
    assert await rows(retailer, tables.photo) == []
    await send(pia, JPEG, act="photos")
    (row,) = await rows(retailer, tables.photo)
    for person, status in (("lea.marx", 404), ("sol.byrne", 404), ("ida.noor", 200), ("ana.ruiz", 200)):
        answer = await (await sign_in(person)).get(f"/console/photos/{row['id']}")
        assert answer.status_code == status, person


class Away:
    """A store of photos that cannot be reached."""

    async def put(self, key: str, content: bytes, media_type: str) -> None:
        raise PhotosAwayError("away")

    async def get(self, key: str) -> bytes:
        raise PhotosAwayError("away")

    async def remove(self, key: str) -> None:
        raise PhotosAwayError("away")

    async def close(self) -> None:
        """Nothing is open."""


async def test_where_photos_cannot_be_kept_nothing_is_saved_and_it_says_so(
    sign_in: SignIn, retailer: Ledger, app: FastAPI
) -> None:
    pia = await sign_in("pia.lund")
    app.state.photos = Away()
    answer = await send(pia, JPEG, **{"quantity:1": "1", "condition:1": "new"})
    assert answer.status_code == 503
    assert "Photos cannot be kept just now; nothing was saved." in answer.text
    assert form_of(answer.text)["quantity:1"] == "1"
    assert (await facts(retailer), await rows(retailer, tables.photo)) == ([], [])


async def test_a_photo_whose_file_is_gone_and_a_store_that_is_away(
    sign_in: SignIn, retailer: Ledger, app: FastAPI, folder: Path
) -> None:
    pia = await sign_in("pia.lund")
    await send(pia, JPEG, act="photos")
    (row,) = await rows(retailer, tables.photo)
    path = f"/console/photos/{row['id']}"
    for one in folder.rglob("*"):
        if one.is_file():
            one.unlink()
    gone = await pia.get(path)
    assert (gone.status_code, "not in the store of photos any more" in gone.text) == (404, True)
    app.state.photos = Away()
    away = await pia.get(path)
    assert (away.status_code, "cannot be read just now" in away.text) == (503, True)


async def test_what_was_typed_beside_photos_outlives_the_session(
    sign_in: SignIn, browse: Any, retailer: Ledger
) -> None:
    form = form_of((await (await sign_in("pia.lund")).get(PATH)).text) | {"reason:1": "torn & wet"}
    answer = await browse().post(PATH, data=form, files=files(JPEG + HOME))
    assert answer.status_code == 401
    assert "torn &amp; wet" in answer.text
    assert await rows(retailer, tables.photo) == []
