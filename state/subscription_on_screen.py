"""One subscription on its page, and the act that is asked about with what it would come to."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar

from services.core.errors import Conflict, Invalid
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.identity import queries as identity
from services.subscriptions import previewing, subscriptions
from services.subscriptions import queries as subscription_queries
from services.subscriptions.previewing import Act
from services.subscriptions.usage_so_far import used_so_far
from state import subscriptions_view, typed
from state.base import SIGNED_IN, PageState, page_event
from state.choosing import COUPON_CHARACTERS_MAX
from state.format import instant_text
from state.problems import problem_of


class SubscriptionOnScreen(PageState, mixin=True):
    """`asking` names the act, `coupon_id` the coupon that is to be taken off.

    The page class declares `load` and `follow` with the capability that they take, and says which capability the acts
    take (`_acts_need`) and where invoices are. Acts are done by the REST API; here they are looked at.
    """

    _acts_need: ClassVar[Capability]
    _invoices: ClassVar[str]
    _staff: ClassVar[bool] = False  # whether it may be any organisation's

    subscription: dict[str, Any] = {}
    items: list[dict[str, Any]] = []
    coupons: list[dict[str, Any]] = []
    invoices: list[dict[str, Any]] = []
    used: list[dict[str, Any]] = []
    asking: str = ""
    coupon_id: str = ""
    coupon_code: str = ""
    preview: dict[str, Any] = {}
    weighed: dict[str, Any] = {}  # what of the dialog's values it was made of
    documents: list[dict[str, Any]] = []
    refusal: str = ""  # why what was chosen in the dialog cannot be done
    coupon: str = ""
    coupon_errors: dict[str, str] = {}
    just_done: str = ""  # what was agreed to on the way here, while nothing else has become of it
    read_at: str = ""

    @page_event(SIGNED_IN)
    async def ask(self, act: str) -> None:
        """Ask about an act, with what it would come to, before it is done."""
        self._actor.require(self._acts_need)
        self._forget()
        await self._ask_about(str(act)[:40])

    @page_event(SIGNED_IN)
    async def weigh(self, values: dict[str, Any]) -> None:
        """What the act that is asked about would come to as it is chosen now."""
        self._actor.require(self._acts_need)
        self.preview, self.documents, self.refusal = {}, [], ""
        self.weighed = {name: values.get(name) for name in self.weighed}
        try:
            await self._weigh(values)
        except (Invalid, Conflict) as error:
            self.refusal = problem_of(error, "").text

    @page_event(SIGNED_IN)
    async def look_at_coupon(self, values: dict[str, Any]) -> None:
        """What the next invoice would be with a coupon, or why it cannot be taken."""
        self._actor.require(self._acts_need)
        self.preview, self.documents, self.coupon_errors = {}, [], {}
        self.coupon = str(values.get("coupon") or "").strip()[:COUPON_CHARACTERS_MAX]
        subscription_id, coupon = self._address_id, self.coupon
        try:
            await self._preview(lambda uow: subscriptions.take_coupon(uow, subscription_id, coupon))
        except (Invalid, Conflict) as error:
            self.coupon_errors = {"coupon": problem_of(error, "").text}

    @page_event(SIGNED_IN)
    async def ask_off(self, redemption_id: str) -> None:
        """Ask before a coupon is taken off."""
        self._actor.require(self._acts_need)
        self._forget()
        found = [row for row in self.coupons if row["id"] == redemption_id]
        if found:
            self.coupon_id, self.coupon_code = found[0]["id"], found[0]["code"]

    @page_event(SIGNED_IN)
    async def dismiss(self, is_open: bool) -> None:
        if not is_open:
            self._forget()

    # -- for the page class

    async def _read_anew(self) -> None:
        self.subscription, self.items, self.coupons, self.invoices = {}, [], [], []
        self.used = []
        self._forget()
        await self._look()

    async def _read_on(self) -> None:
        """Something changed. While an act is asked about the page stays as it was asked about."""
        if self.subscription and not (self.asking or self.coupon_id):
            await self._look()

    async def _subscription_work(self) -> AbstractAsyncContextManager[UnitOfWork]:
        """Work in the organisation whose subscription it is. Raises Forbidden and NotFound."""
        if not self._staff:
            return self._unit_of_work()
        async with self._staff_work() as uow:
            whose = await subscription_queries.organization_of(uow, self._address_id)
        return self._staff_work(within=whose)

    async def _look(self) -> None:
        async with await self._subscription_work() as uow:
            found = await subscription_queries.detail(uow, self._address_id, staff=self._staff)
            billed = await subscription_queries.billed(uow, found)
            used = await used_so_far(uow, found.id, staff=self._staff)
            name = await identity.organization_name(uow, found.organization_id) if self._staff else ""
        self.read_at = instant_text(uow.wall_now)
        done, _, version = self._query.get("done", "").partition(".")
        self.just_done = done if version == str(found.version) else ""
        self.subscription = subscriptions_view.detail_shown(found) | {"organization": name}
        self.items = subscriptions_view.items_shown(found.items, found.currency)
        self.used = [subscriptions_view.used_shown(one) for one in used]
        self.coupons = [subscriptions_view.coupon_shown(one, found.currency) for one in found.coupons]
        self.invoices = [
            subscriptions_view.billed_shown(one, found.currency, self._invoices) for one in billed
        ]

    async def _ask_about(self, act: str) -> None:
        self.weighed = dict(_OPENED_WITH.get(act, {}))
        await self._weigh({}, act)
        self.asking = act

    async def _weigh(self, values: dict[str, Any], act: str = "") -> None:
        subscription_id = self._address_id
        acts: dict[str, Act] = {
            "pause": lambda uow: subscriptions.pause(uow, subscription_id),
            "resume": lambda uow: subscriptions.resume(uow, subscription_id),
            "cancel": lambda uow: _cancel(uow, subscription_id, values),
        }
        if (wanted := acts.get(act or self.asking)) is not None:
            await self._preview(wanted)

    async def _preview(self, act: Act) -> None:
        async with await self._subscription_work() as uow:
            found = await previewing.preview(uow, act, of=self._address_id)
        self.preview = subscriptions_view.preview_shown(found)
        self.documents = subscriptions_view.documents_shown(found)

    def _forget(self) -> None:
        self.asking = self.coupon_id = self.coupon_code = self.refusal = ""
        self.preview, self.documents, self.weighed = {}, [], {}
        self.coupon, self.coupon_errors = "", {}


# What the fields of an act's dialog that change what it comes to hold at first.
_OPENED_WITH: dict[str, dict[str, Any]] = {
    "cancel": {"at_once": "false", "cancel_at": "", "credits_unused": True}
}


async def _cancel(uow: UnitOfWork, subscription_id: str, values: dict[str, Any]) -> Any:
    """As the dialog says it: at once, at a time, or else when what is paid for ends."""
    at = str(values.get("cancel_at") or "")
    return await subscriptions.cancel(
        uow,
        subscription_id,
        now_at_once=values.get("at_once") == "true",
        cancel_at=typed.instant(at, "cancel_at") if at else None,
        credits_unused=values.get("credits_unused") is not False,
    )
