"""Why a line asks for what it does: from the price of one to the cent, with nothing said that is not true."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from models.billing import Invoice
from models.money import Money
from models.types import ProrationBehaviour
from services.billing import explaining, queries
from services.billing.explaining import Explanation
from services.catalog.plan_rules import ChargeFields
from services.core.actor import system
from services.core.crossing import Reason, crossing
from state import invoices_view
from tests.integration.billing.shop import Shop, line, open_shop
from tests.integration.billing.subscribers import Subscribers, price
from tests.world import World


async def told(shop: Shop, invoice: Invoice) -> list[Explanation]:
    async with shop.work() as uow:
        return [await queries.explain(uow, invoice, one.id) for one in await shop.lines(invoice)]


def rows(of: Explanation) -> list[tuple[str, str, str]]:
    steps = invoices_view.steps_shown(of)
    return [(one["kind"], f"{one['formula']} {one['comes_to']}".strip(), one["unit"]) for one in steps]


def seats(definition: dict[str, Any], proration: str) -> ChargeFields:
    return ChargeFields(
        "seats", "Seats", "seat", "EUR", definition, interval="month", proration=proration, quantity_min=Decimal(1)
    )  # fmt: skip


async def test_a_part_of_a_period_is_told_from_the_price_of_one(world: World) -> None:
    shop = await open_shop(world)
    sold = Subscribers(shop)
    each = await sold.plan(seats({"model": "per_unit", "unit_amount": "7.77", "free_units": "2"}, "second"))
    tiers = [{"up_to": "5", "unit_amount": "4"}, {"up_to": None, "unit_amount": "3.5", "flat_amount": "1"}]
    steps = await sold.plan(
        seats({"model": "graduated", "tiers": tiers, "minimum": "50"}, "fixed_30"), price("base", "flat", "9")
    )
    sold.at(2026, 4, 1, 12)
    one = await sold.start(each, quantities={"seats": Decimal(14)})
    sold.at(2026, 4, 16, 12)
    await sold.change(one, steps, quantities={"seats": Decimal(12)}, behaviour=ProrationBehaviour.INVOICE_NOW)
    await sold.change(one, steps, quantities={"seats": Decimal(13)})

    found: list[Explanation] = []
    for invoice in await sold.invoices():
        found += await told(shop, invoice)
    assert all(one.agrees for one in found)
    charged = [[row for row in rows(one) if row[0] == "charge"] for one in found]
    whole = [("charge", "2 × 0 = 0", ""), ("charge", "12 × 7.77 = 93.24", "")]
    assert charged[0] == [*whole, ("charge", "93.24 × 2592000 / 2592000 = 93.24", "seconds")]
    assert [("charge", "-93.24 × 1296000 / 2592000 ≤ 93.24 = -46.62", "seconds")] in charged
    parts = [
        ("charge", "5 × 4 = 20", ""),
        ("charge", "7 × 3.5 + 1 = 25.5", ""),
        ("charge", "1 × 4.5 = 4.5", ""),
    ]
    assert [*parts, ("charge", "50 × 15 / 30 = 25", "days_of_30")] in charged
    assert [("charge", "9 × 15 / 30 = 4.5", "days")] in charged  # a price of one step begins with itself
    assert {one.policy for one in found} == {"second", "fixed_30", "day"}

    (first, *_) = await shop.lines((await sold.invoices())[0])
    without = {
        name: value for name, value in first.facts.items() if name != "rated"
    }  # as lines were kept before
    amount, (step,) = explaining.replay_amount(without)
    assert (amount.minor, step.formula) == (first.amount_minor, "93.24 × 2592000 / 2592000")
    forged = first.facts | {"rated": first.facts["rated"] | {"quantity": "13"}}
    assert explaining.replay_amount(forged)[0].minor != first.amount_minor


async def test_what_was_billed_before_and_how_tax_was_rounded_are_told_as_they_are(world: World) -> None:
    shop = await open_shop(world)
    late, odd = line("0.15", billed_before=Money(12, "EUR")), line("15.03")
    made = await told(shop, await shop.invoice(late, odd, line("20", inclusive=True)))
    assert rows(made[0]) == [
        ("charge", "1 × 0.15 = 0.15", ""),
        ("before", "− 0.12", ""),
        ("tax_rounded", "0.03 × 0.19 = 0.0057 → 0.01", ""),
    ]
    assert rows(made[1])[1:] == [("tax_rounded", "15.03 × 0.19 = 2.8557 → 2.86", "")]
    assert rows(made[2])[1:] == [("tax_rounded", "20.00 × 0.19 / 1.19 = 380/119 → 3.19", "")]

    async with crossing(Reason.STAFF, actor=system()) as uow:
        await uow.execute(
            "update legal_entity set tax_rounding = 'document' where id = :id", id=shop.entity.id
        )
    made = await told(shop, await shop.invoice(line("15.03"), line("15.03")))
    assert [rows(one)[1:] for one in made] == [
        [("tax_share", "15.03 × 0.19 = 2.8557 → 2.86", "")],
        [("tax_share", "15.03 × 0.19 = 2.8557 → 2.85", "")],
    ]
