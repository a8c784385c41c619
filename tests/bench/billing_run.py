"""A billing run against a bare bulk insert of the rows that it made, in the same run on the same server.

Each subscription has three lines a month. The bare side copies what the run wrote of documents, lines, journals,
entries, deferrals and events into tables with the same columns, constraints and indexes, but without triggers, foreign
keys and policies, one statement a table in one transaction: nothing is computed, and nothing leaves the server.

Each run is in a process of its own, so that its memory can be told. One organisation subscribes through the verbs; the
others are copies of its rows.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson
import psycopg

from models.types import OrganizationKind
from services.billing import entities, profiles, taxation
from services.billing.profiles import ProfileFields
from services.billing_runs import running
from services.catalog import plan_queries, plans
from services.catalog.plan_rules import ChargeFields
from services.catalog.plans import VersionFields
from services.core import crypto, migrations
from services.core import database as databases
from services.core.actor import system
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.database import libpq_url
from services.core.postgres import EmbeddedPostgres
from services.core.work import unit_of_work
from services.demo.invoicing import RATE, SELLER
from services.identity import accounts, organizations
from services.subscriptions import subscriptions
from services.subscriptions.selecting import Wanted
from tests.bench import machine
from tests.bench.figures import Figure, Result
from tests.bench.servers import postgres

NAME = "billing_run"
SUBSCRIPTIONS = int(os.environ.get("BENCH_SUBSCRIPTIONS", "10000"))
FEW = 1_000  # what memory is compared with
EACH = 10  # of one organisation
TIMES_MAX = 6  # of the bare insert
MEMORY_TIMES_MAX = 1.15  # of what a run of few takes: it is flat, and a peak varies by a few percent
JUNE, JULY = datetime(2026, 6, 1, 12, tzinfo=UTC), datetime(2026, 7, 1, 12, tzinfo=UTC)
# What the run writes, each with how its rows are told from those before it.
WRITTEN = {
    "invoice": "created_at >= %s",
    "invoice_line": "created_at >= %s",
    "ledger_journal": "happened_at >= %s",
    "ledger_entry": "happened_at >= %s",
    "ledger_deferral": "starts_at >= %s",
    "event": "happened_at >= %s",
}


# Another organisation's rows, told from the first one's by the end of their ids.
COPIES = """
create function pg_temp.again(id text, n int) returns text language sql immutable as
  $$ select left(id, -5) || lpad(to_hex(n), 5, '0') $$;
create temp table n as select generate_series(1, {copies}) as n;
insert into organization select c.* from organization o, n,
  jsonb_populate_record(o, jsonb_build_object('id', pg_temp.again(o.id, n))) c where o.kind = 'client';
insert into billing_profile select c.* from billing_profile b, n,
  jsonb_populate_record(b, jsonb_build_object('organization_id', pg_temp.again(b.organization_id, n))) c;
insert into subscription select c.* from subscription s, n, jsonb_populate_record(s, jsonb_build_object(
  'id', pg_temp.again(s.id, n), 'organization_id', pg_temp.again(s.organization_id, n))) c;
insert into subscription_item select c.* from subscription_item i, n, jsonb_populate_record(i, jsonb_build_object(
  'subscription_id', pg_temp.again(i.subscription_id, n), 'organization_id', pg_temp.again(i.organization_id, n),
  'live_line_id', pg_temp.again(i.live_line_id, n))) c;
insert into invoice select c.* from invoice i, n, jsonb_populate_record(i, jsonb_build_object(
  'id', pg_temp.again(i.id, n), 'organization_id', pg_temp.again(i.organization_id, n),
  'key', pg_temp.again(i.subscription_id, n) || '.1', 'subscription_id', pg_temp.again(i.subscription_id, n),
  'number', i.number || '-' || n, 'sequence', n * {each} + i.sequence, 'journal_id', null)) c;
insert into invoice_line select c.* from invoice_line l, n, jsonb_populate_record(l, jsonb_build_object(
  'id', pg_temp.again(l.id, n), 'organization_id', pg_temp.again(l.organization_id, n),
  'invoice_id', pg_temp.again(l.invoice_id, n))) c;
