"""Wake-ups: empty or tiny notifications that make readers look again.

Notifying commits queue on one lock inside PostgreSQL, so business transactions never notify. After
commit the process asks for a wake-up, and at most every 20 ms one goes out on a connection of its own.
A lost wake-up costs latency only: every reader also polls slowly from its own cursor.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

import psycopg
from psycopg import sql

from services.core.logs import get_logger

log = get_logger(__name__)

EVENTS_COMMITTED = "matrix_events_committed"  # the relay has rows to stamp
EVENTS_POSITIONED = "matrix_events_positioned"  # subscribers have events to read
USAGE_CHANGED = "matrix_usage_changed"  # payload: organisations whose figures moved, comma-separated
TASKS_CHANGED = "matrix_tasks_changed"  # payload: organisations whose tasks moved on
CHAINS_READ = "matrix_chains_read"  # payload: organisations with money on its way that is one block deeper
NOTICES_CHANGED = "matrix_notices_changed"  # payload: accounts that were told something, or have read it
KEYS_CHANGED = "matrix_keys_changed"  # payload: keys, models or upstreams that caches must forget

COALESCE_S = 0.020
PAYLOAD_BYTES_MAX = 7_000  # PostgreSQL refuses 8,000
RECONNECT_S_MAX = 5.0


class Wakeups:
    """Sends coalesced notifications from one process."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._pending: dict[str, set[str]] = {}
        self._here: list[Callable[[str, str], None]] = []
        self._sender: asyncio.Task[None] | None = None
        self._connection: psycopg.AsyncConnection[Any] | None = None

    def poke(self, channel: str, payload: str = "") -> None:
        """Ask for a wake-up. Never blocks and never fails: the slow poll is the safety net."""
        for heed in self._here:
            heed(channel, payload)
        self._pending.setdefault(channel, set()).add(payload)
        if self._sender is None or self._sender.done():
            self._sender = asyncio.get_running_loop().create_task(self._send(), name="wakeups")

    def heed_here(self, heed: Callable[[str, str], None]) -> None:
        """Have `heed` told of each wake-up of this process at once, before the notification that goes to all.

        What a process has just ended it must not go on believing in while the notification is under way.
        """
        self._here.append(heed)

    async def _send(self) -> None:
        while self._pending:
            pending, self._pending = self._pending, {}
            try:
                await self._notify(pending)
            except psycopg.Error as error:
                log.warning("wakeup_not_sent", channels=sorted(pending), error=str(error))
                await self._drop_connection()
            await asyncio.sleep(COALESCE_S)

    async def _notify(self, pending: dict[str, set[str]]) -> None:
        if self._connection is None or self._connection.closed:
            self._connection = await psycopg.AsyncConnection.connect(
                self._url, autocommit=True, connect_timeout=5
            )
        for channel, payloads in pending.items():
            for chunk in _chunks(sorted(payloads - {""})):
                await self._connection.execute("select pg_notify(%s, %s)", (channel, chunk))

    async def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def close(self) -> None:
        if self._sender is not None and not self._sender.done():
            await asyncio.wait([self._sender], timeout=1)
        await self._drop_connection()


def _chunks(payloads: list[str]) -> list[str]:
    """Payloads joined by commas into as few messages as fit; one empty message when there are none."""
    chunks: list[str] = [""]
    for payload in payloads:
        joined = f"{chunks[-1]},{payload}" if chunks[-1] else payload
        if len(joined) <= PAYLOAD_BYTES_MAX:
            chunks[-1] = joined
        else:
            chunks.append(payload)
    return chunks


async def listen(url: str, *channels: str, poll_s: float) -> AsyncGenerator[tuple[str, str], None]:
    """Yield (channel, payload) of each wake-up, and ("", "") at start, every `poll_s` and after reconnecting.

    Readers treat ("", "") as "look at everything", since wake-ups are lost while the connection is down. It
    comes as often under constant traffic as in silence.
    """
    delay_s = 0.1
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(
                url, autocommit=True, connect_timeout=5
            ) as connection:
                for channel in channels:
                    await connection.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))
                delay_s = 0.1
                while True:
                    yield "", ""
                    async for notice in connection.notifies(timeout=poll_s):  # from now, not from the last
                        yield notice.channel, notice.payload
                    await connection.execute("select 1")  # notices a dead server
        except psycopg.Error as error:
            log.warning("listener_reconnects", channels=channels, error=str(error), in_s=delay_s)
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, RECONNECT_S_MAX)
