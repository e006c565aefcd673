"""Who works at the demo's retailer: head office, the regions and the stores, each with the ids their systems know.

Passwords and keys belong to `demo.accounts`; nothing here is secret.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from demo import places
from demo.slice import Slice

MAIL_DOMAIN = "endcap.example"


@dataclass(frozen=True)
class Worker:
    """A person with a role in the demo. Empty `regions` and `locations`: everywhere in the entity."""

    id: str
    name: str
    roles: tuple[str, ...]
    regions: tuple[str, ...] = ()
    locations: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()

    @property
    def email(self) -> str:
        return f"{self.name.replace(' ', '.')}@{MAIL_DOMAIN}".lower()


#: Her store: the refund that waits for her on the first page is one of its orders.
ANAS_STORE = "S0330"
ANA = Worker("ana.ruiz", "Ana Ruiz", ("store_manager",), locations=(ANAS_STORE,), aliases=("pos:330-90",))
#: He sees every region and decides the demo's pinned case.
SAM = Worker("sam.okafor", "Sam Okafor", ("regional_ops",))

#: Of head office: who buys and sells, and who keeps the books.
MIA = Worker("mia.holm", "Mia Holm", ("merchandiser",))
PRIYA = Worker("priya.nair", "Priya Nair", ("finance",))

#: The manager of another store, who has an account as well.
MANAGER = "mgr.s0367"

#: One of the two who pick at Ana's store: whoever signs in as her sees the store's pages first.
ASSOCIATE = "crew1.s0330"

#: The people a newcomer can sign in as.
OFFICE = (
    SAM,
    Worker("nora.lind", "Nora Lind", ("regional_ops",), regions=("COL",)),
    Worker("theo.marsh", "Theo Marsh", ("regional_ops",), regions=("DAY",)),
    Worker("lucia.ferro", "Lucia Ferro", ("regional_ops",), regions=("AKR",)),
    ANA,
    Worker("ben.arden", "Ben Arden", ("customer_service",)),
    Worker("ivo.lang", "Ivo Lang", ("integration_owner",)),
    MIA,
    PRIYA,
    Worker("otto.weiss", "Otto Weiss", ("auditor",)),
    Worker("alex.kim", "Alex Kim", ("admin",)),
)


def store_crew(store: int, number: int) -> tuple[Worker, ...]:
    """The manager and two associates of a store; `number` counts the stores from 0."""
    code = places.store_code(store)
    manager, first, second = (places.staff_name(number * 3 + step) for step in range(3))
    crew = (
        Worker(f"mgr.{code}".lower(), manager, ("store_manager",), (), (code,), (f"pos:{store}-90",)),
        Worker(f"crew1.{code}".lower(), first, ("store_associate",), (), (code,), (f"pos:{store}-11",)),
        Worker(f"crew2.{code}".lower(), second, ("store_associate",), (), (code,), (f"pos:{store}-12",)),
    )
    return crew[1:] if code == ANAS_STORE else crew


def picker(location: str, number: int) -> str:
    """The id of one of the two associates who pick at a store."""
    return f"crew{number % 2 + 1}.{location}".lower()


def everyone(cut: Slice) -> tuple[Worker, ...]:
    """Head office, then the crew of each store."""
    crews = (worker for number, store in enumerate(sorted(cut.stores)) for worker in store_crew(store, number))
    return (*OFFICE, *crews)


def rows(cut: Slice) -> Iterator[dict[str, object]]:
    """The rows of people.csv."""
    for worker in everyone(cut):
        yield {
            "id": worker.id,
            "email": worker.email,
            "name": worker.name,
            "roles": ";".join(worker.roles),
            "entity": places.ENTITY,
            "regions": ";".join(worker.regions),
            "locations": ";".join(worker.locations),
            "aliases": ";".join(worker.aliases),
            "home_location": worker.locations[0] if worker.locations else "",
        }
