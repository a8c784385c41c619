"""People who look at live figures: sockets on `/live`.

Options: address, cookies (clients are dealt out over them), clients, view, seconds. Tells when each connection
got which count of requests, by the clock that all processes of a machine share.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import orjson

from tests.bench.drivers import serve


class Watcher:
    """One connection. `arrivals` are (moment, requests of the month) while noted."""

    def __init__(self, organization: int, texts: dict[str, int]) -> None:
        self.organization = organization
        self.arrivals: list[tuple[float, int]] = []
        self.noting = False
        self._texts = texts

    async def open(self, session: aiohttp.ClientSession, address: str, cookie: str, view: str) -> None:
        url = f"{address}/live"
        self._socket = await session.ws_connect(
            url, headers={"Cookie": cookie, "Origin": address}, max_msg_size=0
        )
        await self._socket.send_str(orjson.dumps({"subscribe": [view]}).decode())
        first = await self._socket.receive_str()
        if '"topic"' not in first:
            raise RuntimeError(f"/live answered {first[:200]!r}.")
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self._socket:
            now = time.monotonic()
            if self.noting and message.data.startswith('{"topic"'):
                self.arrivals.append((now, self._requests(message.data)))

    def _requests(self, text: str) -> int:
        # Everybody of an organisation gets the same text: read it once, so that the driver stays ahead.
        count = self._texts.get(text)
        if count is None:
            count = self._texts[text] = orjson.loads(text)["data"]["month"]["requests"]
        return count

    async def close(self) -> None:
        await self._socket.close()
        await asyncio.wait([self._reader])


class Live:
    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        texts: dict[str, int] = {}
        organizations = len(options["cookies"])
        self._watchers = [Watcher(number % organizations, texts) for number in range(options["clients"])]
        self._session: aiohttp.ClientSession | None = None

    async def prepare(self) -> None:
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        for watcher in self._watchers:
            cookie = self._options["cookies"][watcher.organization]
            await watcher.open(self._session, self._options["address"], cookie, self._options["view"])

    async def drive(self) -> dict[str, Any]:
        for watcher in self._watchers:
            watcher.arrivals.clear()
            watcher.noting = True
        await asyncio.sleep(self._options["seconds"])
        for watcher in self._watchers:
            watcher.noting = False
        return {
            "arrivals": [{"organization": one.organization, "at": one.arrivals} for one in self._watchers],
            "closed": sum(watcher._socket.closed for watcher in self._watchers),
        }

    async def close(self) -> None:
        for watcher in self._watchers:
            await watcher.close()
        if self._session is not None:
            await self._session.close()


if __name__ == "__main__":
    serve(Live)
