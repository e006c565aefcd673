"""Connects only to addresses that were checked: a name is resolved once, every address it has is checked, and the
connection goes to the one that was checked. A name whose answer changes between the look and the call leads nowhere
else; no proxy of the environment resolves it again.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv6Address, ip_address

import httpx2

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
WhyNot = Callable[[str], str | None]


class AddressRefusedError(Exception):
    """The name leads to an address that is not called."""


async def resolve(host: str, port: int) -> Sequence[str]:
    """Every address of a name. Raises `OSError` where it has none."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


async def checked_address(host: str, port: int, why_not: WhyNot, resolver: Resolve = resolve) -> str:
    """The address to connect to, as it stands in a URL. One bad address among several refuses the name: it may be next.

    `why_not` says of a resolved address why it is not called, or None. Raises `AddressRefusedError`, `OSError`.
    """
    addresses = await resolver(host, port)
    for address in addresses:
        reason = why_not(address)
        if reason is not None:
            raise AddressRefusedError(f"{host} leads to {address}: {reason}")
    if not addresses:
        raise OSError(f"{host} has no address")
    first = ip_address(addresses[0])
    return f"[{first}]" if isinstance(first, IPv6Address) else str(first)


class Guarded(httpx2.AsyncBaseTransport):
    """A transport for `httpx2.AsyncClient` that checks each name it connects to. The certificate is still the name's.

    Raises `AddressRefusedError` out of the request, and `httpx2.ConnectError` for a name without an address.
    """

    def __init__(self, why_not: WhyNot, *, resolver: Resolve = resolve) -> None:
        self._why_not = why_not
        self._resolver = resolver
        # A kept connection belongs to an address, not to the name whose certificate was checked.
        self._inner = httpx2.AsyncHTTPTransport(
            verify=ssl.create_default_context(), limits=httpx2.Limits(max_keepalive_connections=0), trust_env=False
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send to the address that was checked, under the name that was asked for."""
        url = request.url
        host = url.raw_host.decode("ascii")  # as it was written: a resolver takes `ß` and `ss` for one name
        try:
            address = await checked_address(
                host, url.port or (443 if url.scheme == "https" else 80), self._why_not, self._resolver
            )
        except OSError as error:
            raise httpx2.ConnectError(f"{host} cannot be resolved") from error
        sent = httpx2.Request(
            request.method,
            url.copy_with(host=address),
            headers=request.headers,  # `Host` is in it already, and stays the name's
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": host},
        )
        return await self._inner.handle_async_request(sent)

    async def aclose(self) -> None:
        await self._inner.aclose()
