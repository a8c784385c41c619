"""A day of movements of a provider: read page by page, matched with payments, fees booked.

Each run is in a process of its own, so that its memory can be told. Payments and their journals are planted; the
provider answers from memory, since its speed is not what is measured.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import orjson
import psycopg

from models.ledger import JournalKind, Purpose
from models.money import Money
from models.payments import ProviderAccount
from models.types import OrganizationKind
from services.core import crypto, migrations
from services.core import database as databases
from services.core.actor import system
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.database import libpq_url
from services.core.ids import new_id
from services.core.postgres import EmbeddedPostgres
from services.identity import accounts, organizations
from services.ledger import service as ledger
from services.ledger.rules import Draft, credit, debit
from services.payments.cashier import Cashier
from services.payments.providers import registry
from services.payments.providers.base import PaymentProvider
from services.payments.providers.stripe_terms import CAPABILITIES
from services.payments.providers.values import PAGE_ITEMS_MAX, Movement, MovementKind, Page, Payout
from services.reconciliation import payout_queries
from services.reconciliation.pulling import Puller
from tests.bench import machine
from tests.bench.figures import Figure, Result
from tests.bench.servers import postgres

NAME = "reconciliation"
MOVEMENTS = int(os.environ.get("BENCH_MOVEMENTS", "100000"))
FEW = 10_000  # what memory is compared with
SECONDS_MAX = 60
MEMORY_TIMES_MAX = 1.15  # of what a run of few takes
AT = datetime(2026, 6, 1, 12, tzinfo=UTC)
GROSS, FEE = Money(10_000, "EUR"), Money(320, "EUR")
ACCOUNT = new_id("pacc")
_PROGRAM = (
    "import asyncio, sys; from tests.bench import reconciliation as b;"
    " asyncio.run(b.reconcile(sys.argv[1], int(sys.argv[2])))"
)
# Copies of one payment and its journal, told from it by the end of their ids.
_COPIES = """
create function pg_temp.again(id text, n int) returns text language sql immutable as
  $$ select left(id, -6) || lpad(to_hex(n), 6, '0') $$;
create temp table n as select generate_series(1, {count}) as n;
begin;
insert into ledger_journal select c.* from ledger_journal j, n, jsonb_populate_record(j, jsonb_build_object(
  'id', pg_temp.again(j.id, n), 'key', j.key || '.' || n)) c;
insert into ledger_entry (organization_id, journal_id, line, account_id, currency, minor, happened_at)
  select e.organization_id, pg_temp.again(e.journal_id, n), e.line, e.account_id, e.currency, e.minor, e.happened_at
  from ledger_entry e, n;
insert into payment (id, organization_id, provider_account_id, provider, keep_method, key, state, initiator, currency,
  minor, applied_minor, refunded_minor, message, reference, provider_ref, journal_id, created_at, asked_at,
  succeeded_at, ended_at, checks, version)
  select 'pay_' || lpad(n::text, 26, '0'), j.organization_id, '{account}', 'stripe', false, 'k' || n, 'succeeded',
  'customer', 'EUR', {minor}, 0, 0, '', '', 'pi_' || n, pg_temp.again(j.id, n), j.happened_at, j.happened_at,
  j.happened_at, j.happened_at, 0, 1
  from n, (select * from ledger_journal where key = 'seed') j;
