"""Staff turns the time of an organisation that is not for real, forward only; security stays by the wall."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models.clock import TestClock
from models.identity import Organization
from models.types import OrganizationKind, Role
from services.core.actor import system
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.errors import Conflict, Forbidden, Invalid, NotFound
from services.core.ids import new_id
from services.core.permissions import ROLE_CAPABILITIES
from services.core.work import unit_of_work
from services.identity import clocks, queries, sessions
from services.identity.clocks import LATEST, STEP_MAX
from services.identity.events import OrganizationResumed
from services.identity.organizations import found_organization
from services.identity.rules import SESSION_AGE_MAX
from services.metering import rules
from services.metering.service import ensure_platform_meters, record
from tests.integration.identity.conftest import People
from tests.world import World

WALL = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)
FEBRUARY = datetime(2026, 2, 1, tzinfo=UTC)
DAY = timedelta(days=1)


class Staff:
    """Somebody of the operator who works across tenants, by a clock that a test can move."""

    def __init__(self, world: World, operator: Organization, wall: FixedClock) -> None:
        self.actor = world.actor(operator, Role.OPERATOR)
        self.wall = wall

    async def put_on_clock(self, organization: Organization, shows: datetime, **options: Any) -> TestClock:
        async with crossing(Reason.STAFF, actor=self.actor, clock=self.wall) as uow:
            return await clocks.create_test_clock(uow, organization.id, name="Trial", shows=shows, **options)

    async def advance(self, clock: TestClock, to: datetime) -> TestClock:
        async with crossing(Reason.STAFF, actor=self.actor, clock=self.wall) as uow:
            return await clocks.advance_test_clock(uow, clock.id, to=to)


@pytest.fixture
async def staff(world: World, clock: FixedClock) -> Staff:
    return Staff(world, await world.organization(OrganizationKind.OPERATOR), clock)


@pytest.fixture
async def acme(world: World) -> Organization:
    return await world.organization(name="Acme")


async def times(world: World, organization: Organization, wall: FixedClock) -> tuple[datetime, datetime]:
    """(business time, wall time) of work within the organisation."""
    async with unit_of_work(world.actor(organization), clock=wall) as uow:
        return uow.now, uow.wall_now


async def events(world: World) -> list[tuple[str, str | None, datetime]]:
    """What was recorded of clocks: type, organisation, the time that is shown now."""
    async with crossing(Reason.INVARIANTS) as uow:
        rows = await uow.execute(
            "select type, organization_id, payload from event where type like 'test_clock.%' order by id"
        )
        return [(row.type, row.organization_id, datetime.fromisoformat(row.payload["shows"])) for row in rows]


async def test_business_time_stands_where_staff_put_it_and_moves_as_staff_moves_it(
    world: World, staff: Staff, acme: Organization, clock: FixedClock
) -> None:
    other = await world.organization()
    made = await staff.put_on_clock(acme, FEBRUARY)
    assert await times(world, acme, clock) == (FEBRUARY, WALL)

    clock.at += 3 * DAY
    assert await times(world, acme, clock) == (FEBRUARY, WALL + 3 * DAY)

    await staff.advance(made, FEBRUARY + 400 * DAY)
    assert await times(world, acme, clock) == (FEBRUARY + 400 * DAY, clock.at)
    assert await times(world, other, clock) == (clock.at, clock.at)
    assert await events(world) == [
        ("test_clock.created", acme.id, FEBRUARY),
        ("test_clock.advanced", acme.id, FEBRUARY + 400 * DAY),
    ]


async def test_what_happens_after_the_clock_was_advanced_has_the_new_time(
    world: World, staff: Staff, acme: Organization, clock: FixedClock
) -> None:
    made = await staff.put_on_clock(acme, FEBRUARY)
    await staff.advance(made, FEBRUARY + DAY)
    async with unit_of_work(world.actor(acme), clock=clock) as uow:
        uow.record(OrganizationResumed(aggregate_id=acme.id, organization_id=acme.id))

    async with crossing(Reason.INVARIANTS) as uow:
        row = (
            await uow.execute(
                "select happened_at, recorded_at from event where type = 'organization.resumed'"
            )
        ).one()
    assert (row.happened_at, row.recorded_at) == (FEBRUARY + DAY, WALL)


async def test_a_clock_never_goes_back(
    world: World, staff: Staff, acme: Organization, clock: FixedClock
) -> None:
    made = await staff.put_on_clock(acme, FEBRUARY)
    await staff.advance(made, FEBRUARY + DAY)

    with pytest.raises(Invalid) as refused:
        await staff.advance(made, FEBRUARY + DAY - timedelta(microseconds=1))
    await staff.advance(made, FEBRUARY + DAY)  # where it stands already: nothing happens

    assert refused.value.field == "to"
    assert (await times(world, acme, clock))[0] == FEBRUARY + DAY
    assert len(await events(world)) == 2


@pytest.mark.parametrize(
    "to",
    [
        FEBRUARY + STEP_MAX + timedelta(seconds=1),
        FEBRUARY.replace(tzinfo=None),
        datetime.max.replace(tzinfo=UTC),
    ],
)
async def test_a_step_is_bounded_and_has_an_offset(
    world: World, staff: Staff, acme: Organization, clock: FixedClock, to: datetime
) -> None:
    made = await staff.put_on_clock(acme, FEBRUARY)

    with pytest.raises(Invalid):
        await staff.advance(made, to)

    assert (await times(world, acme, clock))[0] == FEBRUARY
    await staff.advance(made, FEBRUARY + STEP_MAX)
    assert (await times(world, acme, clock))[0] == FEBRUARY + STEP_MAX


async def test_clocks_end_where_calendars_do(world: World, staff: Staff, acme: Organization) -> None:
    made = await staff.put_on_clock(acme, WALL + STEP_MAX)
    async with crossing(Reason.DEMO) as uow:
        await uow.execute("update test_clock set now_at = :at", at=LATEST - DAY)

    await staff.advance(made, LATEST)
    with pytest.raises(Invalid):
        await staff.advance(made, LATEST + timedelta(seconds=1))


@pytest.mark.parametrize(
    "shows",
    [
        WALL - STEP_MAX - DAY,
        WALL + STEP_MAX + DAY,
        WALL.replace(tzinfo=None),
        datetime.min.replace(tzinfo=UTC),
    ],
)
async def test_a_clock_begins_within_some_years_of_the_wall(
    world: World, staff: Staff, acme: Organization, clock: FixedClock, shows: datetime
) -> None:
    with pytest.raises(Invalid) as refused:
        await staff.put_on_clock(acme, shows)

    assert refused.value.field == "shows"
    assert await times(world, acme, clock) == (WALL, WALL)


async def test_a_following_clock_catches_up_and_is_wall_time_from_then_on(
    world: World, staff: Staff, acme: Organization, clock: FixedClock
) -> None:
    with pytest.raises(Invalid):
        await staff.put_on_clock(acme, WALL + DAY, follows_wall=True)
    made = await staff.put_on_clock(acme, FEBRUARY, follows_wall=True)
    await staff.advance(made, FEBRUARY + DAY)
    assert (await times(world, acme, clock))[0] == FEBRUARY + DAY

    await staff.advance(made, clock.at)
    clock.at += 30 * DAY

    assert await times(world, acme, clock) == (clock.at, clock.at)
    assert (await events(world))[-1] == ("test_clock.advanced", acme.id, WALL)
    with pytest.raises(Conflict):
        await staff.advance(made, clock.at + DAY)
    assert await times(world, acme, clock) == (clock.at, clock.at)


async def test_all_organisations_on_one_clock_move_together(
    world: World, staff: Staff, acme: Organization, clock: FixedClock
) -> None:
    made = await staff.put_on_clock(acme, FEBRUARY)
    owner = await world.account()
    async with crossing(Reason.DEMO) as uow:
        second = await found_organization(
            uow, owner_id=owner.id, kind=OrganizationKind.CLIENT, name="Second", test_clock_id=made.id
        )

    await staff.advance(made, FEBRUARY + DAY)

    assert (await times(world, acme, clock))[0] == (await times(world, second, clock))[0] == FEBRUARY + DAY
    moved = [organization_id for kind, organization_id, _ in await events(world) if kind.endswith("advanced")]
    assert moved == sorted([acme.id, second.id])


async def test_sessions_live_by_the_wall(people: People, staff: Staff, clock: FixedClock) -> None:
    account_id = await people.confirmed()
    organization_id = await people.organization(account_id)
    before = await people.sign_in()
    async with crossing(Reason.INVARIANTS) as uow:
        organization = await uow.get(Organization, organization_id)
    assert organization is not None
    made = await staff.put_on_clock(organization, WALL)
    await staff.advance(made, WALL + STEP_MAX)

    after = await people.sign_in()

    assert await queries.actor_for_token(before.token, clock=clock) is not None
    assert after.expires_at == WALL + SESSION_AGE_MAX
    clock.at = WALL + SESSION_AGE_MAX
    assert await queries.actor_for_token(after.token, clock=clock) is None
    await sessions.sign_out(after.token, clock=clock)
    assert await people.rows("select ended_at from session where ended_at is not null") == [(clock.at,)]


async def test_an_organisation_that_is_used_for_real_is_not_put_on_a_clock(
    world: World, staff: Staff, acme: Organization, clock: FixedClock
) -> None:
    event = rules.gateway_event(
        organization_id=acme.id, request_id="req_1", time=WALL, model="small", key_id="", status=200,
        endpoint="chat", prompt_tokens=1, completion_tokens=1,
    )  # fmt: skip
    async with crossing(Reason.CATALOG) as uow:
        await ensure_platform_meters(uow)
    async with crossing(Reason.GATEWAY_SETTLEMENT, clock=clock) as uow:
        await record(uow, [event])

    with pytest.raises(Conflict) as refused:
        await staff.put_on_clock(acme, FEBRUARY)

    assert refused.value.error_code == "organization_in_use"
    assert await times(world, acme, clock) == (WALL, WALL)


async def test_an_organisation_has_one_clock_and_the_operator_none(
    world: World, staff: Staff, acme: Organization
) -> None:
    operator = await world.organization(OrganizationKind.OPERATOR)
    await staff.put_on_clock(acme, FEBRUARY)

    for organization in (acme, operator):
        with pytest.raises(Conflict):
            await staff.put_on_clock(organization, FEBRUARY)

    async with crossing(Reason.INVARIANTS) as uow:
        assert (await uow.execute("select count(*) from test_clock")).scalar_one() == 1


async def test_what_is_not_there_is_not_found(staff: Staff, acme: Organization) -> None:
    acme.id = "org_nobody"
    with pytest.raises(NotFound):
        await staff.put_on_clock(acme, FEBRUARY)
    with pytest.raises(NotFound):
        await staff.advance(TestClock(id=new_id("clk"), name="", now_at=WALL, created_at=WALL), WALL + DAY)


@pytest.mark.parametrize("role", [None, *Role])
async def test_who_may_turn_a_clock(
    world: World, acme: Organization, clock: FixedClock, role: Role | None
) -> None:
    """None is the product itself, making a history."""
    operator = await world.organization(OrganizationKind.OPERATOR)
    actor = system() if role is None else world.actor(operator, role)
    allowed = role is None or role is Role.OPERATOR
    assert role is None or allowed == (clocks.NEEDED in ROLE_CAPABILITIES[role])
    made = TestClock(id=new_id("clk"), name="Trial", now_at=FEBRUARY, created_at=WALL)
    async with crossing(Reason.DEMO) as uow:
        uow.add(made)

    async def turn() -> None:
        async with crossing(Reason.STAFF, actor=actor, clock=clock) as uow:
            await clocks.create_test_clock(uow, acme.id, name="Trial", shows=FEBRUARY)
        async with crossing(Reason.STAFF, actor=actor, clock=clock) as uow:
            await clocks.advance_test_clock(uow, made.id, to=FEBRUARY + DAY)

    if allowed:
        await turn()
    else:
        with pytest.raises(Forbidden):
            await turn()
    assert (await times(world, acme, clock))[0] == (FEBRUARY if allowed else WALL)
