"""Subscriptions on their database: what each act bills, to the cent."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from models.types import ProrationBehaviour
from services.billing import subscriptions
from services.billing.previewing import preview
from services.billing.selecting import Wanted
from tests.integration.billing.shop import Shop, open_shop
from tests.integration.billing.subscribers import Subscribers, price
from tests.world import World


@pytest.fixture
async def shop(world: World) -> Shop:
    return await open_shop(world)


@pytest.fixture
def sold(shop: Shop) -> Subscribers:
    shop.now = datetime(2026, 4, 1, 12, tzinfo=UTC)
    return Subscribers(shop)


async def test_a_month_is_billed_when_it_begins_and_an_upgrade_for_what_is_left(sold: Subscribers) -> None:
    team = await sold.plan(price("base", "flat", "60"), price("seats", "seat", "30", quantity_min=Decimal(1)))
    one = await sold.start(team, quantities={"seats": Decimal(2)})
    (first,) = await sold.invoices()
    assert (first.state, first.net_minor, first.tax_minor) == ("finalized", 12_000, 2_280)
    assert await sold.said(first) == [("Base", 6_000), ("Seats", 6_000)]

    sold.at(2026, 4, 16, 12)
    await sold.change(one, team, quantities={"seats": Decimal(3)})
    _, second = await sold.invoices()
    assert await sold.said(second) == [("Unused time: Seats", -3_000), ("Seats", 4_500)]
    assert (second.net_minor, second.tax_minor) == (1_500, 285)

    await sold.change(one, team, quantities={"seats": Decimal(2)}, behaviour=ProrationBehaviour.INVOICE_NOW)
    third = (await sold.invoices())[2]
    assert await sold.said(third) == [
        ("Unused time: Seats", -4_500),
        ("Unused time taken back: Seats", 3_000),
    ]
    assert (third.net_minor, third.tax_minor, third.total_minor) == (-1_500, -285, -1_785)

    sold.at(2026, 5, 1, 12)
    after = await sold.run(one)
    fourth = (await sold.invoices())[3]
    assert await sold.said(fourth) == [("Base", 6_000), ("Seats", 6_000)]
    assert fourth.paid_minor == 1_785
    assert after.next_at == datetime(2026, 6, 1, 12, tzinfo=UTC)


async def test_what_a_preview_shows_is_what_is_billed_and_it_leaves_nothing(sold: Subscribers) -> None:
    small = await sold.plan(price("base", "flat", "10"))
    large = await sold.plan(price("base", "flat", "100"))
    one = await sold.start(small)
    sold.at(2026, 4, 11, 12)
    wanted = Wanted(large.id, "EUR", "month")
    async with sold.shop.work() as uow:
        shown = await preview(uow, lambda work: subscriptions.change(work, one.id, wanted))
        assert uow.recorded == []
    assert len(await sold.invoices()) == 1

    sold.shop.now = sold.shop.now.replace(minute=3)
    await sold.change(one, large, at=shown.at)
    made = (await sold.invoices())[1]
    (told,) = shown.invoices
    assert (told.total_minor, told.tax_minor) == (made.total_minor, made.tax_minor)
    assert [line.amount_minor for line in told.lines] == [-667, 6_667]
    assert shown.upcoming is not None
    assert shown.upcoming.amount_minor == 10_000
