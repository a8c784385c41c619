"""Prepaid callers: let through as long as what a call may cost is there, to the last one that fits, and no further."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import openai
import psycopg
import pytest

from models.identity import Organization
from models.money import Money
from models.types import BillingMode
from services.core import database as databases
from services.core import migrations
from services.core.actor import system
from services.core.crossing import Reason, crossing
from services.core.database import Database, libpq_url
from services.core.postgres import EmbeddedPostgres
from services.core.work import unit_of_work
from services.gateway import worst_case
from services.gateway.journal import Slot
from services.wallets import usage, wallets
from tests.folders import short_folder
from tests.integration.gateway.house import Client, FakeUpstream, GatewayProcess, House, served
from tests.world import World

CALLERS = 32
ASK: Any = [{"role": "user", "content": "Say five words."}]
BODY = {"model": "plain", "messages": ASK, "max_tokens": 5}
COST = Decimal("0.0507")  # 7 tokens in and 5 out, by the prices below
# 15 bytes of text are 15 tokens at most, beside what a template may add.
MOST = Decimal("0.05") + (15 + worst_case.MESSAGE_TOKENS_MAX + worst_case.TEMPLATE_TOKENS) * Decimal("0.0001")


async def furnish(house: House) -> None:
    await house.furnish("plain", "free")
    await house.price("plain", prompt="100", completion="10000")


async def fill(house: House, organization: Organization, minor: int, key: str = "pay-1") -> None:
    async with unit_of_work(system(organization.id), on=house.database) as uow:
        await wallets.top_up(uow, money=Money(minor, "USD"), payment_key=key)


@dataclass(frozen=True, slots=True)
class Balance:
    left_minor: int
    accrued: Decimal
    held: Decimal
    uncovered: Decimal
    debited_minor: int

    @property
    def exact(self) -> Decimal:
        return Decimal(self.left_minor) / 100 - self.accrued


async def balance(house: House, organization: Organization) -> Balance:
    async with crossing(Reason.INVARIANTS, on=house.database) as uow:
        found = await uow.execute(
            "select left_minor, accrued, held, uncovered, outbound_minor from wallet where organization_id = :id",
            id=organization.id,
        )
        return Balance(*found.one())


def fitting(there: Decimal) -> int:
    """How many calls one after the other fit into a balance."""
    return int((there - MOST) // COST) + 1 if there >= MOST else 0


async def drain(clients: Sequence[Client], *houses: House) -> int:
    """One call after the other, by turns, until none of them passes although nobody holds what he does not need.
    Returns how many passed."""
    passed = 0
    while True:
        for house in houses:
            await house.gateway.purses.give_back(frozenset({f"wallet:{clients[0].organization.id}:USD"}))
        statuses = [(await one.http.post("/chat/completions", json=BODY)).status_code for one in clients]
        assert set(statuses) <= {200, 429, 503}
        passed += statuses.count(200)
        if set(statuses) == {429}:
            return passed


async def test_a_prepaid_caller_is_stopped_at_the_last_call_that_fits_and_told_how_to_go_on(
    gateway: House,
) -> None:
    await furnish(gateway)
    ben = await gateway.client(billing_mode=BillingMode.PREPAID)
    with pytest.raises(openai.RateLimitError):
        await ben.ai.chat.completions.create(
            model="plain", messages=ASK, max_tokens=5
        )  # there is no wallet yet
    await fill(gateway, ben.organization, 1_00)

    assert await drain([ben], gateway) == fitting(Decimal(1)) == 18

    with pytest.raises(openai.RateLimitError) as refused:
        await ben.ai.chat.completions.create(model="plain", messages=ASK, max_tokens=5)
    assert (refused.value.code, refused.value.type) == ("insufficient_quota", "insufficient_quota")
    assert refused.value.response.headers["x-should-retry"] == "false"
    assert "0.1091 USD" in refused.value.message
    assert "0.0874 USD of your prepaid balance is free. Top up" in refused.value.message
    there = await balance(gateway, ben.organization)
    assert (there.exact, there.uncovered) == (1 - 18 * COST, 0)
    assert there.debited_minor == 91  # whole cents; what is less is carried on

    await fill(gateway, ben.organization, 5, "pay-2")
    assert await drain([ben], gateway) == 1
    rows = Counter(row["error_code"] for row in await gateway.rows(ben.organization))
    assert rows == {"": 19, "insufficient_quota": 4}


async def test_what_costs_nothing_needs_no_wallet_and_who_pays_later_is_not_asked(gateway: House) -> None:
    await furnish(gateway)
    ben = await gateway.client(billing_mode=BillingMode.PREPAID)
    ana = await gateway.client()
    await ben.ai.chat.completions.create(model="free", messages=ASK)
    await ana.ai.chat.completions.create(model="plain", messages=ASK)

    assert len(await gateway.rows()) == 2
    async with crossing(Reason.INVARIANTS, on=gateway.database) as uow:
        assert (await uow.execute("select count(*) from wallet where left_minor <> 0")).scalar_one() == 0
        assert (await uow.execute("select count(*) from wallet_hold")).scalar_one() == 0


async def test_without_a_limit_of_its_own_an_answer_may_be_as_long_as_the_context(gateway: House) -> None:
    await furnish(gateway)
    ben = await gateway.client(billing_mode=BillingMode.PREPAID)
    await fill(gateway, ben.organization, 40_00)
    with pytest.raises(openai.RateLimitError, match=r"may cost up to 40\.96"):
        await ben.ai.chat.completions.create(model="plain", messages=ASK)
    await fill(gateway, ben.organization, 96, "pay-2")
    await ben.ai.chat.completions.create(model="plain", messages=ASK)


async def test_what_is_idle_goes_back_and_what_is_refused_takes_nothing(gateway: House) -> None:
    await furnish(gateway)
    ben = await gateway.client(billing_mode=BillingMode.PREPAID)
    await fill(gateway, ben.organization, 500_00)
    await ben.ai.chat.completions.create(model="plain", messages=ASK, max_tokens=5)
    refused = await ben.http.post("/chat/completions", json={**BODY, "max_tokens": -1})
    await gateway.gateway.settler.settle_waiting()

    assert refused.status_code == 400
    there = await balance(gateway, ben.organization)
    assert there.held > 0  # for calls to come
    await gateway.gateway.purses.give_back(frozenset({f"wallet:{ben.organization.id}:USD"}))
    there = await balance(gateway, ben.organization)
    assert (there.held, there.exact) == (0, 500 - COST)


async def crowd(clients: Sequence[Client], callers: int) -> int:
    """Callers at once, each until it is refused three times. Returns how many calls passed."""

    async def one(client: Client) -> int:
        passed, refused = 0, 0
        while refused < 3:
            answer = await client.http.post("/chat/completions", json=BODY)
            passed += answer.status_code == 200
            refused += answer.status_code != 200
        return passed

    return sum(await asyncio.gather(*(one(clients[n % len(clients)]) for n in range(callers))))


async def test_two_gateways_and_many_callers_meet_at_the_last_cent(gateway: House) -> None:
    await furnish(gateway)
    ben = await gateway.client(billing_mode=BillingMode.PREPAID)
    await fill(gateway, ben.organization, 2_00)
    other = House(gateway.database, gateway.world, gateway.fake, gateway.data_dir)
    async with served(other):
        clients = [ben, other.using(ben.organization, ben.key)]
        passed = await crowd(clients, 12) + await drain(clients, gateway, other)

    assert passed == fitting(Decimal(2))
    there = await balance(gateway, ben.organization)
    assert (there.exact, there.held, there.uncovered) == (2 - passed * COST, 0, 0)


async def test_what_a_dead_process_held_is_free_once_its_journal_is_settled(gateway: House) -> None:
    await furnish(gateway)
    ben = await gateway.client(billing_mode=BillingMode.PREPAID)
    await fill(gateway, ben.organization, 1_00)
    slot = gateway.gateway._slot
    living, dead = Slot.take(slot.directory, 7), f"{slot.node}-0008/dead"
    assert living is not None
    async with crossing(Reason.LEASES, on=gateway.database) as uow:
        for holder in (dead, f"{living.process}/lives"):
            held = await usage.hold(
                uow, ben.organization.id, "USD", holder, need=Decimal("0.5"), more=Decimal(0)
            )
            assert held.amount == Decimal("0.5")

    await gateway.gateway._recoverer.recover([])

    assert (await balance(gateway, ben.organization)).held == Decimal("0.5")  # the other one's
    living.release()
    await gateway.gateway._recoverer.recover([])
    assert (await balance(gateway, ben.organization)).held == 0


@pytest.mark.deep
@pytest.mark.timeout(240)
async def test_two_processes_and_32_callers_meet_at_the_last_cent_and_one_is_killed(
    house: House, owner_url: str
) -> None:
    await furnish(house)
    first, second = GatewayProcess(house, owner_url), GatewayProcess(house, owner_url)
    clients = await _clients_of(house, [first, second])
    ben = clients[0].organization
    await fill(house, ben, 4_00)

    passed = await crowd(clients, CALLERS) + await _drained(clients)

    assert passed == fitting(Decimal(4))
    await fill(house, ben, 500_00, "pay-2")
    async with await psycopg.AsyncConnection.connect(libpq_url(owner_url)) as owner:
        await owner.execute(
            "lock table usage_event in access exclusive mode"
        )  # nothing is settled before it dies
        await clients[1].ai.chat.completions.create(model="plain", messages=ASK, max_tokens=5)
        second.kill()
    assert (await balance(house, ben)).held > COST
    third = GatewayProcess(house, owner_url)
    await third.until_ready()
    async with asyncio.timeout(60):
        while (await balance(house, ben)).held:  # noqa: ASYNC110 (another process releases it)
            await asyncio.sleep(0.01)

    assert first.stop() == third.stop() == 0
    there = await balance(house, ben)
    assert (there.exact, there.held, there.uncovered) == (504 - (passed + 1) * COST, 0, 0)
    answered = [row for row in await house.rows(ben) if row["status"] == 200]
    assert len(answered) == passed + 1


async def _clients_of(house: House, processes: Sequence[GatewayProcess]) -> list[Client]:
    """One key of a prepaid organisation, at each of these processes."""
    clients: list[Client] = []
    for process in processes:
        await process.until_ready()
        house.base_url = process.base_url
        client = await house.client(billing_mode=BillingMode.PREPAID) if not clients else None
        clients.append(client or house.using(clients[0].organization, clients[0].key))
    return clients


@pytest.mark.deep
@pytest.mark.timeout(300)
async def test_a_database_that_is_killed_again_and_again_loses_no_cent(
    fake: FakeUpstream, tmp_path: Path
) -> None:
    """Two processes and 32 callers on a database of their own, whose backends are killed until nothing is left."""
    with short_folder() as folder:
        server = EmbeddedPostgres(folder / "data", durable=True)
        server.start()
        try:
            server.ensure_database("prepaid")
            migrations.migrate(server.owner_url("prepaid"))
            on = databases.connect(server.app_url("prepaid"), pool_size=5)
            databases.install(on)
            await _killed_again_and_again(House(on, World(on), fake, tmp_path), server, on)
            databases.install(None)
            await on.close()
        finally:
            server.stop()


async def _killed_again_and_again(house: House, server: EmbeddedPostgres, on: Database) -> None:
    await furnish(house)
    processes = [
        GatewayProcess(house, server.owner_url("prepaid"), MATRIX_DATABASE_APP_URL=on.url) for _ in "ab"
    ]
    clients = await _clients_of(house, processes)
    ben = clients[0]
    await fill(house, ben.organization, 200_00)
    statuses: Counter[int] = Counter()
    emptied = asyncio.Event()

    async def call(client: Client) -> None:
        while not emptied.is_set():
            status = (await client.http.post("/chat/completions", json=BODY)).status_code
            statuses[status] += 1
            if status == 429 and statuses[429] > 10 * CALLERS:
                emptied.set()
            if status != 200:
                await asyncio.sleep(0.02)

    async def kill() -> None:
        while not emptied.is_set():
            await asyncio.sleep(1.5)
            with suppress(psycopg.OperationalError), server.superuser() as owner:
                victim = owner.execute(
                    "select pid from pg_stat_activity where datname = 'prepaid' order by random() limit 1"
                ).fetchone()
                if victim:
                    os.kill(victim[0], signal.SIGKILL)

    await asyncio.gather(kill(), *(call(clients[n % 2]) for n in range(CALLERS)))
    await _ready_again(on)
    passed = statuses[200] + await _drained(clients)

    assert all(process.stop() == 0 for process in processes)
    there = await balance(house, ben.organization)
    answered = [row for row in await house.rows(ben.organization) if row["status"] == 200]
    assert len(answered) == passed
    assert (there.exact, there.uncovered, there.held) == (200 - passed * COST, 0, 0)
    assert passed == fitting(Decimal(200))
    assert set(statuses) <= {200, 429, 503}
    await house.close()


async def _ready_again(on: Database) -> None:
    async with asyncio.timeout(60):
        while True:
            with suppress(Exception):
                async with crossing(Reason.INVARIANTS, on=on) as uow:
                    await uow.execute("select 1")
                return
            await asyncio.sleep(0.05)


async def _drained(clients: Sequence[Client]) -> int:
    """As `drain`, where other processes can only be asked: by the calls that they refuse."""
    passed, refused = 0, 0
    async with asyncio.timeout(90):
        while refused < 8:
            for client in clients:
                status = (await client.http.post("/chat/completions", json=BODY)).status_code
                passed += status == 200
                refused = refused + 1 if status == 429 else 0
                if status != 200:
                    await asyncio.sleep(0.2)
    return passed
