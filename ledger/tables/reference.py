"""Master data: entities, regions, locations and their hours, items, prices, substitutes and policy documents."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    Table,
    Time,
    UniqueConstraint,
    Uuid,
    text,
)

from domain.stock import LOCATION_KINDS
from ledger.tables.base import document, instant, metadata, minor, number, one_of, recorded_at, word

entity = Table(
    "entity",
    metadata,
    word("code", primary_key=True),
    word("name"),
    word("currency"),
    word("country", default="US"),
)

region = Table(
    "region",
    metadata,
    word("code", primary_key=True),
    word("name"),
    Column("entity", ForeignKey("entity.code"), nullable=False),
)

location = Table(
    "location",
    metadata,
    word("code", primary_key=True),
    word("name"),
    word("kind", default="store"),
    Column("region", ForeignKey("region.code"), nullable=False),
    Column("entity", ForeignKey("entity.code"), nullable=False),
    word("time_zone", default="UTC"),
    Column("latitude", Double),
    Column("longitude", Double),
    word("address", nullable=True),
    Column("pickup", Boolean, nullable=False, server_default=text("true")),
    word("status", default="open"),
    one_of("kind", LOCATION_KINDS),
    one_of("status", ("open", "no_pickup", "closed")),
)

# Of each list that processes keep, a mark that changes with it: a trigger of the table with that name renews it.
list_mark = Table(
    "list_mark",
    metadata,
    word("name", primary_key=True),
    Column("mark", Uuid, nullable=False),
)

opening_hours = Table(
    "opening_hours",
    metadata,
    Column("location", ForeignKey("location.code"), primary_key=True),
    Column("weekday", Integer, primary_key=True),  # 0 = Monday
    Column("opens", Time, nullable=False),
    Column("closes", Time, nullable=False),
)

closed_day = Table(
    "closed_day",
    metadata,
    Column("location", ForeignKey("location.code"), primary_key=True),
    Column("day", Date, primary_key=True),
    word("reason", default=""),
)

# What was said of a place beside its hours: closed, or handing out no pickups, from an instant until another.
location_status = Table(
    "location_status",
    metadata,
    number(),
    Column("location", ForeignKey("location.code"), nullable=False),
    word("status"),
    instant("starts_at"),
    instant("ends_at", nullable=True),  # until further notice
    word("reason", default=""),
    word("cause"),
    recorded_at(),
    one_of("status", ("no_pickup", "closed")),
    CheckConstraint("ends_at IS NULL OR ends_at > starts_at", name="ends_after_it_starts"),
    Index("ix_location_status_location", "location", "starts_at"),
)

item = Table(
    "item",
    metadata,
    word("sku", primary_key=True),
    word("name"),
    word("category", default=""),
    word("base_unit", default="each"),
    Column("age_limit", Integer),
    Column("frozen", Boolean, nullable=False, server_default=text("false")),
    Column("stop_sale", Boolean, nullable=False, server_default=text("false")),
    minor("price_minor"),
    minor("cost_minor"),
    Index("ix_item_name_parts", "name", postgresql_using="gin", postgresql_ops={"name": "gin_trgm_ops"}),
)

# Regular prices of single places from an instant on, for every channel or for one; else `item.price_minor` holds.
item_price = Table(
    "item_price",
    metadata,
    Column("sku", ForeignKey("item.sku"), primary_key=True),
    Column("location", ForeignKey("location.code"), primary_key=True),
    word("channel", primary_key=True, default=""),  # "" is every channel
    Column("effective_from", DateTime(timezone=True), primary_key=True, server_default=text("'2000-01-01T00:00:00Z'")),
    minor("price_minor"),
)

# Items that must not be sold at one place; `item.stop_sale` holds everywhere.
item_stop = Table(
    "item_stop",
    metadata,
    Column("sku", ForeignKey("item.sku"), primary_key=True),
    Column("location", ForeignKey("location.code"), primary_key=True),
    word("reason", default=""),
    word("cause"),
    recorded_at(),
)

substitute = Table(
    "substitute",
    metadata,
    Column("sku", ForeignKey("item.sku"), primary_key=True),
    Column("substitute_sku", ForeignKey("item.sku"), primary_key=True),
    Column("rank", Integer, nullable=False),
)

policy_document = Table(
    "policy_document",
    metadata,
    number(),
    word("version"),
    # Where it holds: an empty word means everywhere; the most specific effective documents are merged over the
    # shipped one.
    word("entity", default=""),
    word("region", default=""),
    word("location", default=""),
    instant("effective_from"),
    instant("effective_until", nullable=True),
    document("body"),
    word("reason", default=""),
    recorded_at(),
    UniqueConstraint("entity", "region", "location", "version"),
)