update number_series set last = last * ({copies} + 1);
"""
_PROGRAM = "import asyncio, sys; from tests.bench import billing_run as b; asyncio.run(b.bill(sys.argv[1]))"


@dataclass(frozen=True, slots=True)
class Billed:
    """A run of its own process: how long it took, what it billed, and how much memory it had at its most."""

    seconds: float
    billed: int
    parked: int
    peak_mb: float


async def run() -> Result:
    with postgres() as server:
        few, many = f"{NAME}_few", NAME
        for name, count in ((few, FEW), (many, SUBSCRIPTIONS)):
            await _world(server, name, count)
        little = await _billed(server, few, FEW)
        much = await _billed(server, many, SUBSCRIPTIONS)
        rows, bare = _bare(server)
    return Result(
        NAME,
        (
            Figure(
                "billing run",
                much.seconds,
                "s",
                reference=bare,
                reference_name="bare insert",
                goal=TIMES_MAX,
                goal_on_ratio=True,
            ),
            Figure("subscriptions billed", SUBSCRIPTIONS / much.seconds, "/s", more_is_better=True),
            Figure("rows written", rows, ""),
            Figure(
                f"most memory, {SUBSCRIPTIONS:,} against {FEW:,}",
                much.peak_mb,
                "MB",
                reference=little.peak_mb,
                reference_name=f"{FEW:,} subscriptions",
                goal=MEMORY_TIMES_MAX,
                goal_on_ratio=True,
            ),
        ),
        {"subscriptions": "billed in sets: read, decided, taxed, numbered and booked together"},
    )


async def bill(url: str) -> None:
    """Do a run, and print what it came to."""
    on = databases.connect(url, pool_size=4)
    databases.install(on)
    began = time.perf_counter()
    counts = await running.bill_due(clock=FixedClock(JULY))
    took = time.perf_counter() - began
    await on.close()
    peak = machine.peak_mb()
    print(orjson.dumps(Billed(took, counts.billed, counts.parked, peak)).decode())


async def _billed(server: EmbeddedPostgres, name: str, count: int) -> Billed:
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", _PROGRAM, server.app_url(name)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        check=True,
    )
    billed = Billed(**orjson.loads(done.stdout.splitlines()[-1]))
    if (billed.billed, billed.parked) != (count, 0):
        raise RuntimeError(f"The run billed {billed}.")
    return billed


async def _world(server: EmbeddedPostgres, name: str, count: int) -> None:
    """A database of its own with so many subscriptions that are due in July."""
    server.ensure_database(name)
    migrations.migrate(server.owner_url(name))
    crypto.install(crypto.file_vault(server.data_dir))
    on = databases.connect(server.app_url(name), pool_size=4)
    databases.install(on)
    try:
        await _subscribe()
    finally:
        databases.install(None)
        await on.close()
    with psycopg.connect(libpq_url(server.owner_url(name)), autocommit=True) as connection:
        connection.execute(COPIES.format(copies=count // EACH - 1, each=EACH).encode())
        connection.execute("analyze")


async def _subscribe() -> None:
    async with crossing(Reason.DEMO, actor=system(), clock=FixedClock(JUNE)) as uow:
        await entities.add_entity(uow, SELLER)
        await taxation.add_tax_rate(uow, RATE)
        owner = await accounts.add_confirmed(uow, email="o@bench.example", name="O", password_hash="!")
        product = await plans.create_product(uow, slug="bench", name="Bench")
        plan = await plans.create_plan(uow, product_id=product.id, slug="bench", name="Bench")
        draft = await plan_queries.newest_version(uow, plan.id)
        if draft is None:
            raise RuntimeError("The plan has no draft.")
        charges = [
            ChargeFields(key, key, "flat", "EUR", {"model": "flat", "amount": amount}, interval="month")
            for key, amount in (("base", "49"), ("support", "19"), ("storage", "7.5"))
        ]
        await plans.change_draft(uow, draft.id, VersionFields(charges=charges))
        await plans.publish_version(uow, draft.id)
        customer = await organizations.found_organization(
            uow, owner_id=owner, kind=OrganizationKind.CLIENT, name="Customer", currency="EUR"
        )
    buyer = ProfileFields(name="Customer", address="Street 1\n10115 Berlin", country="DE")
    async with unit_of_work(system(customer.id), clock=FixedClock(JUNE)) as uow:
        await profiles.set_profile(uow, buyer)
        for number in range(EACH):
            await subscriptions.start(uow, Wanted(plan.id, "EUR", "month"), key=f"s{number}")


def _bare(server: EmbeddedPostgres) -> tuple[int, float]:
    """How many rows the run wrote, and how long it takes to write the same again."""
    rows = 0
    with psycopg.connect(libpq_url(server.owner_url(NAME)), autocommit=True) as connection:
        for table in WRITTEN:
            connection.execute(f"create table bare_{table} (like {table} including all)".encode())
        connection.execute("analyze")
        began = time.perf_counter()
        with connection.transaction():
            for table, since in WRITTEN.items():
                insert = (
                    f"insert into bare_{table} overriding system value select * from {table} where {since}"
                )
                rows += connection.execute(insert.encode(), [JULY]).rowcount
        return rows, time.perf_counter() - began
