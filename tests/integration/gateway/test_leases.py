"""Many processes share one limit: what they hold never adds up to more, and moves to where it is wanted."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

import pytest

from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.gateway import limits
from services.gateway.leases import Leases, Wanted
from services.gateway.limits import Limiter, Subject
from services.gateway.refusals import Refusal

KEY = "apikey_shared:requests"
LIMIT = 100


async def held(database: Database) -> int:
    async with crossing(Reason.INVARIANTS, on=database) as uow:
        found = await uow.execute(
            "select coalesce(sum(share_per_minute), 0) from rate_lease"
            " where subject = :subject and expires_at > clock_timestamp()",
            subject=KEY,
        )
        return int(found.scalar_one())


async def test_concurrent_leasers_never_hold_more_than_the_limit(database: Database) -> None:
    chance = random.Random(4)
    processes = [Leases(database, f"p{number}") for number in range(4)]

    async def renew(leases: Leases) -> None:
        for _ in range(8):
            await leases.renew([Wanted(KEY, LIMIT, chance.randint(0, 500))])
            assert await held(database) <= LIMIT

    await asyncio.gather(*(renew(leases) for leases in processes))

    # In whatever order they met, a part that nobody holds finds its holder when demand is steady.
    for _ in range(3):
        for leases in processes:
            await leases.renew([Wanted(KEY, LIMIT, 100)])
    assert await held(database) == LIMIT


async def test_many_subjects_are_divided_without_a_deadlock(database: Database) -> None:
    subjects = [Wanted(f"apikey_{number}:tokens", 1_000, number) for number in range(60)]

    async def renew(process: str, order: list[Wanted]) -> None:
        for _ in range(5):
            await Leases(database, process).renew(order)

    await asyncio.gather(renew("up", subjects), renew("down", subjects[::-1]))


async def test_shares_follow_demand(database: Database) -> None:
    busy, calm = Leases(database, "busy"), Leases(database, "calm")
    for _ in range(6):
        busy_share = (await busy.renew([Wanted(KEY, LIMIT, 900)]))[KEY].per_minute
        calm_share = (await calm.renew([Wanted(KEY, LIMIT, 100)]))[KEY].per_minute
    assert (busy_share, calm_share) == (90, 10)


async def test_a_lease_that_ended_is_free_again(database: Database) -> None:
    gone, stays = Leases(database, "gone"), Leases(database, "stays")
    await gone.renew([Wanted(KEY, LIMIT, 10)])
    assert (await stays.renew([Wanted(KEY, LIMIT, 10)]))[KEY].per_minute == 0

    async with crossing(Reason.LEASES, on=database) as uow:
        await uow.execute("update rate_lease set expires_at = clock_timestamp() where process = 'gone'")

    assert (await stays.renew([Wanted(KEY, LIMIT, 10)]))[KEY].per_minute == LIMIT


async def test_who_comes_back_in_the_same_slot_takes_over_its_lease(database: Database) -> None:
    await Leases(database, "node-0000").renew([Wanted(KEY, LIMIT, 10)])
    assert (await Leases(database, "node-0000").renew([Wanted(KEY, LIMIT, 0)]))[KEY].per_minute == LIMIT


async def test_two_processes_together_let_through_one_limit(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock stands still, so nothing flows off: exactly the limit passes, wherever calls arrive. And the newcomer
    asks for its share until it has one, however long the other takes to hear of it."""
    monkeypatch.setattr(limits, "NEWCOMER_TRIES", 10_000)
    monkeypatch.setattr(limits, "ACQUIRE_S_MAX", 60.0)
    subjects = (Subject("apikey_x:requests", "requests", 40, "apikey_x"),)
    one, two = (Limiter(Leases(database, name), clock=lambda: 100.0) for name in ("one", "two"))

    async def passes(limiter: Limiter, calls: int) -> int:
        passed = 0
        for _ in range(calls):
            with suppress(Refusal):
                await limiter.admit(subjects, prepaid=False, tokens=1)
                passed += 1
        return passed

    first = await passes(one, 10)

    async def give_back_when_asked() -> None:
        while not two._holds:
            await one.renew_wanted(frozenset({"apikey_x:requests"}))
            await asyncio.sleep(0)

    newcomer, _ = await asyncio.gather(passes(two, 30), give_back_when_asked())
    rest = await passes(one, 60)

    assert newcomer > 0
    assert first + newcomer + rest <= 40


async def test_a_newcomer_does_not_refuse_others_while_it_waits_for_its_share(database: Database) -> None:
    subjects = (Subject("apikey_x:requests", "requests", 1_000, "apikey_x"),)
    limiter = Limiter(Leases(database, "one"))

    admissions = await asyncio.gather(*(limiter.admit(subjects, prepaid=False, tokens=1) for _ in range(50)))

    assert len(admissions) == 50


async def test_leases_are_given_back_when_a_process_stops(database: Database) -> None:
    limiter = Limiter(Leases(database, "one"))
    await limiter.admit((Subject(KEY, "requests", LIMIT, "apikey_shared"),), prepaid=False, tokens=1)
    assert await held(database) == LIMIT
    await limiter.stop()
    assert await held(database) == 0
