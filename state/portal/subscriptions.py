"""The organisation's subscriptions: the list, and one with what can be done to it."""

from __future__ import annotations

from typing import Any, ClassVar

import reflex as rx

from services.core.errors import Conflict, Invalid
from services.core.listing import Listing
from services.core.permissions import Capability
from services.subscriptions import previewing, retention, subscriptions
from services.subscriptions import queries as subscription_queries
from services.subscriptions.previewing import Act
from services.subscriptions.usage_so_far import used_so_far
from state import subscriptions_view
from state.base import PageState, page_event
from state.format import instant_text
from state.listed import ListedState
from state.portal.choosing import COUPON_CHARACTERS_MAX, HOME
from state.problems import problem_of

INVOICES = "/portal/invoices"


class SubscriptionsState(ListedState, rx.State):
    """One page of the organisation's subscriptions."""

    _listing: ClassVar[Listing[Any]] = subscription_queries.SUBSCRIPTIONS
    _file_url: ClassVar[str] = "/api/v1/subscriptions"
    _filter_keys: ClassVar[tuple[str, ...]] = subscriptions_view.FILTERS

    read_at: str = ""

    @page_event(Capability.SUBSCRIPTIONS_READ, reads=True)
    async def load(self) -> None:
        async with self._unit_of_work() as uow:
            found = await self._read(uow, subscription_queries.SUBSCRIPTIONS)
        self.read_at = instant_text(uow.wall_now)
        self.rows = [subscriptions_view.row_shown(row, HOME) for row in found]


class SubscriptionState(PageState, rx.State):
    """One subscription, and the act that is asked about with what it would come to.

    `asking` names the act, `coupon_id` the coupon that is to be taken off, `offer` what whoever cancels is offered.
    """

    subscription: dict[str, Any] = {}
    items: list[dict[str, Any]] = []
    coupons: list[dict[str, Any]] = []
    invoices: list[dict[str, Any]] = []
    used: list[dict[str, Any]] = []
    asking: str = ""
    coupon_id: str = ""
    coupon_code: str = ""
    preview: dict[str, Any] = {}
    documents: list[dict[str, Any]] = []
    offer: dict[str, Any] = {}
    coupon: str = ""
    coupon_errors: dict[str, str] = {}
    just_done: bool = False
    read_at: str = ""

    @page_event(Capability.SUBSCRIPTIONS_READ, reads=True)
    async def load(self) -> None:
        self.subscription, self.items, self.coupons, self.invoices = {}, [], [], []
        self.used = []
        self._forget()
        self.just_done = self._query.get("done", "") == "1"
        await self._look()

    @page_event(Capability.SUBSCRIPTIONS_READ)
    async def follow(self) -> None:
        """Something changed. While an act is asked about the page stays as it was asked about."""
        if self.subscription and not (self.asking or self.coupon_id):
            await self._look()

    async def _look(self) -> None:
        async with self._unit_of_work() as uow:
            found = await subscription_queries.detail(uow, self._subscription_id())
            billed = await subscription_queries.billed(uow, found)
            used = await used_so_far(uow, found.id)
        self.read_at = instant_text(uow.wall_now)
        self.subscription = subscriptions_view.detail_shown(found)
        self.items = subscriptions_view.items_shown(found.items, found.currency)
        self.used = [subscriptions_view.used_shown(one) for one in used]
        self.coupons = [subscriptions_view.coupon_shown(one, found.currency) for one in found.coupons]
        self.invoices = [subscriptions_view.billed_shown(one, found.currency, INVOICES) for one in billed]

    @page_event(Capability.SUBSCRIPTIONS_WRITE)
    async def ask(self, act: str) -> None:
        """Ask about an act, with what it would come to, before it is done."""
        self._forget()
        subscription_id = self._subscription_id()
        acts: dict[str, Act] = {
            "pause": lambda uow: subscriptions.pause(uow, subscription_id),
            "resume": lambda uow: subscriptions.resume(uow, subscription_id),
            "cancel": lambda uow: subscriptions.cancel(uow, subscription_id, now_at_once=True),
        }
        if act in acts:
            async with self._unit_of_work() as uow:
                found = await previewing.preview(uow, acts[act])
                offered = await retention.offer(uow, subscription_id) if act == "cancel" else None
            self.preview = subscriptions_view.preview_shown(found)
            self.documents = subscriptions_view.documents_shown(found)
            self.offer = subscriptions_view.offer_shown(offered) if offered is not None else {}
        self.asking = str(act)[:40]

    @page_event(Capability.SUBSCRIPTIONS_WRITE)
    async def look_at_coupon(self, values: dict[str, Any]) -> None:
        """What the next invoice would be with a coupon, or why it cannot be taken."""
        self.preview, self.documents, self.coupon_errors = {}, [], {}
        self.coupon = str(values.get("coupon") or "").strip()[:COUPON_CHARACTERS_MAX]
        subscription_id, coupon = self._subscription_id(), self.coupon
        try:
            async with self._unit_of_work() as uow:
                found = await previewing.preview(
                    uow, lambda work: subscriptions.take_coupon(work, subscription_id, coupon)
                )
        except (Invalid, Conflict) as error:
            self.coupon_errors = {"coupon": problem_of(error, "").text}
        else:
            self.preview = subscriptions_view.preview_shown(found)
            self.documents = subscriptions_view.documents_shown(found)

    @page_event(Capability.SUBSCRIPTIONS_WRITE)
    async def stay(self) -> Any:
        """Take the offer that is on screen, and keep the subscription."""
        coupon = str(self.offer.get("coupon", ""))
        async with self._unit_of_work() as uow:
            await retention.accept(uow, self._subscription_id(), coupon)
        self._forget()
        return SubscriptionState.load

    @page_event(Capability.SUBSCRIPTIONS_WRITE)
    async def ask_off(self, redemption_id: str) -> None:
        """Ask before a coupon is taken off."""
        self._forget()
        found = [row for row in self.coupons if row["id"] == redemption_id]
        if found:
            self.coupon_id, self.coupon_code = found[0]["id"], found[0]["code"]

    @page_event(Capability.SUBSCRIPTIONS_READ)
    async def dismiss(self, is_open: bool) -> None:
        if not is_open:
            self._forget()

    @page_event(Capability.SUBSCRIPTIONS_READ)
    async def changed(self) -> Any:
        """Something was done through the API."""
        self._forget()
        return SubscriptionState.load

    def _forget(self) -> None:
        self.asking = self.coupon_id = self.coupon_code = ""
        self.preview, self.documents, self.offer = {}, [], {}
        self.coupon, self.coupon_errors = "", {}

    def _subscription_id(self) -> str:
        return self.router.url.path.rstrip("/").rsplit("/", 1)[-1]
