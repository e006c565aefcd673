"""A form whose session had ended by the time it was sent: its fields travel through the sign-in, and its page comes
back with them filled in. Nothing of it is stored, and nothing is done until the person sends it again.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from html import escape
from html.parser import HTMLParser
from typing import NamedTuple
from urllib.parse import urlsplit

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Message

from domain.errors import Malformed

MAX_FIELDS = 3_000
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
MAX_CHARACTERS = 200_000
NEVER = frozenset({"password"})
AS_TYPED = (
    "You were signed out before this was sent, so nothing of it was done. What you had written is in the form again: "
    "look at it, then send it."
)
AS_CHOSEN = (
    "You are signed in, and nothing was done yet. What you had written and chosen is in the form again: look at it, "
    "then send it."
)
GONE = (
    "You were signed out before this was sent, so nothing of it was done. The form is not here any more, because "
    "something has changed meanwhile. This is what you had written:"
)


class Kept(NamedTuple):
    """Where a form was sent, and its fields in order."""

    path: str
    fields: tuple[tuple[str, str], ...]

    def written(self) -> str:
        return json.dumps([self.path, self.fields], ensure_ascii=False)


async def kept_of(request: Request) -> Kept | None:
    """What a request carries as a form; None where it carries none, or more than a form of ours ever has."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method != "POST" or kind not in FORMS:
        return None
    sent = await request.form(max_fields=MAX_FIELDS)
    fields = tuple(
        (name, value) for name, value in sent.multi_items() if not isinstance(value, UploadFile) and name not in NEVER
    )
    await sent.close()  # of files that came along; they have to be chosen again
    kept = Kept(request.url.path, fields)
    return kept if fields and len(kept.written()) <= MAX_CHARACTERS else None


def read_kept(text: str) -> Kept | None:
    """The same out of the sign-in form; nothing for the empty text. Raises `Malformed`."""
    if not text:
        return None
    try:
        path, fields = json.loads(text)
        pairs = tuple((name, value) for name, value in fields)
    except (ValueError, TypeError, RecursionError):
        pairs, path = ((0, 0),), ""
    if not all(isinstance(word, str) for word in (path, *(word for pair in pairs for word in pair))):
        raise Malformed("What was kept of the form cannot be read. Sign in, and open its page again.")
    return Kept(_sendable(path), tuple((_sendable(name), _sendable(value)) for name, value in pairs))


def _sendable(word: str) -> str:
    """Without halves of characters, which JSON can name and no page can be sent with."""
    return word.encode("utf-8", "replace").decode()


async def look_at(request: Request, target: str, cookie: str) -> tuple[int, str]:
    """Status and body of one of this application's own pages, as a browser with this cookie would get it."""
    parts = urlsplit(target)
    passed_on = (b"host", b"user-agent", b"accept-language")
    headers = [(name, value) for name, value in request.scope["headers"] if name in passed_on]
    scope = {
        **{name: request.scope[name] for name in ("type", "asgi", "http_version", "server", "client", "scheme")},
        "root_path": request.scope.get("root_path", ""),
        "method": "GET",
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "headers": [*headers, (b"accept", b"text/html"), (b"cookie", cookie.encode("latin-1"))],
    }
    status, body = 500, bytearray()

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        elif message["type"] == "http.response.body":
            body.extend(message.get("body", b""))

    await request.app(scope, receive, send)
    return status, body.decode()


def fill(html: str, kept: Kept) -> str | None:
    """A page with the kept fields in its form that is sent to the same place; None where there is no such form.

    What the page hides in the form stays as the page has it now: versions, and numbers of forms.
    """
    owners = _Forms(kept.path)
    owners.feed(html)
    owners.close()
    if not owners.wanted:
        return None
    writer = _Filler(owners.wanted, kept.fields)
    writer.feed(html)
    writer.close()
    return "".join(writer.out)


async def typed_again(request: Request, response: Response) -> Response:
    """A page that says why a form of it was refused, with the form filled in as it was sent."""
    kept = await kept_of(request)
    filled = fill(bytes(response.body).decode(), kept) if kept else None
    if filled is None:
        return response
    return HTMLResponse(
        filled, response.status_code, {name: response.headers[name] for name in ("Vary", "Cache-Control")}
    )


