"""Bodies that arrive byte by byte: each keeps a connection, so whoever sends them is taken for gone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fastapi import FastAPI, Request

from matrix_app.api import edge, errors

pytestmark = pytest.mark.usefixtures("measured")
POST = {"type": "http", "method": "POST", "path": "/api/v1/session", "headers": []}


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "BODY_WAIT_S", 0.01)


async def told_of(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    """What the app gets of a request whose sender sends these parts and then nothing, without hanging up."""
    waiting, told = list(parts), list[dict[str, Any]]()

    async def receive() -> Any:
        if waiting:
            return waiting.pop(0)
        return await asyncio.Event().wait()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while not told or (told[-1]["type"] == "http.request" and told[-1]["more_body"]):
            told.append(await receive())

    async def send(message: Any) -> None:
        pass

    await edge.Edge(app)(dict(POST), receive, send)
    return told


def part(size: int, *, more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": b"x" * size, "more_body": more}


async def test_who_leaves_within_a_body_is_no_fault_of_ours() -> None:
    """A 500 would be logged and counted, so that anybody could raise an alarm by hanging up."""
    app, answered = FastAPI(), list[dict[str, Any]]()
    errors.install(app)
    app.add_middleware(edge.Edge)
    coming = [part(1, more=True), {"type": "http.disconnect"}]

    @app.post("/api/v1/session")
    async def read(request: Request) -> None:
        await request.body()

    async def receive() -> Any:
        return coming.pop(0)

    async def send(message: Any) -> None:
        answered.append(message)

    scope = POST | {
        "query_string": b"",
        "raw_path": b"/api/v1/session",
        "root_path": "",
        "http_version": "1.1",
    }
    await app(scope, receive, send)
    assert answered[0]["status"] == 400
    assert b'"malformed_request"' in answered[1]["body"]


@pytest.mark.parametrize("parts", [(), (part(1, more=True),), (part(1, more=True), part(2, more=True))])
async def test_a_body_that_does_not_go_on_is_broken_off(parts: tuple[dict[str, Any], ...]) -> None:
    assert await told_of(*parts) == [*parts, {"type": "http.disconnect"}]


async def test_a_whole_body_is_waited_for_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes after it is the caller's leaving, which may take as long as the answer does."""
    monkeypatch.setattr(edge, "BODY_WAIT_S", -1)  # ends every wait that it counts for
    left = {"type": "http.disconnect", "by": "the caller"}
    coming = [part(1, more=False), left]

    async def receive() -> Any:
        if coming[0] is left:
            await asyncio.sleep(0)
        return coming.pop(0)

    async def send(message: Any) -> None:
        pass

    exchange = edge._Exchange(dict(POST), receive, send, "0" * 32)  # pyright: ignore[reportPrivateUsage]
    assert await exchange.receive() == part(1, more=False)
    assert await exchange.receive() == left
