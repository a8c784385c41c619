"""Who has a version of a plan is moved to a newer one: as it was shown, once, whoever is killed meanwhile."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from models.identity import Account, Organization
from models.plan_migrations import PlanMigration
from models.plans import Plan, PlanVersion
from models.subscriptions import Subscription
from models.types import OrganizationKind, ProrationBehaviour, Role
from services.billing import policies
from services.catalog import plan_queries, plans
from services.catalog.plan_rules import ChargeFields
from services.catalog.plans import VersionFields
from services.core import listing_sql
from services.core.actor import system
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.errors import Invalid
from services.core.work import UnitOfWork, unit_of_work
from services.files.stores import FilePlaces, FolderStore
from services.invariants.book import RevenueIsEarnedInTime
from services.plan_migrations import migrating as plan_migrating
from services.plan_migrations import migrations as plan_migrations
from services.plan_migrations import queries as plan_migration_queries
from services.plan_migrations.migrations import MigrationUnderWay
from services.plan_migrations.moves import WaitingChanges
from services.plan_migrations.queries import MigrationOutlook, Plans
from services.plan_migrations.records import MOVE_ROWS, MoveRow
from services.subscriptions import queries as subscription_queries
from services.subscriptions import subscriptions
from services.subscriptions.subscriptions import MoveWaits
from services.tasks import rules, running
from services.tasks.work import Work
from tests.checks import MADE_BY_HAND, assert_invariants
from tests.integration.billing.shop import Shop, open_shop
from tests.integration.billing.subscribers import Subscribers, price
from tests.world import World

NEXT, NOW = ProrationBehaviour.NEXT_PERIOD, ProrationBehaviour.INVOICE_NOW
KEEP, REPLACE = WaitingChanges.KEEP, WaitingChanges.REPLACE
OLD = (
    price("base", "flat", "60"),
    price("seats", "seat", "5", quantity_min=Decimal(1)),
    price("base", "flat", "66", "USD"),
    price("seats", "seat", "6", "USD", quantity_min=Decimal(1)),
)
NEW = (
    price("base", "flat", "70"),
    price("seats", "seat", "5", quantity_min=Decimal(1), quantity_max=Decimal(50)),
)


class Killed(BaseException):
    """What `kill -9` looks like from inside: nothing after it is done."""


class Office:
    """Staff at work on a shop's plans, and a worker that does what staff asks for."""

    def __init__(self, shop: Shop, operator: Organization, person: Account, folder: Path) -> None:
        self.shop, self.sold = shop, Subscribers(shop)
        self.actor = shop.world.actor(operator, Role.OPERATOR, person)
        self.where = FilePlaces(FolderStore(folder / "files"), folder / "incoming")
        self.customers: dict[str, Organization] = {}
        self.late = timedelta()  # by how much the worker's clock is past the shop's

    def work(self) -> AbstractAsyncContextManager[UnitOfWork]:
        return crossing(Reason.STAFF, actor=self.actor, clock=FixedClock(self.shop.now))

    def be(self, one: Subscription) -> None:
        """Act for the organisation whose subscription it is."""
        self.shop.customer = self.customers[one.organization_id]

    async def customer(self, plan: Plan, seats: int = 1, **more: Any) -> Subscription:
        made = await self.shop.new_customer()
        self.customers[made.id] = made
        return await self.sold.start(plan, quantities={"seats": Decimal(seats)}, **more)

    async def next_version(self, plan: Plan, *charges: ChargeFields) -> Plans:
        """Publish it. Returns the way to it from the version before."""
        async with crossing(Reason.CATALOG, actor=system()) as uow:
            old = await plan_queries.newest_version(uow, plan.id)
            made: PlanVersion = await plans.draft_version(uow, plan.id)
            await plans.change_draft(uow, made.id, VersionFields(charges=charges))
            await plans.publish_version(uow, made.id)
        assert old is not None
        return Plans(old.id, made.id)

    async def look(self, wanted: Plans, **more: Any) -> MigrationOutlook:
        async with self.work() as uow:
            return await plan_migration_queries.outlook(uow, wanted, **more)

    async def ask(self, wanted: Plans, key: str = "spring") -> PlanMigration:
        async with self.work() as uow:
            return await plan_migrations.start(uow, wanted, key=key)

    async def run(self) -> None:
        while await running.run_next(self.where, clock=FixedClock(self.shop.now + self.late)):
            pass

    async def moves(self, migration: PlanMigration) -> dict[str, MoveRow]:
        """By subscription."""
        async with self.work() as uow:
            rows = await listing_sql.select(uow, MOVE_ROWS, ("migration_id", migration.id))
        return {row.subscription_id: row for row in rows}

    async def version(self, one: Subscription) -> int:
        async with unit_of_work(system(one.organization_id), clock=FixedClock(self.shop.now)) as uow:
            return (await subscription_queries.detail(uow, one.id)).plan_version


