"""The runbook of each kind of case: Markdown in `web/runbooks/<kind>.md`, shown beside the case."""

from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from markupsafe import Markup

FOLDER = Path(__file__).parent / "runbooks"
# In this order; a test holds every runbook to it.
SECTIONS = ("What happened", "Look first at", "How to decide", "What not to do", "Who to call")
_MARKDOWN = MarkdownIt("commonmark", {"html": False})


@cache
def runbook(kind: str) -> Markup | None:
    """The runbook of a kind as HTML, without its title and with headings for a place under one; None for none.

    Markup in the source is text: nothing but Markdown becomes an element.
    """
    file = FOLDER / f"{kind}.md"
    if not kind.isidentifier() or not file.is_file():
        return None
    _, _, body = file.read_text(encoding="utf-8").partition("\n")
    return as_html(body)


def as_html(text: str) -> Markup:
    """Markdown as HTML whose headings are a level deeper: a second one is `h3`."""
    tokens = _MARKDOWN.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1]) + 1, 6)}"
    html = _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {})
    return Markup(html)  # noqa: S704  # nosec B704: the parser writes every element, and escapes what it is given
