"""A collection run over invoices that are due, against the fake Stripe with so many calls at once as it allows.

Beside it the fake's own rate: the same charges by the same adapter and the official SDK, as many at once, from a loop
that does nothing else. The fake's bank takes its time over each charge, less than banks do, and the fake refuses calls
above what it allows. A second pair of runs leaves the bank out: then program and fake share the cores.

Each run is in a process of its own, so that memory and time of the cores can be told. At the end each invoice is paid,
by one charge.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import httpx
import orjson
import psycopg

from models.money import Money
from models.types import OrganizationKind
from services.billing import entities, finalizing, invoices, profiles, taxation
from services.billing.new_lines import manual_line
from services.billing.profiles import ProfileFields
from services.collection.collecting import Collector
from services.core import crypto, migrations
from services.core import database as databases
from services.core.actor import system
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.database import libpq_url
from services.core.postgres import EmbeddedPostgres
from services.core.settings import Settings
from services.core.work import unit_of_work
from services.demo.invoicing import RATE, SELLER
from services.identity import accounts as people
from services.identity import organizations
from services.payments import accounts, methods
from services.payments.accounts import AccountFields
from services.payments.cashier import Cashier
from services.payments.providers.stripe import StripeProvider
from services.payments.providers.stripe_events import StripeAccount
from services.payments.providers.stripe_terms import CALLS_AT_ONCE
from services.payments.providers.values import Customer, Order, PaymentState, SetupOrder
from tests.bench import machine
from tests.bench.figures import Figure, Result
from tests.bench.servers import postgres
from tests.fakes.stripe.running import RunningStripe, running_stripe

NAME = "collection"
INVOICES = int(os.environ.get("BENCH_INVOICES", "5000"))
FEW = INVOICES // 5  # what memory is compared with, and what is charged where the bank takes no time
CUSTOMERS = 20
BANK_TAKES_MS = int(os.environ.get("BENCH_BANK_MS", "500"))
RATIO_MIN = 0.8
MEMORY_TIMES_MAX = 1.15
ISSUED = datetime(2026, 6, 1, 12, tzinfo=UTC)
NOW = ISSUED + timedelta(days=60)
# An organisation's one invoice again and again, told from it by the end of its id.
_COPIES = """
create function pg_temp.again(id text, n int) returns text language sql immutable as
  $$ select left(id, -5) || lpad(to_hex(n), 5, '0') $$;
create temp table n as select generate_series(1, {copies}) as n;
begin;
insert into invoice select c.* from invoice i, n, jsonb_populate_record(i, jsonb_build_object(
  'id', pg_temp.again(i.id, n), 'key', i.key || '.' || n, 'number', i.number || '-' || n,
  'sequence', n * {customers} + i.sequence, 'journal_id', null)) c;
insert into invoice_line select c.* from invoice_line l, n, jsonb_populate_record(l, jsonb_build_object(
  'id', pg_temp.again(l.id, n), 'invoice_id', pg_temp.again(l.invoice_id, n))) c;