@pytest.fixture
async def office(world: World, tmp_path: Path) -> Office:
    shop = await open_shop(world)
    operator = await world.organization(OrganizationKind.OPERATOR)
    person = await world.account(member_of=operator, role=Role.OPERATOR)
    return Office(shop, operator, person, tmp_path)


async def test_who_can_be_moved_is_moved_as_it_was_shown_and_who_cannot_is_told_why(office: Office) -> None:
    sold = office.sold
    sold.at(2026, 4, 1, 12)
    plan = await sold.plan(*OLD)
    few, many = await office.customer(plan, 2), await office.customer(plan, 10)
    dollars = await office.customer(plan, currency="USD")
    paused, left, waits, crowd = [await office.customer(plan, n) for n in (3, 4, 5, 51)]
    for verb, one in ((subscriptions.pause, paused), (subscriptions.cancel, left)):
        office.be(one)
        await sold.do(verb, one)
    office.be(waits)
    await sold.change(waits, plan, quantities={"seats": Decimal(1)})  # less: from the next period on
    gone = await office.customer(plan)
    await sold.do(subscriptions.cancel, gone, now_at_once=True)
    to = await office.next_version(plan, *NEW)

    shown = await office.look(to)
    (euros,) = shown.currencies
    assert (shown.subscriptions, shown.movable, euros.subscriptions) == (7, 2, 2)
    assert (euros.old_minor, euros.new_minor) == (12 * (7000 + 11000), 12 * (8000 + 12000))
    assert (euros.rises, euros.falls, euros.stays) == (2, 0, 0)
    expected = {
        few.id: "",
        many.id: "",
        dollars.id: "invalid_input",
        paused.id: "subscription_state",
        left.id: "subscription_state",
        waits.id: "change_waits",
        crowd.id: "invalid_input",
    }
    assert {row.id: row.code for row in shown.rows} == expected
    assert sum(one.subscriptions for one in shown.refused) == 5
    pages = [await office.look(to, limit=4)]
    pages.append(await office.look(to, limit=4, after=pages[0].next_after))
    assert [row.id for page in pages for row in page.rows] == [row.id for row in shown.rows]
    assert [len(page.rows) for page in pages] == [4, 3]

    migration = await office.ask(to)
    assert (await office.ask(to)).id == migration.id
    with pytest.raises(MigrationUnderWay):
        await office.ask(to, "again")
    await office.run()
    moves = await office.moves(migration)
    assert {one: row.code for one, row in moves.items()} == expected
    by_id = {row.id: row for row in shown.rows}
    for one in (few, many):
        row = moves[one.id]
        assert (row.state, row.old_minor, row.new_minor) == (
            "scheduled",
            by_id[one.id].old_minor,
            by_id[one.id].new_minor,
        )
        assert row.effective_at == datetime(2026, 5, 1, 12, tzinfo=UTC)
    assert moves[dollars.id].reason.startswith("This is not sold in USD")
    async with office.work() as uow:
        done = await plan_migrations.shown(uow, migration.id)
    assert (done.state, done.done, done.total) == ("done", 7, 7)
    assert (done.scheduled, done.moved, done.refused, done.failed) == (2, 0, 5, 0)

    # What waits gives way if that is what is asked for, and who waits to be moved already is passed by.
    again = await office.ask(Plans(to.from_version_id, to.to_version_id, NOW, REPLACE, "EUR"), "now")
    await office.run()
    moves = await office.moves(again)
    assert {one for one, row in moves.items() if row.state == "moved"} == {few.id, many.id, waits.id}
    assert [await office.version(one) for one in (few, waits, left, dollars)] == [2, 2, 1, 1]
    office.be(few)
    latest = (await sold.invoices())[-1]
    assert [amount for _, amount in await sold.said(latest)] == [-6000, 7000, -1000, 1000]
    await assert_invariants(but=(*MADE_BY_HAND, RevenueIsEarnedInTime))


