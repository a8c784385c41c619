"""Choosing a plan: what it would cost is shown as it is chosen, and billed as it was shown."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import reflex as rx

from models.plans import ChargeKind
from models.subscriptions import Subscription
from services.billing.finalizing import BillingProfileMissing
from services.catalog import plan_queries, plan_rules
from services.catalog.plan_queries import ChargeRow, PlanOnSale
from services.catalog.plan_rules import Offer
from services.core.errors import Conflict, Invalid, MatrixError, not_found
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.subscriptions import previewing, subscriptions
from services.subscriptions import queries as subscription_queries
from services.subscriptions.previewing import Act, PreviewOutdated
from services.subscriptions.queries import ItemRow, SubscriptionDetail
from services.subscriptions.selecting import Wanted
from services.terms import queries as terms
from state import addresses, plan_view, subscriptions_view
from state.base import PageState, page_event
from state.format import decimal_text
from state.portal.plans import PLANS_COMPARED_MAX
from state.problems import problem_of

HOME = "/portal/subscriptions"
START = "/portal/subscribe"
QUANTITY_DIGITS_MAX = 12
COUPON_CHARACTERS_MAX = 200


class ChoiceState(PageState, rx.State):
    """What is chosen for a new subscription, or for one that is to change, and what it comes to.

    The address names plan, currency and interval. `counted` are rows for what is chosen by number, `addons` rows to
    tick. `agreed` is what the preview was for: confirming does exactly that.
    """

    subscription: dict[str, Any] = {}
    plan: dict[str, Any] = {}
    plans: list[dict[str, Any]] = []
    intervals: list[dict[str, Any]] = []
    counted: list[dict[str, Any]] = []
    addons: list[dict[str, Any]] = []
    coupon: str = ""
    coupon_errors: dict[str, str] = {}
    preview: dict[str, Any] = {}
    documents: list[dict[str, Any]] = []
    refusal: str = ""
    needs_profile: bool = False
    confirming: bool = False
    key: str = ""
    terms: int = 0  # the version that subscribing accepts

    @page_event(Capability.SUBSCRIPTIONS_WRITE, reads=True)
    async def load(self) -> None:
        self.subscription, self.plan, self.plans, self.intervals = {}, {}, [], []
        self.counted, self.addons, self.coupon = [], [], ""
        async with self._unit_of_work() as uow:
            standing = await self._standing(uow)
            found = await plan_queries.plans_on_sale(uow, limit=PLANS_COMPARED_MAX)
            self.terms = await terms.current_number(uow) if standing is None else 0
        self._lay_out(found, standing)
        self.key = new_id("sub")
        await self._look()

    @page_event(Capability.SUBSCRIPTIONS_WRITE)
    async def count(self, slot: str, quantity: str) -> None:
        """Take another number of something."""
        self.counted = _recounted(self.counted, slot, quantity)
        await self._look()

    @page_event(Capability.SUBSCRIPTIONS_WRITE)
    async def count_addon(self, plan_id: str, slot: str, quantity: str) -> None:
        """Take another number of something that an add-on has."""
        self.addons = [
            row | {"counted": _recounted(row["counted"], slot, quantity)} if row["id"] == plan_id else row
            for row in self.addons
        ]
        await self._look()

    @page_event(Capability.SUBSCRIPTIONS_WRITE)
    async def tick(self, plan_id: str, wanted: bool) -> None:
        """Take an add-on, or leave it."""
        self.addons = [row | {"chosen": bool(wanted)} if row["id"] == plan_id else row for row in self.addons]
        await self._look()

    @page_event(Capability.SUBSCRIPTIONS_WRITE)
    async def apply_coupon(self, values: dict[str, Any]) -> None:
        """Look at what a coupon would do."""
        self.coupon = str(values.get("coupon") or "").strip()[:COUPON_CHARACTERS_MAX]
        await self._look()

    @page_event(Capability.SUBSCRIPTIONS_WRITE)
    async def choose_plan(self, plan_id: str) -> Any:
        return self._go("plan", plan_id)

    @page_event(Capability.SUBSCRIPTIONS_WRITE)
    async def choose_interval(self, interval: str) -> Any:
        return self._go("interval", interval)

    @page_event(Capability.SUBSCRIPTIONS_WRITE)
    async def look(self) -> None:
        """Work it out anew, for now."""
        await self._look()

    @page_event(Capability.SUBSCRIPTIONS_WRITE)
    async def confirm(self) -> Any:
        """Do what was shown, for the sum that was shown."""
        agreed = self.preview
        if not agreed:
            return None
        at = datetime.fromisoformat(agreed["at"])
        try:
            async with self._unit_of_work() as uow:
                row = await previewing.agreed(uow, self._act(at), agreed["total_minor"])
        except (PreviewOutdated, Invalid) as error:
            said = problem_of(error, "").text
            await self._look()
            self.refusal = self.refusal or said
            return None
        return rx.redirect(f"{HOME}/{row.id}?done=1")

    async def _standing(self, uow: UnitOfWork) -> SubscriptionDetail | None:
        """The subscription that is to change, by the address."""
        path = self.router.url.path.rstrip("/")
        if path == START:
            return None
        found = await subscription_queries.detail(uow, path.removesuffix("/change").rsplit("/", 1)[-1])
        self.subscription = subscriptions_view.detail_shown(found)
        return found

    def _lay_out(self, found: list[PlanOnSale], standing: SubscriptionDetail | None) -> None:
        """Everything there is to choose, with what is had or asked for chosen."""
        query = self._query
        offers = {
            one.id: plan_rules.offers_of([plan_queries.planned(row) for row in one.charges]) for one in found
        }
        mine = standing.currency if standing else query.get("currency") or self._currency
        hosts = [one for one in found if not one.addon_to and any(o.currency == mine for o in offers[one.id])]
        asked = query.get("plan") or (standing.plan_id if standing else "")
        plan = next((one for one in hosts if one.id == asked), None)
        if plan is None:
            if not hosts or (asked and standing is None):
                raise not_found("plan for sale", asked[:80])
            plan = hosts[0]
        sold = [one for one in offers[plan.id] if one.currency == mine]
        usual = f"{standing.interval_count}-{standing.interval}" if standing else ""
        offer = _offer(sold, query.get("interval", ""), usual)
        had = {} if standing is None else {(one.plan_id, one.key): one for one in standing.items}
        self.plan = {
            "id": plan.id,
            "name": plan.name,
            "currency": mine,
            "interval": plan_view.offer_key(offer),
            "trial_days": 0 if standing else plan.trial_days,
        }
        self.plans = [{"id": one.id, "label": one.name, "detail": one.description} for one in hosts]
        self.intervals = [
            {
                "id": plan_view.offer_key(one),
                "interval": one.length.interval.value,
                "count": one.length.count,
                "chosen": one == offer,
            }
            for one in sold
        ]
        self.counted = _counted(plan, offer, had, standing)
        self.addons = _addons(found, plan, offers, offer, standing, query.get("addon", ""))

    def _wanted(self) -> Wanted:
        count, _, interval = self.plan["interval"].partition("-")
        addons = {row["id"]: _quantities(row["counted"]) for row in self.addons if row["chosen"]}
        return Wanted(
            self.plan["id"], self.plan["currency"], interval, int(count), _quantities(self.counted), addons
        )

    def _act(self, at: datetime | None) -> Act:
        wanted, coupon = self._wanted(), self.coupon
        subscription_id = self.subscription.get("id", "")

        async def act(uow: UnitOfWork) -> Subscription:
            if not subscription_id:
                return await subscriptions.start(uow, wanted, key=self.key, coupon=coupon)
            if coupon:
                await subscriptions.take_coupon(uow, subscription_id, coupon)
            return await subscriptions.change(uow, subscription_id, wanted, at=at)

        return act

    async def _look(self) -> None:
        """The preview of what is chosen, or why there is none."""
        self.preview, self.documents, self.refusal, self.needs_profile = {}, [], "", False
        self.coupon_errors = {}
        if not self.plan:
            return
        try:
            async with self._unit_of_work() as uow:
                found = await previewing.preview(uow, self._act(None))
        except BillingProfileMissing:
            self.needs_profile = True
        except (Invalid, Conflict) as error:
            self._refuse(error)
        else:
            self.preview = subscriptions_view.preview_shown(found)
            self.documents = subscriptions_view.documents_shown(found)

    def _refuse(self, error: MatrixError) -> None:
        said = problem_of(error, "").text
        if getattr(error, "field", None) == "coupon":
            self.coupon_errors = {"coupon": said}
        else:
            self.refusal = said

    def _go(self, name: str, value: str) -> Any:
        kept = {key: self._query.get(key, "") for key in ("plan", "currency", "interval", "addon")}
        return rx.redirect(addresses.with_query(self.router.url.path, kept | {name: str(value)[:80]}))


def _recounted(rows: list[dict[str, Any]], slot: str, quantity: str) -> list[dict[str, Any]]:
    return [
        row | {"quantity": str(quantity)[:QUANTITY_DIGITS_MAX]} if row["id"] == slot else row for row in rows
    ]


def _quantities(rows: list[dict[str, Any]]) -> dict[str, Decimal]:
    return {row["id"]: Decimal(row["quantity"]) for row in rows if _is_whole(row["quantity"])}


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= QUANTITY_DIGITS_MAX


def _offer(sold: list[Offer], asked: str, usual: str) -> Offer:
    """The interval asked for, else the one that is had, else the first."""
    by_key = {plan_view.offer_key(one): one for one in sold}
    return by_key.get(asked) or by_key.get(usual) or sold[0]


def _counted(
    plan: PlanOnSale,
    offer: Offer,
    had: dict[tuple[str, str], ItemRow],
    standing: SubscriptionDetail | None,
) -> list[dict[str, Any]]:
    """What of a plan is chosen by number; as many as are had, of whatever plan."""
    by_key = {one.key: one for one in (standing.items if standing else ()) if not one.addon}
    return _rows(
        plan, offer, by_key | {key: item for (plan_id, key), item in had.items() if plan_id == plan.id}
    )


def _rows(plan: PlanOnSale, offer: Offer, had: Mapping[str, ItemRow]) -> list[dict[str, Any]]:
    """What is sold by number; as many as are had, else as few as make sense."""
    rows: list[dict[str, Any]] = []
    for place in offer.charges:
        charge = plan.charges[place]
        if charge.kind not in (ChargeKind.SEAT, ChargeKind.ONE_OFF):
            continue
        mine = had.get(charge.key)
        rows.append(_row(charge, mine.quantity if mine else max(charge.quantity_min, Decimal(1))))
    return rows


def _row(charge: ChargeRow, quantity: Decimal) -> dict[str, Any]:
    return {
        "id": charge.key,
        "name": charge.name,
        "quantity": decimal_text(quantity),
        "min": decimal_text(charge.quantity_min),
        "max": decimal_text(charge.quantity_max),
        "charge": plan_view.charge_shown(charge),
    }


def _addons(
    found: list[PlanOnSale],
    plan: PlanOnSale,
    offers: dict[str, tuple[Offer, ...]],
    offer: Offer,
    standing: SubscriptionDetail | None,
    asked: str,
) -> list[dict[str, Any]]:
    """What goes with the plan, sold for the same time in the same currency; what is had is ticked."""
    items = [one for one in (standing.items if standing else ()) if one.addon]
    rows: list[dict[str, Any]] = []
    for one in found:
        fits = [
            o for o in offers[one.id] if (o.currency, o.length.size) == (offer.currency, offer.length.size)
        ]
        if plan.id not in one.addon_to or not fits:
            continue
        own = [item for item in items if item.plan_id == one.id]
        rows.append(
            {
                "id": one.id,
                "name": one.name,
                "description": one.description,
                "chosen": bool(own) or one.id == asked,
                "counted": _rows(one, fits[0], {item.key: item for item in own}),
                "charges": [plan_view.charge_shown(one.charges[place]) for place in fits[0].charges],
            }
        )
    return rows
