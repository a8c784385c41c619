"""Reads of subscriptions: of one's own organisation, and of all for staff."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from models.money import Money
from models.plans import ChargeKind, ChargeTiming
from models.subscriptions import Subscription, SubscriptionState
from services.audit.reads import note_read
from services.billing import policies
from services.billing.due_dates import DAYS_OVERDUE
from services.catalog.rating import rate
from services.core.listing import Column, Kind, Listing, Operator
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.subscriptions import rows as subscription_rows
from services.subscriptions import unaddressed
from services.subscriptions.states import CHANGES, UNBEGUN
from services.subscriptions.subscribed import Item, Price, Subscribed
from services.subscriptions.upcoming import Upcoming, upcoming

READ, STAFF_READ = Capability.SUBSCRIPTIONS_READ, Capability.STAFF_SUBSCRIPTIONS_READ
_EXACTLY = (Operator.EQ, Operator.IN)


@dataclass(frozen=True, slots=True)
class SubscriptionRow:
    """`next_at` is when something is billed or happens next. `parked_reason` says why it cannot be billed."""

    id: str
    organization_id: str
    organization_name: str
    plan_id: str
    plan_name: str
    plan_version: int
    state: str
    currency: str
    interval: str
    interval_count: int
    started_at: datetime
    trial_end: datetime | None
    next_at: datetime | None
    scheduled_at: datetime | None
    cancel_at: datetime | None
    paused_at: datetime | None
    resume_at: datetime | None
    ended_at: datetime | None
    parked_reason: str | None
    created_at: datetime


def _subscriptions(
    name: str, needs: Capability, where: str, *organization: Operator
) -> Listing[SubscriptionRow]:
    return Listing(
        name,
        row=SubscriptionRow,
        needs=needs,
        source="subscription s",
        alias="s",
        joins="join organization o on o.id = s.organization_id join plan p on p.id = s.plan_id"
        " join plan_version v on v.id = s.plan_version_id",
        where=where,
        columns=(
            Column("id", "s.id", Kind.ID, filterable=True),
            Column("organization_id", "s.organization_id", Kind.ID, operators=organization),
            Column("organization_name", "o.name", joined=True),
            Column("plan_id", "s.plan_id", Kind.ID, operators=_EXACTLY),
            Column("plan_name", "p.name", joined=True),
            Column("plan_version", "v.number", Kind.INTEGER, joined=True),
            Column("state", "s.state", Kind.ENUM, values=tuple(SubscriptionState), filterable=True),
            Column("currency", "s.currency", operators=_EXACTLY),
            Column("interval", "s.interval"),
            Column("interval_count", "s.interval_count", Kind.INTEGER),
            Column("started_at", "s.started_at", Kind.INSTANT),
            *(
                Column(one, f"s.{one}", Kind.INSTANT, nullable=True)
                for one in ("trial_end", "next_at", "scheduled_at", "cancel_at", "paused_at", "resume_at")
            ),
            Column("ended_at", "s.ended_at", Kind.INSTANT, nullable=True),
            Column("parked_reason", "s.parked_reason", nullable=True),
            Column(
                "created_at", "s.created_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True
            ),
        ),
        sort="-created_at",
    )


SUBSCRIPTIONS = _subscriptions("subscriptions", READ, "s.organization_id = :organization_id")
STAFF_SUBSCRIPTIONS = _subscriptions("staff.subscriptions", STAFF_READ, "true", *_EXACTLY)


# -- one of them


@dataclass(frozen=True, slots=True)
class ItemRow:
    """A price and how much of it is taken. `amount_minor` is what it costs in a whole period of its own, or once where
    it has none; None where usage decides. `price_id` names the price in the catalogue."""

    key: str
    name: str
    kind: ChargeKind
    timing: ChargeTiming
    plan_id: str
    addon: bool
    price_id: str
    quantity: Decimal
    quantity_min: Decimal
    quantity_max: Decimal | None
    amount_minor: int | None
    interval: str | None
    interval_count: int
    billed_until: datetime | None


@dataclass(frozen=True, slots=True)
class ScheduledChange:
    """What it consists of from `at` on, unless it ends by then. `by_staff`: it is moved to a newer version of its
    plan."""

    at: datetime
    plan_id: str
    plan_name: str
    interval: str
    interval_count: int
    items: tuple[ItemRow, ...]
    by_staff: bool


@dataclass(frozen=True, slots=True)
class CouponRow:
    """A coupon that works on it. `rate` 0.25 is 25 %; `taken_minor` is what it took so far."""

    id: str
    code: str
    name: str
    rate: Decimal | None
    amount_minor: int | None
    currency: str | None
    duration: str
    periods: int | None
    periods_used: int
    redeemed_at: datetime
    taken_minor: int


@dataclass(frozen=True, slots=True)
class BilledRow:
    """An invoice of a subscription; `days_overdue` is None for one that is not overdue."""

    id: str
    number: str | None
    state: str
    total_minor: int
    due_minor: int
    days_overdue: int | None
    label_date: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class SubscriptionDetail:
    """A subscription with all that is said of it. `upcoming` is what is billed next if nothing changes. It
    `needs_profile` where it is paused as its trial ends, or was, since nobody said to whom invoices are addressed."""

    id: str
    organization_id: str
    state: SubscriptionState
    plan_id: str
    plan_name: str
    plan_version: int
    currency: str
    interval: str
    interval_count: int
    timezone: str
    started_at: datetime
    trial_end: datetime | None
    period_end: datetime | None
    next_at: datetime | None
    cancel_at: datetime | None
    canceled_at: datetime | None
    cancel_reason: str | None
    cancel_comment: str | None
    paused_at: datetime | None
    resume_at: datetime | None
    ended_at: datetime | None
    pay_until: datetime | None
    collection: str
    payment_days: int | None
    parked_reason: str | None
    needs_profile: bool
    version: int
    items: tuple[ItemRow, ...]
    scheduled: ScheduledChange | None
    coupons: tuple[CouponRow, ...]
    upcoming: Upcoming | None


async def organization_of(uow: UnitOfWork, subscription_id: str) -> str:
    """Whose subscription it is, for staff who then work within that organisation. Raises Forbidden and NotFound."""
    return (await policies.any_subscription(uow, subscription_id)).organization_id


async def detail(uow: UnitOfWork, subscription_id: str, *, staff: bool = False) -> SubscriptionDetail:
    """A subscription of the organisation that the work is bound to. Raises Forbidden and NotFound."""
    row = await policies.subscription_for(uow, subscription_id, STAFF_READ if staff else READ, lock=False)
    if staff:
        await note_read(uow, "subscription", organization_id=row.organization_id, row_id=row.id)
    return await shown(uow, row)


async def shown(uow: UnitOfWork, row: Subscription) -> SubscriptionDetail:
    """One that the caller was let to."""
    _, now = await subscription_rows.load(uow, row)
    kept = {
        name: getattr(row, name)
        for name in (
            "id", "organization_id", "plan_id", "currency", "interval", "interval_count", "timezone", "started_at",
            "trial_end", "next_at", "cancel_at", "canceled_at", "cancel_reason", "cancel_comment", "paused_at",
            "resume_at", "ended_at", "pay_until", "collection", "payment_days", "parked_reason", "version",
        )
    }  # fmt: skip
    runs = now.state not in {SubscriptionState.ENDED, SubscriptionState.PAUSED, *UNBEGUN}
    return SubscriptionDetail(
        **kept,
        state=now.state,
        plan_name=await _plan_name(uow, now.plan_id),
        plan_version=await _version_number(uow, now.version_id),
        needs_profile=await unaddressed.needs_profile(uow, row.id),
        period_end=now.period_end(uow.now) if runs else None,
        items=tuple(_item(item) for item in now.running),
        scheduled=await waiting(uow, now),
        coupons=await _coupons(uow, row),
        upcoming=await upcoming(uow, row),
    )


async def billed(uow: UnitOfWork, of: SubscriptionDetail, *, limit: int = 20) -> list[BilledRow]:
    """The latest invoices of a subscription that was found by `detail`, without drafts."""
    found = await uow.execute(
        "select i.id, i.number, i.state, i.total_minor, i.due_minor, cast(i.label_date as text) as label_date,"
        f" {DAYS_OVERDUE} as days_overdue, i.created_at"
        " from invoice i where i.subscription_id = :id and i.number is not null"
        " order by i.created_at desc, i.id desc limit :limit",
        id=of.id,
        now=uow.wall_now,
        limit=limit,
    )
    return [BilledRow(**one) for one in found.mappings()]


def _item(item: Item) -> ItemRow:
    return _priced(item.price, item.quantity, item.billed_until)


def _priced(price: Price, quantity: Decimal, billed_until: datetime | None = None) -> ItemRow:
    charge, length = price.charge, price.charge.length
    costs: Money | None = None
    if price.for_time:
        costs = Money.of(price.terms(quantity).period_amount, charge.currency)
    elif charge.kind is ChargeKind.ONE_OFF:
        costs = Money.of(rate(charge.charge, quantity).amount, charge.currency)
    return ItemRow(
        charge.key,
        charge.name,
        charge.kind,
        charge.timing,
        price.plan_id,
        price.addon,
        price.id,
        quantity,
        charge.quantity_min,
        charge.quantity_max,
        costs.minor if costs is not None else None,
        length.interval.value if length else None,
        length.count if length else 1,
        billed_until,
    )


async def waiting(uow: UnitOfWork, now: Subscribed) -> ScheduledChange | None:
    """The change that waits, of a subscription that the caller was let to."""
    wanted, at = now.scheduled, now.scheduled_at
    if wanted is None or at is None:
        return None
    items = tuple(_priced(one.price, one.quantity) for one in wanted.choices)
    return ScheduledChange(
        at,
        wanted.plan_id,
        await _plan_name(uow, wanted.plan_id),
        wanted.length.interval.value,
        wanted.length.count,
        items,
        by_staff=bool(wanted.moved_by),
    )


async def _plan_name(uow: UnitOfWork, plan_id: str) -> str:
    return (await uow.execute("select name from plan where id = :id", id=plan_id)).scalar_one()


async def _version_number(uow: UnitOfWork, version_id: str) -> int:
    return (await uow.execute("select number from plan_version where id = :id", id=version_id)).scalar_one()


_COUPONS = """
select r.id, o.code, o.name, o.rate, o.amount_minor, o.currency, o.duration, o.periods, r.redeemed_at,
  coalesce(u.periods_used, 0) as periods_used, coalesce(u.taken_minor, 0) as taken_minor
