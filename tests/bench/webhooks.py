"""What a process takes of a provider's events a second, beside a bare FastAPI route that checks and inserts one row.

The events are those that the fake Stripe records of a payment, signed as it signs them, each under an id of its own;
every tenth is sent a second time. Both servers are processes of their own, served alike, on one durable database, and
are asked in turns. At the end each event has to be stored once.
"""

from __future__ import annotations

import json
import shutil
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

import httpx

from services.core import crypto, migrations
from services.core import database as databases
from services.core.actor import system
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.postgres import EmbeddedPostgres
from services.payments import accounts
from services.payments.accounts import AccountFields
from tests.bench import bare_webhook, gateway
from tests.bench.figures import Result, median_figure, percentile
from tests.bench.gateway_driver import packed
from tests.bench.product import free_port
from tests.bench.servers import postgres
from tests.fakes.stripe.hooks import signature
from tests.fakes.stripe.running import RunningStripe, running_stripe

REPEATS = 5
FIRST = 200  # sent before anything is measured
EVENTS = 2_000  # of a round
EVERY_AGAIN = 10
CALLERS = 8
RATE_MIN = 500
P95_MS_MAX = 20
SECRET = "whsec_of_the_bench"


@dataclass(frozen=True, slots=True)
class _Server:
    port: int
    pid: int
    path: str


@dataclass(frozen=True, slots=True)
class _Served:
    bare: _Server
    ours: _Server
    on: Database
    folder: Path


@dataclass(frozen=True, slots=True)
class _Round:
    """Events a second, how long one waited, and what one takes of a core."""

    rate: float
    p95_ms: float
    cpu_us: float


async def run(*, repeats: int = REPEATS, events: int = EVENTS) -> Result:
    """Measure in turns, so that a busy moment of the machine hits both."""
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        with running_stripe(folder / "stripe") as fake:
            happened = _happened(fake)
        with postgres() as server:
            async with _served(server, folder) as served:
                return await _measured(served, happened, repeats, events)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _measured(served: _Served, happened: list[dict[str, Any]], repeats: int, events: int) -> Result:
    bare: list[_Round] = []
    ours: list[_Round] = []
    for server in (served.bare, served.ours):
        await _round(served, server, happened, FIRST)
    for _ in range(repeats):
        bare.append(await _round(served, served.bare, happened, events))
        ours.append(await _round(served, served.ours, happened, events))
    stored = await _stored(served.on)
    sent = FIRST + events * repeats
    if stored != sent:
        raise RuntimeError(f"{sent} events were sent; {stored} are stored.")
    ratios = [one.rate / other.rate for one, other in zip(ours, bare, strict=True)]
    return Result(
        "webhooks",
        (
            median_figure(
                f"events/s with {CALLERS} callers", [one.rate for one in ours], "/s",
                goal=RATE_MIN, more_is_better=True, **_beside([one.rate for one in bare]),
            ),
            median_figure(
                "answered within, p95", [one.p95_ms for one in ours], "ms",
                goal=P95_MS_MAX, **_beside([one.p95_ms for one in bare]),
            ),
            median_figure(
                "CPU of an event", [one.cpu_us for one in ours], "us", **_beside([one.cpu_us for one in bare])
            ),
        ),
        notes={
            "each event stored exactly once": stored,
            "ratios of the rounds": [round(ratio, 3) for ratio in ratios],
        },
    )  # fmt: skip


def _beside(bare: list[float]) -> dict[str, Any]:
    return {"reference": statistics.median(bare), "reference_name": "bare route"}


async def _round(served: _Served, server: _Server, happened: list[dict[str, Any]], count: int) -> _Round:
    file = served.folder / "requests"
    file.write_bytes(packed(_requests(server, happened, count)))
    before = gateway.cpu_seconds(server.pid)
    found = await gateway.drive(server.port, "", CALLERS, 0, f"requests={file}")
    used = gateway.cpu_seconds(server.pid) - before
    return _Round(
        found["calls"] / found["seconds"], percentile(found["ms"], 95), used / found["calls"] * 1_000_000
    )


def _requests(server: _Server, happened: list[dict[str, Any]], count: int) -> list[bytes]:
    made: list[bytes] = []
    for number in range(count):
        one = happened[number % len(happened)] | {"id": f"evt_{token_hex(12)}"}
        raw = json.dumps(one, indent=2).encode()
        head = (
            f"POST {server.path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: application/json\r\n"
            f"Stripe-Signature: {signature(SECRET, raw, int(time.time()))}\r\nContent-Length: {len(raw)}\r\n\r\n"
        )
        made.append(head.encode() + raw)
        if number % EVERY_AGAIN == 0:
            made.append(made[-1])  # at once, while the first is under way still
    return made


def _happened(fake: RunningStripe) -> list[dict[str, Any]]:
    """What the provider has to tell of a payment."""
    with httpx.Client(base_url=fake.url, auth=(fake.key, ""), trust_env=False, timeout=60) as http:
        http.post(
            "/v1/payment_intents",
            data={
                "amount": "11900", "currency": "eur", "confirm": "true", "payment_method": "pm_card_visa",
                "automatic_payment_methods[enabled]": "true", "automatic_payment_methods[allow_redirects]": "never",
                "metadata[matrix]": "pay_of_the_bench",
            },
        ).raise_for_status()  # fmt: skip
        return http.get("/v1/events").raise_for_status().json()["data"]


async def _stored(on: Database) -> int:
    async with crossing(Reason.INVARIANTS, on=on) as uow:
        return (await uow.execute("select count(*) from provider_event")).scalar_one()


@asynccontextmanager
async def _served(server: EmbeddedPostgres, folder: Path) -> AsyncIterator[_Served]:
    server.ensure_database("bench")
    migrations.migrate(server.owner_url("bench"))
    server.ensure_database("bare")
    crypto.install(crypto.file_vault(folder))
    on = databases.connect(server.app_url("bench"))
    databases.install(on)
    try:
        account = await _account()
        await _make_bare(server.owner_url("bare"))
        bare, ours = free_port(), free_port()
        environment = {
            "MATRIX_PORT": str(ours),
            "MATRIX_DATABASE_URL": server.owner_url("bench"),
            "MATRIX_DATABASE_APP_URL": server.app_url("bench"),
            "MATRIX_DATA_DIR": str(folder),
            "MATRIX_LOG_LEVEL": "warning",
        }
        with (
            gateway.process(
                "tests.bench.bare_webhook", str(bare), server.owner_url("bare"), SECRET
            ) as bare_process,
            gateway.process("tests.bench.gateway_server", **environment) as our_process,
        ):
            for port in (bare, ours):
                await gateway.until_answers(port)
            yield _Served(
                _Server(bare, bare_process.pid, bare_webhook.PATH),
                _Server(ours, our_process.pid, f"/api/v1/provider-accounts/{account}/events"),
                on,
                folder,
            )
    finally:
        databases.install(None)
        await on.close()


async def _make_bare(url: str) -> None:
    on = databases.connect(url)
    async with on.engine.begin() as connection:
        await connection.exec_driver_sql(bare_webhook.TABLE)
    await on.close()


async def _account() -> str:
    said = AccountFields(
        "stripe", "Cards", is_test=True, secrets={"secret_key": "sk_test_bench", "webhook_secret": SECRET}
    )
    async with crossing(Reason.DEMO, actor=system()) as uow:
        return (await accounts.add_account(uow, said)).id
