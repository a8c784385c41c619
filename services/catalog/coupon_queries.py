"""Reads of coupons."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from models.money import Money
from models.plans import CouponOffer
from services.billing.discounts import Coupon, Duration
from services.core import listing_sql
from services.core.errors import not_found
from services.core.listing import Column, Kind, Listing, Operator
from services.core.permissions import Capability
from services.core.work import UnitOfWork


@dataclass(frozen=True, slots=True)
class CouponRow:
    """A coupon as staff sees it. `rate` 0.25 is 25 %; `amount_minor` is in minor units of `currency`."""

    id: str
    code: str
    name: str
    rate: Decimal | None
    amount_minor: int | None
    currency: str | None
    duration: str
    periods: int | None
    meters: list[str]
    plans: list[str]
    expires_at: datetime | None
    redemptions_max: int | None
    redeemed: int
    created_at: datetime
    archived_at: datetime | None
    state: str  # of COUPON_STATES


COUPON_STATES = ("active", "expired", "used_up", "archived")
# Coupons belong to nobody, so they expire by wall time here; who redeems one does it by the organisation's clock.
_COUPON_STATE = (
    "case when archived_at is not null then 'archived' when expires_at <= :now then 'expired'"
    " when redeemed >= redemptions_max then 'used_up' else 'active' end"
)

COUPONS = Listing(
    "staff.coupons",
    row=CouponRow,
    needs=Capability.STAFF_PLANS_READ,
    source="coupon",
    columns=(
        Column("id", "id", Kind.ID, filterable=True),
        Column("code", "code", filterable=True),
        Column("name", "name", filterable=True),
        Column("rate", "rate", Kind.DECIMAL, nullable=True),
        Column("amount_minor", "amount_minor", Kind.INTEGER, nullable=True, currency="currency"),
        Column("currency", "currency", nullable=True, operators=(Operator.EQ, Operator.IN)),
        Column("duration", "duration", Kind.ENUM, values=tuple(Duration), filterable=True),
        Column("periods", "periods", Kind.INTEGER, nullable=True),
        Column("meters", "meters", Kind.LIST),
        Column("plans", "plans", Kind.LIST),
        Column("expires_at", "expires_at", Kind.INSTANT, nullable=True, filterable=True),
        Column("redemptions_max", "redemptions_max", Kind.INTEGER, nullable=True),
        Column("redeemed", "redeemed", Kind.INTEGER),
        Column("created_at", "created_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True),
        Column("archived_at", "archived_at", Kind.INSTANT, nullable=True),
        Column("state", _COUPON_STATE, Kind.ENUM, values=COUPON_STATES, filterable=True),
    ),
    sort="-created_at",
)


async def staff_coupon(uow: UnitOfWork, coupon_id: str) -> CouponRow:
    """Raises Forbidden and NotFound."""
    row = await listing_sql.find(uow, COUPONS, coupon_id)
    if row is None:
        raise not_found("coupon", coupon_id)
    return row


async def coupon_by_code(uow: UnitOfWork, code: str) -> CouponOffer | None:
    """The coupon that is offered under `code`, in any case of its letters, locked for who redeems it.

    None for one that was archived. Whether it may be redeemed now is for services/billing/discounts.py to say.
    """
    found = await uow.execute(
        "select id from coupon where code_key = :key and archived_at is null",
        key=code.strip().casefold()[:200],
    )
    coupon_id = found.scalar_one_or_none()
    return None if coupon_id is None else await uow.get(CouponOffer, coupon_id, lock=True)


def terms_of(row: CouponOffer) -> Coupon:
    """What the coupon does, as the rules of discounts have it."""
    amount = (
        None if row.amount_minor is None or row.currency is None else Money(row.amount_minor, row.currency)
    )
    return Coupon(
        code=row.code,
        rate=row.rate,
        amount=amount,
        duration=Duration(row.duration),
        periods=row.periods,
        metrics=frozenset(row.meters),
        plans=frozenset(row.plans),
        expires_at=row.expires_at,
        redemptions_max=row.redemptions_max,
    )
