"""People who write over the REST API and keep note of what they were told, whatever happens to the product meanwhile.

Some send again with the same key until they are answered, as the API's documents say one should; others give up at the
first trouble, so that nobody ever tells whether their write is there.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import aiohttp

from tests.bench.parties import Party
from tests.faults.callers import WAIT_S

SOURCE, EVENT_TYPE, METER = "faults", "page.rendered", "pages"
BATCH_EVENTS_MAX, PAGES_MAX = 40, 9
PERSISTENT = 0.6  # share of writes that are sent again until they are answered
AGAIN = 0.2  # share of answered writes that are sent once more all the same
EXPORT_PAUSE_S, PAUSE_S = 0.5, 0.05
BUSY = 429  # no more tasks just now: not an answer to what was asked


class NotAnswered(Exception):
    """Whether it was done nobody has said."""


@dataclass(slots=True)
class Write:
    """One write. `answer` is what the product said; None when it never did."""

    name: str
    events: int = 0  # of a batch, and what its meter is to add up to
    pages: int = 0
    answer: dict[str, Any] | None = None
    revoked: bool = False  # of a key: that it was revoked was answered, too

    @property
    def acknowledged(self) -> bool:
        return self.answer is not None


class Writers:
    """A steady crowd: two make and revoke keys, two send usage in batches, one asks for exports."""

    def __init__(self, address: str, party: Party, seed: int) -> None:
        self.keys: list[Write] = []
        self.batches: list[Write] = []
        self.exports: list[Write] = []
        self.troubles: Counter[str] = Counter()
        self.refusals: list[str] = []  # answers below 500 that nothing explains
        self._address = f"{address}/api/v1"
        self._party = party
        self._chance = random.Random(seed)
        self._leaving = False

    @property
    def all(self) -> tuple[list[Write], ...]:
        return self.keys, self.batches, self.exports

    async def __aenter__(self) -> Writers:
        headers = {"Cookie": self._party.cookie, "X-Matrix-CSRF": "1"}
        self._session = aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=30))
        meter = {
            "slug": METER,
            "name": "Pages",
            "event_type": EVENT_TYPE,
            "aggregation": "sum",
            "value_property": METER,
        }
        await self._insist("POST", "/meters", meter, key="meter")
        acts = (self._make_key, self._make_key, self._send_batch, self._send_batch, self._export)
        self._tasks = [asyncio.create_task(self._go_on(act)) for act in acts]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leaving = True
        await asyncio.gather(*self._tasks)
        await self._session.close()

    async def _go_on(self, act: Callable[[], Awaitable[None]]) -> None:
        while not self._leaving:
            await act()
            await asyncio.sleep(PAUSE_S * self._chance.random())

    async def _make_key(self) -> None:
        made = Write(f"kept {len(self.keys)}")
        self.keys.append(made)
        await self._write(made, "/keys", {"name": made.name})
        if made.answer is None:
            return
        await self._insist("DELETE", f"/keys/{made.answer['id']}")
        made.revoked = True

    async def _send_batch(self) -> None:
        name = f"batch {len(self.batches)}"
        pages = [self._chance.randint(1, PAGES_MAX) for _ in range(self._chance.randint(1, BATCH_EVENTS_MAX))]
        batch = Write(name, len(pages), sum(pages))
        self.batches.append(batch)
        now = datetime.now(UTC).isoformat()
        events = [
            {
                "source": SOURCE,
                "event_id": f"{name}/{number}",
                "type": EVENT_TYPE,
                "time": now,
                "properties": {METER: count},
            }
            for number, count in enumerate(pages)
        ]
        # Half of them without a key: usage events are told apart by their own names.
        await self._write(batch, "/usage/events", events, keyed=self._chance.random() < 0.5)

    async def _export(self) -> None:
        # A bound that lets everything through, and by which the task is known again.
        export = Write(str(10**9 + len(self.exports)))
        self.exports.append(export)
        filters = {"latency_ms[lt]": export.name}
        await self._write(export, "/tasks/exports", {"list": "requests", "filters": filters})
        await asyncio.sleep(EXPORT_PAUSE_S)

    async def _write(self, write: Write, path: str, body: Any, *, keyed: bool = True) -> None:
        key = f"{path} {write.name}".replace(" ", "-") if keyed else None
        if self._chance.random() < PERSISTENT:
            write.answer = await self._insist("POST", path, body, key=key)
        else:
            try:
                write.answer = await self._once("POST", path, body, key)
            except NotAnswered:
                await asyncio.sleep(PAUSE_S)
                return
        if key is not None and self._chance.random() < AGAIN:
            again = await self._insist("POST", path, body, key=key)
            if again != write.answer:
                self.refusals.append(f"{path} said {write.answer}, and {again} when it was sent again")

    async def _insist(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> Any:
        """Send it until it is answered."""
        async with asyncio.timeout(WAIT_S):
            while True:
                try:
                    return await self._once(method, path, body, key)
                except NotAnswered:
                    await asyncio.sleep(PAUSE_S)

    async def _once(self, method: str, path: str, body: Any, key: str | None) -> Any:
        headers = {"Idempotency-Key": key} if key else {}
        try:
            async with self._session.request(
                method, f"{self._address}{path}", json=body, headers=headers
            ) as answer:
                text = await answer.text()
                if answer.status >= 500 or answer.status == BUSY:
                    self.troubles[str(answer.status)] += 1
                    raise NotAnswered
                if answer.status >= 400:
                    self.refusals.append(f"{method} {path}: {answer.status} {text}")
                return await answer.json() if text else {}
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self.troubles[type(error).__name__] += 1
            raise NotAnswered from error
