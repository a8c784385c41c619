"""What the gateway adds: to the time of one call, and to the work of many, beside a bare pass-through.

All checks, limits, the journal and metering are on; the database is durable; every process is its own. The bare
pass-through is made of the same libraries and measured in turns with the gateway in the same run.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson

from models.types import Role
from services.core import crypto, migrations
from services.core import database as databases
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.postgres import EmbeddedPostgres
from services.core.tether import tied
from services.core.work import unit_of_work
from services.gateway import upstreams
from services.identity.keys import create_key
from services.metering.service import ensure_platform_meters
from tests.bench.figures import Figure, Result, median_figure, percentile
from tests.bench.product import ROOT, free_port
from tests.bench.servers import postgres
from tests.bench.stub import Stub, upstream
from tests.world import World

REPEATS = 3
ROUND_S = 4.0
CALLERS = 32
ADDED_MS_MAX = 1.5
RATIO_MIN = 0.4
START_S_MAX = 60.0
SETTLED_S_MAX = 120.0
UNLIMITED = "1000000000"


async def run(*, repeats: int = REPEATS, round_s: float = ROUND_S) -> Result:
    """Measure in turns: stub itself, pass-through, gateway; then check that every call was booked once."""
    with postgres() as server, upstream() as stub:
        async with _served(server, stub) as served:
            rounds = _Rounds()
            for _ in range(repeats):
                await rounds.measure(served, round_s)
            booked, made = await _until_settled(served)
            if booked != made:
                raise RuntimeError(f"The gateway answered {made} calls; {booked} were booked.")
            return _result(rounds, booked, served.memory_mb)


@dataclass(slots=True)
class _Served:
    """Three servers to call, one key, and the database behind the gateway."""

    stub: int
    passthrough: int
    gateway: int
    key: str
    on: Database
    process: subprocess.Popen[bytes]
    answered_by_gateway: int = 0
    memory_mb: float = 0.0

    async def drive(self, callers: int, seconds: float, *how: str) -> dict[str, Any]:
        """Load on the gateway, whose answers are counted: each must be booked in the end."""
        found = await drive(self.gateway, self.key, callers, seconds, *how)
        self.answered_by_gateway += found["calls"]
        return found


@dataclass(slots=True)
class _Rounds:
    alone_stub: list[float] = field(default_factory=list[float])
    alone_passthrough: list[float] = field(default_factory=list[float])
    alone_gateway: list[float] = field(default_factory=list[float])
    many_passthrough: list[float] = field(default_factory=list[float])
    many_gateway: list[float] = field(default_factory=list[float])
    many_stream: list[float] = field(default_factory=list[float])
    p99_gateway: list[float] = field(default_factory=list[float])

    async def measure(self, served: _Served, round_s: float) -> None:
        self.alone_stub.append(_median_ms(await drive(served.stub, served.key, 1, round_s)))
        self.alone_passthrough.append(_median_ms(await drive(served.passthrough, served.key, 1, round_s)))
        self.alone_gateway.append(_median_ms(await served.drive(1, round_s)))
        self.many_passthrough.append(_rate(await drive(served.passthrough, served.key, CALLERS, round_s)))
        many = await served.drive(CALLERS, round_s)
        self.many_gateway.append(_rate(many))
        self.p99_gateway.append(percentile(many["ms"], 99))
        self.many_stream.append(_rate(await served.drive(CALLERS, round_s / 2, "stream")))


async def drive(port: int, key: str, callers: int, seconds: float, *how: str) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.gateway_driver", str(port), key, str(callers), str(seconds), *how,
        stdout=asyncio.subprocess.PIPE, cwd=ROOT, limit=64_000_000,
    )  # fmt: skip
    out, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError("The driver failed; its own words are above.")
    return orjson.loads(out)


def _median_ms(found: dict[str, Any]) -> float:
    return statistics.median(found["ms"])


def _rate(found: dict[str, Any]) -> float:
    return found["calls"] / found["seconds"]


def _result(rounds: _Rounds, booked: int, memory_mb: float) -> Result:
    added = [gateway - stub for gateway, stub in zip(rounds.alone_gateway, rounds.alone_stub, strict=True)]
    bare = [bare - stub for bare, stub in zip(rounds.alone_passthrough, rounds.alone_stub, strict=True)]
    ratios = [ours / bare for ours, bare in zip(rounds.many_gateway, rounds.many_passthrough, strict=True)]
    return Result(
        "gateway",
        (
            median_figure(
                "added for one caller, median", added, "ms", goal=ADDED_MS_MAX,
                reference=statistics.median(bare), reference_name="bare pass-through",
            ),
            median_figure(
                f"calls/s with {CALLERS} callers", rounds.many_gateway, "/s",
                reference=statistics.median(rounds.many_passthrough), reference_name="bare pass-through",
                goal=RATIO_MIN, more_is_better=True, goal_on_ratio=True,
            ),
            median_figure(f"p99 with {CALLERS} callers", rounds.p99_gateway, "ms"),
            median_figure(f"streams/s with {CALLERS} callers, 16 pieces each", rounds.many_stream, "/s"),
            Figure("memory of the process after it", memory_mb, "MB"),
        ),
        notes={
            "each call booked exactly once": booked,
            "ratios of the rounds": [round(ratio, 3) for ratio in ratios],
        },
    )  # fmt: skip


@asynccontextmanager
async def _served(server: EmbeddedPostgres, stub: Stub) -> AsyncIterator[_Served]:
    server.ensure_database("bench")
    migrations.migrate(server.owner_url("bench"))
    data_dir = Path(tempfile.mkdtemp(prefix="bench-"))
    crypto.install(crypto.file_vault(data_dir))
    on = databases.connect(server.app_url("bench"))
    databases.install(on)
    stub_port = int(stub.address.rpartition(":")[2])
    try:
        key = await _furnish(on, stub)
        environment = {
            "MATRIX_DATABASE_URL": server.owner_url("bench"),
            "MATRIX_DATABASE_APP_URL": server.app_url("bench"),
            "MATRIX_DATA_DIR": str(data_dir),
            "MATRIX_ALLOW_PRIVATE_UPSTREAMS": f'["127.0.0.1:{stub_port}"]',
            "MATRIX_ORGANIZATION_REQUESTS_PER_MINUTE": UNLIMITED,
            "MATRIX_ORGANIZATION_TOKENS_PER_MINUTE": UNLIMITED,
            "MATRIX_LOG_LEVEL": "warning",
        }
        passthrough, gateway = free_port(), free_port()
        with (
            process("tests.bench.gateway_passthrough", str(passthrough), stub.address),
            process("tests.bench.gateway_server", MATRIX_PORT=str(gateway), **environment) as running,
        ):
            for port in (passthrough, gateway):
                await until_answers(port)
            yield _Served(stub_port, passthrough, gateway, key, on, running)
    finally:
        databases.install(None)
        await on.close()
        shutil.rmtree(data_dir, ignore_errors=True)


async def _furnish(on: Database, stub: Stub) -> str:
    """The stub as an upstream with one priced-by-nobody model, and a key to call it with."""
    world = World(on)
    staff = world.actor(await world.organization(kind="operator"), Role.OPERATOR)  # type: ignore[arg-type]
    async with crossing(Reason.CATALOG, on=on) as uow:
        await ensure_platform_meters(uow)
    async with crossing(Reason.STAFF, actor=staff, on=on) as uow:
        allowed = [stub.address.removeprefix("http://")]
        given = upstreams.UpstreamFields("Stub", f"{stub.address}/v1")
        row = await upstreams.add_upstream(uow, given, allowed_private=allowed)
        await upstreams.add_model(uow, upstreams.ModelFields("stub", "Stub", row.id, "stub", 100_000))
    client = await world.organization()
    async with unit_of_work(world.actor(client), on=on) as uow:
        return (await create_key(uow, name="bench")).secret


@contextmanager
def process(module: str, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        preexec_fn=tied(signal.SIGKILL),
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def cpu_seconds(pid: int) -> float:
    """What a process has used of the cores so far, which other work on the machine changes far less than time."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def until_answers(port: int) -> None:
    async with httpx.AsyncClient() as http, asyncio.timeout(START_S_MAX):
        while True:
            try:
                await http.get(f"http://127.0.0.1:{port}/v1/nothing")
            except httpx.TransportError:
                await asyncio.sleep(0.05)
            else:
                return


async def _until_settled(served: _Served) -> tuple[int, int]:
    """(rows booked, calls the driver got answered through the gateway), once the first has caught up."""
    served.memory_mb = _resident_mb(served.process.pid)
    made = served.answered_by_gateway
    booked = -1
    end = time.monotonic() + SETTLED_S_MAX
    while booked < made and time.monotonic() < end:
        async with crossing(Reason.INVARIANTS, on=served.on) as uow:
            booked = (await uow.execute("select count(*) from request")).scalar_one()
        await asyncio.sleep(0.2)
    return booked, made


def _resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
