"""Files that a browser saves: under a name that any system may choose, as a header that no name can break."""

from urllib.parse import quote


def saved_as(name: str) -> dict[str, str]:
    """The header of a file to be saved as `name` (RFC 6266): letters beyond ASCII are said beside a plainer name."""
    plain = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "._- ") else "_" for letter in name)
    disposition = f'attachment; filename="{plain}"'
    if plain != name:
        disposition += f"; filename*=UTF-8''{quote(name, safe='')}"
    return {"Content-Disposition": disposition}
