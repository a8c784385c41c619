"""What a meter counts in pieces of a period: what a price gives for a period, it gives once.

Of April, from the 1st until the 1st of May at noon, a customer has a metered price until the 11th and again from the
21st: 20 of 30 days. Between them it is paused, or another plan is had.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from models.plans import Plan
from models.subscriptions import Subscription
from models.types import ProrationBehaviour
from services.billing import explaining, invoices
from services.catalog.plan_rules import ChargeFields
from services.subscriptions import subscriptions
from services.subscriptions.usage_so_far import used_so_far
from tests.integration.billing.shop import Shop, open_shop
from tests.integration.billing.subscribers import Subscribers, price
from tests.world import World

NOW = ProrationBehaviour.INVOICE_NOW


@pytest.fixture
async def shop(world: World) -> Shop:
    return await open_shop(world, grace_hours=24)


@pytest.fixture
def sold(shop: Shop) -> Subscribers:
    shop.now = datetime(2026, 4, 1, 12, tzinfo=UTC)
    return Subscribers(shop)


def tokens(**definition: Any) -> ChargeFields:
    return ChargeFields(
        "tokens", "Tokens", "metered", "EUR", definition, interval="month", proration="day", meter="prompt_tokens"
    )  # fmt: skip


def tiers(*bounds: tuple[int | None, str, str]) -> list[dict[str, Any]]:
    return [
        {"up_to": None if end is None else str(end), "unit_amount": each, "flat_amount": flat}
        for end, each, flat in bounds
    ]


class Case(NamedTuple):
    """What is used in each piece, and what is asked for it then, in minor units."""

    definition: dict[str, Any]
    used: tuple[int, int]
    asked: tuple[int, int]


UNIT = {"model": "per_unit", "unit_amount": "1"}
CASES = {
    "free units": Case({**UNIT, "free_units": "100"}, (80, 80), (0, 6_000)),
    "free units are all used up": Case({**UNIT, "free_units": "100"}, (150, 10), (5_000, 1_000)),
    "minimum by time": Case({**UNIT, "minimum": "30"}, (0, 0), (1_000, 1_000)),
    "minimum is reached later": Case({**UNIT, "minimum": "30"}, (4, 40), (1_000, 3_400)),
    "minimum is reached before": Case({**UNIT, "minimum": "30"}, (18, 0), (1_800, 200)),
    "maximum": Case({**UNIT, "maximum": "50"}, (40, 40), (4_000, 1_000)),
    "package": Case({"model": "package", "amount": "10", "size": "100"}, (30, 30), (1_000, 0)),
    "tiers": Case(
        {"model": "graduated", "tiers": tiers((100, "1", "5"), (None, "0.1", "0"))}, (80, 80), (8_500, 2_600)
    ),
    "volume falls": Case(
        {"model": "volume", "tiers": tiers((100, "1", "0"), (None, "0.1", "0"))}, (90, 30), (9_000, -7_800)
    ),
    "free events": Case({"model": "percentage", "rate": "0.1", "free_events": 1}, (100, 50), (0, 500)),
}


async def _pieces(sold: Subscribers, plan: Plan, used: tuple[int, int], *, by_pause: bool) -> Subscription:
    """Both pieces, each with its use, and the end of the period."""
    one = await sold.start(plan)
    await sold.used(used[0], datetime(2026, 4, 5, tzinfo=UTC))
    sold.at(2026, 4, 11, 12)
    if by_pause:
        await sold.do(subscriptions.pause, one)
    else:
        other = await sold.plan(price("base", "flat", "0"))
        await sold.change(one, other, behaviour=NOW)
    sold.at(2026, 4, 21, 12)
    if by_pause:
        await sold.do(subscriptions.resume, one)
    else:
        await sold.change(one, plan, behaviour=NOW)
    await sold.used(used[1], datetime(2026, 4, 25, tzinfo=UTC))
    for day in (1, 5):  # late usage is waited for
        sold.at(2026, 5, day, 12)
        await sold.run(one)
    return one


async def _asked(sold: Subscribers) -> list[int]:
    """For each line of usage in turn. Each says why, to the cent."""
    found: list[int] = []
    for invoice in await sold.invoices():
        for line in await sold.shop.lines(invoice):
            async with sold.shop.work() as uow:
                assert (await explaining.explain(uow, invoice, line)).agrees
            if line.metric:
                found.append(line.amount_minor - line.billed_before_minor)
    return found


@pytest.mark.parametrize("by_pause", [True, False], ids=["pause", "change"])
@pytest.mark.parametrize("name", CASES)
async def test_what_a_price_gives_for_a_period_it_gives_once(
    sold: Subscribers, name: str, by_pause: bool
) -> None:
    case = CASES[name]
    plan = await sold.plan(tokens(**case.definition))
    await _pieces(sold, plan, case.used, by_pause=by_pause)
    assert await _asked(sold) == [*case.asked]


async def test_what_comes_in_late_of_an_earlier_piece_changes_the_whole(sold: Subscribers) -> None:
    plan = await sold.plan(tokens(**UNIT, free_units="100"))
    one = await sold.start(plan)
    await sold.used(80, datetime(2026, 4, 5, tzinfo=UTC))
    sold.at(2026, 4, 11, 12)
    await sold.do(subscriptions.pause, one)
    sold.at(2026, 4, 21, 12)
    await sold.do(subscriptions.resume, one)
    sold.at(2026, 5, 1, 12)
    await sold.used(80, datetime(2026, 4, 25, tzinfo=UTC))
    await sold.run(one)
    await sold.used(30, datetime(2026, 4, 6, tzinfo=UTC))  # in time: the draft waits for a day
    sold.at(2026, 5, 2, 12)
    await sold.run(one)
    assert await _asked(sold) == [1_000, 8_000]

    for quantity in (5, 6):
        await sold.used(quantity, datetime(2026, 4, 7, tzinfo=UTC))
    for day in (1, 2):
        sold.at(2026, 6, day, 12)
        await sold.run(one)
    # Of May, in which nothing was used, and of April once more.
    assert await _asked(sold) == [1_000, 8_000, 0, 1_100]
    late = (await sold.lines())[-1]
    assert (late.description, late.quantity, late.amount_minor) == ("Late usage: Tokens", 201, 10_100)


async def test_what_a_period_comes_to_so_far_says_what_was_billed_of_it(sold: Subscribers) -> None:
    one = await sold.start(plan := await sold.plan(tokens(**UNIT, free_units="10")))
    await sold.used(80, datetime(2026, 4, 5, tzinfo=UTC))
    sold.at(2026, 4, 11, 12)
    await sold.change(one, await sold.plan(price("base", "flat", "0")), behaviour=NOW)
    sold.at(2026, 4, 21, 12)
    await sold.change(one, plan, behaviour=NOW)
    await sold.used(5, datetime(2026, 4, 22, tzinfo=UTC))
    sold.at(2026, 4, 23)
    async with sold.shop.work() as uow:
        (so_far,) = await used_so_far(uow, one.id)
    assert (so_far.quantity, so_far.amount_minor, so_far.billed_before_minor) == (85, 7_500, 7_000)
    assert (so_far.since, so_far.bills_at) == (
        datetime(2026, 4, 1, 12, tzinfo=UTC),
        datetime(2026, 5, 1, 12, tzinfo=UTC),
    )


async def test_a_piece_that_was_forgiven_stays_forgiven(sold: Subscribers) -> None:
    one = await sold.start(plan := await sold.plan(tokens(**UNIT, free_units="10")))
    await sold.used(80, datetime(2026, 4, 5, tzinfo=UTC))
    sold.at(2026, 4, 11, 12)
    await sold.change(one, await sold.plan(price("base", "flat", "0")), behaviour=NOW)
    (first,) = await sold.invoices()
    async with sold.shop.work() as uow:
        await invoices.void(uow, first.id, reason="Agreed")
    sold.at(2026, 4, 21, 12)
    await sold.change(one, plan, behaviour=NOW)
    await sold.used(5, datetime(2026, 4, 22, tzinfo=UTC))
    for day in (1, 5):
        sold.at(2026, 5, day, 12)
        await sold.run(one)
    assert await _asked(sold) == [7_000, 500]
