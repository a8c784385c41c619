"""Reads of migrations of plan versions: what one would come to, which there were, and what each did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from models.money import Money
from models.plans import PlanVersion, VersionState
from models.subscriptions import SubscriptionState
from models.types import BillingInterval, ProrationBehaviour
from services.billing import plan_moves
from services.billing.plan_moves import Having, Outlook, Target, WaitingChanges, Way
from services.billing.selecting import price_of
from services.billing.subscribed import Choice
from services.catalog import plan_queries
from services.catalog.plan_queries import SoldPrice
from services.catalog.plan_rules import Length
from services.core.errors import Busy, Invalid, not_found
from services.core.ids import is_id
from services.core.listing import Column, Kind, Listing, Operator
from services.core.permissions import Capability
from services.core.work import UnitOfWork, statements_within

READ = Capability.STAFF_SUBSCRIPTIONS_READ
PREVIEW_ROWS_MAX = 100
PREVIEW_S_MAX = 20.0
STATES = ("waiting", "running", "done", "failed", "cancelled")
MOVES = ("moved", "scheduled", "refused", "failed")
_EXACTLY = (Operator.EQ, Operator.IN)

# Who has the version: of what each consists is compared, so that equal ones are worked out once.
_ITEMS = """
cross join lateral (
  select jsonb_agg(jsonb_build_array(i.price_id, i.quantity::text) order by i.price_id) as items
  from subscription_item i where i.subscription_id = s.id and i.ended_at is null
) i
"""
WHOSE = """
s.plan_version_id = :from_id and s.state <> 'ended' and (cast(:currency as text) is null or s.currency = :currency)
and (cast(:interval as text) is null or (s.interval = :interval and s.interval_count = :interval_count))
"""
_ALIKE = f"""
select s.state, s.currency, s.interval, s.interval_count, s.scheduled is not null as waits, i.items, count(*) as alike
from subscription s {_ITEMS} where {WHOSE} group by 1, 2, 3, 4, 5, 6
"""
_EACH = f"""
select s.id, s.organization_id, o.name as organization_name, s.state, s.currency, s.interval, s.interval_count,
  s.scheduled is not null as waits, i.items
