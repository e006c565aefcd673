"""The policy that a journey keeps: each is stored once, under a name that is a digest of what it says.

A copy never changes, so a process that has read one need not read it again.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.policy import Policy
from ledger.tables import policy_copy

_REMEMBERED = 500
_read: dict[str, Policy] = {}


def copy_id(text: str) -> str:
    """The name of a policy's JSON: 40 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:40]


async def keep(conn: AsyncConnection, policy: Policy) -> str:
    """Store a policy unless it is there already; returns its name, for `journey.policy_copy`."""
    name = copy_id(policy.model_dump_json())
    body = policy.model_dump(mode="json")
    await conn.execute(insert(policy_copy).values(id=name, body=body).on_conflict_do_nothing())
    return name


async def of_journey(conn: AsyncConnection, row: Mapping[Any, Any]) -> Policy:
    """The policy of a journey's row. Raises `LookupError` where its copy is not there."""
    name = row["policy_copy"]
    if name is None:  # begun before there were copies
        return Policy.model_validate(row["policy"])
    found = _read.get(name)
    if found is None:
        body = (await conn.execute(select(policy_copy.c.body).where(policy_copy.c.id == name))).scalar_one_or_none()
        if body is None:
            raise LookupError(f"journey {row['id']}: there is no policy {name}; restore the table policy_copy")
        if len(_read) >= _REMEMBERED:
            _read.clear()
        found = _read[name] = Policy.model_validate(body)
    return found
