"""Plans to subscribe to, and whoever does, at moments of one's choosing."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import Any

from models.billing import Invoice
from models.plans import Plan
from models.subscriptions import Subscription
from services.billing import policies, subscription_billing, subscriptions
from services.billing.selecting import Wanted
from services.catalog import plan_queries, plans
from services.catalog.plan_rules import ChargeFields
from services.catalog.plans import VersionFields
from services.core.actor import system
from services.core.crossing import Reason, crossing
from services.core.permissions import Capability
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

    async def plan(self, *charges: ChargeFields, trial_days: int = 0, addon_to: tuple[str, ...] = ()) -> Plan:
        name = f"plan-{next(_names)}"
        async with crossing(Reason.CATALOG, actor=system()) as uow:
            product = await plans.create_product(uow, slug=name, name=name)
            plan = await plans.create_plan(
                uow, product_id=product.id, slug=name, name=name, addon_to=addon_to
            )
            draft = await plan_queries.newest_version(uow, plan.id)
            assert draft is not None
            await plans.change_draft(uow, draft.id, VersionFields(charges=charges, trial_days=trial_days))
            await plans.publish_version(uow, draft.id)
        return plan

    def at(self, *when: int) -> None:
        """Have it be that time, in UTC."""
        self.shop.now = datetime(*when, tzinfo=UTC)  # type: ignore[arg-type]

    async def start(self, plan: Plan, interval: str = "month", **more: Any) -> Subscription:
        named = {key: more.pop(key) for key in ("quantities", "addons") if key in more}
        wanted = Wanted(plan.id, more.pop("currency", "EUR"), interval, **named)
        async with self.shop.work() as uow:
            return await subscriptions.start(
                uow, wanted, key=more.pop("key", "") or f"start-{next(_names)}", **more
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