def tell(html: str, said: str, texts: Sequence[str] = ()) -> str:
    """The page with a notice in the place where pages say what happened."""
    listed = "".join(f'<p class="comment">{escape(text)}</p>' for text in texts)
    place = '<div id="flash" role="status" aria-live="polite">'
    return html.replace(place, f'{place}<div class="notice warn"><p>{escape(said)}</p>{listed}</div>', 1)


def texts_of(kept: Kept) -> list[str]:
    """What a person may have written of it: everything with a word in it, less the choices."""
    return [value for _, value in kept.fields if len(value) > 1 and not value.isdigit()]


class _Forms(HTMLParser):
    """Finds the forms that are sent to a path: by number, and by id for controls that stand outside."""

    def __init__(self, path: str) -> None:
        super().__init__(convert_charrefs=False)
        self._path = path
        self._count = 0
        self._open: tuple[int, str] | None = None
        self.wanted: set[int | str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self._count += 1
            self._open = (self._count, given.get("id") or "")
        action = given.get("action") if tag == "form" else given.get("formaction") if tag == "button" else None
        if action is None or self._open is None or urlsplit(action).path != self._path:
            return
        self.wanted |= {one for one in self._open if one}

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None


class _Filler(HTMLParser):
    """Writes the page again, the controls of the wanted forms with what was typed."""

    def __init__(self, wanted: set[int | str], fields: Sequence[tuple[str, str]]) -> None:
        super().__init__(convert_charrefs=False)
        self.out: list[str] = []
        self._wanted = wanted
        self._count = 0
        self._form: int | None = None
        self._select: str | None = None
        self._is_typed_over = False
        self._left: dict[str, list[str]] = defaultdict(list)
        for name, value in fields:
            self._left[name].append(value)

    def _is_ours(self, given: dict[str, str | None]) -> bool:
        return (given["form"] if given.get("form") else self._form) in self._wanted

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        raw = self.get_starttag_text() or ""
        given = dict(attrs)
        if tag == "form":
            self._count += 1
            self._form = self._count
        name = given.get("name") or ""
        if tag == "input" and self._is_ours(given) and name not in NEVER:
            raw = self._input(raw, name, given)
        elif tag == "textarea" and self._is_ours(given) and self._left.get(name):
            self._is_typed_over = True
            self.out.append(raw + escape(self._left[name].pop(0), quote=False))
            return
        elif tag == "select" and self._is_ours(given) and name in self._left:
            self._select = name
        elif tag == "option" and self._select is not None:
            chosen = (given.get("value") or "") in self._left[self._select]
            raw = _with(raw, given, selected=chosen)
        self.out.append(raw)

    def _input(self, raw: str, name: str, given: dict[str, str | None]) -> str:
        kind = (given.get("type") or "text").lower()
        if kind in ("checkbox", "radio"):
            return _with(raw, given, checked=(given.get("value") or "on") in self._left.get(name, ()))
        if kind in ("hidden", "submit", "button", "password") or not self._left.get(name):
            return raw
        return _with(raw, given, value=self._left[name].pop(0))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = None
        elif tag == "textarea":
            self._is_typed_over = False
        self.out.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if not self._is_typed_over:
            self.out.append(data)

    def handle_entityref(self, name: str) -> None:
        self.handle_data(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.handle_data(f"&#{name};")

    def handle_comment(self, data: str) -> None:
        self.out.append(f"<!--{data}-->")

    def handle_decl(self, decl: str) -> None:
        self.out.append(f"<!{decl}>")


def _with(raw: str, given: dict[str, str | None], **changed: str | bool) -> str:
    """A start tag with attributes set (a text), present (true) or absent (false)."""
    attributes = {**given, **{name: None if value is True else value for name, value in changed.items()}}
    written = "".join(
        f" {name}" if value is None else f' {name}="{escape(str(value))}"'
        for name, value in attributes.items()
        if value is not False
    )
    return f"<{raw[1:].split(None, 1)[0].rstrip('>/')}{written}>"
