"""The socket of live figures, over a real server: who is let in, who is sent away, and what is not understood."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from granian.constants import Interfaces
from granian.server.embed import Server
from starlette.applications import Starlette

from matrix_app.api import live
from matrix_app.doors import LIVE, Doors
from matrix_app.live_door import LiveDoor
from models.identity import Account, Organization, Session
from models.types import Role
from services.core.crossing import Reason, crossing
from services.core.crypto import vault
from services.core.database import Database
from services.core.ids import new_id, new_secret
from services.core.permissions import Capability
from services.core.relay import Relay
from services.core.settings import Settings
from services.core.work import UnitOfWork
from services.identity.cookies import session_cookie
from services.identity.events import MembershipChanged, MembershipEnded
from services.identity.sessions import sign_out
from services.live.views import VIEWS, View
from tests.bench.product import free_port
from tests.integration.gateway.house import WAIT_S, until_answers
from tests.world import World


async def _name(uow: UnitOfWork) -> dict[str, Any]:
    return {"name": (await uow.execute("select name from organization")).scalar_one()}


NAMES = [f"name {n}" for n in range(live.TOPICS_MAX + 1)]
KEYS = View("keys", Capability.KEYS_READ, _name)
VIEWS_HERE: Mapping[str, View] = {
    **VIEWS,
    "keys": KEYS,
    **{name: View(name, Capability.USAGE_READ, _name) for name in NAMES},
}


@dataclass
class Socket:
    """A page's end of the connection."""

    wire: aiohttp.ClientWebSocketResponse

    async def say(self, message: object) -> None:
        await self.wire.send_str(orjson.dumps(message).decode())

    async def heard(self, wanted: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """The next message that is `wanted`; beats and others go by."""
        async with asyncio.timeout(WAIT_S):
            while not wanted(message := orjson.loads(await self.wire.receive_str())):
                pass
            return message

    async def answer_on(self, view: str) -> dict[str, Any]:
        """The first that is said of `view` after subscribing to it: its figures, or why there are none."""
        await self.say({"subscribe": [view]})
        return await self.heard(lambda message: view in (message.get("topic"), message.get("refused")))

    async def closed_with(self) -> int | None:
        """The code with which the server ends the connection."""
        async with asyncio.timeout(WAIT_S):
            while (await self.wire.receive()).type is aiohttp.WSMsgType.TEXT:
                pass
        return self.wire.close_code


@dataclass
class Door:
    """A served door, and browsers that knock at it."""

    url: str
    origin: str
    browser: aiohttp.ClientSession

    async def socket(self, token: str | None, origin: str | None = "") -> Socket:
        """`origin` is that of the page, the product's own unless given; None sends none."""
        cookie = f"{session_cookie(self.origin)}={token}"
        headers = {"Cookie": cookie} if token is not None else {}
        own = self.origin if origin == "" else origin
        return Socket(await self.browser.ws_connect(self.url, headers=headers, origin=own, autoclose=False))


@pytest.fixture
async def door(database: Database, tmp_path: Path) -> AsyncIterator[Door]:
    """The door with its hub listening, and a relay that hands events on, until the test ends."""
    port = free_port()
    behind, settings = LiveDoor(VIEWS_HERE), Settings(data_dir=tmp_path, port=port)
    app = Doors(api=Starlette(), live=behind, pages=Starlette(), documents=())
    server = Server(app, address="127.0.0.1", port=port, interface=Interfaces.ASGINL, log_enabled=False)
    serving = asyncio.create_task(server.serve())
    relay = asyncio.create_task(Relay(database).run())
    try:
        async with behind.open(database, settings), aiohttp.ClientSession() as browser:
            await until_answers(f"http://127.0.0.1:{port}")
            async with asyncio.timeout(WAIT_S):
                assert behind._endpoint is not None  # pyright: ignore[reportPrivateUsage]
                await behind._endpoint._hub.listening.wait()  # pyright: ignore[reportPrivateUsage]
            yield Door(f"http://127.0.0.1:{port}{LIVE}", settings.public_url, browser)
    finally:
        relay.cancel()
        server.stop()
        await asyncio.gather(relay, asyncio.wait_for(serving, WAIT_S), return_exceptions=True)


@dataclass
class Person:
    account: Account
    token: str


async def signed_in(world: World, organization: Organization | None, role: Role = Role.OWNER) -> Person:
    account = await world.account(member_of=organization, role=role)
    token, now = new_secret(), datetime.now(UTC)
    async with crossing(Reason.SIGN_IN) as uow:
        uow.add(
            Session(
                id=new_id("ses"),
                token_hash=vault().lookup_hash(token),
                account_id=account.id,
                organization_id=organization.id if organization else None,
                created_at=now,
                last_seen_at=now,
                proved_at=now,
                expires_at=now + timedelta(days=1),
            )
        )
    return Person(account, token)


@pytest.fixture
async def acme(world: World) -> Organization:
    return await world.organization(name="Acme")


@pytest.fixture
async def ana(world: World, acme: Organization) -> Person:
    """Acme's owner, signed in."""
    return await signed_in(world, acme)


async def test_a_member_is_sent_the_figures_of_the_own_organisation(
    door: Door, world: World, ana: Person
) -> None:
    bob = await signed_in(world, await world.organization(name="Beta"))

    for_ana = await (await door.socket(ana.token)).answer_on("name 1")
    for_bob = await (await door.socket(bob.token)).answer_on("name 1")

    assert for_ana["data"] == {"name": "Acme"}
    assert for_bob["data"] == {"name": "Beta"}


async def test_a_page_of_another_origin_may_not_connect(door: Door, ana: Person) -> None:
    for origin in ("https://evil.example", f"{door.origin}.evil.example", "null", None):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await door.socket(ana.token, origin=origin)
        assert refused.value.status == 403, origin


async def test_without_a_session_one_is_asked_to_sign_in(door: Door) -> None:
    for token in (None, "", "nobody-s", "t\u00f6ken"):
        assert await (await door.socket(token)).closed_with() == live.SIGN_IN_AGAIN, token


async def test_somebody_who_works_nowhere_has_nothing_to_watch(door: Door, world: World) -> None:
    nobody = await signed_in(world, None)

    # Not to sign in: that would lead them back to the page of their account, without end.
    assert await (await door.socket(nobody.token)).closed_with() == live.NO_RIGHT


async def test_signing_out_ends_the_socket_that_is_open_and_no_other(
    door: Door, world: World, acme: Organization, ana: Person
) -> None:
    colleague = await signed_in(world, acme)
    hers, theirs = await door.socket(ana.token), await door.socket(colleague.token)
    await hers.answer_on("name 1")
    await theirs.answer_on("name 1")

    await sign_out(ana.token)

    assert await hers.closed_with() == live.SIGN_IN_AGAIN
    await theirs.heard(lambda message: "beat" in message)


async def test_who_is_given_another_role_must_load_the_page_again_and_sees_less_then(
    door: Door, acme: Organization, ana: Person
) -> None:
    socket = await door.socket(ana.token)
    assert (await socket.answer_on("keys"))["data"] == {"name": "Acme"}

    async with crossing(Reason.SIGN_IN) as uow:
        await uow.execute("update membership set role = 'viewer' where account_id = :id", id=ana.account.id)
        uow.record(
            MembershipChanged(
                aggregate_id=acme.id, organization_id=acme.id, account_id=ana.account.id, role="viewer"
            )
        )

    assert await socket.closed_with() == live.NO_RIGHT
    again = await door.socket(ana.token)
    assert (await again.answer_on("keys"))["code"] == "not_allowed"
    assert "data" in await again.answer_on("name 1")


async def test_who_is_no_member_any_more_is_sent_away(door: Door, acme: Organization, ana: Person) -> None:
    socket = await door.socket(ana.token)
    await socket.answer_on("overview")

    async with crossing(Reason.SIGN_IN) as uow:
        await uow.execute("delete from membership where account_id = :id", id=ana.account.id)
        uow.record(MembershipEnded(aggregate_id=acme.id, organization_id=acme.id, account_id=ana.account.id))

    assert await socket.closed_with() == live.NO_RIGHT


async def test_what_changed_without_an_event_is_noticed_in_time(
    door: Door, ana: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "RECHECK_S", 0.1)
    socket = await door.socket(ana.token)

    async with crossing(Reason.SIGN_IN) as uow:
        await uow.execute("update account set suspended_at = now() where id = :id", id=ana.account.id)

    assert await socket.closed_with() == live.SIGN_IN_AGAIN


async def test_views_that_are_not_there_or_not_allowed_are_refused_and_others_go_on(
    door: Door, world: World, acme: Organization
) -> None:
    viewer = await signed_in(world, acme, Role.VIEWER)
    socket = await door.socket(viewer.token)

    assert (await socket.answer_on("nonsense"))["code"] == "not_found"
    assert (await socket.answer_on("keys"))["code"] == "not_allowed"
    assert "data" in await socket.answer_on("overview")


async def test_what_no_page_says_ends_the_socket_with_a_reason(door: Door, ana: Person) -> None:
    for said, code in NO_PAGE_SAYS:
        socket = await door.socket(ana.token)
        await (socket.wire.send_bytes(said) if isinstance(said, bytes) else socket.wire.send_str(said))
        assert await socket.closed_with() == code, said


NO_PAGE_SAYS: list[tuple[str | bytes, int]] = [
    (b'{"subscribe": ["overview"]}', 1003),
    (b"", 1003),
    ("", 1003),
    ("{", 1003),
    ("[]", 1003),
    ('{"subscribe": "overview"}', 1003),
    ('{"subscribe": [1]}', 1003),
    ('{"unsubscribe": {"overview": 1}}', 1003),
    ("[" * live.MESSAGE_BYTES_MAX, 1003),
    (f'{{"subscribe": ["{"x" * live.MESSAGE_BYTES_MAX}"]}}', 1009),
    (f'{{"subscribe": ["{"€" * (live.MESSAGE_BYTES_MAX // 2)}"]}}', 1009),
]


async def test_a_page_watches_so_many_topics_and_is_told_which_one_was_too_many(
    door: Door, ana: Person
) -> None:
    socket = await door.socket(ana.token)
    await socket.say({"subscribe": NAMES})

    refused = await socket.heard(lambda message: "refused" in message)
    assert (refused["refused"], refused["code"]) == (NAMES[-1], "too_many_topics")

    await socket.say({"subscribe": NAMES[:1]})  # one of those it has: nothing new
    await socket.say({"unsubscribe": NAMES[:1]})
    assert "data" in await socket.answer_on(NAMES[-1])


async def test_before_the_hub_runs_pages_are_asked_to_come_back(world: World, tmp_path: Path) -> None:
    port = free_port()
    app = Doors(api=Starlette(), live=LiveDoor(), pages=Starlette(), documents=())
    server = Server(app, address="127.0.0.1", port=port, interface=Interfaces.ASGINL, log_enabled=False)
    serving = asyncio.create_task(server.serve())
    try:
        await until_answers(f"http://127.0.0.1:{port}")
        async with aiohttp.ClientSession() as browser:
            socket = Socket(await browser.ws_connect(f"http://127.0.0.1:{port}{LIVE}", autoclose=False))
            assert await socket.closed_with() == live.TRY_LATER
    finally:
        server.stop()
        await asyncio.wait_for(serving, WAIT_S)
