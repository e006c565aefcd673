"""Which addresses Endcap may call on behalf of others: public ones, over https. Pure: names are resolved elsewhere."""

import re
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from domain.errors import Malformed

MAX_URL = 2_000
# A platform's own service behind an address that looks public.
_METADATA = frozenset({IPv4Address("168.63.129.16")})
_TRANSLATED = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"), IPv6Network("::/96"))
_NAME = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*\.?", re.IGNORECASE)
_NUMBERS = re.compile(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+))*\.?", re.IGNORECASE)


def _inner(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 one only wraps: mapped, 6to4, Teredo, translated."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if int(address) > 1 and any(address in network for network in _TRANSLATED):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def why_not(text: str, *, allow_loopback: bool) -> str | None:
    """Why a resolved address must not be called; None when it may. `allow_loopback` is for development alone."""
    try:
        outer = ip_address(text.partition("%")[0])
    except ValueError:
        return "it is no address"
    address = _inner(outer)
    if address.is_loopback:
        return None if allow_loopback else "it is this machine"
    if address in _METADATA or address.is_link_local:
        return "it is a service of the platform, or of the local link"
    is_site_local = isinstance(address, IPv6Address) and address.is_site_local
    if address.is_multicast or address.is_unspecified or address.is_reserved or is_site_local:
        return "it is reserved"
    if not address.is_global or (not outer.is_global and outer is address):
        return "it is a private network"
    return None


def check_url(url: str, *, allow_local: bool) -> None:
    """Raise `Malformed` for an address that webhooks cannot go to, as far as can be told without resolving its name.

    `allow_local` (development) lets http and this machine pass; what a name resolves to is checked at every call.
    """
    if len(url) > MAX_URL or not url.isascii() or any(ord(letter) <= 32 or ord(letter) == 127 for letter in url):
        raise Malformed(f"A URL has up to {MAX_URL} printable ASCII characters.", pointer="/url")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise Malformed("This is not a URL.", pointer="/url") from None
    if parts.scheme != "https" and not (allow_local and parts.scheme == "http"):
        raise Malformed("Webhooks go over https.", pointer="/url")
    if parts.username is not None or parts.password is not None or "\\" in url:
        raise Malformed("Leave user and password out of the URL; the signature says who calls.", pointer="/url")
    if parts.fragment or port == 0:
        raise Malformed("The URL has a part that no server is sent: leave out `#…`, and port 0.", pointer="/url")
    _check_host(host, allow_local=allow_local)


def _check_host(host: str, *, allow_local: bool) -> None:
    try:
        ip_address(host)
    except ValueError:
        if _NUMBERS.fullmatch(host):
            raise Malformed("Write the address in the usual form, 192.0.2.1.", pointer="/url") from None
        if len(host) > 253 or not _NAME.fullmatch(host):
            raise Malformed("The URL names no host.", pointer="/url") from None
        is_here = host.rstrip(".").lower().split(".")[-1] == "localhost"
        if is_here and not allow_local:
            raise Malformed("Webhooks do not go to this machine.", pointer="/url") from None
        return
    reason = why_not(host, allow_loopback=allow_local)
    if reason is not None:
        raise Malformed(f"Webhooks do not go to {host}: {reason}.", pointer="/url")
