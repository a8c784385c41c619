"""The same walk over the real websocket: event frames as anyone may send them, to the pages as they are served."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from models.types import Role
from services.core import crypto
from services.core import database as databases
from services.core.postgres import EmbeddedPostgres
from services.core.tether import tied
from services.identity.cookies import session_cookie
from state.session import SessionState
from tests.bench.product import answers, await_that, free_port
from tests.conftest import TEMPLATE
from tests.handlers import handlers, our_states
from tests.integration.walk.callers import Caller, Cast
from tests.integration.walk.test_page_walk import address_of, arguments_of
from tests.integration.walk.victim import Victim, furnish
from tests.integration.walk.watching import state_of
from tests.world import World

pytestmark = pytest.mark.xdist_group("sockets")  # the pages are served once for all tests here

ROOT = Path(__file__).parents[3]
NAMESPACE = "/_event,"
ANSWER_S_MAX, START_S_MAX = 120.0, 120.0
# The pages and their socket as `matrix web` serves them, without the compiled documents.
PROGRAM = """
import sys
from pathlib import Path
from matrix_app.up import reflex_environment, serving
reflex_environment.prepare(Path(sys.argv[1]))
from reflex_base.environment import environment
environment.REFLEX_SKIP_COMPILE.set(True)
from services.core.settings import settings
from matrix_app.matrix_app import app
serving.serve(app(), settings())
"""


@dataclass(frozen=True)
class House:
    """Served pages, the database behind them, and somebody who lives there: the same for all tests of this module,
    since what they try changes nothing."""

    address: str
    database_url: str
    data_dir: Path
    world: World
    victim: Victim


def start(facts: dict[str, str], folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", PROGRAM, str(folder)]
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | facts, preexec_fn=tied(signal.SIGKILL))


@pytest.fixture(scope="module")
def house(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The pages in a process of their own."""
    folder, name, port = tmp_path_factory.mktemp("pages"), "socket_walk", free_port()
    postgres.ensure_database(name, template=TEMPLATE)
    facts = {
        "MATRIX_PORT": str(port),
        "MATRIX_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "MATRIX_DATABASE_URL": postgres.owner_url(name),
        "MATRIX_DATABASE_APP_URL": postgres.app_url(name),
        "MATRIX_DATA_DIR": str(folder),
        "MATRIX_MODE": "production",
        "MATRIX_SMTP_URL": "smtp://127.0.0.1:9",
    }
    process = start(facts, folder / "web")
    try:
        await_that(lambda: answers(port, "/healthz"), START_S_MAX, "the pages are served")
        world, victim = asyncio.run(_furnished(postgres.app_url(name), folder))
        yield House(f"http://127.0.0.1:{port}", postgres.app_url(name), folder, world, victim)
    finally:
        process.terminate()
        process.wait(START_S_MAX)
        postgres.drop_database(name)


async def _furnished(database_url: str, folder: Path) -> tuple[World, Victim]:
    crypto.install(crypto.file_vault(folder))
    on = databases.connect(database_url, pool_size=2)
    world = World(on)
    try:
        return world, await furnish(world, "Victim", folder=folder)
    finally:
        await on.close()


@pytest.fixture
async def world(house: House) -> AsyncIterator[World]:
    crypto.install(crypto.file_vault(house.data_dir))
    on = databases.connect(house.database_url, pool_size=5)
    databases.install(on)
    house.world.database = on
    yield house.world
    databases.install(None)
    await on.close()


@pytest.fixture
def served(house: House) -> str:
    return house.address


@pytest.fixture
def victim(house: House) -> Victim:
    return house.victim


class Socket:
    """One open socket, and all that ever came over it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._sent = 0
        self.heard = ""

    async def send(self, name: str, payload: dict[str, Any], at: str = "/") -> None:
        path, _, _ = at.partition("?")
        router = {"pathname": path, "asPath": at, "query": {}}
        event = {"name": name, "payload": payload, "router_data": router}
        await self._socket.send_str(f"42{NAMESPACE}{json.dumps(['event', event])}")

    async def settle(self) -> str:
        """Wait until all that was sent has been dealt with, and return what came meanwhile."""
        self._sent += 1
        mark, before = f"/mark-{self._sent}-", len(self.heard)
        await self.send(f"{SessionState.get_full_name()}.look", {}, at=mark)
        async with asyncio.timeout(ANSWER_S_MAX):
            while mark not in self.heard[before:]:
                await self._hear()
        return self.heard[before:]

    async def _hear(self) -> None:
        text = await self._socket.receive_str()
        if text == "2":
            await self._socket.send_str("3")
        self.heard += text


@asynccontextmanager
async def connected(served: str, caller: Caller) -> AsyncIterator[Socket]:
    shown = await caller.present()
    cookie = f"{session_cookie(served)}={shown.session}" if shown.session else ""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(
            f"{served}/_event/",
            params={"EIO": "4", "transport": "websocket", "token": str(uuid.uuid4())},
            headers={"Cookie": cookie, "Origin": served},
        ) as socket,
    ):
        assert (await socket.receive_str()).startswith("0")
        await socket.send_str(f"40{NAMESPACE}")
        assert (await socket.receive_str()).startswith(f"40{NAMESPACE}")
        yield Socket(socket)


def every_event(victim: Victim) -> Iterator[tuple[str, dict[str, Any], str]]:
    """All handlers by their full names, with the victim's rows in arguments and address."""
    for handler in handlers():
        names = list(inspect.signature(inspect.unwrap(handler.function)).parameters)[1:]
        payload = dict(zip(names, arguments_of(handler, victim), strict=True))
        yield f"{handler.state.get_full_name()}.{handler.name}", payload, address_of(handler, victim)


