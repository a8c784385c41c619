"""Moving all who have a version of a plan to a newer one: what it would come to, having it done, and what it did."""

from __future__ import annotations

from functools import partial
from typing import Literal

from fastapi import Request, Response
from pydantic import AwareDatetime, Field

from matrix_app.api.deps import AnyCaller, staff_work
from matrix_app.api.v1.lists import Answer, Asked, answer, listed
from matrix_app.api.v1.repeat import RepeatOnce
from matrix_app.api.v1.route import failures
from matrix_app.api.v1.shape import Body, Shown, resource
from models.subscriptions import SubscriptionState
from models.types import BillingInterval, ProrationBehaviour
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.plan_migrations import migrations as plan_migrations
from services.plan_migrations import queries as plan_migration_queries
from services.plan_migrations.moves import WaitingChanges, Way
from services.plan_migrations.queries import NOTICE_DAYS_MAX, PREVIEW_ROWS_MAX, Plans
from services.plan_migrations.records import MIGRATIONS, MOVE_ROWS

router = resource("staff", prefix="/staff")

READ, WRITE = Capability.STAFF_SUBSCRIPTIONS_READ, Capability.STAFF_SUBSCRIPTIONS_WRITE


class MigrationPlanned(Body):
    from_version_id: str
    to_version_id: str = Field(
        description="The version of the same plan that is on sale, newer than the other"
    )
    behaviour: ProrationBehaviour = Field(
        ProrationBehaviour.NEXT_PERIOD, description="With each one's next period, or now and billed how"
    )
    waiting_changes: WaitingChanges = Field(
        WaitingChanges.KEEP, description="Leave those alone that have a change scheduled, or replace it"
    )
    currency: str | None = Field(None, max_length=3, description="Only those in this currency")
    interval: BillingInterval | None = Field(None, description="Only those of this interval")
    interval_count: int | None = Field(None, ge=1, le=1_000)
    notice_days: int = Field(
        0,
        ge=0,
        le=NOTICE_DAYS_MAX,
        description="With the next period: that ends so many days from now or later",
    )

    def plans(self) -> Plans:
        return Plans(
            self.from_version_id,
            self.to_version_id,
            self.behaviour,
            self.waiting_changes,
            self.currency.upper() if self.currency else None,
            self.interval,
            self.interval_count,
            self.notice_days,
        )


class MigrationPreviewed(MigrationPlanned):
    after: str = Field("", max_length=64, description="`next_after` of the page before")
    limit: int = Field(PREVIEW_ROWS_MAX, ge=1, le=PREVIEW_ROWS_MAX)


class NewMigration(MigrationPlanned):
    key: str | None = Field(None, description="The same key is the same act, for good; made up if left out")


class CurrencyOutlookShown(Shown):
    """Of a year, in minor units, for what is charged for time."""

    currency: str
    subscriptions: int
    old_minor: int
    new_minor: int
    rises: int
    falls: int
    stays: int


class RefusalsShown(Shown):
    code: str
    reason: str
    subscriptions: int


class MoveOutlookShown(Shown):
    id: str
    organization_id: str
    organization_name: str
    state: SubscriptionState
    currency: str
    old_minor: int
    new_minor: int | None = Field(description="Null for one that would not be moved")
    way: Way | None
    code: str
    reason: str = Field(description="Why it would not be moved")


class MigrationOutlookShown(Shown):
    """Nothing was done."""

    plan_id: str
    plan_name: str
    from_number: int
    to_number: int
    subscriptions: int = Field(description="That have the version and have not ended")
    movable: int
    currencies: list[CurrencyOutlookShown]
    refused: list[RefusalsShown]
    rows: list[MoveOutlookShown]
    next_after: str | None


