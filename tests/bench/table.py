"""A page of a declared list over 100,000 rows: each sort at the beginning and in the middle, and each filter.

The reference is a bare query of the same table through its best index, measured in the same run. The notes name the
index that each page is read through.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from models.types import OrganizationKind, Role
from services.audit.queries import AUDIT
from services.core import crypto, listing_sql, migrations
from services.core import database as databases
from services.core.actor import Actor
from services.core.crossing import Reason, crossing
from services.core.listing import Kind, Listing, Operator
from services.core.listing_grammar import read
from services.core.permissions import ROLE_CAPABILITIES
from services.core.postgres import EmbeddedPostgres
from services.core.work import UnitOfWork, unit_of_work
from services.identity import accounts, organizations
from services.metering.requests import REQUESTS
from tests.bench.figures import Figure, Result, percentile
from tests.bench.servers import postgres

DATABASE = "table"
ROWS = 100_000
OTHERS_ROWS = 20_000  # of another organisation, beside them
PAGE_ROWS = 50
ROUNDS = 20
PAGE_MS_MAX = 60.0

REQUESTS_SQL = """
insert into request (organization_id, id, key_id, account_id, model, upstream_id, endpoint, streamed, status,
  error_code, prompt_tokens, completion_tokens, tokens_source, started_at, latency_ms, attempts, cost, currency,
  address, trace_id)
select :organization_id, 'req_' || lpad(n::text, 8, '0'), 'apikey_' || n % 20, 'acc_' || n % 5, 'model-' || n % 7,
  'ups_1',
  (array['chat', 'completions', 'embeddings'])[1 + n % 3], n % 2 = 0, case when n % 50 = 0 then 429 else 200 end,
  case when n % 50 = 0 then 'rate_limited' else '' end, n % 900, n % 700, 'upstream',
  now() - n * interval '1 minute', (n::bigint * 7919) % 30000, 1,
  case when n % 10 > 0 then (n::bigint * 104729) % 1000000 / 1000000.0 end, 'USD', '', ''
from generate_series(1, :rows) n
"""
_EVENTS = """
insert into event (type, aggregate_id, organization_id, actor_id, payload, happened_at, recorded_at, trace_id, address)
select (array['api_key.created', 'api_key.revoked', 'session.started'])[1 + n % 3], 'apikey_' || n % 500,
  :organization_id,
  'acc_' || n % 40, '{}', now() - (:rows - n) * interval '1 minute', now() - (:rows - n) * interval '1 minute', '', ''
