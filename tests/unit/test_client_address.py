"""Whose address counts: what our own proxy wrote, never what the caller made up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi import Request

from matrix_app.api.deps import client_of
from matrix_app.api.gateway import AsgiRequest
from services.core.settings import settings

HEADER = b"x-forwarded-for"


@pytest.fixture(autouse=True)
def one_proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("MATRIX_TRUSTED_PROXY_HOPS", "1")
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.mark.parametrize(
    "lines",
    [
        [(HEADER, b"198.51.100.7")],
        [(HEADER, b"203.0.113.9, 198.51.100.7")],
        # Some proxies leave the caller's line as it is and add one of their own.
        [(HEADER, b"203.0.113.9"), (HEADER, b"198.51.100.7")],
    ],
)
async def test_the_nearest_proxy_is_believed(lines: list[tuple[bytes, bytes]]) -> None:
    scope = {"type": "http", "method": "GET", "headers": lines, "client": ("127.0.0.1", 1)}

    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    assert client_of(Request(scope)).address == "198.51.100.7"
    assert AsgiRequest(scope, receive, frozenset(), 1).address == "198.51.100.7"
