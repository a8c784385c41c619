"""Offering coupons. Their terms never change: what was redeemed stays explainable; archive one and create another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from models.money import Money
from models.money import currency as currency_of
from models.plans import CouponOffer
from services.billing.discounts import Coupon, Duration
from services.catalog import plan_queries, plan_rules, policies
from services.catalog.charges import check_amount
from services.catalog.events import CouponArchived, CouponCreated
from services.core.errors import Conflict, Invalid
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.metering.queries import platform_meters


@dataclass(frozen=True, slots=True)
class CouponFields:
    """What staff says of a coupon: a `rate` (0.25 is 25 %) or an `amount` in major units of `currency`.

    Limited to `meters` (slugs) or to `plans` (ids), or to neither. The rest is as in services/billing/discounts.py.
    """

    code: str
    name: str
    rate: Decimal | None = None
    amount: Decimal | None = None
    currency: str | None = None
    duration: str = Duration.ONCE
    periods: int | None = None
    meters: Sequence[str] = ()
    plans: Sequence[str] = ()
    expires_at: datetime | None = None
    redemptions_max: int | None = None


async def create_coupon(uow: UnitOfWork, given: CouponFields) -> CouponOffer:
    """Offer a coupon from now on. For staff, in work that crosses tenants.

    Raises Forbidden, Invalid at the field that is wrong, or Conflict when the code is taken, in any case of its
    letters and also by an archived coupon.
    """
    uow.actor.require(Capability.STAFF_PLANS_WRITE)
    terms = _checked(given, uow.wall_now)
    await _require_known(uow, terms)
    key = terms.code.casefold()
    taken = await uow.execute("select from coupon where code_key = :key", key=key)
    if taken.first() is not None:
        raise Conflict(f"There is a coupon {terms.code!r} already.", next_step="Choose another code.")
    row = CouponOffer(
        id=new_id("cpn"),
        code=terms.code,
        code_key=key,
        name=plan_rules.require_name(given.name),
        rate=terms.rate,
        amount_minor=terms.amount.minor if terms.amount else None,
        currency=terms.amount.currency if terms.amount else None,
        duration=terms.duration,
        periods=terms.periods,
        meters=sorted(terms.metrics),
        plans=sorted(terms.plans),
        expires_at=terms.expires_at,
        redemptions_max=terms.redemptions_max,
        created_by=uow.actor.account_id,
        created_at=uow.wall_now,
    )
    uow.add(row)
    await uow.session.flush()
    uow.record(
        CouponCreated(
            aggregate_id=row.id,
            organization_id=None,
            code=row.code,
            name=row.name,
            rate=None if row.rate is None else f"{row.rate:f}",
            amount_minor=row.amount_minor,
            currency=row.currency,
        )
    )
    return row


async def archive_coupon(uow: UnitOfWork, coupon_id: str) -> CouponOffer:
    """Let nobody redeem it any more. What was redeemed works on. Archiving an archived one changes nothing."""
    row = await policies.coupon_for_writing(uow, coupon_id)
    if row.archived_at is None:
        row.archived_at = uow.wall_now
        await uow.session.flush()
        uow.record(CouponArchived(aggregate_id=row.id, organization_id=None, code=row.code))
    return row


def _checked(given: CouponFields, now: datetime) -> Coupon:
    if (given.amount is None) != (given.currency is None):
        raise Invalid("An amount and its currency go together.", field="currency")
    if given.currency is not None:
        plan_rules.require_currency(given.currency)
        if not currency_of(given.currency).valid_on(now.date()):
            raise Invalid(f"{given.currency} is not legal tender any more, or not yet.", field="currency")
    if given.duration not in set(Duration):
        raise Invalid(f"A coupon works {', '.join(Duration)}.", field="duration")
    if given.expires_at is not None and given.expires_at.tzinfo is not None and given.expires_at <= now:
        raise Invalid(
            f"{given.expires_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC has passed.",
            field="expires_at",
            next_step="Choose a time that is to come, or none.",
        )
    amount = None
    if given.amount is not None and given.currency is not None:
        amount = _money(given.amount, given.currency)
    return Coupon(
        code=given.code,
        rate=given.rate,
        amount=amount,
        duration=Duration(given.duration),
        periods=given.periods,
        metrics=frozenset(given.meters),
        plans=frozenset(given.plans),
        expires_at=given.expires_at,
        redemptions_max=given.redemptions_max,
    )


def _money(amount: Decimal, code: str) -> Money:
    """Never rounded. Raises Invalid for what is no amount of that currency."""
    check_amount(amount, "amount")
    money = Money.of(amount, code)
    if money.amount != amount:
        raise Invalid(f"{amount:f} is no amount of {code}.", field="amount")
    return money


async def _require_known(uow: UnitOfWork, terms: Coupon) -> None:
    if terms.metrics:
        known = await platform_meters(uow)
        for slug in sorted(terms.metrics - known.keys()):
            raise Invalid(f"There is no meter {slug[:64]!r}.", field="meters")
    if terms.plans:
        for plan_id in sorted(terms.plans - await plan_queries.known_plans(uow, terms.plans)):
            raise Invalid(f"There is no plan {plan_id[:64]!r}.", field="plans")
