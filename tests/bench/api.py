"""What the REST API does a second beside a bare FastAPI route, and what a unit of work costs beyond its query.

The read is `GET /api/v1/me` by key: authentication, permission set, limits, headers and trace, and no table. The
servers are processes of their own, served alike, and are asked in turns. One that reads a row is told beside it.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import text

from services.core import crypto, migrations
from services.core import database as databases
from services.core.actor import Actor
from services.core.database import Database
from services.core.permissions import Capability
from services.core.postgres import EmbeddedPostgres
from services.core.work import unit_of_work
from services.identity.keys import create_key
from tests.bench import bare_api, gateway
from tests.bench.figures import Result, median_figure, percentile
from tests.bench.product import free_port
from tests.bench.servers import postgres
from tests.world import World

REPEATS = 5
ROUND_S = 2.0
CALLERS = 16
RATIO_MIN = 0.3
WORKS = 400
BEYOND_MS_MAX = 1.5
UNLIMITED = "1000000000"


@dataclass(frozen=True, slots=True)
class _Server:
    port: int
    pid: int


@dataclass(frozen=True, slots=True)
class _Served:
    bare: _Server
    ours: _Server
    key: str
    actor: Actor
    on: Database


@dataclass(frozen=True, slots=True)
class _Round:
    """Calls a second, and what one takes of a core."""

    rate: float
    cpu_us: float


async def run(*, repeats: int = REPEATS, round_s: float = ROUND_S) -> Result:
    """Measure in turns, so that a busy moment of the machine hits all."""
    bare: list[_Round] = []
    ours: list[_Round] = []
    rows: list[_Round] = []
    beyond: list[float] = []
    with postgres() as server:
        async with _served(server) as served:
            for _ in range(repeats):
                bare.append(await _round(served.bare, served.key, round_s, bare_api.PATH))
                ours.append(await _round(served.ours, served.key, round_s, "/api/v1/me"))
                rows.append(await _round(served.ours, served.key, round_s, "/api/v1/models?limit=1"))
                beyond.append(await _beyond_ms(served))
    ratios = [one.rate / other.rate for one, other in zip(ours, bare, strict=True)]
    reference = _beside([one.rate for one in bare])
    return Result(
        "api",
        (
            median_figure(
                "trivial reads/s by key", [one.rate for one in ours], "/s",
                goal=RATIO_MIN, more_is_better=True, goal_on_ratio=True, **reference,
            ),
            median_figure("reads/s of a list from the database", [one.rate for one in rows], "/s", **reference),
            median_figure(
                "CPU of a trivial read", [one.cpu_us for one in ours], "us", **_beside([one.cpu_us for one in bare])
            ),
            median_figure("unit of work and permission beyond the query, p95", beyond, "ms", goal=BEYOND_MS_MAX),
        ),
        notes={"ratios of the rounds": [round(ratio, 3) for ratio in ratios]},
    )  # fmt: skip


def _beside(bare: list[float]) -> dict[str, Any]:
    return {"reference": statistics.median(bare), "reference_name": "bare FastAPI route"}


async def _round(server: _Server, key: str, seconds: float, path: str) -> _Round:
    before = gateway.cpu_seconds(server.pid)
    found = await gateway.drive(server.port, key, CALLERS, seconds, f"get={path}")
    used = gateway.cpu_seconds(server.pid) - before
    return _Round(found["calls"] / found["seconds"], used / found["calls"] * 1_000_000)


async def _beyond_ms(served: _Served) -> float:
    """p95 of a unit of work around one statement, less p95 of the statement in a transaction by itself."""

    async def query() -> None:
        async with served.on.engine.begin() as connection:
            await connection.execute(text("select 1"))

    async def work() -> None:
        async with unit_of_work(served.actor, on=served.on) as uow:
            uow.actor.require(Capability.KEYS_READ)
            await uow.execute("select 1")

    alone: list[float] = []
    whole: list[float] = []
    for _ in range(WORKS):
        alone.append(await _ms(query))
        whole.append(await _ms(work))
    return percentile(whole, 95) - percentile(alone, 95)


async def _ms(act: Callable[[], Awaitable[None]]) -> float:
    began = time.perf_counter()
    await act()
    return (time.perf_counter() - began) * 1_000


@asynccontextmanager
async def _served(server: EmbeddedPostgres) -> AsyncIterator[_Served]:
    server.ensure_database("bench")
    migrations.migrate(server.owner_url("bench"))
    data_dir = Path(tempfile.mkdtemp(prefix="bench-"))
    crypto.install(crypto.file_vault(data_dir))
    on = databases.connect(server.app_url("bench"))
    databases.install(on)
    try:
        world = World(on)
        actor = world.actor(await world.organization())
        async with unit_of_work(actor, on=on) as uow:
            key = (await create_key(uow, name="bench")).secret
        bare, ours = free_port(), free_port()
        environment = {
            "MATRIX_PORT": str(ours),
            "MATRIX_DATABASE_URL": server.owner_url("bench"),
            "MATRIX_DATABASE_APP_URL": server.app_url("bench"),
            "MATRIX_DATA_DIR": str(data_dir),
            "MATRIX_API_REQUESTS_PER_MINUTE": UNLIMITED,
            "MATRIX_LOG_LEVEL": "warning",
        }
        with (
            gateway.process("tests.bench.bare_api", str(bare)) as bare_process,
            gateway.process("tests.bench.gateway_server", **environment) as our_process,
        ):
            for port in (bare, ours):
                await gateway.until_answers(port)
            yield _Served(_Server(bare, bare_process.pid), _Server(ours, our_process.pid), key, actor, on)
    finally:
        databases.install(None)
        await on.close()
        shutil.rmtree(data_dir, ignore_errors=True)
