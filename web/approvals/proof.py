"""Binds the form behind a mail link to the browser that opened it: a nonce in a cookie, its proof in the form.

A robot that follows the link and posts the form elsewhere has no cookie; one that keeps cookies still has to choose.
"""

import hashlib
import hmac
import secrets
from datetime import timedelta

from fastapi import Request, Response

from web.sessions import attempts_of, remote_of, set_cookie

LIFETIME = timedelta(hours=12)
ROBOTS = {"X-Robots-Tag": "noindex, nofollow", "Referrer-Policy": "same-origin"}


def _cookie(token: str) -> str:
    """One cookie for each link, so that two requests can be open side by side; it tells nothing of the token."""
    return "endcap_link_" + hashlib.sha256(b"cookie:" + token.encode()).hexdigest()[:12]


def _proof(request: Request, token: str, nonce: str) -> str:
    secret: str = request.app.state.settings.secret.get_secret_value()
    return hmac.new(secret.encode(), f"link\n{token}\n{nonce}".encode(), hashlib.sha256).hexdigest()


def nonce_of(request: Request, token: str) -> str:
    """The nonce that this browser has already, or a new one."""
    found = request.cookies.get(_cookie(token), "")
    return found if len(found) == 43 else secrets.token_urlsafe(32)


def give(request: Request, response: Response, token: str, nonce: str, *, base: str) -> None:
    """Set the cookie, for this link's addresses only; `base` is `/a` or `/c`."""
    set_cookie(request, response, _cookie(token), nonce, LIFETIME, path=f"{base}/{token}")


def proof_for(request: Request, token: str, nonce: str) -> str:
    """What the form carries along."""
    return _proof(request, token, nonce)


def holds(request: Request, token: str, proof: str) -> bool:
    """Whether the form came from a page that this browser was given for this link."""
    nonce = request.cookies.get(_cookie(token), "")
    return bool(nonce) and hmac.compare_digest(_proof(request, token, nonce).encode(), proof.encode())


def private(response: Response) -> Response:
    """A page behind a link is nobody's to index, and its address nobody's to pass on."""
    response.headers.update(ROBOTS)
    return response


def count_unknown(request: Request) -> None:
    """Raises `Busy` when one address of the network tries many links that never were."""
    request.state.denied = "unknown_link"
    attempts_of(request).check_link(remote_of(request))
