"""Scripts in whatever people and systems have written, in a real browser: none runs on any page, and none is even held
back by the policy of the page, because none becomes an element. `tests/web/test_markup.py` does so for all roles.
"""

import pytest

from tests.e2e.conftest import OpenPage, Site
from tests.e2e.test_every_page import PAGES, anybody
from tests.web.conftest import app, as_key, web
from tests.web.links import mailed
from tests.web.markup import fill
from tests.web.people import browse, sign_in
from tests.web.routes import ids
from tests.web.store import staff

__all__ = ["app", "as_key", "browse", "ids", "sign_in", "staff", "web"]
pytestmark = [pytest.mark.browser]
MADE_OF_IT = "document.querySelectorAll('[data-stored], [onerror], img[src^=\"/called-back\"]').length"


async def test_no_script_runs_on_any_page(ids: dict[str, str], staff: None, site: Site, open_page: OpenPage) -> None:
    await anybody(site.database)
    page = await open_page("sam.ortega")
    link = await mailed(site.database, int(ids["approval_id"]))
    names = await fill(site.database)
    called, held_back = [], []
    page.on("request", lambda request: called.append(request.url) if "/called-back" in request.url else None)
    page.on("dialog", lambda dialog: called.append(dialog.message))
    # `open_page` fails at its end for whatever the console said; the page is named here.
    page.on("console", lambda said: held_back.append((page.url, said.text)) if "Security Policy" in said.text else None)
    shown = 0
    for path in [*(route.with_ids(ids) for route in PAGES), link]:
        answer = await page.goto(path)
        assert answer is not None, path
        assert answer.status < 500, path
        await page.wait_for_load_state("load")
        assert await page.evaluate(MADE_OF_IT) == 0, path
        shown += "data-stored=" in await page.inner_text("body")
    assert (called, held_back) == ([], [])
    assert shown >= 20, (shown, sorted(names.values()))