from subscription s join organization o on o.id = s.organization_id {_ITEMS}
where {WHOSE} and s.id > :after order by s.id limit :most
"""


class PreviewTooLong(Busy):
    """So many have the version that looking at all of them took too long."""

    code = "preview_too_long"
    title = "The preview takes too long"


@dataclass(frozen=True, slots=True)
class Plans:
    """From which version to which, of whom, and how. `currency` and `interval` narrow it down where they are said."""

    from_version_id: str
    to_version_id: str
    behaviour: ProrationBehaviour = ProrationBehaviour.NEXT_PERIOD
    waiting_changes: WaitingChanges = WaitingChanges.KEEP
    currency: str | None = None
    interval: BillingInterval | None = None
    interval_count: int | None = None

    @property
    def whose(self) -> dict[str, Any]:
        """What WHOSE is asked with."""
        count = (self.interval_count or 1) if self.interval is not None else None
        interval = self.interval.value if self.interval is not None else None
        return {
            "from_id": self.from_version_id,
            "currency": self.currency,
            "interval": interval,
            "interval_count": count,
        }


@dataclass(frozen=True, slots=True)
class CurrencyOutlook:
    """Those of a currency that would be moved: what they pay in a year before and after, in minor units."""

    currency: str
    subscriptions: int
    old_minor: int
    new_minor: int
    rises: int
    falls: int
    stays: int


@dataclass(frozen=True, slots=True)
class Refusals:
    """How many would not be moved for one reason."""

    code: str
    reason: str
    subscriptions: int


@dataclass(frozen=True, slots=True)
class MoveOutlook:
    """One subscription: what it pays in a year before and after, or why it would not be moved."""

    id: str
    organization_id: str
    organization_name: str
    state: str
    currency: str
    old_minor: int
    new_minor: int | None
    way: Way | None
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class MigrationOutlook:
    """All of them in sums, and one page of each by itself; `next_after` begins the next page."""

    plan_id: str
    plan_name: str
    from_number: int
    to_number: int
    subscriptions: int
    movable: int
    currencies: tuple[CurrencyOutlook, ...]
    refused: tuple[Refusals, ...]
    rows: tuple[MoveOutlook, ...]
    next_after: str | None


@dataclass(slots=True)
class _Sum:
    subscriptions: int = 0
    old: Fraction = field(default_factory=Fraction)
    new: Fraction = field(default_factory=Fraction)
    ways: Counter[Way] = field(default_factory=Counter[Way])


async def versions_of(uow: UnitOfWork, plans: Plans) -> tuple[PlanVersion, PlanVersion]:
    """The two versions, for staff. Raises Forbidden, NotFound, and Invalid for what cannot be migrated."""
    uow.actor.require(READ)
    old, new = [
        await _version(uow, one, name)
        for one, name in ((plans.from_version_id, "from"), (plans.to_version_id, "to"))
    ]
    if old.plan_id != new.plan_id:
        raise Invalid("Both are versions of one plan.", field="to_version_id")
    if old.state == VersionState.DRAFT or new.number <= old.number:
        raise Invalid(
            "It goes from a version that was sold to a newer one.",
            field="to_version_id",
            next_step="Choose the newest version.",
        )
    if new.state != VersionState.PUBLISHED:
        raise Invalid(
            f"Version {new.number} is {new.state}.",
            field="to_version_id",
            next_step="Publish it first." if new.state == VersionState.DRAFT else "Choose the one on sale.",
        )
    return old, new


async def _version(uow: UnitOfWork, version_id: str, name: str) -> PlanVersion:
    row = await uow.get(PlanVersion, version_id) if is_id(str(version_id), "plnv") else None
    if row is None:
        raise not_found(f"version to go {name}", version_id)
    return row


async def target_of(uow: UnitOfWork, plan_id: str, version_id: str, waiting: WaitingChanges) -> Target:
    prices = await plan_queries.prices(uow, version_ids=[version_id])
    return Target(plan_id, version_id, prices, waiting)


async def outlook(
    uow: UnitOfWork, plans: Plans, *, after: str = "", limit: int = PREVIEW_ROWS_MAX
) -> MigrationOutlook:
    """What a migration would come to, in work across tenants. Raises what `versions_of` raises, and PreviewTooLong."""
    old, new = await versions_of(uow, plans)
    target = await target_of(uow, new.plan_id, new.id, plans.waiting_changes)
    too_long = PreviewTooLong("Too many have this version.", next_step="Narrow it down to a currency.")
    most = min(max(limit, 1), PREVIEW_ROWS_MAX)
    async with statements_within(uow, PREVIEW_S_MAX, otherwise=too_long):
        alike = [dict(row) for row in (await uow.execute(_ALIKE, plans.whose)).mappings()]
        named = {**plans.whose, "after": str(after), "most": most + 1}
        each = [dict(row) for row in (await uow.execute(_EACH, named)).mappings()]
    ids = {price_id for row in (*alike, *each) for price_id, _ in row["items"] or ()}
    sold = {one.id: one for one in await plan_queries.prices(uow, ids=sorted(ids))}
    name = (await uow.execute("select name from plan where id = :id", id=new.plan_id)).scalar_one()
    sums, refused = _summed(alike, sold, target)
    rows = tuple(_row(one, plan_moves.outlook(_having(one, sold, target), target)) for one in each[:most])
    return MigrationOutlook(
        plan_id=new.plan_id,
        plan_name=name,
        from_number=old.number,
        to_number=new.number,
        subscriptions=sum(row["alike"] for row in alike),
        movable=sum(one.subscriptions for one in sums),
        currencies=sums,
        refused=refused,
        rows=rows,
        next_after=rows[-1].id if len(each) > most else None,
    )


def _summed(
    alike: Sequence[Mapping[str, Any]], sold: Mapping[str, SoldPrice], target: Target
) -> tuple[tuple[CurrencyOutlook, ...], tuple[Refusals, ...]]:
    sums: dict[str, _Sum] = {}
    refused: Counter[tuple[str, str]] = Counter()
    for row in alike:
        found = plan_moves.outlook(_having(row, sold, target), target)
        if found.refused is not None:
            refused[found.refused.error_code, found.refused.message] += row["alike"]
        elif found.new is not None and found.way is not None:
            one = sums.setdefault(row["currency"], _Sum())
            one.subscriptions += row["alike"]
            one.old += found.old * row["alike"]
            one.new += found.new * row["alike"]
            one.ways[found.way] += row["alike"]
    return (
        tuple(
            CurrencyOutlook(
                currency,
                one.subscriptions,
                Money.of(one.old, currency).minor,
                Money.of(one.new, currency).minor,
                one.ways[Way.RISES],
                one.ways[Way.FALLS],
                one.ways[Way.STAYS],
            )
            for currency, one in sorted(sums.items())
        ),
        tuple(
            Refusals(code, reason, count) for (code, reason), count in sorted(refused.items())
        ),
    )  # fmt: skip


def _having(row: Mapping[str, Any], sold: Mapping[str, SoldPrice], target: Target) -> Having:
    choices = [
        Choice(price_of(sold[price_id], addon=sold[price_id].plan_id != target.plan_id), Decimal(quantity))
        for price_id, quantity in row["items"] or ()
    ]
    length = Length(BillingInterval(row["interval"]), row["interval_count"])
    whole = tuple(Choice(one.price, one.quantity.quantize(Decimal(1))) for one in choices)
    return Having(SubscriptionState(row["state"]), row["currency"], length, whole, row["waits"])


def _row(row: Mapping[str, Any], found: Outlook) -> MoveOutlook:
    currency = row["currency"]
    refused = found.refused
    return MoveOutlook(
        id=row["id"],
        organization_id=row["organization_id"],
        organization_name=row["organization_name"],
        state=row["state"],
        currency=currency,
        old_minor=Money.of(found.old, currency).minor,
        new_minor=Money.of(found.new, currency).minor if found.new is not None else None,
        way=found.way,
        code=refused.error_code if refused is not None else "",
        reason=f"{refused.message} {refused.next_step}".strip() if refused is not None else "",
    )


# -- those that there were


@dataclass(frozen=True, slots=True)
class MigrationRow:
    """`done` of `total` subscriptions are through; the four counts say how."""

    id: str
    plan_id: str
    plan_name: str
    from_number: int
    to_number: int
    currency: str | None
    interval: str | None
    interval_count: int | None
    behaviour: str
    waiting_changes: str
    task_id: str
    state: str
    done: int
    total: int | None
    error: str
    cancelling: bool
    moved: int
    scheduled: int
    refused: int
    failed: int
    created_at: datetime


MIGRATIONS: Listing[MigrationRow] = Listing(
    "staff.plan_migrations",
    row=MigrationRow,
    needs=READ,
    source="plan_migration m",
    alias="m",
    joins="join plan p on p.id = m.plan_id join plan_version f on f.id = m.from_version_id"
    " join plan_version t on t.id = m.to_version_id join task k on k.id = m.task_id"
    " cross join lateral (select count(*) filter (where v.state = 'moved') as moved,"
    " count(*) filter (where v.state = 'scheduled') as scheduled,"
    " count(*) filter (where v.state = 'refused') as refused,"
    " count(*) filter (where v.state = 'failed') as failed from plan_migration_move v where v.migration_id = m.id) c",
    columns=(
        Column("id", "m.id", Kind.ID, filterable=True),
        Column("plan_id", "m.plan_id", Kind.ID, operators=_EXACTLY),
        Column("plan_name", "p.name", joined=True),
        Column("from_number", "f.number", Kind.INTEGER, joined=True),
        Column("to_number", "t.number", Kind.INTEGER, joined=True),
        Column("currency", "m.currency", nullable=True, text="Of all currencies if empty"),
        Column("interval", "m.interval", nullable=True, text="Of all intervals if empty"),
        Column("interval_count", "m.interval_count", Kind.INTEGER, nullable=True),
        Column("behaviour", "m.behaviour"),
        Column("waiting_changes", "m.waiting_changes"),
        Column("task_id", "m.task_id", Kind.ID),
        Column("state", "k.state", Kind.ENUM, values=STATES, joined=True),
        Column("done", "k.done", Kind.INTEGER, joined=True),
        Column("total", "k.total", Kind.INTEGER, joined=True, nullable=True),
        Column("error", "k.error", joined=True),
        Column("cancelling", "k.state = 'running' and k.cancel_asked_at is not null", Kind.FLAG, joined=True),
        Column("moved", "c.moved", Kind.INTEGER, joined=True),
        Column("scheduled", "c.scheduled", Kind.INTEGER, joined=True, text="Will be, with the next period"),
        Column("refused", "c.refused", Kind.INTEGER, joined=True),
        Column("failed", "c.failed", Kind.INTEGER, joined=True),
        Column("created_at", "m.created_at", Kind.INSTANT, sortable=True, unchanging=True),
    ),
    sort="-created_at",
)


@dataclass(frozen=True, slots=True)
class MoveRow:
    """What became of one subscription. Amounts are of a year, in minor units."""

    id: str
    migration_id: str
    subscription_id: str
    organization_name: str
    state: str
    currency: str
    old_minor: int | None
    new_minor: int | None
    effective_at: datetime | None
    code: str
    reason: str
    created_at: datetime


MOVE_ROWS: Listing[MoveRow] = Listing(
    "staff.plan_migration_moves",
    row=MoveRow,
    needs=READ,
    source="plan_migration_move m",
    alias="m",
    joins="join subscription s on s.id = m.subscription_id join organization o on o.id = s.organization_id",
    columns=(
        Column("id", "m.id", Kind.ID),
        Column("migration_id", "m.migration_id", Kind.ID, operators=_EXACTLY),
        Column("subscription_id", "m.subscription_id", Kind.ID, operators=_EXACTLY),
        Column("organization_name", "o.name", joined=True),
        Column("state", "m.state", Kind.ENUM, values=MOVES, filterable=True),
        Column("currency", "s.currency", joined=True),
        Column("old_minor", "m.old_minor", Kind.INTEGER, nullable=True, currency="currency"),
        Column("new_minor", "m.new_minor", Kind.INTEGER, nullable=True, currency="currency"),
        Column("effective_at", "m.effective_at", Kind.INSTANT, nullable=True),
        Column("code", "m.code"),
        Column("reason", "m.reason", text="Why it was not moved"),
        Column("created_at", "m.created_at", Kind.INSTANT, sortable=True, unchanging=True),
    ),
    sort="created_at",
)