update number_series set last = last * ({copies} + 1);
commit;
analyze;
"""
_PROGRAM = "import asyncio, sys; from tests.bench import collection as b; asyncio.run(b.{run}(*sys.argv[1:]))"


@dataclass(frozen=True, slots=True)
class Charged:
    """A run of its own process: how many charges it made in which time, what of a core it took, and how much memory it
    had at its most."""

    count: int
    seconds: float
    cpu_s: float
    peak_mb: float

    @property
    def rate(self) -> float:
        return self.count / self.seconds


async def run() -> Result:
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        with postgres() as server:
            bare_at_once, at_once = await _both(server, folder / "few", FEW, bank_takes_ms=0)
            bare, collected = await _both(server, folder / "many", INVOICES, bank_takes_ms=BANK_TAKES_MS)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    reference = "the fake's own"
    return Result(
        NAME,
        (
            Figure(
                f"charges/s, {CALLS_AT_ONCE} at once, a bank that takes {BANK_TAKES_MS} ms",
                collected.rate, "/s", reference=bare.rate, reference_name=reference,
                goal=RATIO_MIN, more_is_better=True, goal_on_ratio=True,
            ),
            Figure(f"{INVOICES:,} invoices", collected.seconds, "s"),
            Figure(
                "charges/s, a bank that takes no time", at_once.rate, "/s",
                reference=bare_at_once.rate, reference_name=reference, more_is_better=True,
            ),
            Figure(
                "CPU of a charge", collected.cpu_s / collected.count * 1_000, "ms",
                reference=bare.cpu_s / bare.count * 1_000, reference_name="adapter alone",
            ),
            Figure(
                f"most memory, {INVOICES:,} against {FEW:,}", collected.peak_mb, "MB",
                reference=at_once.peak_mb, reference_name=f"{FEW:,} invoices",
                goal=MEMORY_TIMES_MAX, goal_on_ratio=True,
            ),
        ),
        {"each invoice paid by one charge": FEW + INVOICES},
    )  # fmt: skip


async def _both(
    server: EmbeddedPostgres, folder: Path, count: int, *, bank_takes_ms: int
) -> tuple[Charged, Charged]:
    """The fake's own rate, and that of a run, on a database and a fake of their own."""
    name = f"{NAME}_{folder.name}"
    with running_stripe(folder / "stripe") as fake:
        methods_kept = await _world(server, name, folder, fake, count)
        fake.act("terms", bank_takes_ms=bank_takes_ms, calls_at_once=CALLS_AT_ONCE)
        bare = await _process("charge", fake.url, fake.key, str(FEW), orjson.dumps(methods_kept).decode())
        before = _charges(fake)
        collected = await _process("collect", server.app_url(name), str(folder), fake.url)
        made = _charges(fake) - before
    with psycopg.connect(libpq_url(server.owner_url(name))) as connection:
        found = connection.execute(
            "select count(*) from invoice where state = 'paid' and due_minor = 0"
        ).fetchone()
    if (collected.count, made, found) != (count, count, (count,)):
        raise RuntimeError(
            f"Of {count} invoices {collected.count} were charged by {made} charges; {found} are paid."
        )
    return bare, collected


async def _process(run: str, *arguments: str) -> Charged:
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", _PROGRAM.format(run=run), *arguments],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        check=True,
    )
    return Charged(**orjson.loads(done.stdout.splitlines()[-1]))


async def collect(url: str, data_dir: str, base: str) -> None:
    """Collect all that is due as a worker does, and print what it came to."""
    of_worker = Settings()
    crypto.install(crypto.file_vault(Path(data_dir)))
    on = databases.connect(url, pool_size=of_worker.pool_size)
    databases.install(on)
    clock = FixedClock(NOW)
    cashier = Cashier(public_url="http://bench.example", allowed=[_place(base)], on=on, clock=clock)
    collector = Collector(cashier, of_worker.collection_concurrency, on, clock)
    began, used = time.perf_counter(), time.process_time()
    count = await collector.collect_due()
    _tell(count, began, used)
    await cashier.close()
    await on.close()


async def charge(base: str, key: str, count: str, methods_kept: str) -> None:
    """Have the fake charge methods, one after the other, as many at once as it allows, and print what it came to."""
    provider = StripeProvider(StripeAccount(key, base=base, allowed=frozenset({_place(base)})))
    kept: list[tuple[str, str]] = orjson.loads(methods_kept)
    orders = iter(
        Order(
            f"bare.{number}", Money(11_900, "EUR"), f"Invoice {number}", customer=customer, method=method,
            off_session=True, return_url="http://bench.example/portal/payments/x",
            metadata={"account": "bench", "organization": customer},
        )
        for number in range(int(count))
        for customer, method in (kept[number % len(kept)],)
    )  # fmt: skip

    async def caller() -> None:
        for order in orders:
            made = await provider.create_or_confirm(order)
            if made.state is not PaymentState.PAID:
                raise RuntimeError(f"The fake says {made.state}.")

    began, used = time.perf_counter(), time.process_time()
    async with asyncio.TaskGroup() as callers:
        for _ in range(CALLS_AT_ONCE):
            callers.create_task(caller())
    _tell(int(count), began, used)
    await provider.close()


