"""Two worker processes at the same billing run, one killed between any two of its steps: the documents are those of one
run."""

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
APRIL, MAY, JUNE = (datetime(2026, month, 1, 12, tzinfo=UTC) for month in (4, 5, 6))
CUSTOMERS = 8  # half of them have two months to be billed, and are billed alone; the others in sets
SET = 2  # subscriptions
POINTS = 60  # of the long run
NOT_HERE = (*MADE_BY_HAND, RevenueIsEarnedInTime)
# A worker that stands still at a step of its own, a statement or a commit, until it is killed. It says that it has
# begun, that it stands there, and, where it comes to the end, how many steps it took.
PROGRAM = """
import asyncio, signal, sys
from dataclasses import replace
from datetime import datetime
from sqlalchemy import event
from services.billing_runs import running
from services.core import database, runtime
from services.core.clock import FixedClock

async def main(url, now, size, dies_at):
    runtime.know_all_tables()
    on = database.connect(url, pool_size=4)
    database.install(on)
    running.SUBSCRIPTIONS = replace(running.SUBSCRIPTIONS, batch=int(size))
    steps = 0

    def step(*_):
        nonlocal steps
        steps += 1
        if steps == 1:
            print("begun", flush=True)
        if steps == int(dies_at):
            print("there", flush=True)
            signal.pause()

    print("ready", flush=True)
    sys.stdin.readline()
    event.listen(on.engine.sync_engine, "before_cursor_execute", step)
    event.listen(on.engine.sync_engine, "commit", step)
    await running.bill_due(clock=FixedClock(datetime.fromisoformat(now)))
    print(steps, flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


def _start(url: str, dies_at: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, url, JUNE.isoformat(), str(SET), str(dies_at)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=tied(),
    )  # fmt: skip


@asynccontextmanager
async def workers(url: str, *dying_at: int) -> AsyncIterator[list[subprocess.Popen[str]]]:
    """One for each that dies at that step, or never at 0; ready for their run, they begin it when told to."""
    made = [_start(url, step) for step in dying_at]
    try:
        for one in made:
            await says(one, "ready")
        yield made
    finally:
        for one in made:
            one.kill()
            await asyncio.to_thread(one.communicate)


async def says(worker: subprocess.Popen[str], word: str) -> None:
    assert worker.stdout is not None
    assert await asyncio.to_thread(worker.stdout.readline) == f"{word}\n"


def begin(worker: subprocess.Popen[str]) -> None:
    assert worker.stdin is not None
    worker.stdin.write("go\n")
    worker.stdin.flush()


async def subscribed(sold: Subscribers, plan: Plan, name: str) -> None:
    for number in range(CUSTOMERS):
        sold.shop.now = (APRIL, MAY)[number % 2]
        await sold.shop.new_customer(name=f"{name} {number}")
        await sold.start(plan, quantities={"seats": Decimal(number + 1)})


async def papers(name: str) -> list[dict[str, Any]]:
    """What was made for the customers of that name, as if they had none."""
    found = [one for one in await papers_made() if one["customer"].startswith(name)]
    return [{**one, "customer": one["customer"].removeprefix(name), "place": None} for one in found]


class Killings:
    """Rounds of one shop, each with customers of its own who are the same as those that one worker alone billed."""

    def __init__(self, shop: Shop, url: str) -> None:
        self.url, self.sold = url, Subscribers(shop)

    async def bill_alone(self) -> int:
        """How many steps one worker takes."""
        self.plan = await self.sold.plan(
            price("base", "flat", "60"), price("seats", "seat", "7.77", quantity_min=Decimal(1))
        )
        await subscribed(self.sold, self.plan, "Alone")
        async with workers(self.url, 0) as (one,):
            begin(one)
            await says(one, "begun")
            said, _ = await asyncio.to_thread(one.communicate)
        return int(said)

    async def kill_at(self, step: int) -> None:
        name = f"Killed at {step}:"
        await subscribed(self.sold, self.plan, name)
        async with workers(self.url, step, 0) as (victim, other):
            begin(victim)
            await says(victim, "begun")
            await says(victim, "there")  # with all that it holds
            begin(other)
            await says(other, "begun")
            victim.kill()
            assert await asyncio.to_thread(other.wait) == 0
        await until(no_locks)  # what the dead one held is let go when the database sees that nobody is there
        await running.bill_due(clock=FixedClock(JUNE))
        assert await running.bill_due(clock=FixedClock(JUNE)) == Counts()
        assert await papers(name) == await papers("Alone")


async def no_locks() -> bool:
    """Nobody but this look is in a transaction on this database."""
    async with crossing(Reason.INVARIANTS) as uow:
        found = await uow.execute(
            "select not exists (select from pg_locks l where l.relation = cast('subscription' as regclass)"
            " and l.pid <> pg_backend_pid())"
        )
        return bool(found.scalar_one())


@pytest.mark.timeout(900)
async def test_a_run_of_which_one_worker_is_killed_makes_the_documents_of_one(
    world: World, postgres: EmbeddedPostgres, database_name: str
) -> None:
    killings = Killings(await open_shop(world), postgres.app_url(database_name))
    steps = await killings.bill_alone()
    for part in (8, 3):
        await killings.kill_at(steps // part)
    await assert_invariants(but=NOT_HERE)


@pytest.mark.deep
@pytest.mark.timeout(3_600)
async def test_a_run_of_which_one_worker_is_killed_at_many_points(
    world: World, postgres: EmbeddedPostgres, database_name: str
) -> None:
    killings = Killings(await open_shop(world), postgres.app_url(database_name))
    steps = await killings.bill_alone()
    for step in sorted(random.sample(range(1, steps * 2 // 3), POINTS)):
        await killings.kill_at(step)
    await assert_invariants(but=NOT_HERE)