async def test_who_begins_later_begins_with_the_new_version_or_comes_to_it_once_the_notice_is_over(
    office: Office,
) -> None:
    sold = office.sold
    sold.at(2026, 4, 1, 12)
    plan = await sold.plan(*OLD)
    begins = datetime(2026, 5, 1, 12, tzinfo=UTC)
    soon, tried = [await office.customer(plan, 2, started_at=begins) for _ in range(2)]
    office.be(tried)
    await sold.do(subscriptions.cancel, tried, now_at_once=True)
    to = await office.next_version(plan, *NEW)
    late = replace(to, notice_days=45)

    for wanted in (to, late):
        (euros,) = (await office.look(wanted)).currencies
        assert (euros.subscriptions, euros.old_minor, euros.new_minor) == (1, 12 * 7000, 12 * 8000)
    migration = await office.ask(late)
    await office.run()
    assert (await office.moves(migration))[soon.id].effective_at == datetime(2026, 6, 1, 12, tzinfo=UTC)
    assert await office.version(soon) == 1
    again = await office.ask(replace(to, waiting_changes=REPLACE), "at-once")
    await office.run()

    row = (await office.moves(again))[soon.id]
    assert (row.state, row.effective_at, await office.version(soon)) == ("moved", begins, 2)
    office.be(soon)
    assert await sold.invoices() == []
    sold.at(2026, 5, 1, 12)
    assert (await sold.run(soon)).state == "active"
    (invoice,) = await sold.invoices()
    assert [amount for _, amount in await sold.said(invoice)] == [7000, 1000]
    await assert_invariants(but=(*MADE_BY_HAND, RevenueIsEarnedInTime))


async def test_prices_with_their_tax_in_them_are_compared_by_what_is_left_without_it(office: Office) -> None:
    """71.40 with 19 % in it is 60: a version that asks for 66 and tax costs more, and not less."""
    sold = office.sold
    sold.at(2026, 4, 1, 12)
    plan = await sold.plan(price("base", "flat", "71.40", tax_inclusive=True))
    await office.shop.new_customer()
    german = await sold.start(plan)
    await office.shop.new_customer(profile=None)
    unknown = await sold.start(plan, started_at=datetime(2026, 5, 1, 12, tzinfo=UTC))
    to = await office.next_version(plan, price("base", "flat", "66"))

    shown = await office.look(to)

    (euros,) = shown.currencies
    assert (euros.old_minor, euros.new_minor, euros.rises, euros.falls) == (12 * 6000, 12 * 6600, 1, 0)
    codes = {row.id: (row.code, row.old_minor, row.new_minor) for row in shown.rows}
    assert codes == {
        german.id: ("", 12 * 6000, 12 * 6600),
        unknown.id: ("billing_profile_missing", 12 * 7140, None),
    }
    migration = await office.ask(to)
    await office.run()
    moves = await office.moves(migration)
    assert {one: (row.code, row.new_minor) for one, row in moves.items()} == {
        german.id: ("", 12 * 6600), unknown.id: ("billing_profile_missing", None),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (lambda to, other: Plans(to.to_version_id, to.from_version_id), "to_version_id"),
        (lambda to, other: Plans(to.from_version_id, to.from_version_id), "to_version_id"),
        (lambda to, other: Plans(to.from_version_id, other.to_version_id), "to_version_id"),
    ],
    ids=["backwards", "nowhere", "another plan"],
)
async def test_a_migration_goes_from_a_version_to_the_newer_one_on_sale_of_the_same_plan(
    wanted: Any, field: str, office: Office
) -> None:
    plan, other = await office.sold.plan(*OLD), await office.sold.plan(*OLD)
    to, elsewhere = await office.next_version(plan, *NEW), await office.next_version(other, *NEW)
    for act in (office.look, office.ask):
        with pytest.raises(Invalid) as refused:
            await act(wanted(to, elsewhere))
        assert refused.value.field == field


