"""Load generators. Each is a program of its own, so that what it measures is not its own interpreter's lock.

A driver is started with its options as JSON, says that it is ready (connected, warmed up), waits for "go",
works, and writes its findings as one line of JSON. It also says how late its own event loop was: a driver that
cannot keep up measures itself.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

import orjson
import uvloop

from tests.bench.figures import percentile

_LAG_STEP_S = 0.01


class Driver(Protocol):
    async def prepare(self) -> None: ...

    async def drive(self) -> dict[str, Any]: ...

    async def close(self) -> None: ...


def serve(make: Callable[[dict[str, Any]], Driver]) -> None:
    """The main function of a driver's program."""
    uvloop.run(_serve(make(orjson.loads(sys.argv[1]))))


async def _serve(driver: Driver) -> None:
    await driver.prepare()
    _say({"ready": True})
    try:
        # A driver may be sent to work several times: once idle, once under load, say.
        while (await asyncio.to_thread(sys.stdin.readline)).strip() == "go":
            _say(await _observed(driver.drive))
    finally:
        await driver.close()


async def _observed(drive: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    lags: list[float] = []
    watch = asyncio.create_task(_watch_lag(lags))
    used, began = _processor_s(), time.monotonic()
    try:
        found = await drive()
    finally:
        watch.cancel()
    share = (_processor_s() - used) / (time.monotonic() - began)
    return found | {"driver_cpu": round(share, 3), "driver_lag_ms_p95": round(percentile(lags, 95), 2)}


async def _watch_lag(lags: list[float]) -> None:
    while True:
        began = time.monotonic()
        await asyncio.sleep(_LAG_STEP_S)
        lags.append((time.monotonic() - began - _LAG_STEP_S) * 1_000)


def _processor_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _say(message: dict[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(message) + b"\n")
    sys.stdout.buffer.flush()


async def every(interval_s: float, seconds: float) -> AsyncIterator[float]:
    """Yield the planned moments of an open loop: a late answer does not put off the next question."""
    began = time.monotonic()
    due = began
    while due < began + seconds:
        delay = due - time.monotonic()
        if delay > 0:
            await asyncio.sleep(delay)
        yield due
        due += interval_s
