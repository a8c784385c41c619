"""What a running bill gives back when it falls: of what was really debited, and nothing that was given back before.

Of April a customer uses 90 tokens at 1.00, which are billed on the 11th, and 30 more from the 21st on: all 120 together
cost 12.00, so 78.00 come back in May.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from models.billing import Invoice, InvoiceLine
from models.plans import Plan
from models.subscriptions import Subscription
from models.types import ProrationBehaviour
from services.billing import explaining, invoices, taxation
from services.billing.discounts import Duration
from services.core.actor import system
from services.core.crossing import Reason, crossing
from services.core.errors import Invalid
from services.tax.rules import Rate
from tests.checks import MADE_BY_HAND, assert_invariants
from tests.integration.billing.shop import Shop, open_shop
from tests.integration.billing.subscribers import Subscribers, price
from tests.integration.billing.test_usage_in_pieces import tiers, tokens
from tests.world import World

FALLS = {"model": "volume", "tiers": tiers((100, "1", "0"), (None, "0.1", "0"))}
NOW = ProrationBehaviour.INVOICE_NOW


@pytest.fixture
async def shop(world: World) -> Shop:
    return await open_shop(world, grace_hours=24)


@pytest.fixture
def sold(shop: Shop) -> Subscribers:
    shop.now = datetime(2026, 4, 1, 12, tzinfo=UTC)
    return Subscribers(shop)


class Fallen:
    """The story above, up to where a test takes part in it."""

    def __init__(self, sold: Subscribers) -> None:
        self.sold, self.shop = sold, sold.shop
        self.plan: Plan
        self.one: Subscription

    async def first_piece(self, *, inclusive: bool = False, **more: Any) -> Invoice:
        self.plan = await self.sold.plan(replace(tokens(**FALLS), tax_inclusive=inclusive))
        self.one = await self.sold.start(self.plan, **more)
        await self.sold.used(90, datetime(2026, 4, 5, tzinfo=UTC))
        self.sold.at(2026, 4, 11, 12)
        await self.sold.change(self.one, await self.sold.plan(price("base", "flat", "0")), behaviour=NOW)
        (first,) = await self.sold.invoices()
        return first

    async def second_piece(self) -> None:
        self.sold.at(2026, 4, 21, 12)
        await self.sold.change(self.one, self.plan, behaviour=NOW)
        await self.sold.used(30, datetime(2026, 4, 25, tzinfo=UTC))

    async def bill(self) -> InvoiceLine:
        """The line that says the whole."""
        await self.drafted()
        self.sold.at(2026, 5, 5, 12)
        await self.sold.run(self.one)
        return await self.last()

    async def drafted(self) -> None:
        """It waits for late usage."""
        self.sold.at(2026, 5, 1, 12)
        await self.sold.run(self.one)

    async def last(self) -> InvoiceLine:
        made = await self.sold.invoices()
        for invoice in made:
            for line in await self.shop.lines(invoice):
                async with self.shop.work() as uow:
                    assert (await explaining.explain(uow, invoice, line)).agrees
        return [line for line in await self.sold.lines() if line.metric][-1]

    async def sums(self) -> tuple[int, int]:
        """Net and tax of what usage was debited for and is left of that, after notes."""
        async with self.shop.work() as uow:
            found = await uow.execute(
                "select cast(sum(l.net_minor - coalesce(n.net, 0)) as bigint),"
                " cast(sum(l.tax_minor - coalesce(n.tax, 0)) as bigint)"
                " from invoice_line l join invoice i on i.id = l.invoice_id and i.state <> 'void' left join lateral ("
                " select sum(net_minor) as net, sum(tax_minor) as tax from credit_note_line"
                " where invoice_line_id = l.id) n on true where l.organization_id = :id and l.metric is not null",
                id=self.shop.customer.id,
            )
            net, tax = tuple(found.one())
        await self.shop.earn(until=datetime(2027, 1, 1, tzinfo=UTC))
        await assert_invariants(but=MADE_BY_HAND)
        return net, tax


@pytest.fixture
def fallen(sold: Subscribers) -> Fallen:
    return Fallen(sold)


async def test_a_note_takes_back_what_a_later_piece_left(fallen: Fallen) -> None:
    first = await fallen.first_piece()
    await fallen.second_piece()
    line = await fallen.bill()
    assert (line.amount_minor, line.net_minor, line.tax_minor) == (1_200, -7_800, -1_482)
    note = await fallen.shop.credit(first)
    assert (note.net_minor, note.tax_minor) == (1_200, 228)
    with pytest.raises(Invalid):
        await fallen.shop.credit(first, 1)
    assert await fallen.sums() == (0, 0)


@pytest.mark.parametrize(
    ("noted", "back"), [(None, 0), (4_760, -5_000), (1_428, -7_800)], ids=["all", "part", "what is kept"]
)
async def test_a_later_piece_gives_back_no_more_than_notes_left(
    fallen: Fallen, noted: int | None, back: int
) -> None:
    first = await fallen.first_piece()
    note = await fallen.shop.credit(first, noted)
    await fallen.second_piece()
    line = await fallen.bill()
    assert (line.amount_minor, line.net_minor) == (1_200, back)
    net, tax = await fallen.sums()
    assert (net, tax) == (9_000 - note.net_minor + back, 1_710 - note.tax_minor + line.tax_minor)
    assert net >= 0 <= tax


async def test_a_note_leaves_what_a_draft_will_give_back(fallen: Fallen) -> None:
    first = await fallen.first_piece()
    await fallen.second_piece()
    await fallen.drafted()
    assert (await fallen.shop.credit(first)).net_minor == 1_200
    await fallen.sold.used(20, datetime(2026, 4, 26, tzinfo=UTC))  # 14.00 in all
    line = await fallen.bill()
    assert (line.amount_minor, line.net_minor) == (1_400, -7_600)


async def test_what_notes_forgave_is_not_asked_for_when_usage_grows(fallen: Fallen) -> None:
    await fallen.shop.credit(await fallen.first_piece())
    await fallen.second_piece()
    assert (await fallen.bill()).net_minor == 0
    await fallen.sold.used(300, datetime(2026, 4, 26, tzinfo=UTC))  # 42.00 in all
    fallen.sold.at(2026, 5, 10, 12)
    await fallen.sold.change(fallen.one, await fallen.sold.plan(price("base", "flat", "1")), behaviour=NOW)
    late = await fallen.last()
    assert (late.amount_minor, late.net_minor) == (4_200, 0)
    await fallen.sold.used(600, datetime(2026, 4, 26, tzinfo=UTC))  # 102.00, of which 90.00 were forgiven
    fallen.sold.at(2026, 5, 20, 12)
    await fallen.sold.change(fallen.one, fallen.plan, behaviour=NOW)
    late = await fallen.last()
    assert (late.amount_minor, late.net_minor) == (10_200, 1_200)


@pytest.mark.parametrize(("rate", "back"), [("1", 0), ("0.5", -3_900)])
async def test_what_a_coupon_paid_is_not_given_back(fallen: Fallen, rate: str, back: int) -> None:
    await fallen.sold.coupon("FIRST", rate=Decimal(rate), duration=Duration.ONCE)
    first = await fallen.first_piece(coupon="FIRST")
    await fallen.second_piece()
    line = await fallen.bill()
    assert (line.amount_minor, line.net_minor) == (1_200, back)
    assert first.net_minor + back == int((1 - Decimal(rate)) * 1_200)


async def test_what_was_forgiven_whole_gives_nothing_back(fallen: Fallen) -> None:
    first = await fallen.first_piece()
    async with fallen.shop.work() as uow:
        await invoices.void(uow, first.id, reason="Agreed")
    await fallen.second_piece()
    assert (await fallen.bill()).net_minor == 0
    assert await fallen.sums() == (0, 0)


async def test_tax_comes_back_as_it_was_debited(fallen: Fallen) -> None:
    await fallen.first_piece()
    async with crossing(Reason.STAFF, actor=system()) as uow:
        await taxation.add_tax_rate(
            uow, Rate("DE", "VAT", Decimal("0.25"), "UStG", "2026b", date(2026, 5, 1))
        )
    await fallen.second_piece()
    line = await fallen.bill()
    assert (line.net_minor, line.tax_minor) == (-7_800, -1_482)


async def test_of_a_price_with_tax_both_come_back(fallen: Fallen) -> None:
    first = await fallen.first_piece(inclusive=True)
    assert (first.net_minor, first.tax_minor) == (7_563, 1_437)
    await fallen.second_piece()
    line = await fallen.bill()
    assert (line.gross_minor, line.net_minor) == (-7_800, -6_555)
    note = await fallen.shop.credit(first)
    assert note.total_minor == 1_200
    assert await fallen.sums() == (0, 0)
