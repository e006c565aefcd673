"""What the routes of the API have in common: the problems they may answer with, and the parameters of lists."""

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Header, Path, Query

from ledger.reads.paging import DEFAULT_LIMIT, MAX_LIMIT

_WORDS = {
    401: "No key, or one that is unknown or revoked.",
    403: "The key or the person may not do this.",
    404: "There is no such thing that the caller may see.",
    409: "The recorded state does not allow it; the text says what is recorded.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "The request cannot be understood as it stands; `errors` points at each field.",
    429: "Too many requests; `Retry-After` says how long to wait.",
    503: "Not possible just now; the same request may be sent again after `Retry-After`.",
}
EXAMPLE = {
    "type": "urn:endcap:problem:unknown_sku",
    "title": "Unknown sku",
    "status": 422,
    "detail": "SKU 999 is not in the catalogue; load the item first.",
    "instance": "/api/v1/bopis-orders",
    "code": "unknown_sku",
    "errors": [{"pointer": "/lines/0/sku", "code": "unknown_sku", "detail": "SKU 999 is not in the catalogue."}],
}


def _problem(status: int) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": {"$ref": "#/components/schemas/Problem"}}
    if status == 422:
        content["example"] = EXAMPLE
    return {"description": _WORDS[status], "content": {"application/problem+json": content}}


PROBLEMS: dict[int | str, dict[str, Any]] = {status: _problem(status) for status in (401, 403, 422, 429, 503)}
MISSING: dict[int | str, dict[str, Any]] = {404: _problem(404)}
WRITES: dict[int | str, dict[str, Any]] = {status: _problem(status) for status in (409, 413, 415)}

Cursor = Annotated[str | None, Query(max_length=400, description="`next` of the answer before.")]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Rows of one page.")]
Number = Annotated[int, Path(ge=1, lt=2**63)]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="The same key with the same body gives the same answer; with another body it is refused.",
    ),
]


def located(link: str) -> dict[str, str]:
    """The header that says where a thing is which was made. An answer that was stored long ago may have a link with
    letters in it that no header holds.
    """
    return {"Location": quote(link, safe="%/:?=&#")}


__all__ = ["DEFAULT_LIMIT", "MISSING", "PROBLEMS", "WRITES", "Cursor", "IdempotencyKey", "Limit", "Number", "located"]
