"""A web process's intake alone: callers order one unit each, until nothing is promised any more.

Run as `intake_process.py <database url> <name> <callers>`; prints the id of each order that was promised, when its
caller had the answer.
"""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))


async def main(url: str, name: str, callers: int) -> None:
    from domain.orders import BopisOrder
    from ledger.engine import Database
    from ledger.intake import Intake
    from tests.shop import PRICE_MINOR, TEA, WEB

    database = Database(url)
    intake = Intake(database)

    async def call(number: int) -> None:
        state, count = "reserved", 0
        while state == "reserved":
            count += 1
            body = {
                "order_id": f"{name}-{number}-{count}",
                "channel": "web",
                "pickup_location": "S1",
                "currency": "EUR",
                "prices_include_tax": True,
                "lines": [{"line_id": "1", "sku": TEA, "quantity": 1, "unit_price_minor": PRICE_MINOR}],
                "payments": [{"reference": "c", "tender": "card", "amount_minor": PRICE_MINOR, "state": "captured"}],
            }
            order = BopisOrder.model_validate(body)
            _, answer = await intake.place(WEB, order, idempotency_key=None, received_at=datetime.now(UTC))
            state = answer.state
            if state == "reserved":
                sys.stdout.write(answer.journey_id + "\n")
                sys.stdout.flush()

    await asyncio.gather(*(call(number) for number in range(callers)))
    await intake.close()
    await database.dispose()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
