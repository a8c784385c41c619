"""Money that came by bank transfer: recorded once, it pays what is due, and none of it is lost."""

from __future__ import annotations

import asyncio

import pytest

from models.billing import Invoice
from models.money import Money
from models.payments import Payment
from services.billing import customer_credits, invoices
from services.billing.invoices import KeyMeansOther
from services.billing.states import InvoiceStateConflict
from services.core.errors import Invalid, MatrixError, NotFound
from services.payments import rules, transfers
from tests.checks import MADE_BY_HAND, assert_invariants
from tests.integration.billing.shop import Shop, line, open_shop
from tests.world import World


@pytest.fixture
async def shop(world: World) -> Shop:
    return await open_shop(world)


async def came(
    shop: Shop, minor: int, invoice: Invoice | None = None, key: str = "bank-1", currency: str = "EUR"
) -> Payment:
    async with shop.work() as uow:
        return await transfers.record(
            uow,
            money=Money(minor, currency),
            key=key,
            reference="DE1-2026-000001",
            invoice_id=invoice.id if invoice else None,
        )


async def test_a_transfer_pays_its_invoice_and_is_on_our_own_account(shop: Shop) -> None:
    invoice = await shop.invoice(line("100"))

    paid = await came(shop, 11_900, invoice)

    assert (paid.state, paid.applied_minor) == ("succeeded", 11_900)
    now = await shop.read(invoice)
    assert (now.state, now.paid_minor, now.due_minor) == ("paid", 11_900, 0)
    assert await shop.balances() == {"cash": 11_900, "revenue": 10_000, "tax_owed": 1_900}
    async with shop.work() as uow:
        told = await uow.execute(
            "select type from event where aggregate_id = any (:ids) and type ~ 'pa(id|yment)' order by id",
            ids=[paid.id, invoice.id],
        )
    assert told.scalars().all() == ["payment.started", "payment.succeeded", "invoice.paid"]
    await assert_invariants(shop.world.database, but=MADE_BY_HAND)


async def test_a_part_leaves_the_rest_due_and_what_is_over_is_a_credit_that_pays_the_next(shop: Shop) -> None:
    invoice = await shop.invoice(line("100"))
    await came(shop, 1_900, invoice, "first")
    assert (await shop.read(invoice)).due_minor == 10_000
    await came(shop, 10_500, invoice, "second")
    assert (await shop.read(invoice)).state == "paid"
    assert (await shop.balances())["customer_credit"] == 500

    await came(shop, 1_000, None, "on-account")

    assert (await shop.balances())["customer_credit"] == 1_500
    following = await shop.invoice(line("10"))
    assert (following.paid_minor, following.state) == (1_190, "paid")
    assert (await shop.balances())["customer_credit"] == 310
    await assert_invariants(shop.world.database, but=MADE_BY_HAND)


async def test_the_same_transfer_comes_once_however_many_record_it(shop: Shop) -> None:
    invoice = await shop.invoice(line("100"))

    made = await asyncio.gather(*(came(shop, 5_000, invoice) for _ in range(4)))

    assert len({one.id for one in made}) == 1
    assert (await shop.read(invoice)).due_minor == 6_900
    with pytest.raises(KeyMeansOther):
        await came(shop, 5_001, invoice)
    on_account = await asyncio.gather(*(came(shop, 700, None, "loose") for _ in range(3)))
    assert len({one.id for one in on_account}) == 1
    assert (await shop.balances())["customer_credit"] == 700


async def test_what_was_given_up_is_recovered(shop: Shop) -> None:
    invoice = await shop.invoice(line("100"))
    async with shop.work() as uow:
        await invoices.mark_uncollectible(uow, invoice.id)

    await came(shop, 4_000, invoice, "a-part")
    half = await shop.read(invoice)
    assert (half.state, half.written_off_minor, half.paid_minor) == ("uncollectible", 7_900, 4_000)
    await came(shop, 8_000, invoice, "rest")

    assert (await shop.read(invoice)).state == "paid"
    assert await shop.balances() == {
        "cash": 12_000, "customer_credit": 100, "revenue": 10_000, "tax_owed": 1_900,
    }  # fmt: skip
    await assert_invariants(shop.world.database, but=MADE_BY_HAND)


async def test_what_was_paid_in_part_is_credited_not_voided_and_money_for_a_void_one_is_owed_back(
    shop: Shop,
) -> None:
    invoice = await shop.invoice(line("100"))
    await came(shop, 1_900, invoice)
    with pytest.raises(InvoiceStateConflict, match="paid in part"):
        async with shop.work() as uow:
            await invoices.void(uow, invoice.id, reason="A mistake")
    await shop.credit(invoice)
    assert (await shop.balances())["customer_credit"] == 1_900

    other = await shop.draft(line("10"))
    other = await shop.finalize(other)
    assert other.due_minor == 0  # the credit paid it
    third = await shop.invoice(line("100"))
    async with shop.work() as uow:
        await customer_credits.pay_by_credits(uow, third.id)
        await invoices.void(uow, third.id, reason="A mistake")
    late = await came(shop, 50, third, "late")
    assert (late.state, late.applied_minor) == ("succeeded", 0)
    await assert_invariants(shop.world.database, but=MADE_BY_HAND)


REFUSED = {
    "nothing": (0, "EUR", Invalid),
    "less than nothing": (-1, "EUR", Invalid),
    "more than there is": (10**16, "EUR", Invalid),
    "another currency": (100, "USD", Invalid),
}


@pytest.mark.parametrize("case", REFUSED, ids=REFUSED.keys())
async def test_what_no_transfer_can_be_is_refused_in_words(shop: Shop, case: str) -> None:
    minor, currency, error = REFUSED[case]
    invoice = await shop.invoice(line("100"))
    with pytest.raises(error) as refused:
        await came(shop, minor, invoice, currency=currency)
    assert isinstance(refused.value, MatrixError)
    assert refused.value.message
    assert (await shop.read(invoice)).due_minor == 11_900


async def test_a_draft_and_a_strangers_invoice_are_not_paid(shop: Shop) -> None:
    draft = await shop.draft(line("100"))
    with pytest.raises(InvoiceStateConflict):
        await came(shop, 100, draft)
    await shop.new_customer()
    with pytest.raises(NotFound):
        await came(shop, 100, draft)


@pytest.mark.parametrize("state", rules.TRANSITIONS, ids=lambda state: state.value)
def test_money_that_came_is_never_unsaid(state: rules.PaymentState) -> None:
    assert rules.may_become(state, rules.S.SUCCEEDED) is (state is not rules.S.SUCCEEDED)
    assert not rules.TRANSITIONS[rules.S.SUCCEEDED]
