"""A short way through the framework for the busiest route.

What is in order goes straight from its bytes to the endpoint. It says what the usual way says: the same dependencies
are called, and a body that is refused is refused in the same words. A request with more to it than a body takes the
usual way.
"""

import json
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError

from ledger.people import Caller
from web.keys import bearer, caller_of, require

type Endpoint = Callable[..., Awaitable[Response]]


def straight(model: type[BaseModel], scope: str, *, body: str, unless: str) -> type[APIRoute]:
    """A class of routes whose endpoint takes (request, caller, `body`), where the header `unless` is not sent."""
    allow = require(scope)

    class Straight(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            usual, endpoint = super().get_route_handler(), self.endpoint

            async def handle(request: Request) -> Response:
                sent = await request.body()
                if not sent or unless in request.headers:
                    return await usual(request)
                caller: Caller = await allow(await caller_of(request, await bearer(request)))
                try:
                    given = model.model_validate_json(sent)
                except ValidationError:
                    document = json.loads(sent)
                    if document is None:  # as good as no body
                        return await usual(request)
                    given = _as_usual(model, document)
                response: Response = await endpoint(request, caller, **{body: given})
                return response

            return handle

    return Straight


def _as_usual(model: type[BaseModel], document: Any) -> BaseModel:
    """Judge a body as the framework does, which words it differently. Raises `RequestValidationError`."""
    try:
        return model.model_validate(document, from_attributes=True)
    except ValidationError as error:
        found = [{**one, "loc": ("body", *one["loc"])} for one in error.errors(include_url=False)]
        raise RequestValidationError(found) from error
