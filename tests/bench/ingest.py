"""Ingest with exact counting against a bare insert of the same rows into the same kind of table.

Both get batches of 1,000 of which 30 % were sent before, half of those within the same batch. The product's side
checks each event, stores it once, counts what is new on two meters and says what became of each. The bare side is
one `insert ... select unnest(...) on conflict do nothing`, given twice: with its arrays as the driver writes them,
and with arrays written before the clock starts, which leaves the server's work alone.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from models.identity import Organization
from models.types import Aggregation, OrganizationKind, Role
from services.core import database as databases
from services.core import migrations
from services.core.actor import Actor
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.database import Database, libpq_url
from services.core.ids import new_id
from services.core.permissions import ROLE_CAPABILITIES
from services.core.postgres import EmbeddedPostgres
from services.core.work import unit_of_work
from services.metering import rules, service
from services.metering.rules import UsageEventIn
from tests.bench.figures import Result, median_figure
from tests.bench.servers import postgres
from tests.checks import assert_rollups_equal_raw

NAME = "ingest"
BATCHES = 30
BATCH_EVENTS = 1_000
DUPLICATES = 0.3
REPEATS = 5
GOAL = 0.6  # of the bare insert's rows a second
NOW = datetime(2026, 7, 1, tzinfo=UTC)

Batch = list[UsageEventIn]

_BARE_TABLE = """
    create table {table} (like usage_event including defaults, primary key (organization_id, source, event_id))
      partition by hash (organization_id);
    create index on {table} (type, organization_id, time)
"""
_BARE_PARTITION = """
    create table {table}_p{number} partition of {table} for values with (modulus {count}, remainder {number})
"""
_BARE_INSERT = """
    insert into {table} (organization_id, source, event_id, type, time, received_at, model, key_id, properties,
                         content_hash, cost, currency)
    select o, s, e, t, at, now(), m, k, p, h, 0, 'USD'
    from unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::timestamptz[], %s::text[], %s::text[],
                %s::jsonb[], %s::bytea[]) as given(o, s, e, t, at, m, k, p, h)
    on conflict do nothing
