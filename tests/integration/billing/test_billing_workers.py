"""Two worker processes at the same billing run, one killed at a random point: the documents are those of one run."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from models.plans import Plan
from services.billing_runs import running
from services.billing_runs.running import Counts
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.postgres import EmbeddedPostgres
from services.core.tether import tied
from services.invariants.book import RevenueIsEarnedInTime
from tests.checks import MADE_BY_HAND, assert_invariants
from tests.integration.billing.papers_made import papers_made
from tests.integration.billing.shop import Shop, open_shop
from tests.integration.billing.subscribers import Subscribers, price
from tests.integration.core.job_runs import until
from tests.world import World

ROOT = Path(__file__).parents[3]
APRIL, JUNE = datetime(2026, 4, 1, 12, tzinfo=UTC), datetime(2026, 6, 1, 12, tzinfo=UTC)
CUSTOMERS = 6
NOT_HERE = (*MADE_BY_HAND, RevenueIsEarnedInTime)
PROGRAM = """
import asyncio, sys
from datetime import datetime
from services.billing_runs import running
from services.core import database, runtime
from services.core.clock import FixedClock

async def main(url, now):
    runtime.know_all_tables()
    database.install(database.connect(url, pool_size=4))
    print("ready", flush=True)
    sys.stdin.readline()
    await running.bill_due(clock=FixedClock(datetime.fromisoformat(now)))

asyncio.run(main(*sys.argv[1:]))
"""


def _start(url: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, url, JUNE.isoformat()],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=tied(),
    )  # fmt: skip


@asynccontextmanager
async def workers(url: str) -> AsyncIterator[list[subprocess.Popen[str]]]:
    """Two that are ready for their run and begin it when told to."""
    made = [_start(url) for _ in range(2)]
    try:
        for one in made:
            assert one.stdout is not None
            assert await asyncio.to_thread(one.stdout.readline) == "ready\n"
        yield made
    finally:
        for one in made:
            one.kill()
            await asyncio.to_thread(one.communicate)


def begin(worker: subprocess.Popen[str]) -> None:
    assert worker.stdin is not None
    worker.stdin.write("go\n")
    worker.stdin.flush()


async def subscribed(sold: Subscribers, plan: Plan, name: str) -> None:
    sold.shop.now = APRIL
    for number in range(CUSTOMERS):
        await sold.shop.new_customer(name=f"{name} {number}")
        await sold.start(plan, quantities={"seats": Decimal(number + 1)})


async def papers(name: str) -> list[dict[str, Any]]:
    """What was made for the customers of that name, as if they had none."""
    found = [one for one in await papers_made() if one["customer"].startswith(name)]
    return [{**one, "customer": one["customer"].removeprefix(name), "place": None} for one in found]


async def invoices() -> int:
    async with crossing(Reason.INVARIANTS) as uow:
        count: int = (await uow.execute("select count(*) from invoice where number is not null")).scalar_one()
        return count


async def kill_and_compare(shop: Shop, url: str, seed: int) -> None:
    chance, sold = random.Random(seed), Subscribers(shop)
    plan = await sold.plan(
        price("base", "flat", "60"), price("seats", "seat", "7.77", quantity_min=Decimal(1))
    )
    await subscribed(sold, plan, f"Alone {seed}")
    await running.bill_due(clock=FixedClock(JUNE))
    await subscribed(sold, plan, f"Killed {seed}")
    before = await invoices()
    killed_at = before + chance.randrange(CUSTOMERS * 2)

    async with workers(url) as (victim, other):
        begin(victim)
        begin(other)

        async def far_enough() -> bool:
            return await invoices() >= killed_at or victim.poll() is not None

        await until(far_enough)
        victim.kill()
        await asyncio.to_thread(victim.wait)
        assert await asyncio.to_thread(other.wait) == 0
    await until(no_locks)  # what the dead one held is let go when the database sees that nobody is there
    await running.bill_due(clock=FixedClock(JUNE))
    assert await running.bill_due(clock=FixedClock(JUNE)) == Counts()

    assert await papers(f"Killed {seed}") == await papers(f"Alone {seed}")
    assert await invoices() == before + CUSTOMERS * 2
    await assert_invariants(but=NOT_HERE)


async def no_locks() -> bool:
    """Nobody but this look is in a transaction on this database."""
    async with crossing(Reason.INVARIANTS) as uow:
        found = await uow.execute(
            "select not exists (select from pg_locks l where l.relation = cast('subscription' as regclass)"
            " and l.pid <> pg_backend_pid())"
        )
        return bool(found.scalar_one())


@pytest.mark.timeout(180)
async def test_a_run_of_which_one_worker_is_killed_makes_the_documents_of_one(
    world: World, postgres: EmbeddedPostgres, database_name: str
) -> None:
    await kill_and_compare(await open_shop(world), postgres.app_url(database_name), seed=1)


@pytest.mark.deep
@pytest.mark.timeout(1_200)
async def test_a_run_of_which_one_worker_is_killed_at_many_points(
    world: World, postgres: EmbeddedPostgres, database_name: str
) -> None:
    shop = await open_shop(world)
    for seed in range(2, 22):
        await kill_and_compare(shop, postgres.app_url(database_name), seed=seed)
