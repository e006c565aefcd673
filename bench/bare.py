"""The bare endpoints: the same framework and server, and nothing else done. An order's body is parsed and validated; a
page is as long as it is asked to be, and says nothing.
Run by uvicorn as `bench.bare:create_app`.
"""

from typing import Any

from fastapi import FastAPI
from fastapi.responses import Response

from domain.orders import BopisOrder, PlacedLine, PlacedOrder


def create_app() -> FastAPI:
    """A route that takes an order and answers with the same shape as the product's, and one of pages."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    @app.get("/healthz")
    async def healthz() -> dict[str, Any]:
        return {}

    @app.get("/page")
    async def page(length: int) -> Response:
        return Response(b" " * length, media_type="text/html")

    @app.post("/api/v1/bopis-orders", status_code=201)
    async def post_order(order: BopisOrder) -> Response:
        placed = PlacedOrder(
            journey_id=f"bopis:bench:{order.order_id}",
            state="reserved",
            promised_at=None,
            lines=tuple(
                PlacedLine(line_id=one.line_id, sku=one.sku, quantity=one.quantity, reserved=one.quantity, short=0)
                for one in order.lines
            ),
            links={"self": f"/api/v1/journeys/bopis:bench:{order.order_id}"},
        )
        return Response(placed.model_dump_json(), status_code=201, media_type="application/json")

    return app