"""
PARTITIONS = 8
LISTS, TEXTS = "bare_lists", "bare_texts"


async def run() -> Result:
    with postgres() as server:
        server.ensure_database(NAME)
        migrations.migrate(server.owner_url(NAME))
        on = databases.connect(server.app_url(NAME), pool_size=4)
        databases.install(on)
        try:
            return await _measure(server, on)
        finally:
            databases.install(None)
            await on.close()


async def _measure(server: EmbeddedPostgres, on: Database) -> Result:
    sender = await _sender()
    rates: dict[str, list[float]] = {"product": [], LISTS: [], TEXTS: []}
    sent = accepted = 0
    async with await psycopg.AsyncConnection.connect(libpq_url(server.owner_url(NAME))) as owner:
        for table in (LISTS, TEXTS):
            await _make_bare_table(owner, table)
        for repeat in range(REPEATS + 1):  # the first one fills plans and caches and is not counted
            batches = _batches(repeat)
            columns = [_columns(batch, sender.organization_id or "") for batch in batches]
            written = [[_array(column) for column in batch] for batch in columns]
            took, new = await _product(on, sender, batches)
            measured = {
                "product": took,
                LISTS: await _bare(owner, LISTS, columns),
                TEXTS: await _bare(owner, TEXTS, written),
            }
            sent, accepted = sent + sum(map(len, batches)), accepted + new
            if repeat:
                for name, seconds in measured.items():
                    rates[name].append(sum(map(len, batches)) / seconds)
        await _check_counts(owner, accepted)
    await assert_rollups_equal_raw(on)
    return _result(rates, duplicates=1 - accepted / sent)


def _result(rates: dict[str, list[float]], *, duplicates: float) -> Result:
    product = rates["product"]
    return Result(
        NAME,
        tuple(
            median_figure(
                f"ingest and exact counting, against {name}",
                product,
                "events/s",
                reference=statistics.median(rates[table]),
                reference_name=name,
                goal=goal,
                more_is_better=True,
                goal_on_ratio=goal is not None,
            )
            for table, name, goal in (
                (LISTS, "a bare insert", GOAL),
                (TEXTS, "a bare insert whose arrays were written before", None),
            )
        ),
        {"duplicates": f"{duplicates:.0%}", "batch": BATCH_EVENTS, "batches": BATCHES, "meters": 2},
    )


async def _sender() -> Actor:
    """Somebody of an organisation with two meters."""
    organization = Organization(
        id=new_id("org"), kind=OrganizationKind.CLIENT, name="Bench", name_key="bench", created_at=NOW
    )
    async with crossing(Reason.DEMO) as uow:
        uow.add(organization)
    actor = Actor("bench", organization.id, ROLE_CAPABILITIES[Role.OWNER])
    async with unit_of_work(actor) as uow:
        for slug, aggregation, name in (
            ("jobs", Aggregation.COUNT, None),
            ("time", Aggregation.SUM, "seconds"),
        ):
            await service.create_meter(
                uow, slug=slug, name=slug, event_type="job.done", aggregation=aggregation, value_property=name
            )
    return actor


def _batches(seed: int) -> list[Batch]:
    """Events of five minutes. Of the repeated ones about half repeat an event of their own batch."""
    random_ = random.Random(seed)
    before: Batch = []
    batches: list[Batch] = []
    for number in range(BATCHES):
        batch: Batch = []
        for place in range(BATCH_EVENTS):
            repeats = random_.random() < DUPLICATES
            known = batch if random_.random() < 0.5 or not before else before
            if repeats and known:
                batch.append(random_.choice(known))
                continue
            batch.append(
                UsageEventIn(
                    "bench",
                    f"{random_.getrandbits(64):016x}-{seed}-{number}-{place}",
                    "job.done",
                    NOW - timedelta(seconds=random_.randrange(300)),
                    {"seconds": random_.randrange(1_000), "region": "eu", "pages": 3},
                    f"model-{random_.randrange(3)}",
                    f"apikey_{random_.randrange(5):026d}",
                )
            )
        before += batch
        batches.append(batch)
    return batches


async def _product(on: Database, sender: Actor, batches: Sequence[Batch]) -> tuple[float, int]:
    """Seconds taken and events accepted."""
    accepted = 0
    began = time.perf_counter()
    for batch in batches:
        async with unit_of_work(sender, on=on, clock=FixedClock(NOW)) as uow:
            accepted += (await service.ingest(uow, batch)).accepted
    return time.perf_counter() - began, accepted


async def _bare(owner: psycopg.AsyncConnection[Any], table: str, batches: Sequence[Sequence[Any]]) -> float:
    statement = _BARE_INSERT.format(table=table)
    began = time.perf_counter()
    for batch in batches:
        await owner.execute(statement.encode(), batch)
        await owner.commit()
    return time.perf_counter() - began


async def _make_bare_table(owner: psycopg.AsyncConnection[Any], table: str) -> None:
    await owner.execute(_BARE_TABLE.format(table=table).encode())
    for number in range(PARTITIONS):
        await owner.execute(_BARE_PARTITION.format(table=table, number=number, count=PARTITIONS).encode())
    await owner.commit()


def _columns(batch: Batch, organization_id: str) -> list[list[str]]:
    """What the bare insert is given: the product's rows, already hashed and written as JSON."""
    checked = [rules.check_event(event, organization_id, "event") for event in batch]
    return [
        [one.organization_id for one in checked],
        [one.event.source for one in checked],
        [one.event.event_id for one in checked],
        [one.event.type for one in checked],
        [one.time.isoformat() for one in checked],
        [one.event.model for one in checked],
        [one.event.key_id for one in checked],
        [one.properties.decode() for one in checked],
        [f"\\x{one.content_hash.hex()}" for one in checked],
    ]


def _array(texts: list[str]) -> str:
    """PostgreSQL's text form of an array."""
    quoted = [text.replace("\\", "\\\\").replace('"', '\\"') for text in texts]
    return '{"' + '","'.join(quoted) + '"}'


async def _check_counts(owner: psycopg.AsyncConnection[Any], accepted: int) -> None:
    """Both sides hold the same events, so that the same work was measured."""
    for table in ("usage_event", LISTS, TEXTS):
        counted = await (await owner.execute(f"select count(*) from {table}".encode())).fetchone()
        assert counted == (accepted,), f"{table} holds {counted}, and {accepted} events are new"
