"""Addresses that a person typed: what is refused when it is written down. And how answers are read."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import ClientPayloadError, StreamReader
from aiohttp.base_protocol import BaseProtocol

from services.core.outgoing import AddressRefused, checked_url, read_within


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8080/v1",
        "http://127.0.0.1./v1",
        "http://10.1.2.3/v1",
        "https://models.example:0/v1",
        "http://169.254.169.254/latest",
        "http://[::1]/v1",
        "http://[::ffff:127.0.0.1]/v1",
        "http://[64:ff9b::7f00:1]/v1",
        # Site-local, which was for the inside of one site.
        "http://[fec0::1]/v1",
        "http://[feff:ffff::1]/v1",
        # Interfaces that tunnel to the IPv4 address they hold (ISATAP), under any prefix and inside another wrapping.
        "http://[2606:4700::5efe:10.0.0.1]/v1",
        "http://[2606:4700::5efe:a9fe:a9fe]/v1",
        "http://[2606:4700::200:5efe:127.0.0.1]/v1",
        "http://[2606:4700::300:5efe:c0a8:1]/v1",
        "http://[2002:808:808::5efe:10.0.0.1]/v1",
        "http://[fe80::5efe:8.8.8.8]/v1",
        # Given out by clouds inside their networks, although registries count them as public.
        "http://192.0.0.192/opc/v1",
        "http://168.63.129.16/machine",
        "http://[::ffff:168.63.129.16]/machine",
        "http://192.88.99.1/v1",
        "http://[3fff::1]/v1",
        "http://localhost/v1",
        "http://metadata.google.internal/v1",
        # The HTTP client folds these to 127.0.0.1, 169.254.169.254 and localhost, and asks no resolver for digits.
        "http://\uff11\uff12\uff17.0.0.1/v1",
        "http://127\u30020\u30020\u30021/v1",
        "http://\u2460\u2461\u2466.0.0.1/v1",
        "http://169.254.169.25\uff14/latest",
        "http://\uff4c\uff4f\uff43\uff41\uff4c\uff48\uff4f\uff53\uff54/v1",
        # Digits that the system's resolver would read as an address.
        "http://2130706433/v1",
        "http://127.1/v1",
        "http://017700000001/v1",
        "http://0/v1",
        "http://0x7f.1/v1",
        "http://0x7f000001/v1",
        "http://127.0.0.0x1/v1",
        "http://user:secret@models.example/v1",
        "http://models.example/v1?key=1",
        "ftp://models.example/v1",
        "http:///v1",
    ],
)
def test_an_address_inside_is_refused_however_it_is_written(url: str) -> None:
    with pytest.raises(AddressRefused):
        checked_url(url)


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://models.example/v1/", "https://models.example/v1"),
        ("https://Models.Example:8443/v1", "https://models.example:8443/v1"),
        ("https://8.8.8.8/v1", "https://8.8.8.8/v1"),
        ("https://[2606:4700:4700::1111]:8443/v1", "https://[2606:4700:4700::1111]:8443/v1"),
        ("https://[2606:4700::200:5efe:808:808]/v1", "https://[2606:4700::200:5efe:808:808]/v1"),
        # Kept as it will be called, so that what was judged is what is stored.
        ("https://b\u00fccher.example/v1", "https://xn--bcher-kva.example/v1"),
    ],
)
def test_a_public_address_is_kept_as_it_will_be_called(url: str, kept: str) -> None:
    assert checked_url(url) == kept


def test_what_the_operator_vouches_for_is_let_through_with_its_port_only() -> None:
    assert checked_url("http://127.0.0.1:9000/v1", allowed=["127.0.0.1:9000"]) == "http://127.0.0.1:9000/v1"
    with pytest.raises(AddressRefused):
        checked_url("http://127.0.0.1:9001/v1", allowed=["127.0.0.1:9000"])


def answering() -> StreamReader:
    """The body of an answer whose connection is open."""
    protocol = BaseProtocol(asyncio.get_running_loop())
    protocol.connection_made(asyncio.Transport())
    return StreamReader(protocol, 2**16)


async def test_a_body_that_comes_in_pieces_is_read_to_its_end() -> None:
    content = answering()
    content.feed_data(b'{"valid"')
    reading = asyncio.create_task(read_within(content, 13))
    await asyncio.sleep(0)  # it has the first piece
    content.feed_data(b":true")
    content.feed_eof()
    assert await reading == b'{"valid":true'


async def test_a_body_that_is_too_long_is_refused() -> None:
    content = answering()
    content.feed_data(b"12345")
    with pytest.raises(ClientPayloadError, match="more than 4 bytes"):
        await read_within(content, 4)