class MigrationShown(Shown):
    id: str
    plan_id: str
    plan_name: str
    from_number: int
    to_number: int
    currency: str | None
    interval: BillingInterval | None
    interval_count: int | None
    behaviour: ProrationBehaviour
    notice_days: int
    waiting_changes: WaitingChanges
    task_id: str
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    done: int = Field(description="Subscriptions that it is through with")
    total: int | None
    error: str
    cancelling: bool
    moved: int
    scheduled: int = Field(description="Will be moved with their next period")
    refused: int = Field(description="Could not be moved, each for a reason that is told")
    failed: int
    created_at: AwareDatetime


class MoveShown(Shown):
    id: str
    migration_id: str
    subscription_id: str
    organization_name: str
    state: Literal["moved", "scheduled", "refused", "failed"]
    currency: str
    old_minor: int | None = Field(description="Of a year")
    new_minor: int | None
    effective_at: AwareDatetime | None
    code: str
    reason: str
    created_at: AwareDatetime


@router.post("/plan-migrations/preview", responses=failures(404))
async def preview_migration(who: AnyCaller, body: MigrationPreviewed) -> MigrationOutlookShown:
    """How many would be moved, what they pay in a year before and after, and who would not be moved and why."""
    async with staff_work(who, READ) as uow:
        found = await plan_migration_queries.outlook(uow, body.plans(), after=body.after, limit=body.limit)
        return MigrationOutlookShown.model_validate(found)


@router.post(
    "/plan-migrations", status_code=201, response_model=MigrationShown, responses=failures(404, 409, 429)
)
async def start_migration(who: AnyCaller, body: NewMigration, repeat: RepeatOnce) -> Response:
    """Have all of them moved, by a task. Each is moved at most once by one migration."""

    async def effect(uow: UnitOfWork) -> MigrationShown:
        row = await plan_migrations.start(uow, body.plans(), key=body.key or new_id("pmig"))
        return MigrationShown.model_validate(await plan_migrations.shown(uow, row.id))

    return await repeat.once(staff_work(who, WRITE), effect, owner=who.actor.id)


@router.get("/plan-migrations", **listed(MIGRATIONS, MigrationShown))
async def list_migrations(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """Migrations, the newest first; filter by `plan_id`."""
    return await answer(request, MIGRATIONS, MigrationShown, asked, partial(staff_work, who, READ))


@router.get("/plan-migrations/{migration_id}")
async def get_migration(who: AnyCaller, migration_id: str) -> MigrationShown:
    """One with how far it is."""
    async with staff_work(who, READ) as uow:
        return MigrationShown.model_validate(await plan_migrations.shown(uow, migration_id))


@router.post(
    "/plan-migrations/{migration_id}/cancel", response_model=MigrationShown, responses=failures(404, 409)
)
async def cancel_migration(who: AnyCaller, migration_id: str, repeat: RepeatOnce) -> Response:
    """Move nobody else. Who was moved stays so."""

    async def effect(uow: UnitOfWork) -> MigrationShown:
        await plan_migrations.cancel(uow, migration_id)
        return MigrationShown.model_validate(await plan_migrations.shown(uow, migration_id))

    return await repeat.once(staff_work(who, WRITE), effect, owner=who.actor.id, status=200)


@router.post(
    "/plan-migrations/{migration_id}/retry", response_model=MigrationShown, responses=failures(404, 409, 429)
)
async def retry_migration(who: AnyCaller, migration_id: str, repeat: RepeatOnce) -> Response:
    """Go through those again who were not moved, after it failed or was cancelled."""

    async def effect(uow: UnitOfWork) -> MigrationShown:
        await plan_migrations.retry(uow, migration_id)
        return MigrationShown.model_validate(await plan_migrations.shown(uow, migration_id))

    return await repeat.once(staff_work(who, WRITE), effect, owner=who.actor.id, status=200)


@router.get("/plan-migration-moves", **listed(MOVE_ROWS, MoveShown))
async def list_moves(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """What became of each subscription; filter by `migration_id` and `state`."""
    return await answer(request, MOVE_ROWS, MoveShown, asked, partial(staff_work, who, READ))
