"""A process that takes returns in: each is received, looked at and paid, many at once, until nothing is left to pay.

Run as `returns_process.py <database url> <provider's record> <instant> <returns, with commas>`; begins with the first
line on its standard input, and prints a line for each return that is done. Two of them report the same, under the same
ids.
"""

import asyncio
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))


async def main(url: str, record: str, at: str, names: list[str]) -> None:
    from sqlalchemy import text

    from activities.payment import PaymentActivities
    from domain.messages import Step
    from ledger import facts
    from ledger.engine import Database
    from ports.payment import SandboxPaymentProvider
    from tests.shop import WEB

    database = Database(url, sealing_keys={"test": b"0" * 32})
    worker = PaymentActivities(database, SandboxPaymentProvider(Path(record)))
    query = text(
        "SELECT id FROM payment_operation WHERE journey_id = :id AND state IN ('requested', 'unknown') ORDER BY id"
    )

    async def report(name: str, kind: str, line: dict[str, object]) -> None:
        data = {"return_id": name, "lines": [{"line_id": "1", "quantity": 2, **line}]}
        event = {"id": f"{kind}-{name}", "type": kind, "occurred_at": at, "data": data}
        (outcome,) = await facts.receive(database, WEB, [event], received_at=datetime.now(UTC))
        assert outcome.outcome in ("accepted", "duplicate"), outcome

    async def pay(name: str) -> None:
        while True:
            async with database.read() as conn:
                operations = (await conn.execute(query, {"id": name})).scalars().all()
            if not operations:
                return
            for one in operations:
                await worker.carry_out(
                    Step(subject=name, occurrence=uuid.uuid4().hex, at=datetime.now(UTC), operation_id=one)
                )

    async def take(name: str) -> None:
        await report(name, "return.received", {})
        await pay(name)
        await report(name, "return.inspected", {"condition": "new"})
        await pay(name)
        sys.stdout.write(name + "\n")
        sys.stdout.flush()

    sys.stdin.readline()
    await asyncio.gather(*(take(name) for name in names))
    await database.dispose()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4].split(",")))
