"""A mail scanner of the thorough kind: it opens every link with HEAD and GET, follows what it finds within the site,
keeps its cookies, and sends every form as it was rendered.
"""

from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx2


class Reader(HTMLParser):
    """What a robot finds on a page: addresses to follow, and forms with their fields as they were rendered."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.forms: list[tuple[str, str, dict[str, str]]] = []  # method, action, fields

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in ("a", "link") and given.get("href"):
            self.links.append(given["href"])
        if tag == "form":
            self.forms.append((given.get("method", "get").upper(), given.get("action", ""), {}))
        if tag in ("input", "button", "textarea", "select") and self.forms and given.get("name"):
            is_choice = given.get("type") in ("radio", "checkbox")
            if not is_choice or "checked" in given:
                self.forms[-1][2][given["name"]] = given.get("value", "")


class Robot:
    """Walks from some addresses to whatever it finds within the site, once each."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self.client = client
        self.seen: set[str] = set()
        self.sent: list[tuple[str, int]] = []  # forms: where to, and what came of it

    async def walk(self, address: str) -> None:
        path = urlsplit(urljoin(str(self.client.base_url), address))
        if path.netloc != self.client.base_url.host or path.geturl() in self.seen or len(self.seen) > 300:
            return
        self.seen.add(path.geturl())
        assert (await self.client.head(path.geturl())).status_code < 500, address
        answer = await self.client.get(path.geturl(), follow_redirects=True)
        assert answer.status_code < 500, address
        await self.look_around(str(answer.url), answer.text)

    async def look_around(self, at: str, text: str) -> None:
        page = Reader()
        page.feed(text)
        for method, action, fields in page.forms:
            where = urljoin(at, action or at)
            form = f"{method} {where} {sorted(fields)}"
            if form not in self.seen:
                self.seen.add(form)
                sent = {"params": fields} if method == "GET" else {"data": fields}
                answer = await self.client.request(method, where, **sent)  # type: ignore[arg-type]
                assert answer.status_code < 500, (method, where)
                self.sent.append((urlsplit(where).path, answer.status_code))
                await self.look_around(where, answer.text)
        for link in page.links:
            await self.walk(urljoin(at, link))
