"""A credit that arises pays what is owed before it is kept: nobody has credit for time that was never paid."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models.billing import Invoice
from models.disputes import Contest, Dispute
from models.money import Money
from models.payments import Payment, ProviderAccount
from services.billing import invoices, queries
from services.core.actor import system
from services.core.crossing import Reason, crossing
from services.core.work import UnitOfWork
from services.subscriptions import subscriptions
from services.subscriptions.previewing import preview
from services.wallets import wallets
from tests.checks import MADE_BY_HAND, assert_invariants
from tests.integration.billing.shop import Shop, line, open_shop
from tests.integration.billing.subscribers import Subscribers, price
from tests.world import World


@pytest.fixture
async def shop(world: World) -> Shop:
    shop = await open_shop(world)
    shop.now = datetime(2026, 4, 1, 12, tzinfo=UTC)
    return shop


async def used(shop: Shop, of: Invoice) -> list[tuple[str | None, str, int]]:
    async with shop.work() as uow:
        found = await queries.credit_uses(uow, of)
    return [(one.source_number, one.invoice_number, one.minor) for one in found]


async def test_time_that_was_never_paid_is_taken_off_its_debt_and_pays_nothing_else(shop: Shop) -> None:
    sold = Subscribers(shop)
    plan = await sold.plan(price("base", "flat", "6000", proration="second"))
    one = await sold.start(plan)
    shop.now = shop.now.replace(hour=14)

    async def ends(uow: UnitOfWork) -> Any:
        return await subscriptions.cancel(uow, one.id, now_at_once=True)

    async with shop.work() as uow:
        (shown,) = (await preview(uow, ends)).invoices
    assert (shown.total_minor, shown.carried_minor, shown.settled_minor) == (-712_016, 712_016, 712_016)
    assert await sold.credits() == 0
    async with shop.work() as uow:
        await ends(uow)
    first, below = await sold.invoices()
    assert (first.state, first.total_minor, first.due_minor) == ("finalized", 714_000, 1_984)
    assert (below.state, below.total_minor, await sold.credits()) == ("paid", -712_016, 0)
    assert (await shop.balances())["receivable"] == 1_984
    assert "customer_credit" not in await shop.balances()
    told = [(below.number, first.number, 712_016)]
    assert await used(shop, first) == await used(shop, below) == told  # both documents say it

    await sold.start(plan)
    again = (await sold.invoices())[2]
    assert (again.paid_minor, again.due_minor) == (0, 714_000)
    await shop.earn(until=datetime(2027, 1, 1, tzinfo=UTC))
    await assert_invariants(but=MADE_BY_HAND)


async def test_time_whose_debt_was_given_up_gives_no_credit(shop: Shop) -> None:
    sold = Subscribers(shop)
    one = await sold.start(await sold.plan(price("base", "flat", "6000", proration="fixed_30")))
    (first,) = await sold.invoices()
    other = await shop.invoice(line("50"))
    async with shop.work() as uow:
        for each in (first, other):
            await invoices.mark_uncollectible(uow, each.id)
    await sold.do(subscriptions.cancel, one, now_at_once=True)  # in the moment it began: all of it
    told = await shop.read(first)
    assert (told.state, told.paid_minor, told.written_off_minor) == ("paid", 714_000, 0)
    assert (await shop.read(other)).written_off_minor == 5_950  # which is of something else
    assert await sold.credits() == 0
    assert (await shop.balances())["write_offs"] == 5_950
    await shop.earn(until=datetime(2027, 1, 1, tzinfo=UTC))
    await assert_invariants(but=MADE_BY_HAND)


async def test_what_is_contested_disputed_or_being_paid_is_left_alone_and_the_rest_in_its_order(
    shop: Shop,
) -> None:
    sold = Subscribers(shop)
    async with shop.work() as uow:
        await wallets.grant(uow, money=Money(59_500, "EUR"), key="ahead")
    paid = await shop.invoice(line("500"))
    kinds = ("contested", "disputed", "being paid", "old")
    made: dict[str, Invoice] = {}
    for kind in kinds:
        shop.now += timedelta(minutes=1)
        made[kind] = await shop.invoice(line("50"))
    made["dollars"] = await shop.invoice(line("50", currency="USD"), currency="USD")
    one = await sold.start(await sold.plan(price("base", "flat", "30", proration="fixed_30")))
    await _beside(shop, made)

    async def due() -> dict[str, int]:
        own = next(row for row in await sold.invoices() if row.subscription_id == one.id)
        found = {kind: (await shop.read(row)).due_minor for kind, row in made.items()}
        return found | {"own": own.due_minor}

    before = dict.fromkeys(made, 5950) | {"own": 3_570}
    assert await due() == before
    shop.now += timedelta(days=10)
    await sold.do(subscriptions.cancel, one, now_at_once=True)  # of its time 19 days are not used: 22.61
    assert await due() == before | {"own": 3_570 - 2_261}

    for _ in range(2):  # the same act
        await shop.credit(paid, 11_900, key="agreed")
        assert await due() == before | {"contested": 5_000, "disputed": 5_500, "old": 0, "own": 0}
        assert await sold.credits() == 11_900 - 950 - 450 - 5_950 - (3_570 - 2_261)
    assert (await shop.read(made["old"])).state == "paid"
    await shop.earn(until=datetime(2027, 1, 1, tzinfo=UTC))
    await assert_invariants(but=MADE_BY_HAND)


async def _beside(shop: Shop, made: dict[str, Invoice]) -> None:
    """What else is said of those invoices, as other fields would write it."""
    org = shop.customer.id
    async with crossing(Reason.PAYMENTS, actor=system()) as uow:
        uow.add(
            Contest(
                id="cnt_1", organization_id=org, invoice_id=made["contested"].id, currency="EUR", minor=5_000,
                reason="Not ours", created_by="acc_1", created_at=shop.now, due_at=shop.now,
            )
        )  # fmt: skip
        uow.add(
            ProviderAccount(
                id="pacc_1", provider="stripe", name="Main", is_test=True, settings={}, secrets=b"",
                created_at=shop.now,
            )
        )  # fmt: skip
        for kind, state in (("disputed", "succeeded"), ("being paid", "processing")):
            uow.add(
                Payment(
                    id=f"pay_{state}", organization_id=org, invoice_id=made[kind].id, provider="stripe",
                    key=state, state=state, initiator="customer", currency="EUR", minor=5_950,
                    created_at=shop.now, asked_at=shop.now,
                    succeeded_at=shop.now if state == "succeeded" else None,
                )
            )  # fmt: skip
        await uow.session.flush()
        uow.add(
            Dispute(
                id="dsp_1", organization_id=org, payment_id="pay_succeeded", provider_account_id="pacc_1",
                provider_ref="dp_1", state="needs_answer", reason="fraudulent", currency="EUR", minor=5_500,
                fee_currency="EUR", taken_invoice_minor=5_500, opened_at=shop.now, taken_at=shop.now,
                created_at=shop.now,
            )
        )  # fmt: skip
