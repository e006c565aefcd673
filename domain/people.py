"""Roles, scopes and the question who may see and do what, where."""

from typing import NamedTuple

ROLES = (
    "store_associate",
    "store_manager",
    "regional_ops",
    "customer_service",
    "planner",
    "merchandiser",
    "returns_agent",
    "warehouse_lead",
    "finance",
    "vendor_manager",
    "integration_owner",
    "auditor",
    "admin",
)

# Who may take a case and decide it; the others may look at what their scope shows.
DECIDING_ROLES = frozenset(
    {
        "store_manager",
        "regional_ops",
        "customer_service",
        "planner",
        "merchandiser",
        "returns_agent",
        "warehouse_lead",
        "finance",
        "integration_owner",
        "admin",
    }
)

# Who calls promotions off and ends them.
PROMOTING_ROLES = frozenset({"merchandiser", "admin"})

# Who records what vendors pay, and ends it.
FUNDING_ROLES = frozenset({"vendor_manager", "merchandiser", "finance", "admin"})

# Who handles goods in a store, and reports what was picked, handed over and put away there.
HANDLING_ROLES = frozenset({"store_associate", "store_manager"})


# Who may count, and have something counted: whoever decides, and whoever works at the shelf.
COUNTING_ROLES = DECIDING_ROLES | HANDLING_ROLES


class Grant(NamedTuple):
    """A role within a scope; an empty word means everywhere."""

    role: str
    entity: str = ""
    region: str = ""
    location: str = ""

    def covers(self, entity: str, region: str, location: str) -> bool:
        return self.entity in ("", entity) and self.region in ("", region) and self.location in ("", location)


class Person(NamedTuple):
    """Somebody who is signed in or stands behind a key."""

    id: str
    name: str
    email: str
    grants: tuple[Grant, ...]

    def roles_at(self, entity: str, region: str, location: str) -> frozenset[str]:
        return frozenset(grant.role for grant in self.grants if grant.covers(entity, region, location))

    def may_see(self, entity: str, region: str, location: str) -> bool:
        return any(grant.covers(entity, region, location) for grant in self.grants)

    def may_decide(self, entity: str, region: str, location: str) -> bool:
        return self._has_any(DECIDING_ROLES, entity, region, location)

    def may_handle(self, entity: str, region: str, location: str) -> bool:
        return self._has_any(HANDLING_ROLES, entity, region, location)

    def _has_any(self, roles: frozenset[str], *where: str) -> bool:
        return any(grant.role in roles and grant.covers(*where) for grant in self.grants)

    @property
    def works_in_stores(self) -> bool:
        return any(grant.role in HANDLING_ROLES for grant in self.grants)

    @property
    def only_handles_goods(self) -> bool:
        """Whether the store's pages are all that this person's roles are about."""
        return bool(self.grants) and all(grant.role == "store_associate" for grant in self.grants)

    @property
    def decides_somewhere(self) -> bool:
        return any(grant.role in DECIDING_ROLES for grant in self.grants)

    def has_role(self, role: str) -> bool:
        return any(grant.role == role for grant in self.grants)

    def looks_after(self, other: "Person") -> bool:
        """Whether this is an admin of every place where the other has a role."""
        return all(
            any(
                mine.role == "admin"
                and mine.entity in ("", grant.entity)
                and mine.region in ("", grant.region)
                and mine.location in ("", grant.location)
                for mine in self.grants
            )
            for grant in other.grants
        ) and self.has_role("admin")
