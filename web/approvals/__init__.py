"""What a link in a mail opens: GET and HEAD show, POST acts. No script, nothing from elsewhere, no session needed."""

from web.approvals import customers, links
from web.prefix_router import PrefixRouter

router = PrefixRouter("/a/", "/c/")
router.include_router(links.router)
router.include_router(customers.router)

__all__ = ["router"]
