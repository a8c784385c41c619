"""A billing run against a bare bulk insert of the rows that it made, in the same run on the same server.

Each subscription has three lines a month. The bare side copies what the run wrote of documents, lines, journals,
entries, deferrals and events into tables with the same columns, constraints and indexes, but without triggers, foreign
keys and policies, one statement a table in one transaction: nothing is computed, and nothing leaves the server.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

import psycopg

from models.types import OrganizationKind
from services.billing import entities, profiles, running, subscriptions, taxation
from services.billing.profiles import ProfileFields
from services.billing.selecting import Wanted
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
from tests.bench.figures import Figure, Result
from tests.bench.servers import postgres

NAME = "billing_run"
SUBSCRIPTIONS, EACH = 1_000, 10  # of one organisation
TIMES_MAX = 6  # of the bare insert
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


async def run() -> Result:
    with postgres() as server:
        server.ensure_database(NAME)
        migrations.migrate(server.owner_url(NAME))
        crypto.install(crypto.file_vault(server.data_dir))
        on = databases.connect(server.app_url(NAME), pool_size=4)
        databases.install(on)
        try:
            await _subscribe()
            began = time.perf_counter()
            counts = await running.bill_due(clock=FixedClock(JULY))
            took = time.perf_counter() - began
            if (counts.billed, counts.parked) != (SUBSCRIPTIONS, 0):
                raise RuntimeError(f"The run billed {counts}.")
        finally:
            databases.install(None)
            await on.close()
        rows, bare = _bare(server)
    return Result(
        NAME,
        (
            Figure(
                "billing run",
                took,
                "s",
                reference=bare,
                reference_name="bare insert",
                goal=TIMES_MAX,
                goal_on_ratio=True,
            ),
            Figure("subscriptions billed", SUBSCRIPTIONS / took, "/s", more_is_better=True),
            Figure("rows written", rows, ""),
        ),
        {"each subscription": "in a transaction of its own, read, decided, taxed, numbered and booked"},
    )


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
        customers: list[str] = []
        for number in range(SUBSCRIPTIONS // EACH):
            made = await organizations.found_organization(
                uow, owner_id=owner, kind=OrganizationKind.CLIENT, name=f"Customer {number}", currency="EUR"
            )
            customers.append(made.id)
    buyer = ProfileFields(name="Customer", address="Street 1\n10115 Berlin", country="DE")
    for organization_id in customers:
        async with unit_of_work(system(organization_id), clock=FixedClock(JUNE)) as uow:
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
