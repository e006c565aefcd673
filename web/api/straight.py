"""A short way through the framework for the busiest addresses, which stand in front of all others.

What is in order goes straight from its bytes to the endpoint, and straight back. It says what the usual way says: the
same callers are let in, and a body that is refused is refused in the same words. A request with more to it than a
body takes the usual way.
"""

import json
from collections.abc import Awaitable, Callable

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from ledger.people import Caller
from web.keys import bearer, caller_of, require

type Endpoint[Given: BaseModel] = Callable[[Request, Caller, Given], Awaitable[Response]]

_NOTHING_SENT = {"type": "missing", "loc": ("body",), "msg": "Field required", "input": None}


class Straight[Given: BaseModel](BaseRoute):
    """POST to one address: `endpoint` takes the request, its caller, whose key has `scope`, and its body as `model`.

    Where the header `unless` is sent, or anything stands behind the address, it is for the usual way.
    """

    methods = frozenset({"POST"})

    def __init__(
        self, path: str, model: type[Given], endpoint: Endpoint[Given], *, scope: str, unless: str = ""
    ) -> None:
        self.path = self.path_format = path
        self._model = model
        self._endpoint = endpoint
        self._allow = require(scope)
        self._unless = unless.encode()
        self._matched = {"route": self}

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As the framework asks; there is no half a match, so that the usual way has the last word."""
        is_ours = (
            scope["path"] == self.path
            and scope["type"] == "http"
            and scope["method"] == "POST"
            and not scope["query_string"]
            and not any(name == self._unless for name, _ in scope["headers"])
        )
        return (Match.FULL, self._matched) if is_ours else (Match.NONE, {})

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; what is refused is raised, for the application's own handlers."""
        request = Request(scope, receive, send)
        sent = await request.body()
        caller: Caller = await self._allow(await caller_of(request, await bearer(request)))
        response = await self._endpoint(request, caller, self._read(sent))
        await response(scope, receive, send)

    def _read(self, sent: bytes) -> Given:
        """Raises `RequestValidationError`, in the words of the framework, which judges documents, not their bytes."""
        try:
            return self._model.model_validate_json(sent)
        except ValidationError as error:
            if not sent:
                raise RequestValidationError([_NOTHING_SENT]) from error
        try:
            return self._model.model_validate(json.loads(sent), from_attributes=True)
        except ValidationError as error:
            found = [{**one, "loc": ("body", *one["loc"])} for one in error.errors(include_url=False)]
            raise RequestValidationError(found) from error
