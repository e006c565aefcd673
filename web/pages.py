"""Pages out of templates: the template environment, how money and instants are written, whole page or fragment.

A fragment is a block of the page's own template, so a page and its refresh can never differ. No page is cached.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2_fragments import render_block
from markupsafe import Markup, escape

from domain.approval_words import FILTERS as APPROVAL_WORDS
from domain.errors import DomainError, Malformed, ProofTooOld
from domain.ids import parse_journey_id
from domain.journey_kinds import JOURNEY_KINDS, journey_page, journey_words
from domain.people import Person
from domain.statements import before, statement
from domain.texts import settled
from domain.words import (
    capital,
    closing,
    kind_title,
    local,
    moment,
    money,
    more,
    nth,
    span,
    subject_words,
    until,
    words,
)
from web.kept import Kept, kept_of, texts_of
from web.sessions import SignInFirstError, way_back, way_to_sign_in
from web.status import STATUS_OF_FAMILY

MAX_NOTE = 4_000
MAX_FORM = 20_000  # refused without ceremony; what lies between is refused with the text still in its field
HTMX = "htmx.org@4.0.1/dist/htmx.min.js"
# Of the file in the published package; its own read-me names the hash of the release before.
HTMX_SRI = "sha384-Qp9rdC8H7EqOoX+nR0P3RPG2Noji+qdwJlGpfzwQJsfOpp3sGwIdSP9xO3+UlEhn"
COME_AGAIN = frozenset({429, 503})  # nothing of it was done, and the same may be sent again in a moment
SIGNS = ":/%#?=@[]!$&'()*+,;"  # stay as they are in an address that is sent as a header
VARY = "HX-Request, HX-Request-Type, HX-History-Restore-Request, Cookie"


_TIME = Markup('<time datetime="%s" title="%s">%s</time>')


def when(instant: datetime | None, zone: str = "UTC") -> Markup:
    """An instant as a `time` element in the place's own zone; nothing for None."""
    if instant is None:
        return Markup("")
    return _written(instant.astimezone(UTC), zone)


@lru_cache(maxsize=20_000)
def _written(instant: datetime, zone: str) -> Markup:
    """Kept by instant, in UTC, and zone: a list that refreshes itself writes the same two hundred each time."""
    return _element(instant, zone, local(instant, zone))


def kept_until(instant: datetime, zone: str) -> Markup:
    """The end of a time that customers are given, as `domain.words.closing` says it."""
    return _element(instant.astimezone(UTC), zone, closing(instant, zone))


def _element(instant: datetime, zone: str, said: str) -> Markup:
    in_full = f"{instant.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M:%S %Z (UTC%z)}"
    return _TIME % (instant.isoformat(timespec="seconds"), in_full, said)


def instant(value: object, zone: str = "UTC") -> object:
    """A recorded instant (RFC 3339 text or datetime) as `when` writes it; any other text as it is."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return value
    if isinstance(value, datetime) and value.tzinfo is not None:
        return when(value, zone)
    return value


def start_of_day(now: datetime, zone: str) -> datetime:
    """Midnight of `now`'s day in `zone`, in UTC."""
    return datetime.combine(now.astimezone(ZoneInfo(zone)).date(), datetime.min.time(), ZoneInfo(zone)).astimezone(UTC)


def paragraphs(text: str) -> Markup:
    """Free text of people: escaped, its line breaks kept."""
    return Markup("<br>").join(escape(line) for line in text.splitlines())


def written(text: str) -> str:
    """What somebody wrote into a form, without the line ends that browsers make of it. Raises `Malformed`."""
    try:
        words = settled(text.replace("\r\n", "\n")).strip()
    except ValueError as error:
        raise Malformed(str(error)) from error
    if len(words) > MAX_NOTE:
        raise Malformed(f"A text has {MAX_NOTE:,} characters at most; this one has {len(words):,}. Shorten it.")
    return words


