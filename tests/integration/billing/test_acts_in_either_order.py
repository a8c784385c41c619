"""Acts that do not read what the other did come to the same, whichever is first; of two that do, both ways are told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from models.money import Money
from models.payments import Payment
from models.plans import Plan
from models.subscriptions import Subscription
from services.billing import profiles
from services.invariants.book import RevenueIsEarnedInTime
from services.payments import transfers
from services.refunds import refunds
from services.subscriptions import subscriptions
from services.tax.rules import CheckedNumber, NumberState
from tests.checks import MADE_BY_HAND, assert_invariants
from tests.integration.billing.shop import BUYER, MARCH, open_shop
from tests.integration.billing.subscribers import Subscribers, price
from tests.world import World

ALONE = {"*": 10**9}
NUMBER = CheckedNumber("AT", "ATU12345675", NumberState.VALID, MARCH, "VIES")


@dataclass
class Customer:
    """Somebody with a plan of two seats, who has paid for the month."""

    sold: Subscribers
    plan: Plan
    one: Subscription
    paid: Payment

    async def is_given_back(self) -> None:
        async with self.sold.shop.work() as uow:
            asked = refunds.Wanted(self.paid.id, "back", "Agreed", amount=4_000)
            refund = await refunds.start(uow, asked, above=ALONE)
        async with self.sold.shop.work() as uow:
            await refunds.record_sent(uow, refund.id)

    async def cancels(self) -> None:
        await self.sold.do(subscriptions.cancel, self.one)

    async def is_credited(self) -> None:
        (invoice,) = await self.sold.invoices()
        await self.sold.shop.credit(invoice, 2_500)

    async def says_tax_number(self) -> None:
        """From now on nothing is taxed; what was, stays so."""
        async with self.sold.shop.work() as uow:
            await profiles.set_profile(uow, replace(BUYER, country="AT", tax_number=NUMBER))

    async def pays_ahead(self) -> None:
        async with self.sold.shop.work() as uow:
            await transfers.record(uow, money=Money(3_333, "EUR"), key="ahead")

    async def takes_less(self) -> None:
        """From the next month on."""
        await self.sold.change(self.one, self.plan, quantities={"seats": Decimal(1)})

    async def came_to(self) -> dict[str, Any]:
        """After the next month has begun."""
        self.sold.at(2026, 5, 1, 12)
        after = await self.sold.run(self.one)
        shown = (
            "state",
            "net_minor",
            "tax_minor",
            "total_minor",
            "credited_minor",
            "paid_minor",
            "due_minor",
        )
        return {
            "book": await self.sold.shop.balances(),
            "documents": [[getattr(one, name) for name in shown] for one in await self.sold.invoices()],
            "credits": await self.sold.credits(),
            "subscription": (after.state, after.next_at),
        }


Act = Callable[[Customer], Awaitable[None]]
PAIRS: list[tuple[Act, Act]] = [
    (Customer.is_given_back, Customer.cancels),
    (Customer.is_credited, Customer.says_tax_number),
    (Customer.is_given_back, Customer.pays_ahead),
    (Customer.says_tax_number, Customer.takes_less),
]


async def test_acts_that_do_not_read_each_other_come_to_the_same_in_either_order(world: World) -> None:
    shop = await open_shop(world)
    sold = Subscribers(shop)
    sold.at(2026, 4, 1, 12)
    plan = await sold.plan(price("base", "flat", "60"), price("seats", "seat", "30", quantity_min=Decimal(1)))

    async def play(*acts: Act) -> dict[str, Any]:
        sold.at(2026, 4, 1, 12)
        await shop.new_customer()
        one = await sold.start(plan, quantities={"seats": Decimal(2)})
        (invoice,) = await sold.invoices()
        async with shop.work() as uow:
            paid = await transfers.record(
                uow, money=Money(invoice.due_minor, "EUR"), key="paid", invoice_id=invoice.id
            )
        sold.at(2026, 4, 10, 12)
        customer = Customer(sold, plan, one, paid)
        for act in acts:
            await act(customer)
        return await customer.came_to()

    for first, second in PAIRS:
        assert await play(first, second) == await play(second, first), (first, second)
    await assert_invariants(but=(*MADE_BY_HAND, RevenueIsEarnedInTime))


# Of a month at 100.00 and one at 150.00, changed when half of it is over: what is left of the credit, of the rest of
# the month and of the next month, where the coupon is taken before the upgrade, and after it.
COUPON_AND_UPGRADE: list[tuple[dict[str, Any], list[int], list[int]]] = [
    ({"rate": Decimal("0.2"), "duration": "forever"}, [-5_000, 6_000, 12_000], [-5_000, 7_500, 12_000]),
    ({"rate": Decimal("0.2"), "duration": "once"}, [-5_000, 6_000, 15_000], [-5_000, 7_500, 12_000]),
    ({"rate": Decimal(1), "duration": "once"}, [-5_000, 0, 15_000], [-5_000, 7_500, 0]),
    ({"amount": Decimal(10), "currency": "EUR", "duration": "once"}, [-5_000, 6_500, 15_000], [-5_000, 7_500, 14_000]),
    ({"amount": Decimal(90), "currency": "EUR", "duration": "forever"}, [-5_000, 0, 6_000], [-5_000, 7_500, 6_000]),
]  # fmt: skip


async def test_a_coupon_works_from_when_it_was_taken_before_an_upgrade_or_after_it(world: World) -> None:
    sold = Subscribers(await open_shop(world))
    sold.at(2026, 4, 1, 12)
    small, large = [await sold.plan(price("base", "flat", amount)) for amount in ("100", "150")]

    async def play(code: str, *, coupon_first: bool) -> list[int]:
        sold.at(2026, 4, 1, 12)
        await sold.shop.new_customer()
        one = await sold.start(small)
        sold.at(2026, 4, 16, 12)
        if coupon_first:
            await sold.do(subscriptions.take_coupon, one, code)
        await sold.change(one, large)
        if not coupon_first:
            await sold.do(subscriptions.take_coupon, one, code)
        sold.at(2026, 5, 1, 12)
        await sold.run(one)
        first, *rest = [each.net_minor for each in await sold.lines()]
        assert first == 10_000  # what is a document stays as it is
        return rest

    for number, (terms, before, after) in enumerate(COUPON_AND_UPGRADE):
        await sold.coupon(f"C{number}", **terms)
        assert await play(f"C{number}", coupon_first=True) == before, terms
        assert await play(f"C{number}", coupon_first=False) == after, terms
    await assert_invariants(but=(*MADE_BY_HAND, RevenueIsEarnedInTime))
