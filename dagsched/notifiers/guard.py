"""Requests to addresses that anybody may be sent to, and to no others unless the file allows it.

A URL in a job file, or a name in somebody's DNS, must not reach what only this machine can reach: the services of
its own network, itself, or the cloud's metadata. So the name is looked up here, each address is judged, and the
connection goes to an address that was judged, whatever the name leads to a moment later (DNS rebinding).
Redirects are answers like any other, and proxies of the environment are not used, for the same reason.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import Any, cast

import httpcore
import httpx

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Metadata and management addresses of clouds that lie outside the private ranges.
_NEVER = frozenset({ipaddress.ip_address("168.63.129.16")})
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class AddressDenied(Exception):
    """A name leads only to addresses that may not be connected to."""


def is_open(text: str) -> bool:
    """Whether anybody may be sent to this address: a global unicast one, also behind what embeds IPv4 in IPv6.

    >>> [is_open(each) for each in ("93.184.215.14", "10.0.0.1", "::ffff:169.254.169.254", "100.100.100.200")]
    [True, False, False, False]
    """
    address = ipaddress.ip_address(text.partition("%")[0])
    return all(_is_open(each) for each in _embedded(address) or (address,))


def _is_open(address: Address) -> bool:
    is_odd = address.is_multicast or address.is_reserved or address.is_loopback or address.is_unspecified
    return address.is_global and not is_odd and address not in _NEVER


def _embedded(address: Address) -> tuple[Address, ...]:
    """Return the IPv4 addresses that packets to this IPv6 one may reach."""
    if isinstance(address, ipaddress.IPv4Address):
        return ()
    if address in _NAT64:
        return (ipaddress.IPv4Address(int(address) & 0xFFFFFFFF),)
    inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    return tuple(each for each in inner if each is not None)


class _Backend(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were judged."""

    def __init__(self, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        failed: Exception | None = None
        for address in await self._addresses(host, port):
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed or httpcore.ConnectError(f"{host} has no address")

    async def _addresses(self, host: str, port: int) -> list[str]:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=1)
        except OSError as error:
            raise httpcore.ConnectError(f"cannot look up {host}: {error}") from error
        addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
        allowed = [each for each in addresses if self._allow_private or is_open(each)]
        if addresses and not allowed:
            named = host if addresses == [host] else f"{host} is {', '.join(addresses[:3])}, which"
            raise AddressDenied(f"{named} is no public address; allow_private: true lets this notifier connect to it")
        return allowed

    async def connect_unix_socket(self, *args: Any, **kwargs: Any) -> httpcore.AsyncNetworkStream:
        raise httpcore.ConnectError("no socket of this machine is connected to")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


class Transport(httpx.AsyncBaseTransport):
    """What an httpx client sends through; `allow_private`: connect to whatever the name leads to."""

    def __init__(self, *, allow_private: bool = False, verify: ssl.SSLContext | None = None) -> None:
        context = verify or httpx.create_ssl_context()
        self._pool = httpcore.AsyncConnectionPool(ssl_context=context, network_backend=_Backend(allow_private))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; raises httpx.HTTPError or AddressDenied."""
        url = request.url
        asked = httpcore.Request(
            request.method,
            httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        try:
            answer = await self._pool.handle_async_request(asked)
        except httpcore.UnsupportedProtocol as error:
            raise httpx.UnsupportedProtocol(str(error), request=request) from error
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise httpx.TransportError(f"{type(error).__name__}: {error}", request=request) from error
        stream = _Body(cast(AsyncIterable[bytes], answer.stream))
        return httpx.Response(answer.status, headers=answer.headers, stream=stream, extensions=answer.extensions)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pool.aclose()


class _Body(httpx.AsyncByteStream):
    def __init__(self, stream: AsyncIterable[bytes]) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._stream:
                yield part
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise httpx.TransportError(f"{type(error).__name__}: {error}") from error

    async def aclose(self) -> None:
        if hasattr(self._stream, "aclose"):
            await self._stream.aclose()
