"""People who click in pages: the page's own websocket, spoken without a browser.

Options: address, cookie, path (of the page), root (full name of Reflex's root state), state (full name of the
page's state), events ([[handler, query of the page's address], ...] sent in turn by each client), clients,
per_second (of all together), seconds. A click's time ends when the page's state arrives changed.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
import uuid
from typing import Any
from urllib.parse import urlencode

import aiohttp
import orjson

from tests.bench.drivers import every, serve

ANSWER_TIMEOUT_S = 10.0
_NAMESPACE = "/_event"
# Engine.IO and Socket.IO packets as they stand in a websocket's text: type digits, namespace, JSON.
_OPEN, _PING, _PONG = "0", "2", "3"
_CONNECT, _CONNECT_REFUSED, _EVENT = f"40{_NAMESPACE},", f"44{_NAMESPACE},", f"42{_NAMESPACE},"


class Tab:
    """One open page."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        # What an update of the page's state has in its text, whatever else it carries.
        self._mark = f'"{options["state"]}":'
        self._events = itertools.cycle(options["events"])
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._reader: asyncio.Task[None] | None = None
        self._answered: asyncio.Future[float] | None = None
        self.bytes_received = 0

    @property
    def busy(self) -> bool:
        return self._answered is not None

    async def open(self, session: aiohttp.ClientSession) -> float:
        """Connect, hydrate and wait for the page's rows. Returns the seconds it took."""
        address: str = self._options["address"]
        began = time.monotonic()
        self._socket = await session.ws_connect(
            f"{address}{_NAMESPACE}/",
            params={"EIO": "4", "transport": "websocket", "token": str(uuid.uuid4())},
            headers={"Cookie": self._options["cookie"], "Origin": address},
            max_msg_size=0,
        )
        opened = await self._socket.receive_str()
        if not opened.startswith(_OPEN):
            raise RuntimeError(f"The page's socket began with {opened[:100]!r}.")
        boot = {
            "name": f"{self._options['root']}.hydrate_and_load",
            "payload": {},
            "router_data": self._router_data({}),
        }
        self._answered = asyncio.get_running_loop().create_future()
        self._reader = asyncio.create_task(self._read())
        await self._socket.send_str(_CONNECT + orjson.dumps({"event": boot}).decode())
        await self._answer()
        return time.monotonic() - began

    async def click(self, due: float) -> float:
        """Send the next event and wait for its answer: seconds from `due` on."""
        assert self._socket is not None
        name, query = next(self._events)
        event = {"name": name, "payload": {}, "router_data": self._router_data(query)}
        self._answered = asyncio.get_running_loop().create_future()
        await self._socket.send_str(_EVENT + orjson.dumps(["event", event]).decode())
        return await self._answer() - due

    async def close(self) -> None:
        if self._socket is not None:
            await self._socket.close()
        if self._reader is not None:
            await asyncio.wait([self._reader])

    def _router_data(self, query: dict[str, str]) -> dict[str, Any]:
        path = self._options["path"]
        return {"pathname": path, "asPath": f"{path}?{urlencode(query)}".rstrip("?"), "query": query}

    async def _answer(self) -> float:
        assert self._answered is not None
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                return await self._answered
        finally:
            self._answered = None

    async def _read(self) -> None:
        assert self._socket is not None
        async for message in self._socket:
            text: str = message.data
            self.bytes_received += len(text)
            if text == _PING:
                await self._socket.send_str(_PONG)
            elif text.startswith(_CONNECT_REFUSED):
                self._fail(f"The page refused the connection: {text[:200]}")
            elif text.startswith(_EVENT) and self._is_answer(text):
                assert self._answered is not None
                self._answered.set_result(time.monotonic())

    def _is_answer(self, text: str) -> bool:
        if self._answered is None or self._answered.done() or self._mark not in text:
            return False
        # The first snapshot of a page says that it still loads.
        return '"status_rx_state_":"loading"' not in text

    def _fail(self, why: str) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(RuntimeError(why))


class Portal:
    """All tabs of one driver."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._tabs = [Tab(options) for _ in range(options["clients"])]
        self._session: aiohttp.ClientSession | None = None
        self._opened_s: list[float] = []

    async def prepare(self) -> None:
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        for tab in self._tabs:
            self._opened_s.append(await tab.open(self._session))
        for tab in self._tabs:
            await tab.click(time.monotonic())

    async def drive(self) -> dict[str, Any]:
        taken: list[float] = []
        failures: list[str] = []
        skipped = 0
        received = sum(tab.bytes_received for tab in self._tabs)
        chance = random.Random(7)
        async with asyncio.TaskGroup() as clicks:
            async for due in every(1 / self._options["per_second"], self._options["seconds"]):
                free = [tab for tab in self._tabs if not tab.busy]
                if not free:
                    skipped += 1  # everybody waits for an answer: said, since such a run flatters
                    continue
                clicks.create_task(_click(chance.choice(free), due, taken, failures))
                await asyncio.sleep(0)
        return {
            "ms": [round(one * 1_000, 2) for one in taken],
            "failures": failures,
            "skipped": skipped,
            "opened_ms": [round(one * 1_000, 1) for one in self._opened_s],
            "bytes_per_answer": (sum(tab.bytes_received for tab in self._tabs) - received)
            // max(1, len(taken)),
        }

    async def close(self) -> None:
        for tab in self._tabs:
            await tab.close()
        if self._session is not None:
            await self._session.close()


async def _click(tab: Tab, due: float, taken: list[float], failures: list[str]) -> None:
    try:
        taken.append(await tab.click(due))
    except (TimeoutError, RuntimeError, aiohttp.ClientError) as error:
        failures.append(repr(error))


if __name__ == "__main__":
    serve(Portal)
