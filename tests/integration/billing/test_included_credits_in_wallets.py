"""Credits that plans include are in the wallet, for usage alone: as long as time is paid for, and back when not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy.exc import NoResultFound

from models.ledger import Purpose
from models.plans import Plan
from models.subscriptions import Subscription
from models.types import ProrationBehaviour
from models.wallets import DebitKind
from services.billing_runs import running
from services.core.clock import FixedClock
from services.core.errors import Invalid
from services.invariants.book import RevenueIsEarnedInTime
from services.subscriptions import previewing, subscriptions
from services.subscriptions.selecting import Wanted
from services.wallets import debits, policies
from tests.checks import MADE_BY_HAND, assert_invariants
from tests.integration.billing.shop import open_shop
from tests.integration.billing.subscribers import Subscribers, price
from tests.world import World

NOW = ProrationBehaviour.INVOICE_NOW


@dataclass
class Customer:
    """Somebody with the small plan: 60.00 with 30.00 of credits. The large one is 120.00 with 90.00."""

    sold: Subscribers
    small: Plan
    large: Plan
    one: Subscription

    async def purse(self) -> dict[str, int]:
        async with self.sold.shop.work() as uow:
            found = await uow.execute(
                "select inbound_minor, outbound_minor, breakage_minor, left_minor from wallet"
            )
            row = found.mappings().one()
        return {name.removesuffix("_minor"): value for name, value in row.items()}

    async def use(self, minor: int) -> None:
        async with self.sold.shop.work() as uow:
            wallet = await policies.wallet_of(uow, uow.organization_id, "EUR")
            assert wallet is not None
            await debits.take(
                uow, wallet, minor, kind=DebitKind.USAGE, cause_id="call", against=Purpose.REVENUE, calls=1,
                cost=Decimal(minor) / 100,
            )  # fmt: skip


@pytest.fixture
async def customer(world: World) -> Customer:
    sold = Subscribers(await open_shop(world))
    sold.at(2026, 4, 1)
    small = await sold.plan(price("base", "flat", "60", included_credits=Decimal(30)))
    large = await sold.plan(price("base", "flat", "120", included_credits=Decimal(90)))
    return Customer(sold, small, large, await sold.start(small))


async def test_a_period_brings_its_credits_which_pay_no_invoice_and_end_with_it(customer: Customer) -> None:
    sold = customer.sold
    (first,) = await sold.invoices()
    assert (first.paid_minor, first.due_minor) == (0, first.total_minor)
    await customer.use(1_000)
    sold.at(2026, 5, 1)
    await sold.run(customer.one)
    assert await customer.purse() == {"inbound": 6_000, "outbound": 1_000, "breakage": 2_000, "left": 3_000}
    second = (await sold.invoices())[-1]
    assert (second.paid_minor, second.due_minor) == (0, second.total_minor)
    await assert_invariants(but=(*MADE_BY_HAND, RevenueIsEarnedInTime))


async def test_a_trial_brings_none_and_the_billing_run_those_of_the_first_period(customer: Customer) -> None:
    sold = customer.sold
    plan = await sold.plan(price("base", "flat", "10", included_credits=Decimal(5)), trial_days=14)
    await sold.shop.new_customer()
    await sold.start(plan)
    with pytest.raises(NoResultFound):
        await customer.purse()
    await running.bill_due(clock=FixedClock(sold.shop.now + timedelta(days=14)))
    sold.at(2026, 4, 15)
    assert (await customer.purse())["left"] == 500


async def test_an_upgrade_gives_the_difference_for_the_rest_and_going_back_takes_it_away(
    customer: Customer,
) -> None:
    sold, one = customer.sold, customer.one
    await customer.use(2_500)
    sold.at(2026, 4, 16)
    async with sold.shop.work() as uow:
        wanted = Wanted(customer.large.id, "EUR", "month")
        seen = await previewing.preview(uow, lambda uow: subscriptions.change(uow, one.id, wanted))
    assert (seen.included_minor, await customer.purse()) == (
        3_000,
        {"inbound": 3_000, "outbound": 2_500, "breakage": 0, "left": 500},
    )
    await sold.change(one, customer.large)
    assert await customer.purse() == {"inbound": 6_000, "outbound": 2_500, "breakage": 0, "left": 3_500}
    await sold.change(one, customer.small, behaviour=NOW)
    assert await customer.purse() == {"inbound": 6_000, "outbound": 5_500, "breakage": 0, "left": 500}
    up, down = (await sold.invoices())[1:]
    assert up.net_minor + down.net_minor == 0
    await assert_invariants(but=(*MADE_BY_HAND, RevenueIsEarnedInTime))


@pytest.mark.parametrize(
    ("used", "left", "lines"),
    [
        (0, 1_500, [-3_000]),
        (1_000, 500, [-3_000]),
        (2_500, 0, [-3_000, 1_000]),
        (3_000, 0, [-3_000, 1_500]),
    ],
)
async def test_who_ends_early_is_credited_less_what_was_used_ahead(
    used: int, left: int, lines: list[int], customer: Customer
) -> None:
    sold = customer.sold
    if used:
        await customer.use(used)
    sold.at(2026, 4, 16)
    await sold.do(subscriptions.cancel, customer.one, now_at_once=True)
    last = (await sold.invoices())[-1]
    assert [amount for _, amount in await sold.said(last)] == lines
    assert (await customer.purse())["left"] == left
    await assert_invariants(but=(*MADE_BY_HAND, RevenueIsEarnedInTime))


async def test_nobody_pays_more_than_for_the_whole_period_however_much_was_included(world: World) -> None:
    sold = Subscribers(await open_shop(world))
    sold.at(2026, 4, 1)
    plan = await sold.plan(price("base", "flat", "10", included_credits=Decimal(100)))
    rich = Customer(sold, plan, plan, await sold.start(plan))
    await rich.use(10_000)
    sold.at(2026, 4, 16)
    await sold.do(subscriptions.cancel, rich.one, now_at_once=True)
    last = (await sold.invoices())[-1]
    assert [amount for _, amount in await sold.said(last)] == [-500, 500]
    assert last.total_minor == 0


@pytest.mark.parametrize(
    "charge",
    [
        price("base", "flat", "60", timing="arrears", included_credits=Decimal(1)),
        price("base", "one_off", "60", included_credits=Decimal(1)),
        price("base", "flat", "60", included_credits=Decimal("0.001")),
        price("base", "flat", "60", included_credits=Decimal(-1)),
    ],
    ids=["afterwards", "once", "less than a cent", "below nothing"],
)
async def test_credits_come_with_what_is_paid_ahead_in_whole_minor_units(charge: Any, world: World) -> None:
    sold = Subscribers(await open_shop(world))
    with pytest.raises(Invalid) as refused:
        await sold.plan(charge)
    assert refused.value.field == "charges.0.included_credits"
