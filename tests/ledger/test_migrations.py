"""Migrations on a running system: the code of the release before goes on beside them."""

from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine


async def test_links_can_be_written_and_read_by_their_old_name(engine: AsyncEngine) -> None:
    """A web process of the release before may still run while the new schema is there."""
    async with engine.begin() as connection:
        await connection.execute(text("INSERT INTO person (id, name, email) VALUES ('ana', 'Ana', 'a@shop.example')"))
        number = await connection.scalar(
            text(
                "INSERT INTO approval (kind, subject, location, region, entity, currency, band, requester, roles,"
                " opened_at, deadline_at, expires_at)"
                " VALUES ('refund', 's', 'S1', 'R1', 'DE01', 'EUR', 'refund', 'x', '{finance}', now(), now(), now())"
                " RETURNING id"
            )
        )
        await connection.execute(
            text(
                "INSERT INTO approval_link (token_hash, approval_id, person_id, created_at, expires_at)"
                " VALUES ('\\x01', :number, 'ana', now(), now())"
            ),
            {"number": number},
        )
        await connection.execute(text("UPDATE approval_link SET revoked_at = now() WHERE token_hash = '\\x01'"))
        revoked = await connection.scalar(text("SELECT revoked_at FROM link WHERE approval_id = :n"), {"n": number})
    assert revoked is not None
    assert revoked <= datetime.now(UTC)
