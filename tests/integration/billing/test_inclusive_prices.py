"""Prices of plans with the tax in them: what is asked for is the price, and the net is what is left, to the cent."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from models.billing import Invoice
from models.types import ProrationBehaviour
from services.billing import queries
from services.billing.finalizing import BillingProfileMissing
from services.billing.profiles import ProfileFields
from services.catalog.plan_rules import ChargeFields
from services.invariants.book import RevenueIsEarnedInTime
from services.subscriptions import subscriptions
from services.subscriptions.previewing import preview
from services.subscriptions.selecting import Wanted
from services.tax.rules import CheckedNumber, NumberState, RoundingLevel
from tests.checks import MADE_BY_HAND, assert_invariants
from tests.integration.billing.shop import BUYER, MARCH, open_shop
from tests.integration.billing.subscribers import Subscribers, price
from tests.world import World

APRIL = datetime(2026, 4, 1, 12, tzinfo=UTC)
AUSTRIAN = ProfileFields(
    "Huber", "Gasse 1", "AT", tax_number=CheckedNumber("AT", "ATU12345675", NumberState.VALID, MARCH, "VIES")
)
GERMAN, FRENCH, AMERICAN = BUYER, replace(BUYER, country="FR"), replace(BUYER, country="US")
LINE, DOCUMENT = RoundingLevel.LINE, RoundingLevel.DOCUMENT


def flat(amount: str, key: str = "base", *, with_tax: bool = True) -> ChargeFields:
    return price(key, "flat", amount, tax_inclusive=with_tax)


THREE_DIMES = (flat("0.10"), flat("0.10", "second"), flat("0.10", "third"))
BOTH_KINDS = (flat("119"), flat("100", "beside", with_tax=False))


async def subscribers(world: World, rounding: RoundingLevel, profile: ProfileFields) -> Subscribers:
    shop = await open_shop(world, tax_rounding=rounding)
    shop.now = APRIL
    await shop.new_customer(profile)
    return Subscribers(shop)


def sums(invoice: Invoice) -> tuple[int, int, int]:
    return invoice.net_minor, invoice.tax_minor, invoice.total_minor


@pytest.mark.parametrize(
    ("charges", "profile", "rounding", "net", "tax", "total"),
    [
        ((flat("119"),), GERMAN, LINE, 100_00, 19_00, 119_00),
        ((flat("100", with_tax=False),), GERMAN, LINE, 100_00, 19_00, 119_00),
        ((flat("49.99"),), GERMAN, LINE, 42_01, 7_98, 49_99),  # 49.99 × 0.19 / 1.19 = 7.9815…
        ((flat("0.01"),), GERMAN, LINE, 1, 0, 1),
        ((flat("0.04"),), GERMAN, LINE, 3, 1, 4),  # 0.0063… rounds up: the net is the rest
        ((flat("120"),), FRENCH, LINE, 100_00, 20_00, 120_00),
        ((flat("119"),), FRENCH, LINE, 99_17, 19_83, 119_00),  # the price stays, whatever the rate
        (THREE_DIMES, GERMAN, LINE, 24, 6, 30),  # 0.0159… three times
        (THREE_DIMES, GERMAN, DOCUMENT, 25, 5, 30),  # 0.0478… once
        (BOTH_KINDS, GERMAN, LINE, 200_00, 38_00, 238_00),
        (BOTH_KINDS, GERMAN, DOCUMENT, 200_00, 38_00, 238_00),
        (
            (flat("119"),),
            AUSTRIAN,
            LINE,
            119_00,
            0,
            119_00,
        ),  # who owes no tax here pays the price all the same
        ((flat("119"),), AMERICAN, LINE, 119_00, 0, 119_00),
    ],
)
async def test_worked_cases_of_a_first_invoice(
    world: World, charges: tuple[ChargeFields, ...], profile: ProfileFields, rounding: RoundingLevel,
    net: int, tax: int, total: int,
) -> None:  # fmt: skip
    sold = await subscribers(world, rounding, profile)
    plan = await sold.plan(*charges)

    await sold.start(plan)

    (made,) = await sold.invoices()
    assert sums(made) == (net, tax, total)
    lines = await sold.lines()
    assert [line.inclusive for line in lines] == [charge.tax_inclusive for charge in charges]
    async with sold.shop.work() as uow:
        assert all([(await queries.explain(uow, made, line.id)).agrees for line in lines])


@pytest.mark.parametrize(
    ("terms", "charged", "net", "tax"),
    [
        ({"rate": Decimal("0.1")}, 107_10, 90_00, 17_10),
        ({"amount": Decimal(10), "currency": "EUR"}, 109_00, 91_60, 17_40),  # 109 × 0.19 / 1.19 = 17.4033…
        ({"rate": Decimal(1)}, 0, 0, 0),
    ],
)
async def test_a_coupon_is_taken_off_the_price_with_its_tax(
    world: World, terms: dict[str, Any], charged: int, net: int, tax: int
) -> None:
    sold = await subscribers(world, LINE, GERMAN)
    await sold.coupon("LESS", duration="forever", **terms)

    await sold.start(await sold.plan(flat("119")), coupon="LESS")

    (made,) = await sold.invoices()
    assert (made.total_minor, made.net_minor, made.tax_minor) == (charged, net, tax)


async def test_a_change_of_plan_credits_net_and_tax_and_comes_to_what_was_previewed(world: World) -> None:
    """Half of April: 50 and 9.50 of 119 come back; half of 238 is asked for."""
    sold = await subscribers(world, LINE, GERMAN)
    small, large = await sold.plan(flat("119")), await sold.plan(flat("238"))
    one = await sold.start(small)
    sold.at(2026, 4, 16, 12)
    async with sold.shop.work() as uow:
        shown = await preview(
            uow, lambda work: subscriptions.change(work, one.id, Wanted(large.id, "EUR", "month"))
        )

    await sold.change(one, large)

    _, made = await sold.invoices()
    lines = await sold.shop.lines(made)
    assert [(one.amount_minor, one.net_minor, one.tax_minor, one.inclusive) for one in lines] == [
        (-50_00, -50_00, -9_50, False), (119_00, 100_00, 19_00, True),
    ]  # fmt: skip
    assert sums(made) == (50_00, 9_50, 59_50)
    assert [(told.total_minor, told.tax_minor) for told in shown.invoices] == [(59_50, 9_50)]

    await sold.change(one, small, behaviour=ProrationBehaviour.INVOICE_NOW)  # and back at once costs nothing
    assert sums((await sold.invoices())[2]) == (-50_00, -9_50, -59_50)
    async with sold.shop.work() as uow:
        for invoice in await sold.invoices():
            for line in await sold.shop.lines(invoice):
                assert (await queries.explain(uow, invoice, line.id)).agrees
    await assert_invariants(but=(*MADE_BY_HAND, RevenueIsEarnedInTime))


@pytest.mark.parametrize(("old", "new"), [(True, False), (False, True), (True, True)])
async def test_what_is_changed_twice_before_it_is_billed_is_taxed_as_each_price_says(
    world: World, old: bool, new: bool
) -> None:
    """The credit of a line that waits is of its price, with the tax in it or without as that price has it."""
    sold = await subscribers(world, LINE, GERMAN)
    start = await sold.plan(flat("1.19"))
    middle = await sold.plan(flat("119" if old else "100", with_tax=old))
    last = await sold.plan(flat("238" if new else "200", with_tax=new))
    one = await sold.start(start)
    waits = ProrationBehaviour.NEXT_INVOICE
    sold.at(2026, 4, 16, 12)
    await sold.change(one, middle, behaviour=waits)
    sold.at(2026, 4, 25, 12)
    await sold.change(one, last, behaviour=waits)
    sold.at(2026, 5, 1, 12)
    await sold.run(one)

    _, made = await sold.invoices()
    gross = [line.gross_minor for line in await sold.shop.lines(made)]
    assert gross[1:] == [
        59_50,
        -23_80,
        47_60,
        238_00,
    ]  # of 119: 15 days, 6 of them back; of 238: 6 days, and May
    assert made.total_minor == sum(gross)


async def test_usage_and_what_is_charged_once_have_the_tax_in_their_price(world: World) -> None:
    sold = await subscribers(world, LINE, GERMAN)
    plan = await sold.plan(
        flat("0"),
        price("setup", "one_off", "59.50", quantity_min=Decimal(1), tax_inclusive=True),
        price("tokens", "metered", "0.0119", meter="prompt_tokens", tax_inclusive=True),
    )
    one = await sold.start(plan)
    assert sums((await sold.invoices())[0]) == (50_00, 9_50, 59_50)
    await sold.used(1_000, datetime(2026, 4, 10, tzinfo=UTC))
    sold.at(2026, 5, 1, 12)
    await sold.run(one)
    sold.at(2026, 5, 3, 12)
    await sold.run(one)

    assert sums((await sold.invoices())[1]) == (10_00, 1_90, 11_90)


UP, DOWN = "upgrade", "downgrade"


@pytest.mark.parametrize(
    ("old", "new", "profile", "way"),
    [
        (flat("119"), flat("100", with_tax=False), GERMAN, UP),  # the same net, and equal is up
        (flat("119"), flat("99.99", with_tax=False), GERMAN, DOWN),
        (flat("100", with_tax=False), flat("119"), GERMAN, UP),
        (flat("100", with_tax=False), flat("118.99"), GERMAN, DOWN),
        (flat("100", with_tax=False), flat("110"), GERMAN, DOWN),  # 92.44 net
        (flat("100", with_tax=False), flat("110"), AUSTRIAN, UP),  # who owes no tax pays the price as it is
        (flat("119"), flat("100", with_tax=False), FRENCH, UP),  # 99.17 net at 20 %
        (flat("119"), flat("118.99"), GERMAN, DOWN),
    ],
)
async def test_up_or_down_is_by_what_is_left_of_a_price_without_its_tax(
    world: World, old: ChargeFields, new: ChargeFields, profile: ProfileFields, way: str
) -> None:
    sold = await subscribers(world, LINE, profile)
    one = await sold.start(await sold.plan(old))
    sold.at(2026, 4, 16, 12)

    changed = await sold.change(one, await sold.plan(new))

    assert (changed.scheduled is None) == (way == UP)
    assert len(await sold.invoices()) == (2 if way == UP else 1)


async def test_prices_with_and_without_tax_are_not_compared_for_who_said_no_place(world: World) -> None:
    sold = await subscribers(world, LINE, GERMAN)
    gross = await sold.plan(flat("119"), trial_days=30)
    net = await sold.plan(flat("110", with_tax=False))
    await sold.shop.new_customer(None, name="Nobody")
    one = await sold.start(gross)
    with pytest.raises(BillingProfileMissing):
        await sold.change(one, net)
    await sold.change(one, await sold.plan(flat("238")))  # both have it: no rate is needed
