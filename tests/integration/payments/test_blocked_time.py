"""What was paid for time in which calls were refused is credited, once, when they are answered again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from fractions import Fraction

import pytest

from models.billing import Invoice
from models.dunning import StepAction
from models.money import Money
from models.subscriptions import Subscription
from services.disputes import contests
from services.dunning import running
from services.payments import transfers
from services.subscriptions import subscriptions
from tests.checks import MADE_BY_HAND, assert_invariants
from tests.fakes.stripe.running import RunningStripe, running_stripe
from tests.integration.billing.shop import line
from tests.integration.billing.subscribers import price
from tests.integration.payments.debt import BEGAN, DAY, Debt, open_debt
from tests.world import World

A = StepAction
GROSS = 35_70  # of a month, which has 31 days from BEGAN on


@pytest.fixture(scope="module")
def stripe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStripe]:
    with running_stripe(tmp_path_factory.mktemp("stripe")) as fake:
        yield fake


@pytest.fixture
async def debt(world: World, stripe: RunningStripe) -> AsyncIterator[Debt]:
    async with open_debt(world, stripe) as debt:
        yield debt


async def pay(debt: Debt, invoice: Invoice) -> None:
    due = (await debt.till.shop.read(invoice)).due_minor
    async with debt.till.shop.work() as uow:
        await transfers.record(uow, money=Money(due, "EUR"), key=invoice.id, invoice_id=invoice.id)


async def look(debt: Debt, times: int = 2) -> None:
    """As the job does when something happened, at least once."""
    for _ in range(times):
        await running.look_at(debt.till.shop.customer.id, clock=debt.till.clock)


async def noted(debt: Debt) -> list[int]:
    return [row.total_minor for row in await debt.all("select total_minor from credit_note order by id")]


def part(minor: int, *, days: int, of: int = 31) -> int:
    return Money(minor, "EUR").times(Fraction(days, of)).minor


async def ends_well(debt: Debt) -> None:
    await debt.turn(BEGAN + 75 * DAY)
    await assert_invariants(debt.till.shop.world.database, but=MADE_BY_HAND)


async def test_who_pays_late_is_credited_the_days_that_were_refused(debt: Debt) -> None:
    await debt.campaign((3, A.RESTRICT), (40, A.CANCEL))
    await debt.subscribe()
    await debt.turn(BEGAN + 10 * DAY)
    (invoice,) = await debt.sold.invoices()
    await look(debt)
    assert await noted(debt) == []  # it is not paid for

    await pay(debt, invoice)
    await look(debt)

    # From 13 March at eight in the morning in Berlin to 20 March, by whole days.
    assert await noted(debt) == [part(GROSS, days=7)] == [806]
    note = (await debt.all("select * from credit_note"))[0]
    assert note.invoice_id == invoice.id
    assert (note.net_minor, note.tax_minor) == (677, 129)
    assert note.reason == (
        "Bezahlte Zeit, in der Aufrufe abgelehnt wurden: 13.03.2026, 07:00:00 bis 20.03.2026, 09:00:00"
    )
    assert await debt.sold.credits() == 806
    await debt.turn(BEGAN + 32 * DAY)
    assert [one.due_minor for one in await debt.sold.invoices()] == [0, GROSS - 806]
    await ends_well(debt)


async def test_what_is_paid_for_another_invoice_is_credited_and_what_is_no_time_is_not(debt: Debt) -> None:
    await debt.campaign((3, A.RESTRICT))
    yearly = await debt.sold.plan(price("base", "flat", "300", interval="year"))
    await debt.sold.start(yearly, "year")
    (paid,) = await debt.sold.invoices()
    await pay(debt, paid)
    owed = await debt.till.shop.invoice(line("100"))
    await debt.turn(BEGAN + 20 * DAY)
    await pay(debt, owed)
    await look(debt)

    (note,) = await debt.all("select * from credit_note")
    assert (note.invoice_id, note.total_minor) == (paid.id, part(357_00, days=17, of=365))
    await ends_well(debt)


async def test_a_pause_credits_the_rest_and_both_together_are_the_time_that_was_lost(debt: Debt) -> None:
    await debt.campaign((3, A.RESTRICT), (5, A.SUSPEND))
    one = await debt.subscribe()
    await debt.turn(BEGAN + 10 * DAY)
    (invoice, *_) = await debt.sold.invoices()
    assert (await debt.read(Subscription, one.id)).state == "paused"
    await pay(debt, invoice)
    await look(debt)

    assert (await debt.read(Subscription, one.id)).state == "active"
    two = part(GROSS, days=2)  # from the pause on it is credited by that
    assert await noted(debt) == [two]
    await debt.turn(BEGAN + 32 * DAY)
    # Of the first month 24 days were had, 3 before and 21 after; the seven between are paid for by nobody.
    had = sum(one.total_minor for one in await debt.sold.invoices()) - GROSS - two
    assert abs(had - part(GROSS, days=24)) <= 2
    await ends_well(debt)


async def test_while_it_was_lifted_nothing_is_credited(debt: Debt) -> None:
    await debt.campaign((3, A.RESTRICT))
    await debt.subscribe()
    await debt.turn(BEGAN + 5 * DAY)
    (invoice,) = await debt.sold.invoices()
    async with debt.till.shop.work() as uow:
        contest = await contests.open_contest(uow, contests.Wanted(invoice.id, "Not ordered"))
    await look(debt)
    await debt.turn(BEGAN + 10 * DAY)
    async with debt.till.shop.work() as uow:
        await contests.refuse(uow, contest.id, answer="It was")
    await look(debt)
    await debt.turn(BEGAN + 13 * DAY)
    await pay(debt, invoice)
    await look(debt)

    stretches = [
        ((row.started_at - BEGAN).days, (row.ended_at - BEGAN).days, row.due)
        for row in await debt.all("select * from dunning_block order by started_at")
    ]
    assert stretches == [(2, 5, False), (10, 13, False)]  # from eight in the morning of the third day
    assert await noted(debt) == [part(GROSS, days=5)]
    await ends_well(debt)


async def test_what_is_paid_after_that_is_credited_then_and_two_cases_count_once(debt: Debt) -> None:
    await debt.campaign((3, A.RESTRICT))
    await debt.subscribe()
    other = await debt.till.shop.invoice(line("100"))
    await debt.turn(BEGAN + 5 * DAY)
    (invoice, _) = await debt.sold.invoices()
    await pay(debt, other)
    await look(debt)
    assert (await noted(debt), len(await debt.all("select from dunning_block where due"))) == ([], 0)
    await debt.turn(BEGAN + 9 * DAY)
    await pay(debt, invoice)
    await look(debt, 3)

    assert await noted(debt) == [part(GROSS, days=6)]
    await ends_well(debt)


async def test_who_cancelled_gets_both_and_never_more_than_was_paid(debt: Debt) -> None:
    """What a note gave is not given again by the end of the subscription, nor the other way round."""
    await debt.campaign((1, A.RESTRICT))
    one = await debt.subscribe()
    await debt.turn(BEGAN + 9 * DAY)
    (invoice,) = await debt.sold.invoices()
    await pay(debt, invoice)
    await look(debt)
    (first,) = await noted(debt)
    async with debt.till.shop.work() as uow:
        await subscriptions.cancel(uow, one.id, now_at_once=True)
    await look(debt)

    assert await noted(debt) == [first]
    ended = [one.total_minor for one in await debt.sold.invoices()][1]
    assert first - ended < GROSS
    assert await debt.sold.credits() == first - ended
    await assert_invariants(debt.till.shop.world.database, but=MADE_BY_HAND)
