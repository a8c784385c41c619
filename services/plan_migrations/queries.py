"""What a migration of a plan version would come to, for all and for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any

from models.money import Money
from models.plans import PlanVersion, VersionState
from models.subscriptions import SubscriptionState
from models.types import BillingInterval, ProrationBehaviour
from services.catalog import sold_prices
from services.catalog.plan_rules import Length
from services.catalog.sold_prices import SoldPrice
from services.core.errors import Busy, Invalid, not_found
from services.core.ids import is_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork, statements_within
from services.identity.rules import require_currency
from services.plan_migrations import moves as plan_moves
from services.plan_migrations import taxing
from services.plan_migrations.moves import Having, Outlook, Target, WaitingChanges, Way
from services.subscriptions import net_prices
from services.subscriptions.selecting import price_of
from services.subscriptions.subscribed import Choice

READ = Capability.STAFF_SUBSCRIPTIONS_READ
PREVIEW_ROWS_MAX = 100
PREVIEW_S_MAX = 20.0
NOTICE_DAYS_MAX = 366

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
_HAS = f"""
s.state, s.currency, s.interval, s.interval_count, s.scheduled is not null as waits, i.items,
case when :by_tax then {taxing.ALIKE} end as taxed
"""
_FROM = f"from subscription s {taxing.JOINED} {_ITEMS}"
_ALIKE = f"select {_HAS}, count(*) as alike {_FROM} where {WHOSE} group by 1, 2, 3, 4, 5, 6, 7"
_EACH = f"""
select s.id, s.organization_id, o.name as organization_name, {_HAS} {_FROM}
where {WHOSE} and s.id > :after order by s.id limit :most
"""


class PreviewTooLong(Busy):
    """So many have the version that looking at all of them took too long."""

    code = "preview_too_long"
    title = "The preview takes too long"


@dataclass(frozen=True, slots=True)
class Plans:
    """From which version to which, of whom, and how. `currency` and `interval` narrow it down where they are said.
    With the next period, nobody pays the new price before `notice_days` have passed."""

    from_version_id: str
    to_version_id: str
    behaviour: ProrationBehaviour = ProrationBehaviour.NEXT_PERIOD
    waiting_changes: WaitingChanges = WaitingChanges.KEEP
    currency: str | None = None
    interval: BillingInterval | None = None
    interval_count: int | None = None
    notice_days: int = 0

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
    if not 0 <= plans.notice_days <= NOTICE_DAYS_MAX:
        raise Invalid(f"Notice is given 0 to {NOTICE_DAYS_MAX} days ahead.", field="notice_days")
    if plans.notice_days and plans.behaviour is not ProrationBehaviour.NEXT_PERIOD:
        raise Invalid(
            "What is changed now comes without notice.",
            field="notice_days",
            next_step="Have it come with the next period.",
        )
    if plans.currency is not None:
        require_currency(plans.currency, on=uow.wall_now.date())
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
    prices = await sold_prices.prices(uow, version_ids=[version_id])
    return Target(plan_id, version_id, prices, waiting)


async def outlook(
    uow: UnitOfWork, plans: Plans, *, after: str = "", limit: int = PREVIEW_ROWS_MAX
) -> MigrationOutlook:
    """What a migration would come to, in work across tenants. Raises what `versions_of` raises, and PreviewTooLong."""
    old, new = await versions_of(uow, plans)
    target = await target_of(uow, new.plan_id, new.id, plans.waiting_changes)
    too_long = PreviewTooLong("Too many have this version.", next_step="Narrow it down to a currency.")
    most = min(max(limit, 1), PREVIEW_ROWS_MAX)
    before = await sold_prices.prices(uow, version_ids=[old.id])
    by_tax = bool(net_prices.mixed([price_of(one, addon=False) for one in (*before, *target.prices)]))
    async with statements_within(uow, PREVIEW_S_MAX, otherwise=too_long):
        whose = {**plans.whose, "by_tax": by_tax}
        alike = [dict(row) for row in (await uow.execute(_ALIKE, whose)).mappings()]
        named = {**whose, "after": str(after), "most": most + 1}
        each = [dict(row) for row in (await uow.execute(_EACH, named)).mappings()]
    ids = {price_id for row in (*alike, *each) for price_id, _ in row["items"] or ()}
    sold = {one.id: one for one in await sold_prices.prices(uow, ids=sorted(ids))}
    taxed = await taxing.read(uow, [row["taxed"] for row in alike if row["taxed"] is not None])

    def looked(row: Mapping[str, Any]) -> Outlook:
        shares = partial(taxed.shares, row["taxed"])
        return plan_moves.outlook(_having(row, sold, target), target, shares)

    name = (await uow.execute("select name from plan where id = :id", id=new.plan_id)).scalar_one()
    sums, refused = _summed(alike, looked)
    rows = tuple(_row(one, looked(one)) for one in each[:most])
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
    alike: Sequence[Mapping[str, Any]], looked: Callable[[Mapping[str, Any]], Outlook]
) -> tuple[tuple[CurrencyOutlook, ...], tuple[Refusals, ...]]:
    sums: dict[str, _Sum] = {}
    refused: Counter[tuple[str, str]] = Counter()
    for row in alike:
        found = looked(row)
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
