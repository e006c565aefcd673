"""The pages of the store: made for a phone in one hand, and for a shared device in the stockroom.

A person of the store reports what was done; each report is a fact that goes the same way as the events of the API.
"""

from web.prefix_router import PrefixRouter
from web.store import (
    exchanging,
    handing_over,
    home,
    inspecting,
    picking,
    putting_away,
    returning,
    strays,
    transferring,
    verifying,
)

router = PrefixRouter("/store", include_in_schema=False)
for part in (
    home, verifying, picking, handing_over, putting_away, inspecting, exchanging, returning, transferring, strays,
):  # fmt: skip
    router.include_router(part.router)
