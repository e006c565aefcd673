"""Master data: entities, regions, locations and their hours, items, prices, substitutes and policy documents."""

from sqlalchemy import (
    Boolean,
    Column,
    Date,
    Double,
    ForeignKey,
    Integer,
    Table,
    Time,
    UniqueConstraint,
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
)

item_price = Table(
    "item_price",
    metadata,
    Column("sku", ForeignKey("item.sku"), primary_key=True),
    Column("location", ForeignKey("location.code"), primary_key=True),
    minor("price_minor"),
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
