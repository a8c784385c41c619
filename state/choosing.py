"""Choosing a plan: what it would cost is shown as it is chosen, and billed as it was shown."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, ClassVar

import reflex as rx

from models.subscriptions import Subscription
from models.types import ProrationBehaviour
from services.billing.finalizing import BillingProfileMissing
from services.catalog import plan_queries, plan_rules
from services.catalog.plan_queries import PlanOnSale
from services.core.errors import Conflict, Invalid, MatrixError, not_found
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.subscriptions import previewing, subscriptions
from services.subscriptions import queries as subscription_queries
from services.subscriptions.arranging import AS_SOLD, Arrangement
from services.subscriptions.previewing import Act, PreviewOutdated
from services.subscriptions.queries import SubscriptionDetail
from services.subscriptions.selecting import Wanted
from state import addresses, plan_layout, plan_view, subscriptions_view
from state.base import SIGNED_IN, PageState, page_event
from state.problems import problem_of

PLANS_COMPARED_MAX = 50
COUPON_CHARACTERS_MAX = 200


class Choosing(PageState, mixin=True):
    """What is chosen for a new subscription, or for one that is to change, and what it comes to.

    The address names plan, currency and interval. `counted` are rows for what is chosen by number, `addons` rows to
    tick. `preview` is what was looked at: confirming does exactly that. The page class says what whoever chooses must
    be allowed (`_needs`), where subscriptions are (`_home`), declares `load`, and may choose more (`_arranged`,
    `_behaviour`).
    """

    _needs: ClassVar[Capability]
    _home: ClassVar[str]

    subscription: dict[str, Any] = {}
    plan: dict[str, Any] = {}
    plans: list[dict[str, Any]] = []
    currencies: list[dict[str, str]] = []
    intervals: list[dict[str, Any]] = []
    counted: list[dict[str, Any]] = []
    addons: list[dict[str, Any]] = []
    coupon: str = ""
    coupon_errors: dict[str, str] = {}
    preview: dict[str, Any] = {}
    documents: list[dict[str, Any]] = []
    looked: int = 0  # which preview it is: of each other choice, time and sum another
    refusal: str = ""
    needs_profile: bool = False
    key: str = ""

    @page_event(SIGNED_IN)
    async def count(self, slot: str, quantity: str) -> None:
        """Take another number of something."""
        self.counted = plan_layout.recounted(self.counted, slot, quantity)
        await self._look()

    @page_event(SIGNED_IN)
    async def count_addon(self, plan_id: str, slot: str, quantity: str) -> None:
        """Take another number of something that an add-on has."""
        self.addons = [
            row | {"counted": plan_layout.recounted(row["counted"], slot, quantity)}
            if row["id"] == plan_id
            else row
            for row in self.addons
        ]
        await self._look()

    @page_event(SIGNED_IN)
    async def tick(self, plan_id: str, wanted: bool) -> None:
        """Take an add-on, or leave it."""
        self.addons = [row | {"chosen": bool(wanted)} if row["id"] == plan_id else row for row in self.addons]
        await self._look()

    @page_event(SIGNED_IN)
    async def apply_coupon(self, values: dict[str, Any]) -> None:
        """Look at what a coupon would do."""
        self.coupon = str(values.get("coupon") or "").strip()[:COUPON_CHARACTERS_MAX]
        await self._look()

    @page_event(SIGNED_IN)
    async def choose_plan(self, plan_id: str) -> Any:
        return self._go("plan", plan_id)

    @page_event(SIGNED_IN)
    async def choose_currency(self, currency: str) -> Any:
        return self._go("currency", currency)

    @page_event(SIGNED_IN)
    async def choose_interval(self, interval: str) -> Any:
        return self._go("interval", interval)

    @page_event(SIGNED_IN)
    async def look(self) -> None:
        """Work it out anew, for now."""
        await self._look()

    @page_event(SIGNED_IN)
    async def confirm(self, looked: int) -> Any:
        """Do what was shown, for the sum that was shown; another preview may be on its way to whoever agrees."""
        self._actor.require(self._needs)
        agreed = self.preview
        if not agreed:
            return None
        at = datetime.fromisoformat(agreed["at"])
        try:
            if looked != self.looked:
                raise PreviewOutdated(
                    "Something else was chosen while it was agreed to.",
                    next_step="Look at what it comes to now.",
                )
            async with self._choice_work() as uow:
                row = await previewing.agreed(uow, self._act(at), agreed["total_minor"])
        except (PreviewOutdated, Invalid) as error:
            said = problem_of(error, "").text
            await self._look()
            self.refusal = self.refusal or said
            return None
        done = "waits" if row.scheduled_at else "changed" if self.subscription else "started"
        return rx.redirect(addresses.with_query(f"{self._home}/{row.id}", {"done": f"{done}.{row.version}"}))

    # -- what a page class says differently

    def _choice_work(self) -> AbstractAsyncContextManager[UnitOfWork]:
        """Work in the organisation that is billed."""
        return self._unit_of_work()

    def _arranged(self) -> Arrangement:
        """What else is said of the start."""
        return AS_SOLD

    def _behaviour(self) -> ProrationBehaviour | None:
        """When a change counts, where not as usual."""
        return None

    def _version_chosen(self) -> int | None:
        """The version of the plan by its number, where not the one that is sold is wanted."""
        return None

    def _forget_terms(self) -> None:
        """Nothing else is chosen yet, or wrong."""

    # -- for the page class's `load`

    async def _open(self, uow: UnitOfWork, currency: str, *, subscription_id: str = "") -> None:
        """Lay out what there is to choose for a new subscription in `currency`, or for one that is there.

        Raises NotFound for a subscription or a plan that is not there."""
        self.subscription, self.plan, self.plans, self.intervals = {}, {}, [], []
        self.currencies, self.counted, self.addons, self.coupon = [], [], [], ""
        self._forget_terms()
        found = await plan_queries.plans_on_sale(uow, limit=PLANS_COMPARED_MAX)
        standing = None
        if subscription_id:
            standing = await subscription_queries.detail(uow, subscription_id, staff=self._is_staff)
            self.subscription = subscriptions_view.detail_shown(standing)
            mine = await plan_queries.version_by_number(uow, standing.plan_id, standing.plan_version)
            found = plan_layout.own_version(found, mine)
        elif (chosen := self._version_chosen()) is not None:
            found = plan_layout.own_version(
                found, await plan_queries.version_by_number(uow, self._query.get("plan", ""), chosen)
            )
        self._lay_out(found, standing, currency)
        self.key = new_id("sub")

    @property
    def _is_staff(self) -> bool:
        return self._needs is Capability.STAFF_SUBSCRIPTIONS_WRITE

    def _lay_out(self, found: list[PlanOnSale], standing: SubscriptionDetail | None, currency: str) -> None:
        """Everything there is to choose, with what is had or asked for chosen."""
        query = self._query
        offers = {
            one.id: plan_rules.offers_of([plan_queries.planned(row) for row in one.charges]) for one in found
        }
        sold_in = sorted({o.currency for one in found if not one.addon_to for o in offers[one.id]})
        mine = standing.currency if standing else query.get("currency") or currency
        hosts = [one for one in found if not one.addon_to and any(o.currency == mine for o in offers[one.id])]
        asked = query.get("plan") or (standing.plan_id if standing else "")
        plan = next((one for one in hosts if one.id == asked), None)
        if plan is None:
            if not hosts or (asked and standing is None):
                raise not_found("plan for sale", asked[:80])
            plan = hosts[0]
        sold = [one for one in offers[plan.id] if one.currency == mine]
        usual = f"{standing.interval_count}-{standing.interval}" if standing else ""
        offer = plan_layout.offer_of(sold, query.get("interval", ""), usual)
        had = {} if standing is None else {(one.plan_id, one.key): one for one in standing.items}
        self.plan = {
            "id": plan.id,
            "name": plan.name,
            "currency": mine,
            "interval": plan_view.offer_key(offer),
            "trial_days": 0 if standing else plan.trial_days,
        }
        self.plans = [{"id": one.id, "label": one.name, "detail": one.description} for one in hosts]
        self.currencies = [{"id": code, "label": code} for code in (sold_in if standing is None else [])]
        self.intervals = [
            {
                "id": plan_view.offer_key(one),
                "interval": one.length.interval.value,
                "count": one.length.count,
                "chosen": one == offer,
            }
            for one in sold
        ]
        self.counted = plan_layout.counted_of(plan, offer, had, standing)
        self.addons = plan_layout.addons_of(found, plan, offers, offer, standing, query.get("addon", ""))

    # -- what it comes to

    def _wanted(self) -> Wanted:
        count, _, interval = self.plan["interval"].partition("-")
        addons = {row["id"]: plan_layout.quantities(row["counted"]) for row in self.addons if row["chosen"]}
        counted = plan_layout.quantities(self.counted)
        return Wanted(self.plan["id"], self.plan["currency"], interval, int(count), counted, addons)

    def _act(self, at: datetime | None) -> Act:
        wanted, coupon = self._wanted(), self.coupon
        arranged, behaviour = self._arranged(), self._behaviour()
        subscription_id = self.subscription.get("id", "")

        async def act(uow: UnitOfWork) -> Subscription:
            if not subscription_id:
                return await subscriptions.start(uow, wanted, key=self.key, coupon=coupon, arranged=arranged)
            if coupon:
                await subscriptions.take_coupon(uow, subscription_id, coupon)
            return await subscriptions.change(uow, subscription_id, wanted, at=at, behaviour=behaviour)

        return act

    async def _look(self) -> None:
        """The preview of what is chosen, or why there is none. A coupon that is refused is not taken, and said so."""
        self._actor.require(self._needs)
        self.preview, self.documents, self.refusal, self.needs_profile = {}, [], "", False
        self.looked += 1
        self.coupon_errors = {}
        if not self.plan:
            return
        await self._work_out()
        if self.coupon_errors:
            self.coupon = ""
            await self._work_out()

    async def _work_out(self) -> None:
        try:
            async with self._choice_work() as uow:
                found = await previewing.preview(uow, self._act(None), of=self.subscription.get("id"))
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
        ahead = self._query_ahead
        kept = {key: ahead.get(key, "") for key in ("plan", "version", "currency", "interval", "addon")}
        if name == "plan":
            kept["version"] = ""  # of another plan
        elif name == "version":
            kept["plan"] = self.plan.get("id", kept["plan"])
        if name == "currency":  # what was chosen may not be sold in it
            kept = dict.fromkeys(kept, "")
        return self._send_to(kept | {name: str(value)[:80]})
