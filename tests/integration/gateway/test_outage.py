"""The database is away: postpaid callers go on, prepaid ones stop when their lease ends, nothing is lost."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import openai
import psycopg
import pytest
from psycopg import sql

from models.types import BillingMode
from services.core.database import Database
from services.core.errors import MatrixError
from services.core.postgres import EmbeddedPostgres
from services.gateway import settlement
from services.gateway.calls import Call
from services.gateway.leases import LEASE_S, Leases
from services.gateway.limits import KEEP_S, Limiter, Subject
from services.gateway.refusals import Refusal
from tests.integration.gateway.house import House

ASK: Any = [{"role": "user", "content": "Say five words."}]


@asynccontextmanager
async def away(postgres: EmbeddedPostgres, name: str) -> AsyncIterator[None]:
    """No connection to this database, old or new, until the block ends."""
    keeper = await psycopg.AsyncConnection.connect(
        host=str(postgres.socket_dir), user="postgres", dbname="postgres", autocommit=True
    )
    allow = sql.SQL("alter database {} allow_connections {}")
    async with keeper:
        await keeper.execute(allow.format(sql.Identifier(name), sql.SQL("false")))
        await keeper.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (name,)
        )
        try:
            yield
        finally:
            await keeper.execute(allow.format(sql.Identifier(name), sql.SQL("true")))


async def settled(house: House) -> None:
    """Connections that died while the database was away are found dead once each."""
    for _ in range(20):
        try:
            await house.gateway.settler.settle_waiting()
        except MatrixError:
            continue
        return
    raise AssertionError("the database does not come back")


async def test_postpaid_calls_go_on_and_are_booked_when_it_is_back(
    gateway: House, postgres: EmbeddedPostgres, database_name: str
) -> None:
    await gateway.furnish("plain")
    ana = await gateway.client()
    await ana.ai.chat.completions.create(model="plain", messages=ASK)

    async with away(postgres, database_name):
        gateway.gateway.limiter.clock = lambda: time.monotonic() + 2 * LEASE_S  # every lease has ended
        for _ in range(10):
            await ana.ai.chat.completions.create(model="plain", messages=ASK)
        with pytest.raises(MatrixError):
            await gateway.gateway.settler.settle_waiting()
    await settled(gateway)

    rows = await gateway.rows(ana.organization)
    assert [row["status"] for row in rows] == [200] * 11
    assert (await gateway.usage(ana.organization))["completion_tokens"] == 55


async def idle(house: House) -> None:
    """So long without a call that leases are given back, as the limiter does it every few seconds."""
    house.gateway.limiter.clock = lambda: time.monotonic() + KEEP_S + LEASE_S
    await house.gateway.limiter.renew_all()


@pytest.mark.parametrize("mode", [BillingMode.POSTPAID, BillingMode.PREPAID])
async def test_who_had_been_idle_before_goes_on_only_if_postpaid(
    gateway: House, postgres: EmbeddedPostgres, database_name: str, mode: BillingMode
) -> None:
    await gateway.furnish("plain")
    ana = await gateway.client(billing_mode=mode)
    body = {"model": "plain", "messages": ASK}
    assert (await ana.http.post("/chat/completions", json=body)).status_code == 200
    await idle(gateway)
    assert gateway.gateway.limiter._holds == {}

    async with away(postgres, database_name):
        statuses = [(await ana.http.post("/chat/completions", json=body)).status_code for _ in range(3)]
    await settled(gateway)

    expected = 200 if mode == BillingMode.POSTPAID else 503
    assert statuses == [expected] * 3
    assert [row["status"] for row in await gateway.rows(ana.organization)] == [200, *statuses]


@pytest.mark.parametrize("mode", [BillingMode.POSTPAID, BillingMode.PREPAID])
async def test_who_was_idle_during_it_goes_on_only_if_postpaid(
    gateway: House, postgres: EmbeddedPostgres, database_name: str, mode: BillingMode
) -> None:
    await gateway.furnish("plain")
    ana = await gateway.client(billing_mode=mode)
    body = {"model": "plain", "messages": ASK}
    assert (await ana.http.post("/chat/completions", json=body)).status_code == 200

    async with away(postgres, database_name):
        with pytest.raises(MatrixError):
            await idle(gateway)
        held = dict(gateway.gateway.limiter._holds)
        answer = await ana.http.post("/chat/completions", json=body)
    await settled(gateway)

    assert held  # what could not be given back is still ours
    assert answer.status_code == (200 if mode == BillingMode.POSTPAID else 503)


async def test_what_passed_without_a_lease_is_bounded_and_counted_at_the_next_renewal(
    database: Database, postgres: EmbeddedPostgres, database_name: str
) -> None:
    subjects = (Subject("apikey_x:requests", "requests", 10, "apikey_x"),)
    limiter = Limiter(Leases(database, "one"), clock=lambda: 1_000.0)
    passed = 0

    async with away(postgres, database_name):
        for _ in range(30):
            with suppress(Refusal):
                await limiter.admit(subjects, prepaid=False, tokens=1)
                passed += 1
    (hold,) = limiter._holds.values()
    assert passed == 10
    assert not hold.leased

    await renewed(limiter)

    assert hold.leased
    assert hold.share == 10
    with pytest.raises(Refusal):
        await limiter.admit(subjects, prepaid=False, tokens=1)


async def test_a_lower_limit_holds_at_once_even_if_it_cannot_be_leased(
    database: Database, postgres: EmbeddedPostgres, database_name: str
) -> None:
    before, after = (Subject("apikey_x:requests", "requests", limit, "apikey_x") for limit in (1_000, 5))
    limiter = Limiter(Leases(database, "one"), clock=lambda: 1_000.0)
    await limiter.admit((before,), prepaid=False, tokens=1)
    passed = 0

    async with away(postgres, database_name):
        for _ in range(30):
            with suppress(Refusal):
                await limiter.admit((after,), prepaid=False, tokens=1)
                passed += 1

    assert passed == 4  # one had passed before


async def renewed(limiter: Limiter) -> None:
    """As `settled`, for the leases."""
    for _ in range(20):
        try:
            await limiter.renew_all()
        except MatrixError:
            continue
        return
    raise AssertionError("the database does not come back")


async def test_prepaid_calls_stop_when_the_lease_has_ended(
    gateway: House, postgres: EmbeddedPostgres, database_name: str
) -> None:
    await gateway.furnish("plain")
    ben = await gateway.client(billing_mode=BillingMode.PREPAID)
    await ben.ai.chat.completions.create(model="plain", messages=ASK)

    async with away(postgres, database_name):
        await ben.ai.chat.completions.create(model="plain", messages=ASK)  # the lease still runs
        gateway.gateway.limiter.clock = lambda: time.monotonic() + 2 * LEASE_S
        with pytest.raises(openai.InternalServerError) as stopped:
            await ben.ai.chat.completions.create(model="plain", messages=ASK)
    await settled(gateway)
    await ben.ai.chat.completions.create(model="plain", messages=ASK)

    assert stopped.value.status_code == 503
    assert stopped.value.code == "temporarily_unavailable"
    assert [row["status"] for row in await gateway.rows(ben.organization)] == [200, 200, 503, 200]


async def test_an_unknown_key_is_not_let_in_unchecked(
    gateway: House, postgres: EmbeddedPostgres, database_name: str
) -> None:
    await gateway.furnish("plain")
    ana = await gateway.client()

    async with away(postgres, database_name):
        with pytest.raises(openai.InternalServerError) as refused:
            await ana.ai.chat.completions.create(model="plain", messages=ASK)

    assert refused.value.status_code == 503


async def test_what_memory_has_no_room_for_is_read_from_the_journal(
    gateway: House, postgres: EmbeddedPostgres, database_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settlement, "MEMORY_CALLS_MAX", 3)
    await gateway.furnish("plain")
    ana = await gateway.client()
    await ana.ai.chat.completions.create(model="plain", messages=ASK)

    async with away(postgres, database_name):
        for _ in range(12):
            await ana.ai.chat.completions.create(model="plain", messages=ASK)
        assert gateway.gateway.settler.unsettled >= 12
        assert len(gateway.gateway.settler._waiting) <= 3
    await settled(gateway)

    assert len(await gateway.rows(ana.organization)) == 13
    assert (await gateway.usage(ana.organization))["requests"] == 13
    assert gateway.gateway.settler.unsettled == 0


async def test_a_call_that_cannot_be_booked_does_not_hold_up_the_others(gateway: House) -> None:
    await gateway.furnish("plain")
    ana = await gateway.client()
    await ana.ai.chat.completions.create(model="plain", messages=ASK)
    entry = gateway.gateway.journal.open(_stray(gateway))
    entry.call.status = 200
    gateway.gateway._close(entry)
    await ana.ai.chat.completions.create(model="plain", messages=ASK)

    assert len(await gateway.rows(ana.organization)) == 2
    assert entry.segment.parked  # kept on disk for people to look at


def _stray(house: House) -> Call:
    return Call(
        id="req_01h455vb4pex5vsknk084sn02q",
        organization_id="org_of_nobody",
        key_id="",
        account_id="",
        endpoint="chat",
        started_at=house.gateway._clock.now(),
        address="",
        trace_id="",
    )
