"""What the demo can play beside its day: `returns` and `campaign`. Each is cut into a folder, and played from it."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple


class Where(NamedTuple):
    """A running Endcap: its address, its keys (or one for all), the folder that remembers, its database."""

    base_url: str
    keys: Mapping[str, str]
    api_key: str | None
    home: Path
    database_url: str


class Said(NamedTuple):
    """What is to be read, and what did not come out as it must."""

    lines: list[str]
    wrong: list[str]


def write(scene: str | None, target: Path, *, stores: int | None, campaign: int) -> dict[str, int]:
    """Write the folder of a scene, or of the demo's day; returns the rows of each file. Raises ValueError."""
    from demo import chain, folder
    from demo.campaign import bodies, cut
    from demo.slice import cut as cut_of_the_day

    if scene == "campaign":
        return bodies.write(cut.cut(campaign, stores=stores), target)
    if scene == "returns":
        return chain.write(chain.cut(chain.STORES if stores is None else stores), target)
    return folder.write(cut_of_the_day(), target)


def play(scene: str, data: Path, where: Where) -> Said:
    """Play the scene of a folder to its end.

    Raises FileNotFoundError where the folder holds none, RuntimeError where it cannot go on.
    """
    from demo import unified
    from demo.campaign import outcome
    from demo.campaign.scene import SceneStuckError
    from demo.client import RefusedError

    keys = {} if where.api_key else where.keys
    begun = where.home / f"scene-{scene}.json"
    if scene == "returns":
        return Said(asyncio.run(unified.play(where.base_url, keys, where.api_key, data, begun)), [])
    try:
        found = asyncio.run(outcome.play(where.base_url, keys, where.api_key, data, begun, where.database_url))
    except (SceneStuckError, RefusedError, LookupError) as error:
        raise RuntimeError(str(error)) from error
    said = ["the ledger has what the raw data say, to the cent; the audit finds nothing"]
    return Said(found.lines + ([] if found.wrong else said), found.wrong)
