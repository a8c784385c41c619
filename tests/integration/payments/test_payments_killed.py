"""A real worker process that charges through a fake that is a program of its own is killed by SIGKILL before, while and
after the provider books: the next one finds out, nobody is charged twice, and every invoice is paid."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from models.billing import Invoice
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.tether import tied
from services.payments import methods
from services.payments.providers.values import Customer, SetupOrder
from tests.checks import MADE_BY_HAND, assert_invariants
from tests.fakes.stripe.running import RunningFake, RunningStripe, running_stripe
from tests.integration.billing.shop import line, open_shop
from tests.integration.core.job_runs import until
from tests.integration.payments.stripe_kit import sdk
from tests.integration.payments.till import Till, open_till
from tests.world import World

ROOT = Path(__file__).parents[3]
CREATE = "/v1/payment_intents"
# What the worker's schedules "payments" and "collection" do, once for each time that it is told, in a process of its
# own, made by a fork: that takes no seconds to begin.
PROGRAM = """
import asyncio, os, signal, sys
from datetime import datetime
from pathlib import Path
from services.collection.collecting import Collector
from services.core import crypto, database, runtime
from services.core.clock import FixedClock
from services.core.tether import tie_to_parent
from services.payments.cashier import Cashier

runtime.know_all_tables()
url, folder, place = sys.argv[1:]

async def work(now):
    database.install(database.connect(url, pool_size=4))
    crypto.install(crypto.file_vault(Path(folder)))
    clock = FixedClock(datetime.fromisoformat(now))
    cashier = Cashier(public_url="http://shop.example", allowed=[place], clock=clock)
    await cashier.check_due()
    await Collector(cashier, 1, clock=clock).collect_due()

for line in sys.stdin:
    child = os.fork()
    if not child:
        tie_to_parent()
        asyncio.run(work(line.strip()))
        print("done", flush=True)
        signal.pause()
    print(child, flush=True)
    os.waitpid(child, 0)
"""


class Death(StrEnum):
    """When the worker is killed."""

    BEFORE = "before"  # what is to be charged is written down; the provider never hears of it
    DURING = "during"  # the provider has the request, and books it when nobody waits any more
    ANSWERED = "answered"  # it has booked and answered; the answer is not committed
    COMMITTED = "committed"  # all is written down


@dataclass
class Workers:
    """Processes that work on the database of a till, one after the other, each twenty minutes later."""

    till: Till
    database: Database
    parent: subprocess.Popen[str]

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """One that has begun, and that is killed in the end."""
        self.till.later(timedelta(minutes=20))
        self.make(self.till.clock.at)
        pid = int(await self.said())
        try:
            yield
        finally:
            os.kill(pid, signal.SIGKILL)

    def make(self, now: datetime) -> None:
        assert self.parent.stdin is not None
        self.parent.stdin.write(f"{now.isoformat()}\n")
        self.parent.stdin.flush()

    async def said(self) -> str:
        assert self.parent.stdout is not None
        return (await asyncio.to_thread(self.parent.stdout.readline)).strip()

    async def dies(self, death: Death) -> None:
        fake = self.till.stripe
        if death is not Death.COMMITTED:
            fake.act("fault", kind="hold", path=CREATE, method="POST")
        async with self.working():
            if death is Death.COMMITTED:
                assert await self.said() == "done"
                return
            await until(self._is_held)
            if death is Death.ANSWERED:
                await self._answer(fake)
        if death is Death.BEFORE:
            fake.kill()  # and with it the request
            fake.start()
        elif death is Death.DURING:
            fake.act("release")

    async def _answer(self, fake: RunningFake) -> None:
        """Returns when the worker has the answer, and waits to write down what it says."""
        async with crossing(Reason.PAYMENTS) as uow:
            await uow.execute("select from invoice where state = 'finalized' for update")
            fake.act("release")
            await until(self._waits_for_a_lock)

    async def _is_held(self) -> bool:
        return (await asyncio.to_thread(self.till.stripe.state))["held"] > 0

    async def _waits_for_a_lock(self) -> bool:
        async with await self.database.unpooled() as connection:
            found = await connection.execute(
                "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
            )
            return (await found.fetchone() or (0,))[0] > 0


@contextmanager
def parent_of_workers(*told: str) -> Iterator[subprocess.Popen[str]]:
    pipe, command = subprocess.PIPE, [sys.executable, "-c", PROGRAM, *told]
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True, preexec_fn=tied()) as parent:
        yield parent
        parent.kill()


@pytest.fixture(scope="module")
def stripe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStripe]:
    with running_stripe(tmp_path_factory.mktemp("stripe")) as fake:
        yield fake


@pytest.fixture
async def workers(
    world: World, stripe: RunningStripe, database: Database, tmp_path: Path
) -> AsyncIterator[Workers]:
    """Of a customer who keeps a card."""
    shop = await open_shop(world, payment_days=0)
    async with open_till(shop, stripe) as till:
        provider = await till.cashier.provider_of(till.account)
        customer = await provider.keep_customer(Customer("Acme", "", shop.customer.id), key=shop.customer.id)
        setup = await provider.setup(SetupOrder(f"{shop.customer.id}.s", customer, "pm_card_visa"))
        assert setup.method is not None
        async with shop.work() as uow:
            await methods.keep_customer(uow, till.account.id, customer)
            await methods.keep(uow, till.account.id, setup.method)
        with parent_of_workers(database.url, str(tmp_path), stripe.place) as parent:
            yield Workers(till, database, parent)


async def killed(workers: Workers, deaths: list[Death]) -> None:
    """One invoice falls due for each death, and the next worker goes on where the last one was."""
    shop, invoices = workers.till.shop, list[Invoice]()
    for number, death in enumerate(deaths):
        invoices.append(await shop.invoice(line(str(100 + number))))
        await workers.dies(death)
    for _ in range(2):  # what never arrived has failed in the first round, and is charged in the second
        workers.till.later(timedelta(days=30))
        async with workers.working():
            assert await workers.said() == "done"

    for one in invoices:
        assert (await shop.read(one)).state == "paid"
    assert charged(workers) == sorted(one.total_minor for one in invoices)
    async with crossing(Reason.PAYMENTS) as uow:
        left = await uow.execute("select id, state from payment where state not in ('succeeded', 'failed')")
        assert left.all() == []
    assert (await shop.balances())["clearing"] == sum(one.total_minor for one in invoices)
    await assert_invariants(workers.database, but=MADE_BY_HAND)


def charged(workers: Workers) -> list[int]:
    """What the provider has taken of this customer, charge by charge."""
    taken: list[Any] = []
    listed = sdk(workers.till.stripe).v1.charges.list({"limit": 100})
    for one in listed.auto_paging_iter():
        if one.paid and one.metadata.to_dict().get("organization") == workers.till.shop.customer.id:
            taken.append(one.amount)
    return sorted(taken)


async def test_a_worker_that_is_killed_anywhere_around_a_charge_charges_once(workers: Workers) -> None:
    await killed(workers, list(Death))


@pytest.mark.deep
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("seed", range(5))
async def test_workers_that_are_killed_again_and_again_charge_once(workers: Workers, seed: int) -> None:
    chance = random.Random(seed)

    await killed(workers, [chance.choice(list(Death)) for _ in range(8)])
