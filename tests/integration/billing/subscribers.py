"""Plans to subscribe to, and whoever does, at moments of one's choosing."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import Any

from models.billing import Invoice, InvoiceLine
from models.plans import Plan, Product
from models.subscriptions import Subscription
from services.billing import policies
from services.catalog import coupons, plan_queries, plans
from services.catalog.coupons import CouponFields
from services.catalog.plan_rules import ChargeFields
from services.catalog.plans import VersionFields
from services.core.actor import system
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.metering import service as metering
from services.metering.rules import GATEWAY_TYPE, UsageEventIn
from services.metering.service import ensure_platform_meters
from services.subscriptions import billing as subscription_billing
from services.subscriptions import subscriptions
from services.subscriptions.arranging import Arrangement
from services.subscriptions.selecting import Wanted
from tests.integration.billing.shop import Shop

_names = count()


def price(
    key: str, kind: str, amount: str, currency: str = "EUR", interval: str | None = "month", **more: Any
) -> ChargeFields:
    """A price of so much for one; of what is metered, for each unit."""
    definition = {
        "flat": {"model": "flat", "amount": amount},
        "one_off": {"model": "one_off", "unit_amount": amount},
    }.get(kind, {"model": "per_unit", "unit_amount": amount})
    if kind == "one_off":
        interval = None
    more.setdefault("proration", "day")
    return ChargeFields(key, key.title(), kind, currency, definition, interval=interval, **more)


class Subscribers:
    """Sells plans and keeps the time of a shop."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.product: Product | None = None

    async def plan(
        self,
        *charges: ChargeFields,
        trial_days: int = 0,
        addon_to: tuple[str, ...] = (),
        payment: str = "after",
    ) -> Plan:
        name = f"plan-{next(_names)}"
        async with crossing(Reason.CATALOG, actor=system()) as uow:
            await ensure_platform_meters(uow)
            self.product = self.product or await plans.create_product(uow, slug=name, name=name)
            plan = await plans.create_plan(
                uow, product_id=self.product.id, slug=name, name=name, addon_to=addon_to
            )
            fields = VersionFields(charges=charges, trial_days=trial_days, payment=payment)
            await self._publish(uow, plan, fields)
        return plan

    async def publish(self, plan: Plan, *charges: ChargeFields) -> None:
        """Sell a newer version of it."""
        async with crossing(Reason.CATALOG, actor=system()) as uow:
            await plans.draft_version(uow, plan.id)
            await self._publish(uow, plan, VersionFields(charges=charges))

    async def _publish(self, uow: UnitOfWork, plan: Plan, fields: VersionFields) -> None:
        draft = await plan_queries.newest_version(uow, plan.id)
        assert draft is not None
        await plans.change_draft(uow, draft.id, fields)
        await plans.publish_version(uow, draft.id)

    def at(self, *when: int) -> None:
        """Have it be that time, in UTC."""
        self.shop.now = datetime(*when, tzinfo=UTC)  # type: ignore[arg-type]

    async def start(self, plan: Plan, interval: str = "month", **more: Any) -> Subscription:
        named = {key: more.pop(key) for key in ("quantities", "addons") if key in more}
        wanted = Wanted(plan.id, more.pop("currency", "EUR"), interval, **named)
        key, coupon = more.pop("key", "") or f"start-{next(_names)}", more.pop("coupon", "")
        async with self.shop.work() as uow:
            return await subscriptions.start(
                uow, wanted, key=key, coupon=coupon, arranged=Arrangement(**more)
            )

    async def change(
        self, one: Subscription, plan: Plan | str, interval: str = "month", **more: Any
    ) -> Subscription:
        named = {key: more.pop(key) for key in ("quantities", "addons") if key in more}
        wanted = Wanted(plan if isinstance(plan, str) else plan.id, one.currency, interval, **named)
        async with self.shop.work() as uow:
            return await subscriptions.change(uow, one.id, wanted, **more)

    async def do(self, verb: Any, one: Subscription, *given: Any, **more: Any) -> Any:
        async with self.shop.work() as uow:
            return await verb(uow, one.id, *given, **more)

    async def run(self, one: Subscription) -> Subscription:
        """Do what is due by now."""
        async with self.shop.work() as uow:
            row = await policies.subscription_for(uow, one.id, Capability.SUBSCRIPTIONS_WRITE)
            await subscription_billing.catch_up(uow, row, Capability.SUBSCRIPTIONS_WRITE)
            return row

    async def invoices(self) -> list[Invoice]:
        """Of the customer, the oldest first."""
        async with self.shop.work() as uow:
            found = await uow.execute(
                "select * from invoice where organization_id = :id order by created_at, id",
                id=self.shop.customer.id,
            )
            return [Invoice(**row) for row in found.mappings()]

    async def numbered(self) -> list[Invoice]:
        return [row for row in await self.invoices() if row.number is not None]

    async def said(self, invoice: Invoice) -> list[tuple[str, int]]:
        """Descriptions and amounts of its lines."""
        return [(line.description, line.amount_minor) for line in await self.shop.lines(invoice)]

    async def credits(self) -> int:
        """What is left of the customer's credits, in minor units."""
        async with self.shop.work() as uow:
            found = await uow.execute(
                "select coalesce(sum(left_minor), 0) from customer_credit where organization_id = :id",
                id=self.shop.customer.id,
            )
            return int(found.scalar_one())

    async def coupon(self, code: str, **terms: Any) -> None:
        async with crossing(Reason.CATALOG, actor=system(), clock=FixedClock(self.shop.now)) as uow:
            await coupons.create_coupon(uow, CouponFields(code, code, **terms))

    async def lines(self) -> list[InvoiceLine]:
        """Of all the customer's documents, in order."""
        return [line for invoice in await self.invoices() for line in await self.shop.lines(invoice)]

    async def amounts(self) -> list[tuple[str, int]]:
        return [(line.description, line.amount_minor) for line in await self.lines()]

    async def used(self, quantity: int, when: datetime) -> None:
        """So many tokens of prompts, told now."""
        event = UsageEventIn(
            source="test", event_id=new_id("req"), type=GATEWAY_TYPE, time=when,
            properties={"prompt_tokens": quantity}, organization_id=self.shop.customer.id,
        )  # fmt: skip
        async with crossing(Reason.DEMO) as uow:
            await metering.record(uow, [event])