def _tell(count: int, began: float, used: float) -> None:
    seconds, cpu_s = time.perf_counter() - began, time.process_time() - used
    peak = machine.peak_mb()
    print(orjson.dumps(Charged(count, seconds, cpu_s, peak)).decode())


def _place(base: str) -> str:
    return base.removeprefix("http://")


def _charges(fake: RunningStripe) -> int:
    """All that were ever made there."""
    count, after = 0, {}
    with httpx.Client(base_url=fake.url, auth=(fake.key, ""), trust_env=False, timeout=60) as http:
        while True:
            page = http.get("/v1/charges", params={"limit": 100, **after}).raise_for_status().json()
            count += len(page["data"])
            if not page["has_more"]:
                return count
            after = {"starting_after": page["data"][-1]["id"]}


async def _world(
    server: EmbeddedPostgres, name: str, folder: Path, fake: RunningStripe, count: int
) -> list[tuple[str, str]]:
    """A database of its own with so many invoices that are due. Returns under which names the fake knows customers and
    what they pay with."""
    server.ensure_database(name)
    migrations.migrate(server.owner_url(name))
    crypto.install(crypto.file_vault(folder))
    on = databases.connect(server.app_url(name), pool_size=4)
    databases.install(on)
    try:
        kept = await _customers(fake)
    finally:
        databases.install(None)
        await on.close()
    copies = count // CUSTOMERS - 1
    with psycopg.connect(libpq_url(server.owner_url(name)), autocommit=True) as connection:
        connection.execute(_COPIES.format(copies=copies, customers=CUSTOMERS).encode())
    return kept


async def _customers(fake: RunningStripe) -> list[tuple[str, str]]:
    said = AccountFields(
        "stripe", "Cards", is_test=True, settings={"base": fake.url},
        secrets={"secret_key": fake.key, "webhook_secret": "whsec_of_the_bench"},
    )  # fmt: skip
    cashier = Cashier(public_url="http://bench.example", allowed=[fake.place])
    async with crossing(Reason.DEMO, actor=system(), clock=FixedClock(ISSUED)) as uow:
        await entities.add_entity(uow, SELLER)
        await taxation.add_tax_rate(uow, RATE)
        account = await accounts.add_account(uow, said, allowed=[fake.place])
        owner = await people.add_confirmed(uow, email="o@bench.example", name="O", password_hash="!")
    provider = await cashier.provider_of(account)
    kept: list[tuple[str, str]] = []
    for number in range(CUSTOMERS):
        async with crossing(Reason.DEMO, actor=system(), clock=FixedClock(ISSUED)) as uow:
            customer = await organizations.found_organization(
                uow, owner_id=owner, kind=OrganizationKind.CLIENT, name=f"Customer {number}", currency="EUR"
            )
        known_as = await provider.keep_customer(
            Customer(customer.name, "", customer.id), key=f"{customer.id}.c"
        )
        setup = await provider.setup(SetupOrder(f"{customer.id}.s", known_as, "pm_card_visa"))
        if setup.method is None:
            raise RuntimeError("The fake kept no method.")
        async with unit_of_work(system(customer.id), clock=FixedClock(ISSUED)) as uow:
            await profiles.set_profile(
                uow, ProfileFields(name=customer.name, address="Street 1\n10115 Berlin", country="DE")
            )
            await methods.keep_customer(uow, account.id, known_as)
            await methods.keep(uow, account.id, setup.method)
            draft = await invoices.create_draft(uow, key="bench", currency="EUR")
            await invoices.add_lines(uow, draft.id, [manual_line("Work", Decimal(1), Decimal(100), "EUR")])
            await finalizing.finalize(uow, draft.id)
        kept.append((known_as, setup.method.reference))
    await cashier.close()
    return kept
