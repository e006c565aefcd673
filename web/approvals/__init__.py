"""What a link in a mail opens: GET and HEAD show, POST acts. No script, nothing from elsewhere, no session needed."""

from web.approvals.links import router

__all__ = ["router"]
