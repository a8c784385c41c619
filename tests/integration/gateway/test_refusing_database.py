"""A database that answers but refuses every write, as after a failover or before its migration."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql
from sqlalchemy.exc import DBAPIError

from models.types import BillingMode, Role
from services.core.database import Database, libpq_url
from services.gateway import limits
from services.gateway.leases import LEASE_S
from tests.integration.gateway.house import House, until
from tests.integration.gateway.test_gateway_doors import sign_in

ASK: Any = [{"role": "user", "content": "Say five words."}]
BODY = {"model": "plain", "messages": ASK}


async def test_no_call_is_set_aside_for_what_is_no_fault_of_its_own(gateway: House, owner_url: str) -> None:
    await gateway.furnish("plain")
    ana = await gateway.client()
    async with await psycopg.AsyncConnection.connect(libpq_url(owner_url), autocommit=True) as owner:
        await owner.execute("revoke insert on request from matrix_crossing")
        for _ in range(3):
            await ana.ai.chat.completions.create(model="plain", messages=ASK)
        with pytest.raises(DBAPIError):
            await gateway.gateway.settler.settle_waiting()
        await owner.execute("grant insert on request to matrix_crossing")

    rows = await gateway.rows(ana.organization)

    assert [row["status"] for row in rows] == [200] * 3
    assert not any(segment.parked for segment in gateway.gateway.journal.segments())
    assert (await gateway.usage(ana.organization))["completion_tokens"] == 15


Refuse = Callable[[], Awaitable[None]]


@pytest.fixture(params=["read-only", "no rights"])
async def refuse(request: pytest.FixtureRequest, database: Database, owner_url: str) -> AsyncIterator[Refuse]:
    """Call it, and from then on the database writes no leases: it answers all the same."""
    async with await psycopg.AsyncConnection.connect(libpq_url(owner_url), autocommit=True) as owner:

        async def begin() -> None:
            if request.param == "no rights":
                await owner.execute("revoke insert, update, delete on rate_lease from matrix_crossing")
                return
            name = sql.Identifier(owner.info.dbname)
            await owner.execute(
                sql.SQL("alter database {} set default_transaction_read_only = on").format(name)
            )
            await database.engine.dispose()  # a connection keeps the setting it began with

        yield begin


async def statuses(client: httpx.AsyncClient, **headers: str) -> list[int]:
    return [
        (await client.post("/chat/completions", json=BODY, headers=headers)).status_code for _ in range(3)
    ]


async def test_new_callers_go_on_if_postpaid_and_are_told_to_wait_if_prepaid(
    gateway: House, refuse: Refuse
) -> None:
    await gateway.furnish("plain")
    await gateway.gateway.directory.load()
    ana = await gateway.client()
    ben = await gateway.client(billing_mode=BillingMode.PREPAID)
    await refuse()

    assert await statuses(ana.http) == [200] * 3
    assert await statuses(ben.http) == [503] * 3


async def test_callers_with_a_lease_go_on_when_it_ends_only_if_postpaid(
    gateway: House, refuse: Refuse
) -> None:
    await gateway.furnish("plain")
    ana = await gateway.client()
    ben = await gateway.client(billing_mode=BillingMode.PREPAID)
    for one in (ana, ben):
        assert await statuses(one.http) == [200] * 3
    await refuse()
    gateway.gateway.limiter.clock = lambda: time.monotonic() + 2 * LEASE_S

    assert await statuses(ana.http) == [200] * 3
    assert await statuses(ben.http) == [503] * 3


async def test_people_are_held_to_what_their_organisation_agreed(gateway: House, refuse: Refuse) -> None:
    await gateway.furnish("plain")
    await gateway.gateway.directory.load()
    postpaid, _, _ = await sign_in(gateway, Role.DEVELOPER)
    prepaid, _, _ = await sign_in(gateway, Role.DEVELOPER, billing_mode=BillingMode.PREPAID)
    await refuse()

    async with postpaid, prepaid:
        assert await statuses(postpaid, **{"X-Matrix-CSRF": "1"}) == [200] * 3
        assert await statuses(prepaid, **{"X-Matrix-CSRF": "1"}) == [503] * 3


async def test_leases_are_renewed_again_when_it_takes_them(
    gateway: House, owner_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The renewal behind the scenes lives through it."""
    monkeypatch.setattr(limits, "RENEW_S", 0.01)
    await gateway.furnish("plain")
    ana = await gateway.client()
    async with await psycopg.AsyncConnection.connect(libpq_url(owner_url), autocommit=True) as owner:
        await owner.execute("revoke insert, update, delete on rate_lease from matrix_crossing")
        keeping = asyncio.create_task(gateway.gateway.limiter.keep())
        assert await statuses(ana.http) == [200] * 3
        holds = gateway.gateway.limiter._holds.values()
        assert not any(hold.leased for hold in holds)
        await owner.execute("grant insert, update, delete on rate_lease to matrix_crossing")

    await until(lambda: keeping.done() or all(hold.leased for hold in holds))

    assert not keeping.done()
    keeping.cancel()