@pytest.mark.parametrize("death", ["in the middle of a move", "before the step is written down"])
async def test_a_migration_goes_on_after_a_kill_and_moves_nobody_twice(
    death: str, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_migrating, "BATCH", 2)
    sold = office.sold
    sold.at(2026, 4, 1, 12)
    plan = await sold.plan(*OLD)
    ones = [await office.customer(plan, seats) for seats in range(1, 6)]
    to = await office.next_version(plan, *NEW)
    sold.at(2026, 4, 16, 12)
    migration = await office.ask(Plans(to.from_version_id, to.to_version_id, NOW))
    where, whole = (
        (plan_migrating, plan_migrating._keep)
        if death.startswith("in")
        else (Work, Work.step)
    )  # fmt: skip
    left = 3 if where is plan_migrating else 2

    def die(*given: Any, **named: Any) -> Any:
        nonlocal left
        left -= 1
        if left == 0:
            raise Killed
        return whole(*given, **named)

    monkeypatch.setattr(where, whole.__name__, die)
    with pytest.raises(Killed):
        await office.run()
    monkeypatch.setattr(where, whole.__name__, whole)
    await office.run()  # whoever held it may still be alive
    assert 0 < len(await office.moves(migration)) < len(ones)
    office.late = rules.LEASE
    await office.run()

    moves = await office.moves(migration)
    assert {row.state for row in moves.values()} == {"moved"}
    assert set(moves) == {one.id for one in ones}
    for one in ones:
        office.be(one)
        _, second = await sold.invoices()
        assert sum(amount for _, amount in await sold.said(second)) == 500
        assert await office.version(one) == 2
    await assert_invariants(but=(*MADE_BY_HAND, RevenueIsEarnedInTime))


async def _seats(sold: Subscribers, one: Subscription, plan: Plan) -> int:
    await sold.change(one, plan, quantities={"seats": Decimal(4)})
    return 4


async def _fewer(sold: Subscribers, one: Subscription, plan: Plan) -> int:
    await sold.change(one, plan, quantities={"seats": Decimal(1)})
    return 1


async def _leave_and_stay(sold: Subscribers, one: Subscription, plan: Plan) -> int:
    await sold.do(subscriptions.cancel, one)
    await sold.do(subscriptions.reactivate, one)
    return 2


async def _pause_and_go_on(sold: Subscribers, one: Subscription, plan: Plan) -> int:
    await sold.do(subscriptions.pause, one)
    await sold.do(subscriptions.resume, one)
    return 2


@pytest.mark.parametrize("act", [_seats, _fewer, _leave_and_stay, _pause_and_go_on])
async def test_nobody_keeps_the_old_prices_by_what_is_done_while_the_new_ones_wait(
    act: Any, office: Office
) -> None:
    sold = office.sold
    sold.at(2026, 4, 1, 12)
    plan = await sold.plan(*OLD)
    one = await office.customer(plan, 2)
    to = await office.next_version(plan, *NEW)
    await office.ask(to)
    await office.run()
    sold.at(2026, 4, 11, 12)
    async with unit_of_work(
        office.shop.world.actor(office.shop.customer, Role.OWNER), clock=FixedClock(office.shop.now)
    ) as uow:
        with pytest.raises(MoveWaits):
            await subscriptions.unschedule(uow, one.id)

    seats = await act(sold, one, plan)

    sold.at(2026, 5, 1, 12)
    await sold.run(one)
    assert await office.version(one) == 2
    assert [amount for _, amount in await sold.said((await sold.invoices())[-1])][-2:] == [7000, 500 * seats]
    async with office.shop.work() as uow:
        row = await policies.subscription_for(uow, one.id, subscriptions.WRITE)
        assert row.scheduled is None
