"""One header of cookies means the same at every door: pages, REST, gateway and live figures."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import pytest

from matrix_app.live_door import LiveDoor
from models.identity import Organization
from services.core.database import database
from services.core.settings import settings
from services.identity import cookies
from state.portal.keys import KeysState
from tests.api.conftest import ADDRESS, Api
from tests.integration.state.visitor import Visitor, sent_to

# What other applications on the same host set, and what browsers and programs make of cookies.
BESIDE = {
    "JSON": 'prefs={"a":1}',
    "brackets": "a[b]=c",
    "an at sign": "u@x=1",
    "a bare word": "flag",
    "no name": "=x",
    "a space in the name": "my name=1",
    "an open quote": 'q="half',
    "commas": "list=1,2,3",
    "a backslash": "path=C:\\users\\ana",
    "equal signs": "token=YWJj==",
    "a path like the oldest standard": '$Version="1"',
    "a name that begins like ours": "matrix_session_old=abc",
    "a name that ends like ours": "x_matrix_session=abc",
    "nothing": "",
}
PLACES = ("{beside}; {session}", "{session}; {beside}", "{session};{beside}; {beside}")
DOORS = {"pages", "REST", "gateway", "live"}


@pytest.mark.parametrize("place", PLACES)
async def test_a_strange_cookie_beside_the_session_keeps_nobody_out(
    api: Api, acme: Organization, place: str
) -> None:
    signed_in = await api.browser(acme)
    session = f"{cookies.SESSION}={signed_in.cookies[cookies.SESSION]}"
    entered = {
        name: await who_enters(api, place.format(beside=beside, session=session))
        for name, beside in BESIDE.items()
    }

    assert {name: doors for name, doors in entered.items() if doors != DOORS} == {}


async def test_without_a_session_no_door_opens(api: Api) -> None:
    entered = {name: await who_enters(api, beside) for name, beside in BESIDE.items()}

    assert {name: doors for name, doors in entered.items() if doors} == {}


async def who_enters(api: Api, header: str) -> set[str]:
    """The doors that let in who sends this Cookie header."""
    outcomes = {
        "pages": await _sees_pages(header),
        "REST": (await api.client(headers={"cookie": header}).get("me")).status_code == 200,
        "gateway": (await api.root(headers={"cookie": header}).get("/v1/models")).status_code == 200,
        "live": await _hears_figures(header),
    }
    return {door for door, enters in outcomes.items() if enters}


async def _sees_pages(header: str) -> bool:
    _, answer = await Visitor(cookies=header, at="/portal/keys").call(KeysState, "load")
    return not sent_to(answer)


async def _hears_figures(header: str) -> bool:
    """Whether the socket stays open until the page itself leaves."""
    headers = [(b"origin", ADDRESS.encode()), (b"cookie", header.encode())]
    scope = {"type": "websocket", "path": "/live", "query_string": b"", "headers": headers}
    heard = [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000}]
    said: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return heard.pop(0)

    async def send(message: MutableMapping[str, Any]) -> None:
        said.append(message)

    door = LiveDoor()
    async with door.open(database(), settings()):
        await door(scope, receive, send)
    return [message["type"] for message in said] == ["websocket.accept"]
