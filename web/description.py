"""What the API says of itself: OpenAPI 3.1, with its problems, the data of each event, and what an answer leads to."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from domain.events import EVENT_TYPES, Event
from web.errors import Problem

REFERENCES = "#/components/schemas/{model}"

ABOUT = """Systems start journeys and report facts; people decide cases and approvals.

Every request needs `Authorization: Bearer <key>`. A key belongs to a source and has scopes: `orders:write`,
`events:write`, `stock:adjust`, `promotions:write`, `claims:write`, `customers:erase`, `webhooks`, `read`,
`decide`, `approve`, `act_as`.
Money is in minor units with a currency, quantities in the item's base unit, times in RFC 3339 with offset. Refusals are
Problem Details (RFC 9457) with a stable `code`. Writes take `Idempotency-Key`; without one, the order's or event's own
id serves."""


# What an answer leads to: the operation that gives it, the parameter, where its value stands, the operations to go on
# with.
_BODY, _ANSWER = "$request.body#/", "$response.body#/"
LINKS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "post_order": ("journey_id", f"{_ANSWER}journey_id", ("get_journey",)),
    "post_hold": ("hold_id", f"{_BODY}hold_id", ("extend_hold", "release_hold")),
    "post_count": ("count_id", f"{_BODY}count_id", ("get_count", "post_entries", "submit_count", "cancel_count")),
    "post_transfer": ("transfer_id", f"{_BODY}transfer_id", ("get_transfer", "amend_transfer", "cancel_transfer")),
    "post_return": ("return_id", f"{_BODY}return_id", ("get_return", "cancel_return")),
    "post_adjustment": ("adjustment_id", f"{_BODY}adjustment_id", ("get_adjustment",)),
    "post_decision": ("decision_id", f"{_ANSWER}decision_id", ("get_decision",)),
    "post_webhook": ("webhook_id", f"{_ANSWER}id", ("get_webhook", "ping_webhook", "rotate_webhook", "delete_webhook")),
}


def describe(app: FastAPI) -> None:
    """Have the application describe itself with what FastAPI cannot know: the problems, and the data of each event."""

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _described(app)
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]  # FastAPI's documented way to extend the description


def _described(app: FastAPI) -> dict[str, Any]:
    found = get_openapi(
        title="Endcap", version=app.version, openapi_version="3.1.0", description=ABOUT, routes=app.routes,
        separate_input_output_schemas=False,
    )  # fmt: skip
    schemas = found.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    _add(schemas, "Problem", Problem)
    _add(schemas, "Event", Event)
    events = {"type": "array", "minItems": 1, "maxItems": 1000, "items": {"$ref": REFERENCES.format(model="Event")}}
    schemas["EventBatch"]["properties"]["events"] = {**events, "title": "Events"}
    shapes = []
    for event_type, model in EVENT_TYPES.items():
        _add(schemas, model.__name__, model)
        shapes.append({"$ref": REFERENCES.format(model=model.__name__), "description": f"`{event_type}`"})
    schemas["Event"]["properties"]["type"] = {"type": "string", "enum": list(EVENT_TYPES), "title": "Type"}
    schemas["Event"]["properties"]["data"] = {"title": "Data", "anyOf": shapes}
    orders = {"type": "array", "minItems": 1, "maxItems": 1000}
    schemas["OrderBatch"]["properties"]["orders"] = {
        **orders, "title": "Orders", "items": {"$ref": REFERENCES.format(model="BopisOrder")}
    }  # fmt: skip
    _link(found["paths"])
    return found


def _link(paths: dict[str, Any]) -> None:
    """Say in each answer that makes something by which operations it is read and changed."""
    operations = {operation["operationId"]: operation for path in paths.values() for operation in path.values()}
    for name, (parameter, value, targets) in LINKS.items():
        links = {target: {"operationId": target, "parameters": {parameter: value}} for target in targets}
        for status, answer in operations[name]["responses"].items():
            if status.startswith("2"):
                answer["links"] = links


def _add(schemas: dict[str, Any], name: str, model: Any) -> None:
    schema = model.model_json_schema(ref_template=REFERENCES, mode="validation")
    schemas.update(schema.pop("$defs", {}))
    schemas[name] = schema