from coupon_redemption r join coupon o on o.id = r.coupon_id left join lateral (
  select count(distinct period_start) as periods_used, cast(sum(taken_minor) as bigint) as taken_minor
  from coupon_use where redemption_id = r.id
) u on true
where r.subscription_id = :id and r.removed_at is null order by r.redeemed_at, r.id
"""


async def _coupons(uow: UnitOfWork, row: Subscription) -> tuple[CouponRow, ...]:
    found = await uow.execute(_COUPONS, id=row.id)
    return tuple(CouponRow(**one) for one in found.mappings())


# -- what is had, beside what is for sale

RUNNING_SHOWN_MAX = 50


@dataclass(frozen=True, slots=True)
class Running:
    """A subscription that may change, and the plans it consists of."""

    id: str
    product_id: str
    plan_id: str
    addon_ids: list[str]
    currency: str
    interval: str
    interval_count: int


_RUNNING = """
select s.id, p.product_id, s.plan_id, s.currency, s.interval, s.interval_count,
  array(select distinct i.plan_id from subscription_item i
        where i.subscription_id = s.id and i.ended_at is null and i.plan_id <> s.plan_id) as addon_ids
from subscription s join plan p on p.id = s.plan_id
where s.organization_id = :organization_id and s.state = any(:changes)
order by s.created_at desc, s.id desc limit :most
"""


async def running(uow: UnitOfWork) -> list[Running]:
    """Of the organisation, the latest first. Raises Forbidden."""
    uow.actor.require(READ)
    found = await uow.execute(
        _RUNNING,
        organization_id=uow.organization_id,
        changes=[state.value for state in CHANGES],
        most=RUNNING_SHOWN_MAX,
    )
    return [Running(**one) for one in found.mappings()]
