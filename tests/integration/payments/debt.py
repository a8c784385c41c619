"""A customer on a test clock who owes, and what happens to that debt."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from models.clock import TestClock
from models.dunning import DunningCampaign, StepAction
from models.subscriptions import Subscription
from models.types import OrganizationKind, Role
from services.billing_runs import clock_turning
from services.core.crossing import Reason, crossing
from services.core.ids import new_id
from services.dunning import campaigns
from services.dunning.campaigns import CampaignFields
from services.dunning.rules import Step
from services.identity import clocks
from services.payments import cashier as cashiers
from services.payments import methods
from services.payments.providers.values import Customer, SetupOrder
from tests.fakes.stripe.running import RunningStripe
from tests.integration.billing.shop import open_shop
from tests.integration.billing.subscribers import Subscribers, price
from tests.integration.payments.till import Till, open_till
from tests.world import World

DAY = timedelta(days=1)
BEGAN = datetime(2026, 3, 10, 9, tzinfo=UTC)


@dataclass
class Debt:
    """A customer on a test clock with a subscription whose invoices are due at once, and the house's staff."""

    till: Till
    sold: Subscribers
    clock: TestClock
    staff: Any

    async def campaign(self, *steps: tuple[int, StepAction], **more: Any) -> DunningCampaign:
        fields = CampaignFields("Usual", tuple(Step(*step) for step in steps), enabled=True, **more)
        async with crossing(Reason.STAFF, actor=self.staff, clock=self.till.clock) as uow:
            return await campaigns.create(uow, fields)

    async def turn(self, to: datetime) -> None:
        async with crossing(Reason.STAFF, actor=self.staff, clock=self.till.clock) as uow:
            await clock_turning.turn(uow, self.clock.id, to=to)
        while (await self.read(TestClock, self.clock.id)).target_at is not None:
            await clock_turning.turn_due(clock=self.till.clock)

    async def read(self, kind: Any, row_id: str) -> Any:
        async with crossing(Reason.BILLING) as uow:
            return await uow.get(kind, row_id)

    async def all(self, statement: str, **named: Any) -> list[Any]:
        async with crossing(Reason.BILLING) as uow:
            return list((await uow.execute(statement, **named)).all())

    async def card(self, card: str) -> str:
        """A method that is kept."""
        provider = await self.till.cashier.provider_of(self.till.account)
        organization = self.till.shop.customer.id
        customer = await provider.keep_customer(Customer("Acme", "", organization), key=f"{organization}.c")
        setup = await provider.setup(SetupOrder(f"{organization}.{new_id('pay')}", customer, card))
        assert setup.method is not None
        async with self.till.shop.work() as uow:
            await methods.keep_customer(uow, self.till.account.id, customer)
            return (await methods.keep(uow, self.till.account.id, setup.method)).id

    async def subscribe(self, **terms: Any) -> Subscription:
        return await self.sold.start(await self.sold.plan(price("base", "flat", "30")), **terms)

    async def story(self) -> list[tuple[int, str]]:
        """What happened to invoices and cases, with the day of business time since it began."""
        rows = await self.all(
            "select happened_at, type, payload from event where split_part(type, '.', 1) in ('payment', 'dunning')"
            " order by id"
        )
        return [((row.happened_at - BEGAN).days, _said(row)) for row in rows]


def _said(row: Any) -> str:
    verb = row.type.partition(".")[2]
    more = {
        "payment.started": "initiator", "dunning.step_done": "action", "dunning.ended": "outcome",
    }.get(row.type)  # fmt: skip
    return f"{verb} {row.payload[more]}" if more else verb


@asynccontextmanager
async def open_debt(world: World, stripe: RunningStripe) -> AsyncIterator[Debt]:
    shop = await open_shop(world, is_test=True, is_usual=True, grace_hours=0, payment_days=0)
    async with open_till(shop, stripe) as till:
        house = await world.organization(name="House", kind=OrganizationKind.OPERATOR)
        staff = world.actor(house, Role.OPERATOR)
        async with crossing(Reason.STAFF, actor=staff, clock=till.clock) as uow:
            clock = await clocks.create_test_clock(uow, shop.customer.id, name="Trial", shows=BEGAN)
        cashiers.install(till.cashier)
        yield Debt(till, Subscribers(shop), clock, staff)
        await cashiers.close()
