"""Accounts and keys of the demo: who can sign in with what, and which system may send what.

Passwords and keys are derived from the installation's own secret: they stay the same from start to start, differ from
one installation to the next, and only their hashes are stored. It must not run on an Endcap that is no demo.
"""

import hmac
from dataclasses import dataclass
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from demo import people
from ledger.access import password_hasher
from ledger.engine import Database
from ledger.sessions import hash_of
from ledger.tables import api_key, credential, person, person_role
from ledger.transaction import Transaction

_WORDS = (
    "amber basil cedar clover coral cobalt copper daisy ember fennel fjord garnet hazel heron indigo iris ivory jade "
    "juniper kelp larch lemon lilac lotus maple mint moss myrtle nettle oak olive onyx opal otter pearl pepper pine "
    "plum poppy quartz quince raven river robin rowan saffron sage sienna slate sorrel spruce sumac tansy teal thyme "
    "topaz umber violet walnut willow wren yarrow zinnia"
)
WORDS = tuple(_WORDS.split())


@dataclass(frozen=True)
class Key:
    """A key of the demo: the source it belongs to, what it may do, whose orders it may name, who stands behind it."""

    name: str
    source: str
    scopes: tuple[str, ...]
    sources: tuple[str, ...] = ()
    person: str | None = None
    act_as: tuple[str, ...] = ()


READ = ("read",)
KEYS = (
    Key("pos", "pos", ("events:write", *READ), sources=("web", "oms")),
    Key("web", "web", ("orders:write", "events:write", *READ)),
    Key(
        "oms",
        "oms",
        ("orders:write", "events:write", "stock:adjust", "promotions:write", "claims:write", "decide", "act_as", *READ),
        sources=("web", "pos"),
        act_as=tuple(worker.id for worker in people.OFFICE),
    ),
    Key(people.SAM.id, people.SAM.id, ("decide", *READ), sources=("web", "oms"), person=people.SAM.id),
    Key(people.ANA.id, people.ANA.id, ("approve", "decide", *READ), sources=("web", "oms"), person=people.ANA.id),
    Key(people.MIA.id, people.MIA.id, ("approve", *READ), sources=("web", "oms"), person=people.MIA.id),
    Key(people.PRIYA.id, people.PRIYA.id, ("approve", *READ), sources=("web", "oms"), person=people.PRIYA.id),
)


def _digest(secret: str, *what: str) -> bytes:
    return hmac.digest(secret.encode(), ":".join(("demo", *what)).encode(), "sha256")


def password(secret: str, person_id: str) -> str:
    """The demo password of a person: two words and four digits."""
    digest = _digest(secret, "password", person_id)
    number = int.from_bytes(digest[2:6]) % 10_000
    return f"{WORDS[digest[0] % len(WORDS)]}-{WORDS[digest[1] % len(WORDS)]}-{number:04d}"


def key(secret: str, name: str) -> str:
    """The demo API key called `name`: a source, or the id of the person whose token it is."""
    return f"endcap_{name.replace('.', '_')}_{_digest(secret, 'api_key', name).hex()[:40]}"


def keys(secret: str) -> dict[str, str]:
    """Every demo key by name."""
    return {made.name: key(secret, made.name) for made in KEYS}


async def create(database_url: str, secret: str) -> dict[str, Any]:
    """Gives the demo's people their passwords and the demo's systems their keys; a second time changes nothing.

    Returns `{"accounts": [{email, password, role, regions, name}], "api_keys": {name: key}}`. People come with
    `endcap load`; an account is made for those of head office, one store's manager and one associate who are there.
    """
    database = Database(database_url, pool_size=1, application="endcap demo accounts")
    try:
        accounts = await database.write(lambda tx: _create(tx, secret), actor="demo", via="demo")
    finally:
        await database.dispose()
    return {"accounts": accounts, "api_keys": keys(secret)}


async def _create(tx: Transaction, secret: str) -> list[dict[str, Any]]:
    ids = [worker.id for worker in people.OFFICE] + [people.MANAGER, people.ASSOCIATE]
    found = await tx.conn.execute(
        select(person.c.id, person.c.name, person.c.email, credential.c.password_hash)
        .outerjoin(credential, credential.c.person_id == person.c.id)
        .where(person.c.id.in_(ids), person.c.active)
    )
    there = {row.id: row for row in found}
    grants = await tx.conn.execute(
        select(person_role.c.person_id, person_role.c.role, person_role.c.region, person_role.c.location)
        .where(person_role.c.person_id.in_(ids))
        .order_by(person_role.c.id)
    )
    roles: dict[str, tuple[str, list[str]]] = {}
    for grant in grants:
        role, scopes = roles.setdefault(grant.person_id, (grant.role, []))
        if role == grant.role and (grant.region or grant.location):
            scopes.append(grant.region or grant.location)
    hasher = password_hasher()
    accounts = []
    for person_id in ids:
        if person_id not in there:
            continue
        row = there[person_id]
        chosen = password(secret, person_id)
        if not _holds(hasher, row.password_hash, chosen):
            await _set_password(tx, person_id, hasher.hash(chosen))
        role, scopes = roles.get(person_id, ("", []))
        accounts.append({"email": row.email, "password": chosen, "role": role, "regions": scopes, "name": row.name})
    await _set_keys(tx, secret, there.keys())
    return accounts


def _holds(hasher: PasswordHasher, stored: str | None, chosen: str) -> bool:
    if stored is None:
        return False
    try:
        return hasher.verify(stored, chosen)
    except VerificationError:
        return False


async def _set_password(tx: Transaction, person_id: str, password_hash: str) -> None:
    now = func.clock_timestamp()
    values = {"person_id": person_id, "password_hash": password_hash, "changed_at": now}
    change = {"password_hash": password_hash, "changed_at": now}
    await tx.conn.execute(
        insert(credential).values(values).on_conflict_do_update(index_elements=["person_id"], set_=change)
    )


async def _set_keys(tx: Transaction, secret: str, people_there: Any) -> None:
    for made in KEYS:
        if made.person is not None and made.person not in people_there:
            continue
        values = {
            "key_hash": hash_of(key(secret, made.name)),
            "source": made.source,
            "scopes": list(made.scopes),
            "sources": list(made.sources),
            "person_id": made.person,
            "act_as": list(made.act_as),
        }
        statement = insert(api_key).values(id=f"demo-{made.name}", created_at=func.clock_timestamp(), **values)
        await tx.conn.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))
