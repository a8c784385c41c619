"""An invoice is not undone after another document has credited a part of it: that part would be given back twice."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from models.billing import Invoice
from models.types import ProrationBehaviour
from services.billing import invoices
from services.billing.credited_since import CreditedElsewhere
from services.subscriptions import subscriptions
from tests.checks import MADE_BY_HAND, assert_invariants
from tests.integration.billing.shop import Shop, open_shop
from tests.integration.billing.subscribers import Subscribers, price
from tests.integration.billing.test_usage_in_pieces import tiers, tokens
from tests.world import World

NOW = ProrationBehaviour.INVOICE_NOW


@pytest.fixture
async def shop(world: World) -> Shop:
    return await open_shop(world)


@pytest.fixture
def sold(shop: Shop) -> Subscribers:
    shop.now = datetime(2026, 4, 1, 12, tzinfo=UTC)
    return Subscribers(shop)


async def _void(shop: Shop, invoice: Invoice) -> Invoice:
    async with shop.work() as uow:
        return await invoices.void(uow, invoice.id, reason="Agreed")


@pytest.mark.parametrize("how", ["change", "pause", "end"])
async def test_time_that_was_credited_is_not_forgiven_as_well(
    shop: Shop, sold: Subscribers, how: str
) -> None:
    small, large = await sold.plan(price("base", "flat", "60")), await sold.plan(price("base", "flat", "90"))
    one = await sold.start(small)
    (first,) = await sold.invoices()
    sold.at(2026, 4, 16, 12)
    match how:
        case "change":
            await sold.change(one, large)
        case "pause":  # the credit waits on a draft
            await sold.do(subscriptions.pause, one)
        case _:
            await sold.do(subscriptions.cancel, one, now_at_once=True)
    before = await shop.read(first)
    with pytest.raises(CreditedElsewhere) as refused:
        await _void(shop, first)
    assert refused.value.code == "invoice_credited_elsewhere"
    assert await shop.read(first) == before

    note = await shop.credit(first)
    unused = next(row.amount_minor for row in await sold.lines() if row.amount_minor < 0)
    assert note.net_minor == 6_000 + unused  # the rest of it
    await shop.earn(until=datetime(2027, 1, 1, tzinfo=UTC))
    await assert_invariants(but=MADE_BY_HAND)


async def test_time_whose_credit_was_taken_back_may_be_forgiven(shop: Shop, sold: Subscribers) -> None:
    small, large = await sold.plan(price("base", "flat", "60")), await sold.plan(price("base", "flat", "90"))
    one = await sold.start(small)
    (first,) = await sold.invoices()
    sold.at(2026, 4, 16, 12)
    await sold.change(one, large)
    await sold.change(one, small, behaviour=NOW)
    assert (await _void(shop, first)).state == "void"


async def test_usage_that_came_to_less_is_not_forgiven_as_well(shop: Shop, sold: Subscribers) -> None:
    falls = {"model": "volume", "tiers": tiers((100, "1", "0"), (None, "0.1", "0"))}
    plan = await sold.plan(tokens(**falls))
    one = await sold.start(plan)
    await sold.used(90, datetime(2026, 4, 5, tzinfo=UTC))
    sold.at(2026, 4, 11, 12)
    await sold.change(one, await sold.plan(price("base", "flat", "0")), behaviour=NOW)
    (first,) = await sold.invoices()
    sold.at(2026, 4, 21, 12)
    await sold.change(one, plan, behaviour=NOW)
    await sold.used(30, datetime(2026, 4, 25, tzinfo=UTC))
    for day in (1, 5):
        sold.at(2026, 5, day, 12)
        await sold.run(one)
    assert [line.amount_minor - line.billed_before_minor for line in await sold.lines() if line.metric] == [
        9_000,
        -7_800,
    ]
    with pytest.raises(CreditedElsewhere):
        await _void(shop, first)
