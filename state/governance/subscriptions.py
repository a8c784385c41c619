"""Subscriptions of all organisations, and coupons, as staff sees them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import reflex as rx

from models.money import Money
from services.billing.discounts import LIMITED_TO_MAX
from services.catalog import coupon_queries, plan_queries
from services.catalog.coupon_queries import CouponRow
from services.core import listing_sql
from services.core.listing import Listing
from services.core.permissions import Capability
from services.metering.queries import platform_meters
from services.subscriptions import queries as subscription_queries
from state import subscriptions_view
from state.base import page_event
from state.dialogs import DialogsState
from state.format import decimal_text, instant_text
from state.listed import ListedState
from state.subscription_on_screen import SubscriptionOnScreen

HOME = "/governance/subscriptions"


class StaffSubscriptionsState(ListedState, rx.State):
    """One page of all subscriptions."""

    _listing: ClassVar[Listing[Any]] = subscription_queries.STAFF_SUBSCRIPTIONS
    _file_url: ClassVar[str] = "/api/v1/staff/subscriptions"
    _filter_keys: ClassVar[tuple[str, ...]] = ("organization_id", *subscriptions_view.FILTERS)

    read_at: str = ""

    @page_event(Capability.STAFF_SUBSCRIPTIONS_READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, subscription_queries.STAFF_SUBSCRIPTIONS)
        self.read_at = instant_text(uow.wall_now)
        self.rows = [subscriptions_view.row_shown(row, HOME) for row in found]


class StaffSubscriptionState(SubscriptionOnScreen, rx.State):
    """One subscription of any organisation."""

    _acts_need: ClassVar[Capability] = Capability.STAFF_SUBSCRIPTIONS_WRITE
    _invoices: ClassVar[str] = "/governance/invoices"
    _staff: ClassVar[bool] = True

    @page_event(Capability.STAFF_SUBSCRIPTIONS_READ, reads=True)
    async def load(self) -> None:
        await self._read_anew()

    @page_event(Capability.STAFF_SUBSCRIPTIONS_READ)
    async def follow(self) -> None:
        await self._read_on()

    @page_event(Capability.STAFF_SUBSCRIPTIONS_READ)
    async def changed(self) -> Any:
        """Something was done through the API."""
        self._forget()
        return StaffSubscriptionState.load


class CouponsState(DialogsState, ListedState, rx.State):
    """One page of coupons, and which dialog is open for which."""

    _listing: ClassVar[Listing[Any]] = coupon_queries.COUPONS
    _file_url: ClassVar[str] = "/api/v1/staff/coupons"
    _filter_keys: ClassVar[tuple[str, ...]] = ("state",)
    _dialogs: ClassVar[Mapping[str, Capability]] = dict.fromkeys(
        ("new", "archive"), Capability.STAFF_PLANS_WRITE
    )

    plans: list[dict[str, str]] = []  # what a new one can be limited to
    meters: list[dict[str, str]] = []

    @page_event(Capability.STAFF_PLANS_READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, coupon_queries.COUPONS)
            plans = await listing_sql.select(uow, plan_queries.PLANS, limit=LIMITED_TO_MAX)
            named = await plan_queries.plan_names(uow, {one for row in found for one in row.plans})
            meters = await platform_meters(uow)
        self.rows = [_coupon(row, named | meters) for row in found]
        self.plans = [{"id": row.id, "label": row.name} for row in plans]
        self.meters = [{"id": slug, "label": name} for slug, name in sorted(meters.items())]


def _coupon(row: CouponRow, names: Mapping[str, str]) -> dict[str, Any]:
    """`names` are those of plans by id and of meters by slug."""
    amount = (
        "" if row.amount_minor is None else decimal_text(Money(row.amount_minor, row.currency or "").amount)
    )
    return {
        "id": row.id,
        "code": row.code,
        "name": row.name,
        "share": decimal_text(row.rate),
        "amount": amount,
        "currency": row.currency or "",
        "duration": row.duration,
        "periods": row.periods or 0,
        "plans": ", ".join(names.get(one, one) for one in (*row.plans, *row.meters)),
        "redeemed": row.redeemed,
        "most": str(row.redemptions_max or ""),
        "expires_at": instant_text(row.expires_at),
        "created_at": instant_text(row.created_at),
        "state": row.state,
    }
