"""Business time is the organisation's; security time is the wall's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from models.clock import TestClock
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.ids import new_id
from services.core.work import unit_of_work
from tests.world import World

WALL = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("shown", "follows_wall", "business"),
    [
        (datetime(2027, 1, 31, tzinfo=UTC), False, datetime(2027, 1, 31, tzinfo=UTC)),
        (datetime(2025, 1, 31, tzinfo=UTC), False, datetime(2025, 1, 31, tzinfo=UTC)),
        (WALL - timedelta(days=90), True, WALL - timedelta(days=90)),
        (WALL, True, WALL),
        (WALL + timedelta(seconds=1), True, WALL),
    ],
)
async def test_a_test_clock_shows_business_time(
    database: Database, world: World, shown: datetime, follows_wall: bool, business: datetime
) -> None:
    organization = await world.organization()
    async with crossing(Reason.DEMO) as uow:
        clock = TestClock(
            id=new_id("clk"), name="c", now_at=shown, follows_wall=follows_wall, created_at=WALL
        )
        uow.add(clock)
        await uow.execute(
            "update organization set test_clock_id = :clock where id = :id",
            clock=clock.id,
            id=organization.id,
        )

    async with unit_of_work(world.actor(organization), clock=FixedClock(WALL)) as uow:
        assert uow.now == business
        assert uow.wall_now == WALL


async def test_without_a_test_clock_business_time_is_wall_time(database: Database, world: World) -> None:
    organization = await world.organization()

    async with unit_of_work(world.actor(organization), clock=FixedClock(WALL)) as uow:
        assert uow.now == uow.wall_now == WALL