commit;
analyze;
"""


class _Provider:
    """Answers with so many charges, the newest first."""

    capabilities = CAPABILITIES

    def __init__(self, count: int) -> None:
        self._count = count

    async def movements(self, *, since: datetime, until: datetime, cursor: str = "") -> Page[Movement]:
        last = int(cursor or self._count)
        first = max(0, last - PAGE_ITEMS_MAX)
        items = tuple(self._movement(number) for number in range(last, first, -1))
        return Page(items, str(first) if first else "")

    def _movement(self, number: int) -> Movement:
        key = f"pay_{number:026}" if number % 2 else ""  # half of them by our key, the others by their name
        return Movement(
            f"txn_{number}", MovementKind.CHARGE, "charge", GROSS, FEE, GROSS - FEE, AT, AT, f"ch_{number}",
            f"pi_{number}", key,
        )  # fmt: skip

    async def payouts(self, *, since: datetime, cursor: str = "") -> Page[Payout]:
        return Page(())


@dataclass(frozen=True, slots=True)
class Reconciled:
    """A run of its own process, and how much memory it had at its most."""

    seconds: float
    difference: int
    cases: int
    peak_mb: float


async def run() -> Result:
    with postgres() as server:
        done: dict[int, Reconciled] = {}
        for count in (FEW, MOVEMENTS):
            await _world(server, f"{NAME}_{count}", count)
            done[count] = await _reconciled(server, f"{NAME}_{count}", count)
    little, much = done[FEW], done[MOVEMENTS]
    return Result(
        NAME,
        (
            Figure(f"{MOVEMENTS:,} movements", much.seconds, "s", goal=SECONDS_MAX),
            Figure("movements", MOVEMENTS / much.seconds, "/s", more_is_better=True),
            Figure(
                f"most memory, {MOVEMENTS:,} against {FEW:,}",
                much.peak_mb,
                "MB",
                reference=little.peak_mb,
                reference_name=f"{FEW:,} movements",
                goal=MEMORY_TIMES_MAX,
                goal_on_ratio=True,
            ),
        ),
        {"movements": "stored a page at a time, matched and their fees booked in sets"},
    )


async def reconcile(url: str, count: int) -> None:
    """Read and match all, and print what it came to."""
    on = databases.connect(url, pool_size=4)
    databases.install(on)
    clock, cashier = FixedClock(AT + timedelta(hours=1)), _Cashier(count)
    began = time.perf_counter()
    await Puller(cast(Cashier, cashier), on, clock).pull_due()
    took = time.perf_counter() - began
    async with crossing(Reason.INVARIANTS, on=on, actor=system()) as uow:
        (clearing,) = (await uow.execute(payout_queries.CLEARING, most=2, banks=registry.OUR_BANKS)).all()
    await on.close()
    peak = machine.peak_mb()
    difference = clearing.provider_minor - clearing.books_minor
    print(orjson.dumps(Reconciled(took, difference, clearing.open_cases, peak)).decode())


class _Cashier:
    def __init__(self, count: int) -> None:
        self._provider = _Provider(count)

    async def provider_of(self, account: ProviderAccount) -> PaymentProvider:
        return cast(PaymentProvider, self._provider)


async def _reconciled(server: EmbeddedPostgres, name: str, count: int) -> Reconciled:
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", _PROGRAM, server.app_url(name), str(count)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        check=True,
    )
    found = Reconciled(**orjson.loads(done.stdout.splitlines()[-1]))
    if (found.difference, found.cases) != (0, 0):
        raise RuntimeError(f"It came to {found}.")
    return found


async def _world(server: EmbeddedPostgres, name: str, count: int) -> None:
    """A database of its own with so many payments."""
    server.ensure_database(name)
    migrations.migrate(server.owner_url(name))
    crypto.install(crypto.file_vault(server.data_dir))
    on = databases.connect(server.app_url(name), pool_size=4)
    databases.install(on)
    try:
        await _seed()
    finally:
        databases.install(None)
        await on.close()
    with psycopg.connect(libpq_url(server.owner_url(name)), autocommit=True) as connection:
        connection.execute(_COPIES.format(count=count, minor=GROSS.minor, account=ACCOUNT).encode())


async def _seed() -> None:
    """The account, and a journal to copy, which itself moves nothing on clearing that lasts."""
    async with crossing(Reason.DEMO, actor=system(), clock=FixedClock(AT)) as uow:
        owner: Any = await accounts.add_confirmed(uow, email="o@bench.example", name="O", password_hash="!")
        customer = await organizations.found_organization(
            uow, owner_id=owner, kind=OrganizationKind.CLIENT, name="Customer", currency="EUR"
        )
        uow.add(
            ProviderAccount(
                id=ACCOUNT, provider="stripe", name="Cards", is_test=True, settings={}, secrets=b"",
                created_at=AT,
            )
        )  # fmt: skip
        await ledger.post(
            uow,
            Draft(
                customer.id,
                key="seed",
                kind=JournalKind.PAYMENT,
                cause_id="seed",
                entries=(debit(Purpose.CLEARING, GROSS), credit(Purpose.RECEIVABLE, GROSS)),
                at=AT,
            ),
        )
