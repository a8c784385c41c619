"""From an invoice that is due to money or to the end of it, on a test clock, against a provider that is a fake."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest

from models.clock import TestClock
from models.dunning import StepAction
from models.money import Money
from models.subscriptions import Collection, Subscription
from models.types import OrganizationKind, Role
from services.billing_runs import clock_preview
from services.collection.collecting import Collector
from services.core.actor import system
from services.core.crossing import Reason, crossing
from services.core.errors import Forbidden
from services.core.work import unit_of_work
from services.dunning import cases, mails, running
from services.dunning.mails import ReminderDue
from services.notify.sending import Sender
from services.payments import transfers
from services.subscriptions import collecting
from tests.checks import MADE_BY_HAND, assert_invariants
from tests.fakes.stripe.running import RunningStripe, running_stripe
from tests.integration.billing.shop import line, open_shop
from tests.integration.billing.subscribers import Subscribers
from tests.integration.payments.debt import BEGAN, DAY, Debt, open_debt
from tests.integration.payments.till import open_till
from tests.world import World

A = StepAction
MAILER = Sender(public_url="http://shop.example", mail_from="m@shop.example", server=None)


@pytest.fixture(scope="module")
def stripe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStripe]:
    with running_stripe(tmp_path_factory.mktemp("stripe")) as fake:
        yield fake


@pytest.fixture
async def debt(world: World, stripe: RunningStripe) -> AsyncIterator[Debt]:
    async with open_debt(world, stripe) as debt:
        yield debt


async def test_an_invoice_that_failed_is_charged_again_reminded_of_and_recovered(debt: Debt) -> None:
    await debt.campaign((2, A.IN_APP), (4, A.MAIL), (20, A.CANCEL))
    payer = await debt.till.shop.world.account(member_of=debt.till.shop.customer, role=Role.BILLING)
    await debt.till.shop.world.account(member_of=debt.till.shop.customer, role=Role.DEVELOPER)
    await debt.card("pm_card_chargeCustomerFail")
    subscription = await debt.subscribe()

    await debt.turn(BEGAN + 6 * DAY)

    until_mail = [
        (0, "started schedule"), (0, "failed"),
        (0, "began"),
        (1, "started schedule"), (1, "failed"),
        (1, "reminded"),
        (3, "started schedule"), (3, "failed"),
        (3, "mail_due"),
        (5, "started schedule"), (5, "failed"),
    ]  # fmt: skip
    assert await debt.story() == until_mail
    case = (await debt.all("select * from dunning_case"))[0]
    reminder = ReminderDue(case.id, case.organization_id, 1)
    for _ in range(2):
        assert await mails.send(reminder, sender=MAILER) == 1
    mail = (await debt.all("select * from mail where dedupe_key like 'dunning:%'"))[0]
    invoice = (await debt.sold.invoices())[0]
    assert mail.recipient == payer.email
    assert mail.subject == f"Die Rechnung {invoice.number} ist überfällig"
    assert "http://shop.example/pay/" in mail.body
    assert "35,70\xa0€" in mail.body

    await debt.card("pm_card_visa")
    later = BEGAN + 6 * DAY + timedelta(hours=1)
    await debt.turn(later)

    assert (await debt.story())[len(until_mail) :] == [
        (6, "started schedule"), (6, "succeeded"), (6, "recovered"), (6, "ended recovered"),
    ]  # fmt: skip
    assert await mails.send(reminder, sender=MAILER) == 0
    assert await debt.all("select action, recovered_minor from dunning_step order by position") == [
        ("in_app", 0), ("mail", 3_570),
    ]  # fmt: skip
    await debt.turn(BEGAN + 25 * DAY)
    assert (await debt.read(Subscription, subscription.id)).state == "active"
    assert (await debt.till.shop.read(invoice)).state == "paid"
    await assert_invariants(debt.till.shop.world.database, but=MADE_BY_HAND)


async def test_who_never_pays_is_restricted_suspended_cancelled_and_written_off(debt: Debt) -> None:
    await debt.campaign((2, A.RESTRICT), (4, A.SUSPEND), (6, A.CANCEL), (8, A.WRITE_OFF), retry_days=())
    await debt.card("pm_card_chargeCustomerFail")
    subscription = await debt.subscribe()
    restricted = "select restricts from dunning_case"

    seen: list[tuple[int, str, bool]] = []
    for days in (1, 2, 4, 6, 8):
        await debt.turn(BEGAN + days * DAY)
        state = (await debt.read(Subscription, subscription.id)).state
        seen.append((days, state, (await debt.all(restricted))[0].restricts))

    assert seen == [
        (1, "past_due", False), (2, "past_due", True), (4, "paused", True), (6, "ended", True), (8, "ended", True),
    ]  # fmt: skip
    invoice = (await debt.sold.invoices())[0]
    assert (invoice.state, invoice.due_minor) == ("uncollectible", 0)
    ended = (await debt.all("select state, outcome from dunning_case"))[0]
    assert tuple(ended) == ("ended", "written_off")

    async with debt.till.shop.work() as uow:
        await transfers.record(
            uow, money=Money(invoice.written_off_minor, "EUR"), key="late", invoice_id=invoice.id
        )
    after = (await debt.all("select restricts, outcome, recovered_minor from dunning_case"))[0]
    assert tuple(after) == (False, "recovered", invoice.written_off_minor)
    await assert_invariants(debt.till.shop.world.database, but=MADE_BY_HAND)


async def test_who_pays_while_suspended_goes_on_and_staff_can_pause_and_skip(debt: Debt) -> None:
    await debt.campaign((1, A.SUSPEND), (9, A.CANCEL))
    subscription = await debt.subscribe()
    await debt.turn(BEGAN + 2 * DAY)
    case_id = (await debt.all("select id from dunning_case"))[0].id

    async with unit_of_work(system(subscription.organization_id), clock=debt.till.clock) as uow:
        assert (await cases.pause(uow, case_id)).next_at is None
        with pytest.raises(cases.DunningStateConflict):
            await cases.pause(uow, case_id)
    await debt.turn(BEGAN + 12 * DAY)
    assert (await debt.read(Subscription, subscription.id)).state == "paused"
    async with unit_of_work(system(subscription.organization_id), clock=debt.till.clock) as uow:
        await cases.resume(uow, case_id)
        await cases.skip(uow, case_id)
        with pytest.raises(cases.DunningStateConflict):
            await cases.resume(uow, case_id)
    with pytest.raises(Forbidden):
        async with unit_of_work(
            debt.till.shop.world.actor(debt.till.shop.customer), clock=debt.till.clock
        ) as uow:
            await cases.skip(uow, case_id)
    await debt.turn(BEGAN + 13 * DAY)

    assert (await debt.read(Subscription, subscription.id)).state in ("active", "past_due")
    assert tuple((await debt.all("select outcome, restricts from dunning_case"))[0]) == ("skipped", False)


async def test_two_workers_charge_once_and_remind_once_and_one_that_fails_holds_up_no_other(
    world: World, stripe: RunningStripe
) -> None:
    shop = await open_shop(world, payment_days=0)
    async with open_till(shop, stripe) as till:
        debt = Debt(till, Subscribers(shop), TestClock(id="", name="", now_at=BEGAN), None)
        house = await world.organization(name="House", kind=OrganizationKind.OPERATOR)
        debt.staff = world.actor(house, Role.OPERATOR)
        await debt.campaign((1, A.IN_APP), (30, A.MAIL))
        first, one = shop.customer, await shop.invoice(line("100"))
        await debt.card("pm_card_visa")
        await shop.new_customer(name="Second")
        two = await shop.invoice(line("50"))
        await debt.card("pm_card_chargeCustomerFail")
        collector = Collector(till.cashier, 2, clock=till.clock)

        charged = await asyncio.gather(*(collector.collect_due() for _ in range(3)))
        assert sum(charged) == 2
        assert await collector.collect_due() == 0
        till.later(DAY)
        assert await collector.collect_due() == 1

        paid = {row.id: row.state for row in await debt.all("select id, state from invoice")}
        assert paid == {one.id: "paid", two.id: "finalized"}
        assert (await debt.all("select count(*) from payment where state = 'succeeded'"))[0].count == 1
        done = await asyncio.gather(*(running.remind_due(clock=till.clock) for _ in range(3)))
        assert sum(done) == 2  # it was taken up, and reminded of
        assert [row.type for row in await debt.all(
            "select type from event where type like 'dunning.%' order by id"
        )] == ["dunning.began", "dunning.reminded"]  # fmt: skip
        assert first.id != two.organization_id


async def test_what_is_sent_to_be_paid_is_charged_by_nobody_until_staff_says_so(debt: Debt) -> None:
    await debt.card("pm_card_visa")
    one = await debt.subscribe(collection=Collection.SEND, payment_days=5)
    await debt.turn(BEGAN + 12 * DAY)
    (invoice,) = await debt.sold.invoices()
    assert (invoice.state, (invoice.due_date - BEGAN.date()).days if invoice.due_date else 0) == (
        "finalized",
        5,
    )
    assert await debt.story() == []

    async with debt.till.shop.work() as uow:
        await collecting.collect(uow, one.id, Collection.CHARGE)
    await debt.turn(BEGAN + 13 * DAY)
    assert [one.state for one in await debt.sold.invoices()] == ["paid"]


async def test_a_look_ahead_takes_as_paid_what_would_be_charged(debt: Debt) -> None:
    await debt.campaign((2, A.MAIL), (10, A.CANCEL))
    await debt.subscribe()
    to = BEGAN + 95 * DAY

    async def looked() -> list[int]:
        async with crossing(Reason.STAFF, actor=debt.staff, clock=debt.till.clock) as uow:
            found = await clock_preview.preview(uow, debt.till.shop.customer.id, to=to)
        return [one.document.total_minor for one in found.documents]

    assert await looked() == [-2_303]  # nobody pays, and the campaign ends it
    await debt.card("pm_card_visa")
    assert await looked() == [3_570] * 3
    assert await debt.story() == []
    await debt.turn(to)
    assert [one.state for one in await debt.sold.invoices()] == ["paid"] * 4
