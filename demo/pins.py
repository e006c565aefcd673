"""Pins the demo's stories to the first page of the console, where the demo runs beside its database.

The public API has no word for it, so this is the one table that the demo writes itself.
"""

from collections.abc import Sequence

from sqlalchemy.dialects.postgresql import insert

from demo.memory import Pinned
from ledger.engine import Database
from ledger.tables import pinned_story
from ledger.transaction import Transaction


async def pin(database_url: str | None, stories: Sequence[Pinned]) -> None:
    """Writes the stories in their order; without a database, or a second time, it changes nothing."""
    if database_url is None or not stories:
        return

    async def work(tx: Transaction) -> None:
        for rank, story in enumerate(stories, 1):
            values = {"rank": rank, "title": story.title, "story": story.story}
            statement = insert(pinned_story).values(journey_id=story.journey_id, **values)
            await tx.conn.execute(statement.on_conflict_do_update(index_elements=["journey_id"], set_=values))

    database = Database(database_url, pool_size=1, application="endcap demo")
    try:
        await database.write(work, actor="demo", via="demo")
    finally:
        await database.dispose()