def what_no_page_declares() -> Iterator[tuple[str, dict[str, Any]]]:
    """Vars set from outside, and methods that begin with an underscore."""
    for state in our_states():
        whole = state.get_full_name()
        for var in state.get_fields():
            yield f"{whole}.set_{var}", {"value": "taken-over"}
            yield f"{whole}.setvar", {"var_name": var, "value": "taken-over"}
        for private in ("_show", "_unit_of_work", "_staff_work", "_go", "_reset", "__init__"):
            yield f"{whole}.{private}", {}


CAST = {
    "stranger": Cast.stranger,
    "viewer": lambda cast: cast.member(Role.VIEWER),
    "owner elsewhere": Cast.owner_elsewhere,
}


@pytest.mark.parametrize("who", CAST)
async def test_no_frame_reads_or_changes_what_is_not_the_senders(
    who: str, served: str, world: World, victim: Victim
) -> None:
    caller = await CAST[who](Cast(world, victim))
    hidden = [one.text for one in victim.canaries if not caller.may_see(one, victim)]
    async with connected(served, caller) as socket:
        before, wrong = await state_of(victim, but_by=caller.id), list[str]()
        for name, payload, at in every_event(victim):
            await socket.send(name, payload, at)
            heard = await socket.settle()
            wrong += [f"{name} tells {text}" for text in hidden if text in heard]
            if "did not foresee" in heard:
                wrong.append(f"{name} failed")

        # Nobody is asked who they are before such a name is refused, so each of those who try sends a part of them.
        for name, payload in itertools.islice(
            what_no_page_declares(), list(CAST).index(who), None, len(CAST)
        ):
            await socket.send(name, payload)
        heard = await socket.settle()

    assert not wrong, "\n".join(wrong)
    # Reflex's own note of whether a page has loaded is the browser's to set.
    assert set(re.findall(r'"(\w+)":"taken-over"', heard)) <= {"is_hydrated_rx_state_"}
    assert not [text for text in hidden if text in heard]
    assert await state_of(victim, but_by=caller.id) == before


@pytest.mark.parametrize("who", ["expired session", "suspended member"])
async def test_who_is_let_in_nowhere_is_told_nothing_by_any_console(
    who: str, served: str, world: World, victim: Victim
) -> None:
    """One page of each: that every handler refuses them is walked without a socket."""
    cast = Cast(world, victim)
    caller = await (cast.expired() if who == "expired session" else cast.suspended_member())
    consoles = {
        at.split("/")[1]: (name, payload, at)
        for name, payload, at in every_event(victim)
        if name.endswith(".load")
    }
    assert {"account", "governance", "portal"} <= consoles.keys()
    async with connected(served, caller) as socket:
        before = await state_of(victim, but_by=caller.id)
        for name, payload, at in consoles.values():
            await socket.send(name, payload, at)
        heard = await socket.settle()

    assert not [one.text for one in victim.canaries if not caller.may_see(one, victim) and one.text in heard]
    assert await state_of(victim, but_by=caller.id) == before


async def test_an_owner_is_told_over_the_socket_what_others_are_not(
    served: str, world: World, victim: Victim
) -> None:
    """Else the walk above would listen at a socket that tells nobody anything."""
    owner = await Cast(world, victim).member(Role.OWNER)
    async with connected(served, owner) as socket:
        for name, payload, at in every_event(victim):
            await socket.send(name, payload, at)
        await socket.settle()

    shown = [one.text for one in victim.canaries if owner.may_see(one, victim)]
    assert sum(text in socket.heard for text in shown) > 6


async def test_a_page_of_another_site_gets_no_socket(served: str, world: World, victim: Victim) -> None:
    shown = await (await Cast(world, victim).member(Role.OWNER)).present()
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(
                f"{served}/_event/",
                params={"EIO": "4", "transport": "websocket", "token": str(uuid.uuid4())},
                headers={
                    "Cookie": f"{session_cookie(served)}={shown.session}",
                    "Origin": "https://evil.example",
                },
            )
