"""The row of published prices in a small size: its troubles come, and all ends right."""

from bench import place, prices


async def test_the_row_is_measured_beside_bare_conversations(postgres_url: str) -> None:
    (found,) = await prices.published(postgres_url, seconds=0.1, places=4, items=50)
    assert found.id == "P1"
    assert found.limit is not None
    assert found.value > 0
    assert "all 1,600 right" in found.note
    assert "none left behind" in found.note


async def test_the_troubles_are_met_and_asked_about(postgres_url: str) -> None:
    """Two prices in a hundred are refused, a channel is away for six hours, one lies: tried again and healed."""
    async with place.database(postgres_url, "trouble") as database:
        campaign = await prices.Campaign.open(database, places=4, items=50)
        prices.trouble(campaign, (await campaign.dues())["publish"])
        await campaign.due("publish")
        await campaign.tell()
        state, by_state, cases, still_open = await campaign.outcome()
        assert (state, by_state) == ("publishing", {"right": 800})
        assert (cases, still_open) == (4, 0)  # one for each channel, however many prices are wrong
        async with database.read() as conn:
            rows = await conn.exec_driver_sql("SELECT channel, run FROM publication")
            runs: dict[str, int] = {row.channel: row.run for row in rows}
    assert runs["app"] == runs["web"]
    assert runs["app"] < runs["kiosk"] < runs["pos"]
