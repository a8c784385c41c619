"""Calls to addresses that a person typed: they must never reach inside.

An address is judged twice. `checked_url` judges what is written, when it is saved and when it is loaded.
`GuardedResolver` judges what a name resolves to at the moment of connecting, and the connection goes to
exactly the addresses it let through, so a name that changes its mind between check and use gains nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Collection
from typing import Any
from urllib.parse import SplitResult, urlsplit, urlunsplit

from aiohttp import (
    ClientPayloadError,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    StreamReader,
    TCPConnector,
)
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from services.core.errors import Invalid

URL_LENGTH_MAX = 2_000
# Servers of models end an idle connection after 5 s (uvicorn, llama.cpp). A call sent just then is lost, and may not be
# sent again: the model may have answered it.
KEEPALIVE_S = 4.0
_PORTS = {"http": 80, "https": 443}
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
# What Python takes for public, in some of its versions or in all: addresses of protocols (RFC 6890), where one cloud
# answers with credentials; the relays of 6to4; documentation (RFC 9637); what hosts of another cloud ask for secrets.
_NOT_PUBLIC = tuple(
    map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32", "3fff::/20"))
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_ISATAP, _ISATAP_FLAGS = 0x0000_5EFE, 0x0300_0000  # RFC 5214: "globally unique" and "group" may be set


class AddressRefused(Invalid):
    """The address is not one that this installation may call."""

    code = "address_refused"
    title = "This address may not be called"


class ForbiddenAddress(OSError):
    """A name resolved to an address inside. An OSError, so that HTTP clients report it as a failed connection."""


def checked_url(text: str, *, allowed: Collection[str] = ()) -> str:
    """`text` without a trailing slash, if it is an http(s) URL to a public host. Raises AddressRefused.

    `allowed` names `host:port` pairs that may be private: what the operator vouches for by setting.
    """
    parts = _split(text)
    host, port = _as_called(text), parts.port or _PORTS[parts.scheme]
    if f"{host}:{port}" not in allowed:
        _require_public_host(host)
    netloc = f"[{host}]" if ":" in host else host
    netloc = netloc if parts.port is None else f"{netloc}:{parts.port}"
    return urlunsplit((parts.scheme, netloc, parts.path.rstrip("/"), "", ""))


def _as_called(text: str) -> str:
    """The host as the HTTP client will call it. It folds characters: fullwidth digits become an address."""
    try:
        return (URL(text).raw_host or "").rstrip(".").lower()
    except ValueError as error:
        raise _refused(f"The address cannot be read: {error}.") from error


def _split(text: str) -> SplitResult:
    if len(text) > URL_LENGTH_MAX or any(ord(character) <= 32 for character in text):
        raise _refused("The address is too long or holds blanks or control characters.")
    try:
        parts = urlsplit(text)
        if parts.port == 0:
            raise _refused("Nothing listens on port 0.")
    except ValueError as error:
        raise _refused(f"The address cannot be read: {error}.") from error
    if parts.scheme not in _PORTS:
        raise _refused("The address must begin with https:// or http://.")
    if not parts.hostname:
        raise _refused("The address names no host.")
    if parts.username is not None or parts.password is not None:
        raise _refused("The address must not hold a user name or password.")
    if parts.query or parts.fragment:
        raise _refused("The address must end with its path: no query, no fragment.")
    return parts


def _require_public_host(host: str) -> None:
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        raise _refused(f"{host!r} is a name for the inside of a network.")
    try:
        literal = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        # What looks like an address may never be asked of the resolver, so it would not be judged when connecting; and
        # what ends in a number is no name: systems read 0x7f.1 as 127.0.0.1.
        if ":" in host or _NUMBER.fullmatch(host.rpartition(".")[2]):
            raise _refused(f"{host!r} is no way to write an address.") from None
        return  # a name, judged when connecting
    if not is_public(literal):
        raise _refused(f"{host} is an address inside a network, not a public one.")


def _refused(message: str) -> AddressRefused:
    return AddressRefused(
        message,
        field="base_url",
        next_step="Use a public address, or name its host:port in MATRIX_ALLOW_PRIVATE_UPSTREAMS.",
    )


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether `address`, and any IPv4 address wrapped in it, is one of the public internet."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.is_site_local or int(address) >> 32 == 0:  # both deprecated: fec0::/10, and ::a.b.c.d
            return False
        if _tunnels_inside(address):
            return False
        wrapped = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if wrapped is None and address in _NAT64:
            wrapped = _last_32_bits(address)
        if wrapped is not None:
            return is_public(wrapped)
    listed = any(address in network for network in _NOT_PUBLIC)
    return address.is_global and not address.is_multicast and not address.is_reserved and not listed


def _tunnels_inside(address: ipaddress.IPv6Address) -> bool:
    """Whether it is an ISATAP interface, under whatever prefix, of an IPv4 address that is not public."""
    interface = int(address) >> 32 & 0xFFFF_FFFF
    return interface & ~_ISATAP_FLAGS == _ISATAP and not is_public(_last_32_bits(address))


def _last_32_bits(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)


class GuardedResolver(AbstractResolver):
    """Resolves names for aiohttp and raises ForbiddenAddress when any address found lies inside."""

    def __init__(self, allowed: Collection[str] = ()) -> None:
        self._allowed = frozenset(allowed)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await asyncio.get_running_loop().getaddrinfo(
            host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
        )
        vouched = f"{host.rstrip('.')}:{port}" in self._allowed
        results: list[ResolveResult] = []
        for kind, _, protocol, _, address in found:
            numeric = str(address[0]).partition("%")[0]
            if not vouched and not is_public(ipaddress.ip_address(numeric)):
                raise ForbiddenAddress(f"{host} leads to {numeric}, which is not a public address")
            results.append(
                ResolveResult(
                    hostname=host, host=numeric, port=port, family=kind, proto=protocol,
                    flags=socket.AI_NUMERICHOST,
                )
            )  # fmt: skip
        return results

    async def close(self) -> None:
        return None


def guarded_session(allowed: Collection[str] = (), **options: Any) -> ClientSession:
    """An HTTP session for addresses that people typed. Never follow redirects with it: they are not judged."""
    return _session(TCPConnector(resolver=GuardedResolver(allowed), **_POOL), **options)


def inside_session(**options: Any) -> ClientSession:
    """An HTTP session for our own processes, whose addresses come from settings and from nobody else.

    A connection a call: the built-in model closes kept ones without a word when it is busy, and a call sent into one
    is lost. A new one takes a fifth of a millisecond here.
    """
    return _session(TCPConnector(limit=0, force_close=True), **options)


async def read_within(content: StreamReader, most: int) -> bytes:
    """A whole body: one read would end with what has come so far. Raises ClientPayloadError above `most` bytes."""
    body = bytearray()
    async for part in content.iter_any():
        body += part
        if len(body) > most:
            raise ClientPayloadError(f"An answer of more than {most} bytes.")
    return bytes(body)


_POOL: dict[str, Any] = {"limit": 0, "keepalive_timeout": KEEPALIVE_S, "ttl_dns_cache": 10}


def _session(connector: TCPConnector, **options: Any) -> ClientSession:
    # No proxies from the environment, no cookies: what a call carries is only what the caller gave it.
    return ClientSession(
        connector=connector,
        cookie_jar=DummyCookieJar(),
        trust_env=False,
        auto_decompress=True,
        timeout=ClientTimeout(total=None),
        **options,
    )
