"""A year of billing in the demo: two customers on a clock that was set back a year and turned forward.

What they do is in steps, as everything in the demo; between steps their clock is turned, and what was due on the way is
billed as it would have been. Once it is today it follows the wall.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from models.clock import TestClock
from models.money import Money
from models.subscriptions import CancelReason
from services.billing import profiles
from services.billing import queries as billing
from services.billing.profiles import ProfileFields
from services.billing_runs import clock_turning
from services.catalog import plan_queries
from services.core import listing_sql
from services.core.actor import Actor, system
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.ids import new_id
from services.core.work import UnitOfWork
from services.demo.progress import Made, Progress, Step
from services.demo.stories import BILLED, Story
from services.gateway.calls import Call
from services.gateway.settlement import settle
from services.identity import accounts, clocks, organizations
from services.payments import transfers
from services.subscriptions import subscriptions
from services.subscriptions.selecting import Wanted

YEAR_DAYS = 366  # before today
CALLS_DAYS, CALLS = (88, 61, 34, 9), 240
PAYS_DAYS = range(330, 60, -30)  # then the first falls behind, with two months to ask for
CLOCK = "billed/clock"
Act = Callable[[UnitOfWork, Made], Awaitable[Made]]


def steps(today: datetime, hashes: Mapping[str, str], model: str) -> list[Step]:
    """What the two do, each at its day before today. `hashes` are of their passwords, by mail address."""
    first, second = BILLED

    def step(name: str, days: int, story: Story, act: Act) -> Step:
        def by_system(made: Made) -> Actor:
            return system(made[_of(story)])

        return Step(f"{story.domain} {name}", today - timedelta(days=days), act, by_system)

    return [
        Step("customers of a year", today - timedelta(days=YEAR_DAYS), _founding(hashes)),
        step("starts", 365, first, _starts(first, "team", seats=4, coupon="WELCOME-20")),
        step("starts", 365, second, _starts(second, "team", seats=2)),
        step("grows", 240, first, _changes(first, "team", seats=7)),
        step("adds support", 200, second, _changes(second, "team", seats=2, support=True)),
        step("upgrades", 150, first, _changes(first, "scale", seats=9)),
        step("pauses", 100, second, _pauses),
        step("cancels", 45, second, _cancels),
        *(step(f"calls {days} days ago", days, first, _calls(first, model)) for days in CALLS_DAYS),
        *(step(f"pays {days} days ago", days, first, _pays) for days in PAYS_DAYS),
        *(step(f"pays {days} days ago", days, second, _pays) for days in (*PAYS_DAYS, 40)),
    ]


def _of(story: Story) -> str:
    return f"{story.domain}/organization"


def _founding(hashes: Mapping[str, str]) -> Act:
    async def found(uow: UnitOfWork, _: Made) -> Made:
        made: Made = {}
        clock_id: str | None = None
        for story in BILLED:
            (person,) = story.people
            address = story.address_of(person)
            owner = await accounts.add_confirmed(
                uow, email=address, name=person.name, password_hash=hashes[address]
            )
            await uow.session.flush()
            organization = await organizations.found_organization(
                uow,
                owner_id=owner,
                kind=story.kind,
                name=story.name,
                timezone=story.timezone,
                currency=story.currency,
                billing_mode=story.billing_mode,
                test_clock_id=clock_id,
            )
            if clock_id is None:
                clock = await clocks.create_test_clock(
                    uow, organization.id, name="A year of billing", shows=uow.wall_now, follows_wall=True
                )
                clock_id = clock.id
            made[_of(story)] = organization.id
        return {**made, CLOCK: clock_id or ""}

    return found


async def _wanted(uow: UnitOfWork, story: Story, slug: str, seats: int, *, support: bool = False) -> Wanted:
    offered = {row.slug: row.id for row in await listing_sql.select(uow, plan_queries.PLANS)}
    addons: dict[str, dict[str, Decimal]] = {offered["priority-support"]: {}} if support else {}
    return Wanted(offered[slug], story.currency, "month", quantities={"seats": Decimal(seats)}, addons=addons)


def _starts(story: Story, slug: str, *, seats: int, coupon: str = "") -> Act:
    async def start(uow: UnitOfWork, _: Made) -> Made:
        await profiles.set_profile(
            uow, ProfileFields(name=story.name, address="Am Hafen 3\n20457 Hamburg", country="DE")
        )
        wanted = await _wanted(uow, story, slug, seats)
        row = await subscriptions.start(uow, wanted, key="first", coupon=coupon)
        return {f"{story.domain}/subscription": row.id}

    return start


def _changes(story: Story, slug: str, *, seats: int, support: bool = False) -> Act:
    async def change(uow: UnitOfWork, made: Made) -> Made:
        wanted = await _wanted(uow, story, slug, seats, support=support)
        await subscriptions.change(uow, made[f"{story.domain}/subscription"], wanted)
        return {}

    return change


def _call(organization_id: str, model: str, now: datetime, number: int) -> Call:
    at = now - timedelta(minutes=5 * number)
    call = Call(new_id("req"), organization_id, "", "", "chat", at, "", "", model)
    call.status, call.prompt_tokens, call.completion_tokens = 200, 1_100 + 7 * number, 420 + 13 * number
    return call


async def _pauses(uow: UnitOfWork, made: Made) -> Made:
    """A quiet month."""
    until = uow.now + timedelta(days=30)
    await subscriptions.pause(uow, made[f"{BILLED[1].domain}/subscription"], resume_at=until)
    return {}


async def _pays(uow: UnitOfWork, _: Made) -> Made:
    """By bank transfer, each invoice that is open."""
    for one in await listing_sql.select(uow, billing.INVOICES, ("state", "finalized")):
        due = Money(one.due_minor, one.currency)
        await transfers.record(
            uow, money=due, key=f"transfer-{one.id}", invoice_id=one.id, reference=one.number or ""
        )
    return {}


def _calls(story: Story, model: str) -> Act:
    async def call(uow: UnitOfWork, made: Made) -> Made:
        """A busy day: the plan meters what goes in, and what comes out is billed by the price list."""
        await settle(uow, [_call(made[_of(story)], model, uow.now, number) for number in range(CALLS)])
        return {}

    return call


async def _cancels(uow: UnitOfWork, made: Made) -> Made:
    await subscriptions.cancel(
        uow, made[f"{BILLED[1].domain}/subscription"], reason=CancelReason.TOO_EXPENSIVE
    )
    return {}


async def turn_to(progress: Progress, at: datetime, *, today: datetime) -> None:
    """Turn the clock to `at`, if it is not there yet, and bill what is due on the way. May be killed and done again."""
    clock_id, wall = progress.made.get(CLOCK), FixedClock(today)
    if clock_id is None:
        return
    while True:
        async with crossing(Reason.DEMO, actor=system(), on=progress.on, clock=wall) as uow:
            row = await uow.get(TestClock, clock_id, lock=True)
            if row is None:
                return
            if row.target_at is None:
                if row.now_at >= at:
                    return
                await clock_turning.turn(uow, clock_id, to=at)
        await clock_turning.go_on(clock_id, progress.on, clock=wall)
