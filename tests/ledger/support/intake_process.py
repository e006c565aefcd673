"""A web process's intake alone: callers order one unit each, until nothing is promised any more.

Run as `intake_process.py <database url> <name> <callers> <most>`; begins with the first line on its standard input, and
prints the id of each order that was promised, when its caller had the answer. After `most` orders its callers wait for
ever, and so does it.
"""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))


async def main(url: str, name: str, callers: int, most: int) -> None:
    from domain.orders import BopisOrder
    from ledger.engine import Database
    from ledger.intake import Intake
    from tests.shop import PRICE_MINOR, TEA, WEB

    database = Database(url)
    intake = Intake(database)
    begun = 0

    async def call(number: int) -> None:
        nonlocal begun
        state, count = "reserved", 0
        while state == "reserved":
            begun += 1
            if begun > most:
                await asyncio.Event().wait()
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

    sys.stdin.readline()
    await asyncio.gather(*(call(number) for number in range(callers)))
    await intake.close()
    await database.dispose()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
