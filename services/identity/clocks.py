"""Test clocks: business time that staff turns, to see today what will be billed in a year.

Only business time (`uow.now`) follows. Sessions, signatures, limits and audit stay by the wall. What happens
at an invented time is not for real, so an organisation on a test clock (`organization.test_clock_id`) stays
out of live reports. One that is real cannot be put on one, and one that is on one is never taken off. The verbs
take a `uow` that crosses tenants (Reason.STAFF).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from models.clock import TestClock
from models.identity import Organization
from models.types import OrganizationKind
from services.billing.presence import has_money
from services.core.actor import SYSTEM
from services.core.clock import business_now
from services.core.errors import Conflict, Invalid, not_found
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.identity import rules
from services.identity.events import TestClockAdvanced, TestClockCreated
from services.metering.presence import has_usage

NEEDED = Capability.STAFF_ORGANIZATIONS_WRITE
STEP_MAX = timedelta(days=5 * 366)  # of one advance, and from the wall when a clock is made
LATEST = datetime(2200, 1, 1, tzinfo=UTC)  # where the calendars of usage end


async def create_test_clock(
    uow: UnitOfWork, organization_id: str, *, name: str, shows: datetime, follows_wall: bool = False
) -> TestClock:
    """Have an organisation's business time stand at `shows`, within STEP_MAX of wall time either way.

    A clock that `follows_wall` starts in the past, to make a history, and is wall time once it has been
    advanced that far. Raises Forbidden, NotFound, Invalid, and Conflict for an operator organisation, one that
    has a test clock, and one that has been used (`organization_in_use`).
    """
    uow.actor.require(NEEDED)
    name = rules.clean_text(name, field="name", what="The name")
    _require_start(shows, wall_now=uow.wall_now, follows_wall=follows_wall)
    organization = await uow.get(Organization, organization_id, lock=True)
    if organization is None:
        raise not_found("organisation", organization_id)
    await _require_not_for_real(uow, organization)
    clock = TestClock(
        id=new_id("clk"), name=name, now_at=shows, follows_wall=follows_wall, created_at=uow.wall_now
    )
    uow.add(clock)
    await uow.session.flush()
    organization.test_clock_id = clock.id
    organization.version += 1
    uow.record(
        TestClockCreated(aggregate_id=clock.id, organization_id=organization.id, name=name, shows=shows)
    )
    return clock


async def advance_test_clock(uow: UnitOfWork, clock_id: str, *, to: datetime) -> TestClock:
    """Move a clock forward at once, for all organisations on it: by STEP_MAX at most, and to LATEST at most.

    Nothing that would have happened on the way does: services/billing_runs/clock_turning.py goes from moment to
    moment. A following clock moved to wall time or beyond it is wall time from then on. Moving to where the clock
    stands changes nothing. Raises as `turnable` does.
    """
    clock = await turnable(uow, clock_id, to=to)
    if to != shown_by(clock, uow.wall_now):
        await move(uow, clock, to=to)
    return clock


async def turnable(uow: UnitOfWork, clock_id: str, *, to: datetime) -> TestClock:
    """The clock, locked, if it may be moved to `to`. Raises Forbidden, NotFound, Invalid for a time that is past or too
    far, and Conflict for a clock that has caught up with the wall and for one that is being turned."""
    uow.actor.require(NEEDED)
    clock = await uow.get(TestClock, clock_id, lock=True)
    if clock is None:
        raise not_found("test clock", clock_id)
    if clock.target_at is not None:
        raise _turning(clock.target_at)
    if clock.follows_wall and clock.now_at >= uow.wall_now:
        raise Conflict(
            "This clock has caught up with the wall and follows it.",
            next_step="Take a clock that does not follow the wall to look into the future.",
            code="clock_follows_wall",
        )
    _require_step(shown_by(clock, uow.wall_now), to)
    return clock


def shown_by(clock: TestClock, wall_now: datetime) -> datetime:
    """Business time by the clock."""
    return business_now(wall_now, clock.now_at, follows_wall=clock.follows_wall)


async def move(uow: UnitOfWork, clock: TestClock, *, to: datetime, tell: bool = True) -> None:
    """Have a locked clock show `to`. The caller was let to, and knows that it goes forward."""
    caught_up = clock.follows_wall and to >= uow.wall_now
    # Whoever shows wall time must stay ahead of it, for a clock behind the wall is one that stands.
    clock.now_at = LATEST if caught_up else to
    uow.add(clock)
    if tell:
        await _record_advance(uow, clock, shows=uow.wall_now if caught_up else to)


def is_trial(uow: UnitOfWork) -> bool:
    """Whether what the organisation does is not for real: its clock stands, and never becomes wall time."""
    return uow.clock is not None and not uow.clock.follows_wall


def require_still(uow: UnitOfWork) -> None:
    """Whoever acts by a clock must know what it shows. Raises Conflict while that of the organisation is turned."""
    if uow.clock is not None and uow.clock.target_at is not None:
        raise _turning(uow.clock.target_at)


def require_still_for_people(uow: UnitOfWork) -> None:
    """The same for acts that the product itself does, too, while it turns the clock."""
    if uow.actor.id != SYSTEM:
        require_still(uow)


def _turning(target: datetime) -> Conflict:
    return Conflict(
        f"The clock of this organisation is being turned to {target.isoformat()}.",
        next_step="Try again when it is there.",
        code="clock_is_turning",
    )


async def _record_advance(uow: UnitOfWork, clock: TestClock, *, shows: datetime) -> None:
    """Once for each organisation on the clock, so that whoever follows one of them hears of it."""
    found = await uow.execute(
        "select id from organization where test_clock_id = :id order by id", id=clock.id
    )
    for organization_id in found.scalars():
        uow.record(TestClockAdvanced(aggregate_id=clock.id, organization_id=organization_id, shows=shows))


async def _require_not_for_real(uow: UnitOfWork, organization: Organization) -> None:
    if organization.kind == OrganizationKind.OPERATOR:
        raise Conflict(
            "The operator's prices and decisions are for real: its organisation has no test clock.",
            next_step="Found an organisation to try things with.",
        )
    if organization.test_clock_id is not None:
        raise Conflict("This organisation has a test clock already.", next_step="Advance that one.")
    if await has_usage(uow, organization.id) or await has_money(uow, organization.id):
        raise Conflict(
            "This organisation is real: it has usage, subscriptions, documents, payments or a kept payment method,"
            " which would leave the reports.",
            next_step="Found another organisation to try things with.",
            code="organization_in_use",
        )


def _require_start(shows: datetime, *, wall_now: datetime, follows_wall: bool) -> None:
    if shows.tzinfo is None:
        raise Invalid("A time needs its offset from UTC.", field="shows")
    if not wall_now - STEP_MAX <= shows <= wall_now + STEP_MAX:
        raise Invalid(
            f"A test clock begins within {STEP_MAX.days // 366} years of today.",
            field="shows",
            next_step="Begin nearer and advance it.",
        )
    if follows_wall and shows > wall_now:
        raise Invalid("A clock that follows the wall begins in the past.", field="shows")


def _require_step(shown: datetime, to: datetime) -> None:
    if to.tzinfo is None:
        raise Invalid("A time needs its offset from UTC.", field="to")
    if to < shown:
        raise Invalid(
            f"The clock shows {shown.isoformat()} and goes forward only.",
            field="to",
            next_step="Choose a later time, or found another organisation and begin earlier.",
        )
    if to > min(shown + STEP_MAX, LATEST):
        raise Invalid(
            f"A clock advances {STEP_MAX.days // 366} years at most in one step, and to {LATEST.year} at most.",
            field="to",
            next_step="Advance in several steps.",
        )
