"""Programs that call the gateway at a steady rate, whether it keeps up or not.

Options: address, key, model, per_second, seconds, streamed (share of calls that stream), max_tokens.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

import aiohttp
import orjson

from tests.bench.drivers import every, serve

WAITING_MAX = (
    1_000  # calls under way; beyond it the gateway is far behind and the rest is counted as not made
)
_WARM_CALLS = 20


class Calls:
    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._session: aiohttp.ClientSession | None = None
        self._number = 0

    async def prepare(self) -> None:
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {self._options['key']}", "Content-Type": "application/json"},
            connector=aiohttp.TCPConnector(limit=0),
        )
        for _ in range(_WARM_CALLS):
            status = await self._call()
            if status != 200:
                raise RuntimeError(f"The gateway answered {status} while warming up.")

    async def drive(self) -> dict[str, Any]:
        taken: list[float] = []
        statuses: Counter[str] = Counter()
        calls: set[asyncio.Task[None]] = set()
        async for due in every(1 / self._options["per_second"], self._options["seconds"]):
            if len(calls) >= WAITING_MAX:
                statuses["not made"] += 1
                continue
            call = asyncio.create_task(self._note(due, taken, statuses))
            calls.add(call)
            call.add_done_callback(calls.discard)
        if calls:
            await asyncio.wait(calls)
        return {"ms": [round(one * 1_000, 2) for one in taken], "statuses": dict(statuses)}

    async def _note(self, due: float, taken: list[float], statuses: Counter[str]) -> None:
        try:
            status = await self._call()
        except (aiohttp.ClientError, TimeoutError) as error:
            statuses[type(error).__name__] += 1
            return
        taken.append(time.monotonic() - due)
        statuses[str(status)] += 1

    async def _call(self) -> int:
        assert self._session is not None
        self._number += 1
        share = self._options["streamed"]
        body = {
            "model": self._options["model"],
            "messages": [{"role": "user", "content": f"Say hello, number {self._number}."}],
            "max_tokens": self._options["max_tokens"],
            "stream": int(self._number * share) != int((self._number - 1) * share),
        }
        async with self._session.post(
            f"{self._options['address']}/v1/chat/completions", data=orjson.dumps(body)
        ) as answer:
            await answer.read()
            return answer.status

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


if __name__ == "__main__":
    serve(Calls)
