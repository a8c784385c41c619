"""What row-level security costs: the same verbs on two copies of one database, one of them without policies.

Both copies hold the usage of several organisations; the measured one has a share of it. Runs alternate between the
copies, so that a busy moment of the machine hits both.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy import text

from models.types import OrganizationKind, Role
from services.core import crypto, listing_sql, migrations
from services.core import database as databases
from services.core.actor import Actor
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.ids import new_id
from services.core.permissions import ROLE_CAPABILITIES, Capability
from services.core.postgres import EmbeddedPostgres
from services.core.work import unit_of_work
from services.identity import accounts, organizations
from services.metering import queries, requests, rollup, service
from services.metering.rules import UsageEventIn
from tests.bench.figures import Figure, Result, median_figure
from tests.bench.servers import postgres

GUARDED, OPEN = "guarded", "open"
ORGANIZATIONS = 5
EVENTS_EACH = 20_000
BATCH_EVENTS = 1_000
PAGE_ROUNDS = 150
INGEST_ROUNDS = 20
REPEATS = 5
COST_RATIO_MAX = 1.25  # what the second lock may cost


@dataclass(frozen=True, slots=True)
class Copy:
    on: Database
    actor: Actor


async def run() -> Result:
    with postgres() as server:
        server.ensure_database(GUARDED)
        migrations.migrate(server.owner_url(GUARDED))
        organization_id = await _fill(server)
        server.ensure_database(OPEN, template=GUARDED)
        await _drop_policies(server)
        async with (
            _copy(server, GUARDED, organization_id) as guarded,
            _copy(server, OPEN, organization_id) as bare,
        ):
            page = await _alternate(_pages, guarded, bare)
            ingest = await _alternate(_ingests, guarded, bare)
    return Result(
        "row_security",
        (
            _figure("a page: overview and 50 requests", page),
            _figure(f"ingest of {BATCH_EVENTS:,} events", ingest),
        ),
    )


async def _fill(server: EmbeddedPostgres) -> str:
    """Organisations with usage; returns the id of the first."""
    crypto.install(crypto.file_vault(server.data_dir))
    on = databases.connect(server.app_url(GUARDED), pool_size=4)
    databases.install(on)
    try:
        async with crossing(Reason.CATALOG) as uow:
            await service.ensure_platform_meters(uow)
        ids = [await _organization(number) for number in range(ORGANIZATIONS)]
        for _ in range(EVENTS_EACH // BATCH_EVENTS):
            for organization_id in ids:
                await _send(Copy(on, _sender(organization_id)))
        await rollup.compact(on)
    finally:
        databases.install(None)
        await on.close()
    return ids[0]


async def _organization(number: int) -> str:
    async with crossing(Reason.DEMO) as uow:
        owner = await accounts.add_confirmed(
            uow, email=f"owner{number}@bench.example", name="Owner", password_hash="!"
        )
        row = await organizations.found_organization(
            uow, owner_id=owner, kind=OrganizationKind.CLIENT, name=f"Measured {number}"
        )
    return row.id


async def _drop_policies(server: EmbeddedPostgres) -> None:
    owner = databases.connect(server.owner_url(OPEN), pool_size=2)
    try:
        async with owner.engine.begin() as connection:
            guarded = await connection.execute(
                text(
                    "select oid::regclass::text from pg_class where relrowsecurity and relkind in ('r', 'p')"
                )
            )
            for table in guarded.scalars().all():
                await connection.execute(text(f"alter table {table} disable row level security"))
    finally:
        await owner.close()


@asynccontextmanager
async def _copy(server: EmbeddedPostgres, name: str, organization_id: str) -> AsyncIterator[Copy]:
    on = databases.connect(server.app_url(name), pool_size=4)
    try:
        yield Copy(on, _sender(organization_id))
    finally:
        await on.close()


def _sender(organization_id: str) -> Actor:
    capabilities = ROLE_CAPABILITIES[Role.OWNER] | {Capability.USAGE_WRITE}
    return Actor("bench", organization_id, capabilities)


async def _alternate(
    measured: Callable[[Copy], Awaitable[float]], guarded: Copy, bare: Copy
) -> tuple[list[float], list[float]]:
    """Milliseconds with and without policies, one of each a repeat."""
    with_policies: list[float] = []
    without: list[float] = []
    for copy in (guarded, bare):
        databases.install(copy.on)
        await measured(copy)  # plans and caches
    for _ in range(REPEATS):
        for copy, times in ((guarded, with_policies), (bare, without)):
            databases.install(copy.on)
            times.append(await measured(copy) * 1_000)
    databases.install(None)
    return with_policies, without


async def _pages(copy: Copy) -> float:
    began = time.perf_counter()
    for _ in range(PAGE_ROUNDS):
        async with unit_of_work(copy.actor, on=copy.on) as uow:
            await queries.overview(uow)
            await listing_sql.select(uow, requests.REQUESTS)
    return (time.perf_counter() - began) / PAGE_ROUNDS


async def _ingests(copy: Copy) -> float:
    began = time.perf_counter()
    for _ in range(INGEST_ROUNDS):
        await _send(copy)
    return (time.perf_counter() - began) / INGEST_ROUNDS


async def _send(copy: Copy) -> None:
    async with unit_of_work(copy.actor, on=copy.on) as uow:
        events = [
            UsageEventIn(
                source="bench",
                event_id=new_id("req"),
                type="bench.call",
                time=uow.wall_now,
                properties={"prompt_tokens": 20, "completion_tokens": 50},
            )
            for _ in range(BATCH_EVENTS)
        ]
        await service.ingest(uow, events)


def _figure(name: str, times: tuple[list[float], list[float]]) -> Figure:
    guarded, bare = times
    return median_figure(
        name,
        guarded,
        "ms",
        reference=sorted(bare)[len(bare) // 2],
        reference_name="the same without policies",
        goal=COST_RATIO_MAX,
        goal_on_ratio=True,
    )
