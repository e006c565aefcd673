"""Promotions of a CSV file: looked at first, with what would be made and every refusal by its row; then defined, each
by itself. What was read stands on the page, to be corrected there; the same file again takes nothing twice.
"""

from datetime import UTC, datetime
from typing import NamedTuple

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.datastructures import UploadFile

from domain.errors import DomainError, Malformed, NotAllowed
from domain.ids import journey_id
from domain.people import Person
from domain.promotion import in_words
from domain.promotion_file import FileBroken, Read, read
from domain.promotions import PromotionAnswer
from ledger.promotion import intake
from ledger.promotion.defining import Ground as TakenUp
from ledger.promotion.preview import Preview, check_reach, first_meeting, ground, preview
from ledger.tables import journey
from web.console.defining_promotions import (
    KIND,
    SOURCE,
    Ground,
    caller_of,
    ground_of,
    promotes_somewhere,
    refused_as,
)
from web.pages import ConsoleRoute, page
from web.sessions import SignedIn, database_of

router = APIRouter(route_class=ConsoleRoute)
PAGE = "/console/promotions/file"
MOST_CHARACTERS = 500_000
MOST_PROMOTIONS = 300  # of one file; `endcap promotions` takes more


class Row(NamedTuple):
    """What a promotion of the file would be, or became, or why it is not taken; `line` is where it begins."""

    line: int
    promotion_id: str
    name: str = ""
    offer: str = ""
    looked: Preview | None = None
    refusal: str = ""
    made: PromotionAnswer | None = None
    was_there: bool = False
    is_draft: bool = False


async def _text(request: Request) -> tuple[str, str]:
    """(what is to be done, the file as a text): of the file that came along, else as it stands on the page."""
    form = await request.form(max_fields=20)
    do, text = str(form.get("do") or ""), str(form.get("text") or "")
    text = await uploaded_text(form.get("file")) or text
    if not text.strip():
        raise Malformed("Choose a file, or paste its rows.")
    if len(text) > MOST_CHARACTERS:
        raise Malformed(f"The file has {len(text):,} characters; {MOST_CHARACTERS:,} are the most. Divide it.")
    return do, text.replace("\r\n", "\n")


async def uploaded_text(file: object) -> str:
    """The text of a file that came along with a form, "" for none. Raises `Malformed`."""
    if not isinstance(file, UploadFile):
        return ""
    try:
        return (await file.read()).decode("utf-8-sig") if file.filename else ""
    except UnicodeDecodeError:
        raise Malformed("The file is no UTF-8 text; save it as CSV (UTF-8), and choose it again.") from None
    finally:
        await file.close()


def _read(text: str) -> tuple[list[Read], list[Row]]:
    """The promotions of the file, and what is wrong with the others. Raises `Malformed`."""
    try:
        found, refused = read(text)
    except FileBroken as broken:
        raise Malformed(f"This is no file of promotions: {broken}.") from None
    if len(found) > MOST_PROMOTIONS:
        raise Malformed(f"The file has {len(found):,} promotions; {MOST_PROMOTIONS} are the most. Divide it.")
    rows = [Row(one.line, one.promotion_id, refusal=one.reason) for one in refused]
    good = []
    for one in found:
        if one.promotion.requested_by is not None:
            why = "requested_by is for files of systems; here it is you who asks"
            rows.append(Row(one.line, one.promotion.promotion_id, one.promotion.name, refusal=why))
        else:
            good.append(one)
    if not good and not rows:
        raise Malformed("The file has a heading and no rows; write a row for each item or category.")
    return good, rows


async def _known(conn: AsyncConnection, wanted: list[Read]) -> set[str]:
    """The codes for which a person has defined a promotion already."""
    ids = {journey_id("promotion", SOURCE, one.promotion.promotion_id): one.promotion.promotion_id for one in wanted}
    rows = await conn.execute(select(journey.c.id).where(journey.c.id.in_(list(ids))))
    return {ids[key] for key in rows.scalars()}


async def _look(request: Request, person: Person, base: Ground, wanted: list[Read]) -> list[Row]:
    """What each would be now, and whom of the file it would meet. Writes nothing."""
    rows: list[Row] = []
    taken: list[tuple[str, TakenUp]] = []
    now = datetime.now(UTC)
    async with database_of(request).read() as conn:
        known = await _known(conn, wanted)
        for one in wanted:
            new = one.promotion
            row = Row(one.line, new.promotion_id, new.name, in_words(new.offer), is_draft=not new.submit)
            if new.promotion_id in known:
                rows.append(row._replace(was_there=True))
                continue
            try:
                looked = await preview(conn, new, channels=base.channels, at=now)
                check_reach(person, looked.meant, base.places)
            except DomainError as refused:
                rows.append(row._replace(refusal=refused.detail))
                continue
            mine = ground(new, looked.meant)
            meets = first_meeting(mine, taken) if new.submit else None
            if new.submit and looked.meets:
                rows.append(row._replace(refusal=looked.meets))
            elif meets:
                why = f"It would meet {meets} of this file, and one of the two is exclusive; move one of them."
                rows.append(row._replace(refusal=why))
            else:
                rows.append(row._replace(looked=looked))
                taken += [(new.promotion_id, mine)] if new.submit else []
    return rows


async def _define(request: Request, person: Person, base: Ground, wanted: list[Read]) -> list[Row]:
    """Define those that can be; each by itself, as the form does."""
    rows = []
    database = database_of(request)
    async with database.read() as conn:
        known = await _known(conn, wanted)
    for one in wanted:
        new = one.promotion
        row = Row(one.line, new.promotion_id, new.name, in_words(new.offer))
        try:
            if new.promotion_id not in known:
                async with database.read() as conn:
                    looked = await preview(conn, new, channels=base.channels, at=datetime.now(UTC))
                check_reach(person, looked.meant, base.places)
            status, answer = await intake.define(
                database, caller_of(person), new, channels=base.channels, via="console", requested_by=person.id
            )
            rows.append(row._replace(made=answer, was_there=status == 200))
        except DomainError as refused:
            rows.append(row._replace(refusal=refused_as(refused).why))
    return rows


def _shown(
    request: Request,
    person: Person,
    text: str = "",
    rows: list[Row] | None = None,
    *,
    is_done: bool = False,
    refused: DomainError | None = None,
) -> Response:
    listed = sorted(rows or (), key=lambda row: row.line)
    context = {
        "person": person,
        "section": KIND.section,
        "text": text,
        "rows": listed,
        "good": sum(not row.refusal and not row.was_there for row in listed),
        "bad": sum(bool(row.refusal) for row in listed),
        "is_done": is_done,
        "refusal": refused,
        "may_define": promotes_somewhere(person),
    }
    return page(request, "promotions/file.html", context, status=422 if refused else 200)


@router.get(PAGE)
async def show(request: Request, person: SignedIn) -> Response:
    return _shown(request, person)


@router.post(PAGE)
async def take(request: Request, person: SignedIn) -> Response:
    """`do=define` defines what can be; all else looks at it."""
    if not promotes_somewhere(person):
        raise NotAllowed("Your role may look at promotions, not define them; that is the merchandiser's.")
    text = ""
    try:
        do, text = await _text(request)
        wanted, rows = _read(text)
    except Malformed as refused:
        return _shown(request, person, text, refused=refused)
    async with database_of(request).read() as conn:
        base = await ground_of(request, conn, person)
    work = _define if do == "define" else _look
    return _shown(request, person, text, rows + await work(request, person, base, wanted), is_done=do == "define")
