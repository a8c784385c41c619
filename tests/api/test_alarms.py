"""What an alarm goes by is true on the door that is scraped, also while the parts that it is about stand still."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import ClassVar

import pytest
from prometheus_client.parser import text_string_to_metric_families as families

from models.identity import Organization
from services.core import database as databases
from services.core import heartbeat
from services.core.actor import system
from services.core.crossing import Reason, crossing
from services.core.database import CROSSING_ROLE, Database, database
from services.core.events import DomainEvent
from services.core.relay import Delivered, Subscriber, follow, stamp
from services.core.work import UnitOfWork, unit_of_work
from services.invariants import check
from services.operations import alarms
from tests.api.conftest import Api
from tests.integration.gateway.house import WAIT_S


class Tripped(DomainEvent):
    type: ClassVar[str] = "test.tripped"


async def scraped(api: Api) -> dict[tuple[str, str], float]:
    """Samples by name and the value of their last label."""
    answer = await api.root().get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, next(reversed(sample.labels.values()), "")): sample.value
        for family in families(answer.text)
        for sample in family.samples
    }


async def fail_to_deliver(on: Database, organization: Organization) -> int:
    """Let a subscriber that can handle nothing try once, and end. Returns how many events there are."""
    async with unit_of_work(system(organization.id)) as uow:
        uow.record(Tripped(aggregate_id="a", organization_id=organization.id))
    async with await on.unpooled() as connection:
        await connection.execute(f"set role {CROSSING_ROLE}")
        await stamp(connection)
    tried = asyncio.Event()

    async def trip(_: UnitOfWork, __: Delivered) -> None:
        tried.set()
        raise RuntimeError("cannot be handled")

    following = asyncio.create_task(follow([Subscriber("fragile", {Tripped.type: trip})], on))
    async with asyncio.timeout(WAIT_S):
        await tried.wait()
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    async with crossing(Reason.INVARIANTS, on=on) as uow:
        return (await uow.execute("select count(*) from event")).scalar_one()


async def test_what_stands_still_or_is_broken_is_measured_where_it_is_scraped(
    api: Api, acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No worker runs any more: nothing but the database knows. It is asked once for all who scrape for a while."""
    monkeypatch.setattr(alarms, "KEPT_S", 3_600.0)
    on = database()
    events = await fail_to_deliver(on, acme)
    await api.world.organization(name="Nobody's")
    await check.check_all(on)
    await heartbeat.beat(on)

    found = await scraped(api)

    assert found["matrix_database_answers", ""] == 1
    assert found["matrix_subscriber_lag_events", "fragile"] == events
    assert found["matrix_queue_age_seconds", "fragile"] >= 0
    assert found["matrix_queue_waiting", "relay"] >= 0
    assert found["matrix_invariant_broken", "organization_has_owner"] == 1
    assert found["matrix_invariant_broken", "journal_balances"] == 0
    assert found["matrix_invariant_checked_seconds", ""] >= 0
    assert found["matrix_worker_seen_seconds", ""] >= 0
    assert (await scraped(api))["matrix_worker_seen_seconds", ""] == found["matrix_worker_seen_seconds", ""]


@pytest.fixture
async def silent() -> AsyncIterator[Database]:
    """A database that lets everybody in and answers nobody."""

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    on = databases.connect(f"postgresql+psycopg://nobody@127.0.0.1:{port}/none")
    yield on
    await on.close()
    server.close()


async def test_a_database_that_is_away_or_silent_fails_no_scrape(api: Api, silent: Database) -> None:
    here = database()
    away = databases.connect("postgresql+psycopg://nobody@127.0.0.1:9/none")
    databases.install(away)
    try:
        found = await scraped(api)
    finally:
        databases.install(here)
        await away.close()

    assert found["matrix_database_answers", ""] == 0
    assert ("matrix_worker_seen_seconds", "") not in found
    assert any(name == "matrix_http_requests_total" for name, _ in found)
    assert await alarms.samples(silent, within_s=0.2) == [("matrix_database_answers", "", 0.0)]
