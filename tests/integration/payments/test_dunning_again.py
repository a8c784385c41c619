"""What stops dunning and charging, what lifts it for a while, and debts that come back, on a test clock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest

from models.dunning import StepAction
from models.money import Money
from models.payments import Payment
from models.subscriptions import Subscription
from services.billing import policies as of_billing
from services.core.errors import Invalid
from services.core.permissions import Capability
from services.disputes import contests
from services.disputes.disputing import Disputing
from services.dunning import cases, holds, running
from services.payments import applying, policies, transfers
from services.subscriptions import subscriptions
from tests.checks import MADE_BY_HAND, assert_invariants
from tests.fakes.stripe.running import RunningStripe, running_stripe
from tests.integration.payments.debt import BEGAN, DAY, Debt, open_debt
from tests.integration.payments.till import pay_on_page
from tests.world import World

A = StepAction
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def stripe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStripe]:
    with running_stripe(tmp_path_factory.mktemp("stripe")) as fake:
        yield fake


@pytest.fixture
async def debt(world: World, stripe: RunningStripe) -> AsyncIterator[Debt]:
    async with open_debt(world, stripe) as debt:
        yield debt


async def history(debt: Debt) -> list[tuple[Any, ...]]:
    """Of each case: outcome or state, what was recovered and lost of it, how many steps, whether it is history."""
    rows = await debt.all(
        "select coalesce(outcome, state), recovered_minor, lost_minor, position, reopened_at is not null"
        " from dunning_case order by id"
    )
    return [tuple(row) for row in rows]


@pytest.mark.parametrize("is_won", [True, False])
async def test_a_chargeback_opens_dunning_anew_once_it_is_lost(debt: Debt, is_won: bool) -> None:
    await debt.campaign((1, A.IN_APP), (3, A.RESTRICT))
    await debt.subscribe()
    await debt.turn(BEGAN + 2 * DAY)
    invoice = (await debt.sold.invoices())[0]
    waiting = await debt.till.pay(invoice)
    pay_on_page(waiting)
    payment = await debt.till.look(waiting)
    assert await history(debt) == [("recovered", 35_70, 0, 1, False)]

    dispute = debt.till.stripe.act("dispute", payment_intent=payment.provider_ref)["id"]
    desk = Disputing(debt.till.cashier, clock=debt.till.clock)
    await desk.follow(debt.till.account.id, dispute)
    await debt.turn(BEGAN + 9 * DAY)
    assert ((await debt.till.shop.read(invoice)).due_minor, await history(debt)) == (
        35_70, [("recovered", 35_70, 35_70, 1, True)],
    )  # fmt: skip

    debt.till.stripe.act("close_dispute", dispute=dispute, won=is_won)
    await desk.follow(debt.till.account.id, dispute)
    await debt.turn(BEGAN + 13 * DAY)

    steps = [row.action for row in await debt.all("select action from dunning_step order by done_at")]
    if is_won:  # as if nothing had been
        assert await history(debt) == [("recovered", 35_70, 0, 1, False)]
        assert steps == ["in_app"]
    else:
        assert await history(debt) == [
            ("recovered", 35_70, 35_70, 1, True), ("all_done", 0, 0, 2, False),
        ]  # fmt: skip
        assert steps == ["in_app", "in_app", "restrict"]
    await assert_invariants(debt.till.shop.world.database, but=MADE_BY_HAND)


async def test_money_that_a_chain_takes_away_again_is_asked_for_again(debt: Debt) -> None:
    await debt.campaign((1, A.IN_APP), (30, A.CANCEL))
    await debt.subscribe()
    await debt.turn(BEGAN + 2 * DAY)
    invoice = (await debt.sold.invoices())[0]
    async with debt.till.shop.work() as uow:
        came = await transfers.record(uow, money=Money(35_70, "EUR"), key="t", invoice_id=invoice.id)

    async with debt.till.shop.work() as uow:
        locked = await of_billing.invoice_for(uow, invoice.id, Capability.STAFF_PAYMENTS_WRITE)
        payment = await policies.payment_for(uow, came.id, Capability.STAFF_PAYMENTS_WRITE, lock=True)
        assert isinstance(payment, Payment)
        assert await applying.take_back(uow, payment, locked)
    await debt.turn(BEGAN + 4 * DAY)

    assert await history(debt) == [("recovered", 35_70, 35_70, 1, True), ("active", 0, 0, 1, False)]


async def attempts(debt: Debt) -> int:
    return (await debt.all("select count(*) from payment"))[0].count


async def test_a_case_that_is_paused_or_skipped_is_not_charged_either(debt: Debt) -> None:
    await debt.campaign((20, A.MAIL), (22, A.CANCEL), retry_days=(1, 3, 5, 7))
    await debt.card("pm_card_chargeCustomerFail")
    await debt.subscribe()
    await debt.turn(BEGAN + 2 * DAY)
    assert await attempts(debt) == 2
    case_id = (await debt.all("select id from dunning_case"))[0].id

    async with debt.till.shop.work() as uow:
        await cases.pause(uow, case_id)
    await debt.turn(BEGAN + 25 * DAY)
    assert await attempts(debt) == 2
    async with debt.till.shop.work() as uow:
        await cases.resume(uow, case_id)
    await debt.turn(BEGAN + 26 * DAY)
    assert await attempts(debt) == 3
    assert [said for day, said in await debt.story() if day == 25] == [
        "resumed", "mail_due", "started schedule", "failed",
    ]  # fmt: skip  # and what comes after both keeps its distance

    async with debt.till.shop.work() as uow:
        await cases.skip(uow, case_id)
    await debt.card("pm_card_visa")
    await debt.turn(BEGAN + 29 * DAY)
    assert await attempts(debt) == 3


async def test_a_customer_who_cancels_is_not_asked_again_and_works(debt: Debt) -> None:
    await debt.campaign((2, A.RESTRICT), (12, A.WRITE_OFF), retry_days=(1, 3, 5, 7))
    await debt.card("pm_card_chargeCustomerFail")
    subscription = await debt.subscribe()
    await debt.turn(BEGAN + 2 * DAY)
    restricts = "select restricts from dunning_case order by id"
    assert ((await debt.all(restricts))[0].restricts, await attempts(debt)) == (True, 2)

    async with debt.till.shop.work() as uow:
        await subscriptions.cancel(uow, subscription.id, now_at_once=True)
    await running.look_at(subscription.organization_id, clock=debt.till.clock)
    assert not (await debt.all(restricts))[0].restricts
    await debt.turn(BEGAN + 20 * DAY)

    assert await attempts(debt) == 2
    assert (await history(debt))[0][0] == "canceled"
    invoice = (await debt.sold.invoices())[0]
    assert (invoice.state, invoice.due_minor > 0) == ("finalized", True)
    await assert_invariants(debt.till.shop.world.database, but=MADE_BY_HAND)


async def test_a_subscription_that_a_campaign_ended_is_charged_no_more_and_the_debt_stays(debt: Debt) -> None:
    await debt.campaign((2, A.RESTRICT), (2, A.CANCEL), (9, A.MAIL), retry_days=(1, 3, 5, 7))
    await debt.card("pm_card_chargeCustomerFail")
    subscription = await debt.subscribe()
    await debt.turn(BEGAN + 12 * DAY)

    assert (await debt.read(Subscription, subscription.id)).state == "ended"
    assert await attempts(debt) == 2
    assert tuple((await debt.all("select restricts, outcome, position from dunning_case"))[0]) == (
        True, "all_done", 3,
    )  # fmt: skip


async def test_what_is_contested_restricts_nobody_until_it_is_refused(debt: Debt) -> None:
    await debt.campaign((1, A.RESTRICT), (30, A.CANCEL))
    await debt.subscribe()
    await debt.turn(BEGAN + 2 * DAY)
    invoice = (await debt.sold.invoices())[0]

    async def restricted() -> bool:
        return (await debt.all("select restricts and not lifted as now from dunning_case"))[0].now

    assert await restricted()
    async with debt.till.shop.work() as uow:
        contest = await contests.open_contest(uow, contests.Wanted(invoice.id, "Not ordered"))
    await debt.turn(BEGAN + 2 * DAY + HOUR)
    assert not await restricted()

    async with debt.till.shop.work() as uow:
        await contests.refuse(uow, contest.id, answer="It was")
    await debt.turn(BEGAN + 2 * DAY + 2 * HOUR)
    assert await restricted()
    assert [said for _, said in await debt.story()][-2:] == ["lifted", "restored"]
    await assert_invariants(debt.till.shop.world.database, but=MADE_BY_HAND)


async def test_a_customer_who_is_held_is_left_alone_until_that_is_over(debt: Debt) -> None:
    await debt.campaign((2, A.SUSPEND), (5, A.MAIL), (6, A.CANCEL), retry_days=(1, 3, 5, 7))
    await debt.card("pm_card_chargeCustomerFail")
    async with debt.till.shop.work() as uow:
        for wrong in (
            {"reason": " "},
            {"reason": "x", "until": BEGAN},
            {"reason": "x", "until": BEGAN + 999 * DAY},
        ):
            with pytest.raises(Invalid):
                await holds.place(uow, **wrong)  # pyright: ignore[reportArgumentType]
        await holds.place(uow, reason="We talk", until=BEGAN + 3 * DAY)
        with pytest.raises(holds.CustomerHeld):
            await holds.place(uow, reason="Again")
    subscription = await debt.subscribe()
    await debt.turn(BEGAN + 2 * DAY)
    assert (await debt.story(), await attempts(debt)) == ([(0, "held")], 0)

    await debt.turn(BEGAN + 4 * DAY)  # it was over by itself
    paused = [said for _, said in await debt.story()]
    assert ("began" in paused, "step_done suspend" in paused, await attempts(debt)) == (True, True, 2)
    async with debt.till.shop.work() as uow:
        hold = await holds.place(uow, reason="We talk again", lifts=True)
    await debt.turn(BEGAN + 30 * DAY)
    assert (await attempts(debt), (await history(debt))[0][:1]) == (2, ("active",))
    assert (
        await debt.read(Subscription, subscription.id)
    ).state != "paused"  # what was stopped works meanwhile

    async with debt.till.shop.work() as uow:
        await holds.release(uow, hold.id)
    await debt.turn(BEGAN + 30 * DAY + 6 * HOUR)
    assert (await debt.read(Subscription, subscription.id)).state == "paused"
    done = [row.action for row in await debt.all("select action from dunning_step order by position")]
    assert (done, await attempts(debt)) == (["suspend", "mail"], 3)  # one after the other, not all at once