from generate_series(1, :rows) n
"""
# What people look for; the rest of the filters get the example of their kind.
_VALUES: dict[str, str] = {
    "id": "req_00050000",
    "key_id": "apikey_3",
    "account_id": "acc_2",
    "model": "model-3",
    "endpoint": "chat",
    "error_code": "rate_limited",
    "status": "429",
    "object_id": "apikey_77",
    "actor_id": "acc_7",
    "actor": "acc_7",
    "type": "api_key.created",
}
_EXAMPLES = {
    Kind.INSTANT: "2026-01-31T09:30:00Z",
    Kind.INTEGER: "400",
    Kind.DECIMAL: "0.5",
    Kind.FLAG: "true",
}


async def run() -> Result:
    with postgres() as server:
        server.ensure_database(DATABASE)
        migrations.migrate(server.owner_url(DATABASE))
        crypto.install(crypto.file_vault(server.data_dir))
        on = databases.connect(server.app_url(DATABASE), pool_size=4)
        databases.install(on)
        try:
            actor = await _fill(server)
            return await _measured(actor)
        finally:
            databases.install(None)
            await on.close()


async def _fill(server: EmbeddedPostgres) -> Actor:
    ids: list[str] = []
    async with crossing(Reason.DEMO) as uow:
        for number, rows in enumerate((ROWS, OTHERS_ROWS)):
            owner = await accounts.add_confirmed(
                uow, email=f"owner{number}@bench.example", name="Owner", password_hash="!"
            )
            row = await organizations.found_organization(
                uow, owner_id=owner, kind=OrganizationKind.CLIENT, name=f"Measured {number}"
            )
            ids.append(row.id)
            for statement in (REQUESTS_SQL, _EVENTS):
                await uow.execute(statement, {"organization_id": row.id, "rows": rows})
    owner_database = databases.connect(server.owner_url(DATABASE), pool_size=1)
    async with owner_database.engine.begin() as connection:
        await connection.exec_driver_sql("analyze")
    await owner_database.close()
    return Actor("bench", ids[0], ROLE_CAPABILITIES[Role.OWNER])


async def _measured(actor: Actor) -> Result:
    figures: list[Figure] = []
    notes: dict[str, Any] = {}
    for listing, bare in (
        (
            REQUESTS,
            "select * from request where organization_id = :own order by started_at desc, id desc limit 51",
        ),
        (AUDIT, "select * from event where organization_id = :own order by id desc limit 51"),
    ):
        reference = percentile(await _times(actor, _bare(bare)), 95)
        for name, asked in _questions(listing):
            times, index = await _page(actor, listing, asked, middle=name.endswith("middle"))
            figures.append(_figure(f"{listing.name}: {name}", times, reference))
            notes[f"{listing.name}: {name}"] = index
        figures.append(
            _figure(f"{listing.name}: rows counted", await _times(actor, _counting(listing)), reference)
        )
    return Result("table", tuple(figures), notes)


def _questions(listing: Listing[Any]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    for sort in listing.sorts:
        yield f"sort {sort}", [("sort", sort)]
        yield f"sort {sort}, from the middle", [("sort", sort)]
    for name, (column, operator) in listing.filters.items():
        example = (
            "true"
            if operator is Operator.IS_NULL
            else _VALUES.get(column.name, _EXAMPLES.get(column.kind, "a"))
        )
        yield name, [(name, column.values[-1] if column.values else example)]


async def _page(
    actor: Actor, listing: Listing[Any], asked: list[tuple[str, str]], *, middle: bool
) -> tuple[list[float], str]:
    query = read(listing, asked)
    at = await _middle(actor, query) if middle else None

    async def page(uow: UnitOfWork) -> None:
        await listing_sql.page(uow, query, limit=PAGE_ROWS, at=at)

    async with unit_of_work(actor) as uow:
        plan = await listing_sql.plan(uow, query, limit=PAGE_ROWS, at=at)
    return await _times(actor, page), ", ".join(sorted(set(_indexes(plan)))) or "no index"


async def _middle(actor: Actor, query: Any) -> listing_sql.Position:
    """Behind some 40,000 rows."""
    at: listing_sql.Position | None = None
    async with unit_of_work(actor) as uow:
        for _ in range(20):
            found = await listing_sql.page(uow, query, limit=listing_sql.PAGE_ROWS_MAX, at=at)
            at = found.next
    assert at is not None
    return at


def _indexes(plan: dict[str, Any]) -> Iterator[str]:
    if "Index Name" in plan:
        # Partitions name theirs after the columns; the first words say which.
        yield str(plan["Index Name"])
    for below in plan.get("Plans", ()):
        yield from _indexes(below)


def _bare(statement: str) -> Callable[[UnitOfWork], Awaitable[None]]:
    async def reading(uow: UnitOfWork) -> None:
        (await uow.execute(statement, own=uow.organization_id)).all()

    return reading


def _counting(listing: Listing[Any]) -> Callable[[UnitOfWork], Awaitable[None]]:
    async def counting(uow: UnitOfWork) -> None:
        assert not (await listing_sql.count(uow, read(listing, []))).exact

    return counting


async def _times(actor: Actor, reading: Callable[[UnitOfWork], Awaitable[None]]) -> list[float]:
    """Milliseconds within a unit of work that is open, after some that fill caches."""
    times: list[float] = []
    async with unit_of_work(actor) as uow:
        for number in range(ROUNDS + 3):
            began = time.perf_counter()
            await reading(uow)
            if number >= 3:
                times.append((time.perf_counter() - began) * 1_000)
    return times


def _figure(name: str, times: list[float], reference: float) -> Figure:
    return Figure(
        f"{name}, p95",
        percentile(times, 95),
        "ms",
        reference=reference,
        reference_name="a bare indexed query, p95",
        goal=PAGE_MS_MAX,
    )
