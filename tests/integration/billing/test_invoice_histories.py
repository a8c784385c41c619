"""Whatever stands on a document, its sums, tax, journals, notes and explanations agree to the last minor unit."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from models.money import Money
from services.billing import queries
from services.billing.discounts import Coupon, Redemption
from services.billing.entities import change_entity
from services.core.actor import system
from services.core.crossing import Reason, crossing
from services.core.errors import Invalid
from services.tax.rules import RoundingLevel
from tests.checks import MADE_BY_HAND, assert_invariants
from tests.integration.billing.shop import GERMAN, MARCH, Shop, line, open_shop
from tests.world import World


@dataclass(frozen=True)
class History:
    """Lines as (quantity, price in minor units, inclusive), a coupon of a rate, and notes as parts of what is left."""

    currency: str
    rounding: RoundingLevel
    lines: tuple[tuple[int, int, bool], ...]
    rate: Decimal | None
    notes: tuple[int, ...]


HISTORIES = st.builds(
    History,
    currency=st.sampled_from(["JPY", "EUR", "KWD"]),
    rounding=st.sampled_from(RoundingLevel),
    lines=st.lists(
        st.tuples(st.integers(1, 40), st.integers(0, 30_000), st.booleans()), min_size=1, max_size=6
    ).map(tuple),
    rate=st.none() | st.integers(1, 100).map(lambda percent: Decimal(percent) / 100),
    notes=st.lists(st.integers(1, 100), max_size=3).map(tuple),
)


async def play(shop: Shop, history: History, number: int) -> None:
    code = history.currency
    await shop.new_customer()
    async with crossing(Reason.STAFF, actor=system()) as uow:
        await change_entity(
            uow, shop.entity.id, replace(GERMAN, tax_rounding=history.rounding), version=await version(shop)
        )
    draft = await shop.draft(
        *[
            line(f"{Money(minor, code).amount:f}", str(quantity), code, inclusive=inclusive)
            for quantity, minor, inclusive in history.lines
        ],
        currency=code,
    )
    coupon = [] if history.rate is None else [Redemption(f"rd{number}", Coupon("C", history.rate), MARCH)]
    made = await shop.finalize(draft, redemptions=coupon)
    lines = await shop.lines(made)
    assert sum(one.gross_minor for one in lines) == made.total_minor == made.net_minor + made.tax_minor
    for each in lines:
        async with shop.work() as uow:
            assert (await queries.explain(uow, made, each.id)).agrees
    left, tax, net = made.total_minor, 0, 0
    for percent in history.notes:
        if minor := left * percent // 100:
            note = await shop.credit(made, minor)
            left, tax, net = left - note.total_minor, tax + note.tax_minor, net + note.net_minor
    if left:
        try:
            note = await shop.credit(made, left + 1)
        except Invalid:
            note = await shop.credit(made)
        left, tax, net = left - note.total_minor, tax + note.tax_minor, net + note.net_minor
    assert (left, tax, net) == (0, made.tax_minor, made.net_minor)
    assert await shop.balances() == {}


async def version(shop: Shop) -> int:
    async with shop.work() as uow:
        return (
            await uow.execute("select version from legal_entity where id = :id", id=shop.entity.id)
        ).scalar_one()


async def test_a_document_and_what_is_taken_back_of_it_agree_to_the_last_unit(world: World) -> None:
    shop, loop, played = await open_shop(world), asyncio.get_running_loop(), 0

    @settings(max_examples=20)
    @given(HISTORIES)
    def histories(history: History) -> None:
        nonlocal played
        played += 1
        asyncio.run_coroutine_threadsafe(play(shop, history, played), loop).result()

    await asyncio.to_thread(histories)

    await assert_invariants(but=MADE_BY_HAND)
