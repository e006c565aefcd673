"""Promotions: what is offered, where and when; and each price that a channel is to show because of one, with what it
showed when it was read back.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    Table,
    UniqueConstraint,
    text,
)

from domain.promotion import PHASES, PRICE_STATES, STACKINGS, TAKES_ITS_PLACE, PromotionState
from ledger.tables.base import document, instant, metadata, minor, number, one_of, recorded_at, word

_TAKES = ", ".join(f"'{state}'" for state in sorted(TAKES_ITS_PLACE))

promotion = Table(
    "promotion",
    metadata,
    word("journey_id", primary_key=True),  # written with its journey, which is never deleted
    word("source"),
    word("promotion_id"),  # as its source calls it
    word("entity"),
    word("name"),
    word("state"),  # its journey's
    document("offer"),
    word("stacking"),
    instant("starts_at"),
    instant("ends_at"),  # as it is now; an early end or an extension moves it
    word("agreement_id", nullable=True),  # the funding agreement that it names
    Column("margin_floor_permille", Integer, nullable=False),
    Column("margin_permille", Integer),  # at forecast, when it was submitted last
    minor("discount_minor"),  # at forecast
    instant("approved_at", nullable=True),
    instant("reverted_at", nullable=True),  # when no channel showed a price of it any more
    recorded_at(),
    one_of("state", tuple(state.value for state in PromotionState)),
    one_of("stacking", STACKINGS),
    CheckConstraint("ends_at >= starts_at", name="ends_after_it_starts"),
    Index("ix_promotion_running", "entity", "starts_at", "ends_at", postgresql_where=text(f"state IN ({_TAKES})")),
    Index("ix_promotion_agreement", "agreement_id", postgresql_where=text("agreement_id IS NOT NULL")),
)

# As it was defined: an item, or a whole category.
promotion_line = Table(
    "promotion_line",
    metadata,
    word("journey_id", primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    word("sku", nullable=True),
    word("category", nullable=True),
    Column("forecast_units", Integer, nullable=False),
    CheckConstraint("(sku IS NULL) <> (category IS NULL)", name="sku_or_category"),
    CheckConstraint("forecast_units > 0", name="forecast_positive"),
)

# The items that its lines meant when it was submitted last.
promotion_item = Table(
    "promotion_item",
    metadata,
    word("journey_id", primary_key=True),
    word("sku", primary_key=True),
    Index("ix_promotion_item_sku", "sku", "journey_id"),
)

promotion_place = Table(
    "promotion_place",
    metadata,
    word("journey_id", primary_key=True),
    word("channel", primary_key=True),
    word("location", primary_key=True),
    Index("ix_promotion_place_location", "location", "channel", "journey_id"),
)

# One channel's part of publishing, or of taking back: tried in runs until every price is seen as wanted.
publication = Table(
    "publication",
    metadata,
    number(),
    word("journey_id"),
    word("phase"),
    word("channel"),
    Column("run", Integer, nullable=False, server_default=text("1")),
    Column("prices", Integer, nullable=False, server_default=text("0")),
    Column("wrong", Integer, nullable=False, server_default=text("0")),  # not right when the last run was over
    word("error", default=""),  # why the channel could not be spoken to at all, when it was tried last
    Column("told_number", BigInteger, nullable=False, server_default=text("0")),  # of its last conversation
    instant("began_at"),
    instant("done_at", nullable=True),
    instant("check_at", nullable=True),  # by the wall's clock: when what was right is read back once more
    Column("checks", Integer, nullable=False, server_default=text("0")),  # how often it was
    recorded_at(),
    one_of("phase", PHASES),
    UniqueConstraint("journey_id", "phase", "channel"),
    Index("ix_publication_check", "check_at", postgresql_where=text("check_at IS NOT NULL")),
)

# The number of the last conversation with a channel. It rises with every one, also across a restored backup: it is at
# least the instant at which it was drawn, in microseconds. Whoever draws one holds the row, so who has the higher one
# has read later what is wanted.
price_channel = Table(
    "price_channel",
    metadata,
    word("channel", primary_key=True),
    Column("number", BigInteger, nullable=False),
)

price_publication = Table(
    "price_publication",
    metadata,
    Column("publication_id", BigInteger, ForeignKey("publication.id"), primary_key=True),
    word("location", primary_key=True),
    word("sku", primary_key=True),
    Column("valid_from", DateTime(timezone=True), primary_key=True),
    word("state", default="pending"),
    minor("wanted_minor", nullable=True),  # as it was sent last; worked out anew at each attempt
    word("wanted_deal", default=""),
    minor("seen_minor", nullable=True),  # as the channel showed it last
    word("seen_deal", default=""),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("run", Integer, nullable=False, server_default=text("0")),  # in which it was tried last
    word("error", default=""),
    instant("tried_at", nullable=True),
    one_of("state", PRICE_STATES),
    Index(
        "ix_price_publication_pending",
        *("publication_id", "run", "location", "sku"),
        postgresql_where=text("state = 'pending'"),
    ),
)
