"""A trace runs from the door through service and SQL into the job it caused."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from services.core import database as databases
from services.core import jobs, tracing
from services.core.actor import system
from services.core.database import Database
from services.core.work import unit_of_work
from tests.fakes.collector import Collector, collecting
from tests.world import World

DONE = asyncio.Event()


@jobs.job("test.traced")
async def _traced(payload: dict[str, Any]) -> None:
    with tracing.span("inside the job"):
        DONE.set()


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        tracing.start("test", collector.address)
        yield collector
        tracing.stop()


async def test_one_trace_from_door_to_job(collector: Collector, database: Database, world: World) -> None:
    organization = await world.organization()
    traced = databases.connect(database.url, pool_size=2)
    DONE.clear()
    worker = asyncio.create_task(jobs.work(traced))
    try:
        with tracing.act("page event") as trace_id:
            async with unit_of_work(system(organization.id), on=traced) as uow:
                await uow.execute("select name from organization where id = :id", id=organization.id)
            await jobs.enqueue(traced, "test.traced", {}, dedupe_key="once")
        await asyncio.wait_for(DONE.wait(), 30)
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
        await traced.close()
    tracing.stop()

    ours = collector.of(trace_id)
    assert {"page event", "unit_of_work", "sql", "job test.traced", "inside the job"} <= {
        s.name for s in ours
    }
    statements = [a.value.string_value for s in ours if s.name == "sql" for a in s.attributes]
    assert any("select name from organization" in statement for statement in statements)
    assert all(organization.id not in statement for statement in statements)
