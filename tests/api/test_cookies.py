"""One header of cookies means the same at every door: pages, REST, gateway and live figures."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import httpx
import pytest

from matrix_app.live_door import LiveDoor
from models.identity import Organization
from services.core.database import database
from services.core.settings import settings
from services.identity.cookies import session_cookie, session_token
from state.portal.keys import KeysState
from tests.api.conftest import ADDRESS, PASSWORD, Api, set_password
from tests.integration.state.visitor import Visitor, sent_to

SESSION = session_cookie(ADDRESS)
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
    "a name that begins like ours": f"{SESSION}_old=abc",
    "a name that ends like ours": f"x_{SESSION}=abc",
    "the session of another copy": f"{session_cookie('http://localhost:4000')}=abc",
    "nothing": "",
}
PLACES = ("{beside}; {session}", "{session}; {beside}", "{session};{beside}; {beside}")
DOORS = {"pages", "REST", "gateway", "live"}


@pytest.mark.parametrize("place", PLACES)
async def test_a_strange_cookie_beside_the_session_keeps_nobody_out(
    api: Api, acme: Organization, place: str
) -> None:
    signed_in = await api.browser(acme)
    session = f"{SESSION}={signed_in.cookies[SESSION]}"
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


async def test_two_copies_on_one_host_share_a_browser(api: Api, environment: pytest.MonkeyPatch) -> None:
    """Cookies belong to a host and not to a port, so each copy names its own apart."""
    jar = httpx.Cookies()
    people = {"http://localhost:3000": "ana@example.com", "http://localhost:3001": "bob@example.com"}
    for address, email in people.items():
        await set_password(await api.world.account(email))
        answer = await _copy(api, environment, address, jar).post(
            "session", json={"email": email, "password": PASSWORD}
        )
        jar.extract_cookies(answer)

    seen = {
        address: (await _copy(api, environment, address, jar).get("me")).json()["account"]["email"]
        for address in people
    }

    assert seen == people
    first, second = people
    jar.extract_cookies(await _copy(api, environment, first, jar).post("session/sign-out"))
    assert (await _copy(api, environment, first, jar).get("me")).status_code == 401
    assert (await _copy(api, environment, second, jar).get("me")).status_code == 200


def _copy(api: Api, environment: pytest.MonkeyPatch, address: str, jar: httpx.Cookies) -> httpx.AsyncClient:
    """The browser with this jar, at the copy of the product that lives at `address`."""
    environment.setenv("MATRIX_PUBLIC_URL", address)
    settings.cache_clear()
    return api.client(base_url=f"{address}/api/v1/", cookies=jar, headers={"x-matrix-csrf": "1"})


async def test_behind_https_the_session_is_bound_to_its_very_host(
    api: Api, environment: pytest.MonkeyPatch
) -> None:
    client = await api.browser()
    environment.setenv("MATRIX_PUBLIC_URL", "https://matrix.example.com")
    settings.cache_clear()
    answer = await client.post("session", json={"email": "person1@example.com", "password": PASSWORD})
    made = answer.headers.get_list("set-cookie")
    assert [cookie.partition("=")[0] for cookie in made] == ["__Host-matrix_session", "__Host-matrix_device"]
    for cookie in made:
        assert {"Secure", "Path=/"} <= set(cookie.split("; "))  # or browsers refuse the name
        assert "Domain" not in cookie


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("http://localhost:3000", "matrix_session_3000"),
        ("http://[::1]:3001", "matrix_session_3001"),
        ("http://matrix.lan", "matrix_session_80"),
        ("https://ai.example.com", "__Host-matrix_session"),
        ("https://ai.example.com:443", "__Host-matrix_session"),
        ("https://ai.example.com:8443", "__Host-matrix_session_8443"),
    ],
)
def test_each_copy_names_its_cookies(address: str, name: str) -> None:
    assert session_cookie(address) == name
    assert session_token(f"{name}=abc; matrix_session=old", address) == "abc"
