"""The benchmark's side of a driver: start it, send it to work, take its findings."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson

ROOT = Path(__file__).resolve().parents[2]
LINE_BYTES_MAX = 64_000_000
PREPARE_TIMEOUT_S = 60.0


class DriverFailed(RuntimeError):
    """The load generator ended early; its own words went to standard error."""


class Driving:
    """A driver that is ready to work."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self._name = name
        self._process = process

    async def go(self) -> dict[str, Any]:
        """Have it work once. Raises DriverFailed."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"go\n")
        await self._process.stdin.drain()
        return await self._line()

    async def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise DriverFailed(f"The driver {self._name} ended early.")
        return orjson.loads(line)


@asynccontextmanager
async def driver(name: str, **options: Any) -> AsyncIterator[Driving]:
    """Start `tests.bench.drivers.<name>`, connected and warm when this enters, ended when it leaves."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"tests.bench.drivers.{name}",
        orjson.dumps(options).decode(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        limit=LINE_BYTES_MAX,
    )
    driving = Driving(name, process)
    try:
        async with asyncio.timeout(PREPARE_TIMEOUT_S):
            await driving._line()
        yield driving
    finally:
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(10):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