def without(things: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """A mapping less some of its keys."""
    return {name: thing for name, thing in things.items() if name not in names}


def filled(things: Mapping[str, Any], said: str = "") -> dict[str, Any]:
    """Those that say anything beyond what was `said` already."""
    empty: tuple[object, ...] = (None, "", [], {})
    known = {name for name, thing in things.items() if isinstance(thing, str) and thing in said}
    return {name: thing for name, thing in things.items() if thing not in empty and name not in known}


def named(rows: Iterable[Mapping[str, Any]], names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Rows about items, each with the item's name first and its SKU last."""
    found = []
    for row in rows:
        sku = row.get("sku", row.get("item", ""))
        name = row.get("name") or names.get(sku) or row.get("item") or sku
        found.append({"item": name, **without(row, "item", "name", "sku"), **({"sku": sku} if sku != name else {})})
    return found


def order_key(journey_id: str) -> str:
    """The number that the customer knows, from a journey's id."""
    return parse_journey_id(journey_id).key


def actor(name: str) -> str:
    """Who did it, as people read it: systems by their key, what Endcap did by itself by its name."""
    if name.startswith("key:"):
        return f"system {name.removeprefix('key:')}"
    if name.startswith("customer:"):
        return "the customer"
    return {"endcap": "Endcap", "sender": "Endcap"}.get(name, name)


def path(text: object) -> str:
    """One segment of an address, whatever characters an id has."""
    return quote(str(text), safe=":")


def address(base: str, query: Mapping[str, object]) -> str:
    """`base` with the parameters that have a value."""
    given = {name: value for name, value in query.items() if value not in (None, "", [])}
    return f"{base}?{urlencode(given, doseq=True)}" if given else base


def environment() -> Environment:
    """The templates of pages with the filters they share. A name that a page does not get is an error.

    A template stays as it was first read: put in place anew beside a process that runs, it would be filled by code that
    does not know it, and every page be looked for on the disk again.
    """
    env = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    filters: dict[str, Callable[..., Any]] = {
        "money": money,
        "local": local,
        "when": when,
        "kept_until": kept_until,
        "words": words,
        "statement": statement,
        "before": before,
        "kind_title": kind_title,
        "about": subject_words,
        "journey_page": journey_page,
        "journey_words": journey_words,
        "order_key": order_key,
        "actor": actor,
        "capital": capital,
        "filled": filled,
        "named": named,
        "paragraphs": paragraphs,
        "path": path,
        "instant": instant,
        "without": without,
        "until": until,
        "more": more,
        "nth": nth,
        "span": span,
        "moment": moment,
        "seconds": lambda seconds: span(timedelta(seconds=seconds)),
    }
    env.filters.update(filters | APPROVAL_WORDS)
    env.globals |= {"address": address, "journey_kinds": JOURNEY_KINDS}
    return env


templates = environment()


def is_partial(request: Request) -> bool:
    """Whether htmx asks for a fragment. A history restore and a swap of the whole body want the page."""
    return request.headers.get("hx-request-type") == "partial"


def page(
    request: Request,
    template: str,
    context: Mapping[str, Any],
    *,
    block: str | None = None,
    status: int = 200,
) -> Response:
    """The whole page, or its `block` when htmx asked for a fragment."""
    settings = request.app.state.settings
    full = {
        "person": None,
        "section": "",
        "demo": settings.demo,
        "mailbox_url": settings.mailbox_url if settings.demo else None,
        "htmx_url": f"{settings.asset_base}/{HTMX}",
        "htmx_sri": HTMX_SRI,
        "here": request.url.path,
        "now": datetime.now(UTC),
        "problem": None,
        "single_sign_on": settings.oidc_name if settings.oidc_issuer else None,
        "live_since": "",  # what the page's stream begins from: see `web.live`
        **context,
    }
    if block is not None and is_partial(request):
        body = render_block(templates, template, block, **full)
    else:
        body = templates.get_template(template).render(full)
    return fragment(body, status=status)


def fragment(body: str, *, status: int = 200) -> Response:
    """An answer of what is written already."""
    return HTMLResponse(body, status_code=status, headers={"Vary": VARY, "Cache-Control": "no-store"})


def see(request: Request, target: str) -> Response:
    """After something was done: go and look at `target` (303), by htmx or without."""
    if is_partial(request):
        return Response(
            status_code=204, headers={"HX-Redirect": quote(target, safe=SIGNS), "Cache-Control": "no-store"}
        )
    return RedirectResponse(target, status_code=303, headers={"Cache-Control": "no-store"})


class ConsoleRoute(APIRoute):
    """A route whose refusals are pages: sign in first, or the reason in words with the right status. It is no part of
    the API, nor of its document.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **more: Any) -> None:
        super().__init__(path, endpoint, **{**more, "include_in_schema": False})

    def get_route_handler(self) -> Callable[[Request], Any]:
        inner = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                response: Response = await inner(request)
            except SignInFirstError:
                return await to_sign_in(request)
            except DomainError as error:
                return await refusal(request, error)
            except Exception:
                # Nobody outside of here can read the form any more: what was written in it must not be lost.
                with suppress(Exception):
                    request.state.sent = await kept_of(request)
                raise
            return response

        return handle


async def to_sign_in(request: Request) -> Response:
    """The way to the sign-in page. To htmx it is said by a header: a redirect would land inside a table cell. A form
    that was sent by the browser itself comes along: nothing that somebody has typed is lost.
    """
    target = way_to_sign_in(request)
    if is_partial(request):
        return Response(status_code=401, headers={"HX-Redirect": target, "Cache-Control": "no-store"})
    kept = await kept_of(request)
    if kept is None:
        return RedirectResponse(target, status_code=303, headers={"Cache-Control": "no-store"})
    return sign_in_page(request, next=way_back(request), kept=kept.written(), status=401)


def sign_in_page(
    request: Request,
    *,
    next: str = "/",  # noqa: A002  the name in the form
    email: str = "",
    kept: str = "",
    problem: str | None = None,
    proves: str | None = None,
    status: int = 200,
) -> Response:
    """The sign-in page. `proves`: why somebody who is signed in has to prove themselves anew."""
    admins_only = request.app.state.settings.local_sign_in == "admins"
    context = {"next": next, "email": email, "kept": kept, "problem": problem, "proves": proves}
    return page(request, "sign_in.html", context | {"admins_only": admins_only}, status=status)


async def prove_again(request: Request, person: Person, target: str, refused: ProofTooOld) -> Response:
    """Have somebody who is signed in prove who they are; the form that they sent comes back on `target` afterwards."""
    request.state.denied = refused.code
    kept = await kept_of(request)
    words = f"{refused.detail} Nothing is decided yet; what you chose comes back, and you send it then."
    return sign_in_page(
        request, next=target, email=person.email, kept=kept.written() if kept else "", proves=words, status=403
    )


async def refusal(request: Request, error: DomainError) -> Response:
    """A page (or, for htmx, a fragment) that says why not."""
    if error.family == "forbidden":
        request.state.denied = error.code
    return await problem_page(request, STATUS_OF_FAMILY[error.family], error.detail, sent=await kept_of(request))


async def problem_page(request: Request, status: int, detail: str, *, sent: Kept | None = None) -> Response:
    """A page (or, for htmx, a fragment) that says what happened, in the frame of where somebody is.

    `sent` is the form that met it: to be sent again where that may help, else what was written in it, to be copied.
    """
    path = request.url.path
    can_be_sent_again = status in COME_AGAIN and not path.startswith("/sign-in")  # nobody keeps a password
    again = sent if can_be_sent_again else None
    back = way_back(request) if request.method == "POST" and "referer" in request.headers else ""
    context = {
        "status": status,
        "detail": detail,
        "person": getattr(request.state, "person", None),
        "section": "store" if path.startswith("/store") else "",
        "by_link": path[1:2] if path.startswith(("/a/", "/c/")) else "",
        "again": again,
        "texts": [text for text in texts_of(sent) if " " in text] if sent is not None and again is None else [],
        "back": back,
    }
    response = page(request, "error.html", context, block="problem", status=status)
    if is_partial(request):
        # Said on top, never in place of the form or list that asked: what was typed there stays.
        response.headers.update({"HX-Retarget": "#flash", "HX-Reswap": "innerHTML"})
    return response
