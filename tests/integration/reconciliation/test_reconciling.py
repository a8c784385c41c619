"""What providers say moved, found in our books to the cent. The providers are fakes that speak the real wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from models.ledger import JournalKind
from models.money import Money
from services.payments.providers.base import ProviderUnavailable
from services.payments.providers.values import Movement, MovementKind, Page, Payment, RefundOrder
from services.reconciliation import accepting
from services.reconciliation.accepting import CaseClosed
from services.reconciliation.closing import FOUND_LATER
from services.reconciliation.pulling import Puller
from services.refunds import refunds
from services.refunds.refunding import Refunding
from tests.checks import MADE_BY_HAND, assert_invariants
from tests.fakes.paypal.running import running_paypal
from tests.fakes.stripe.running import RunningFake, running_stripe
from tests.integration.billing.shop import line, open_shop
from tests.integration.payments.paypal_kit import PayPalKit
from tests.integration.payments.stripe_kit import StripeKit
from tests.integration.payments.till import pay_on_page
from tests.integration.reconciliation.books import DAY, Books, open_books
from tests.world import World

EUR = "EUR"


@pytest.fixture(scope="module")
def stripe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningFake]:
    with running_stripe(tmp_path_factory.mktemp("stripe")) as fake:
        yield fake


@pytest.fixture
async def books(world: World, stripe: RunningFake) -> AsyncIterator[Books]:
    async with open_books(await open_shop(world), stripe) as books:
        yield books


async def test_a_payout_of_stripe_is_reconciled_to_zero(books: Books) -> None:
    kit, card = StripeKit(books.fake), await books.kept()
    before = kit.balance(EUR)
    paid = [await books.paid(amount, card) for amount in ("100", "50", "200")]
    await books.give_back(paid[0], 1_900, "re_of_ours")
    dispute = books.fake.act("dispute", payment_intent=paid[1].provider_ref)["id"]
    await books.book(paid[1], JournalKind.DISPUTE, Money(-paid[1].minor, EUR), "lost_for_now")
    kit.decide(dispute, won=True)
    await books.book(paid[1], JournalKind.DISPUTE, Money(paid[1].minor, EUR), "won")
    books.later(3 * DAY)

    await books.pull()

    (clearing,) = (await books.clearing()).values()
    assert clearing.difference_minor == 0
    assert clearing.provider_minor == (kit.balance(EUR) - before).minor
    kit.pay_out(EUR)
    books.later()
    await books.pull()
    assert (await books.cases(), (await books.clearing())[EUR].difference_minor) == ([], 0)
    (payout,) = await books.payouts()
    assert (payout.difference_minor, payout.net_minor) == (0, payout.minor)
    assert (payout.charges_minor, payout.refunds_minor, payout.disputes_minor) == (41_650, -1_900, 0)
    platform = await books.platform()
    assert platform["fees"] == payout.fees_minor > 0
    assert platform["cash"] == payout.minor
    await assert_invariants(books.till.shop.world.database, but=MADE_BY_HAND)


async def test_a_withdrawal_from_paypal_is_reconciled_to_zero(
    world: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with running_paypal(tmp_path_factory.mktemp("paypal")) as fake:
        async with open_books(await open_shop(world), fake) as books:
            kit, till = PayPalKit(fake), books.till
            waiting = await till.pay(await till.shop.invoice(line("100")))
            assert waiting.action is not None
            kit.pay_on_page(waiting.action["url"])
            paid = await till.look(waiting)
            assert paid.state == "succeeded"
            await books.give_back(paid, 900, "re_of_ours")
            books.later(timedelta(hours=4))  # before that PayPal tells nothing of it

            await books.pull()
            assert (await books.cases(), (await books.clearing())[EUR].difference_minor) == ([], 0)
            assert (await books.clearing())[EUR].provider_minor == kit.balance(EUR).minor
            fake.act("withdraw", currency=EUR)
            books.later(timedelta(hours=4))
            await books.pull()

            (payout,) = await books.payouts()
            assert (payout.traced, payout.difference_minor, payout.refunds_minor) == (True, 0, -900)
            assert payout.minor == (await books.platform())["cash"]
            assert (await books.clearing())[EUR].books_minor == kit.balance(EUR).minor == 0


async def test_pulls_that_overlap_meet_or_are_cut_off_store_and_book_once(books: Books) -> None:
    card = await books.kept()
    for amount in ("10", "20", "30"):
        await books.paid(amount, card)
    books.later(3 * DAY)
    provider = await books.provider()
    pages = _OneAtATime(provider, fails_after=2)
    books.tell(pages)

    assert await books.pull() == 0  # cut off after two pages
    assert await books.count("provider_movement") == 2
    pages.fails_after = 100
    assert await books.pull() == 1  # goes on with the third
    assert (pages.asked, await books.count("provider_movement")) == (3, 3)
    books.later(DAY)
    async with books.work() as uow:
        await uow.execute("update provider_pull set due_at = :now", now=books.clock.at)
    both = [Puller(books.till.cashier, clock=books.clock) for _ in range(2)]
    await asyncio.gather(*(one.pull_due() for one in both))
    await asyncio.gather(books.match(), books.match())

    assert (await books.count("provider_movement"), await books.cases()) == (3, [])
    assert (await books.clearing())[EUR].difference_minor == 0
    fees = (await books.platform())["fees"]
    async with books.work() as uow:
        assert (await uow.execute("select sum(fee_minor) from provider_movement")).scalar_one() == fees


class _OneAtATime:
    """The provider, one movement a page, which is away after so many pages."""

    def __init__(self, provider: Any, fails_after: int) -> None:
        self._provider, self.fails_after, self.asked = provider, fails_after, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._provider, name)

    async def movements(self, *, cursor: str, **asked: Any) -> Page[Movement]:
        if self.asked >= self.fails_after:
            raise ProviderUnavailable("Away.")
        self.asked += 1
        number, items = int(cursor or "0"), (await self._provider.movements(**asked)).items
        return Page(items[number : number + 1], str(number + 1) if number + 1 < len(items) else "")


class _TellsOtherwise:
    """The provider, whose movements are changed on the way."""

    def __init__(self, provider: Any, change: Callable[[list[Movement]], list[Movement]]) -> None:
        self._provider, self._change = provider, change

    def __getattr__(self, name: str) -> Any:
        return getattr(self._provider, name)

    async def movements(self, **asked: Any) -> Page[Movement]:
        told = (await self._provider.movements(**asked)).items
        return Page(tuple(self._change(list(told)) if told else told))


def _changed(one: Movement, **changed: Any) -> Movement:
    made = replace(one, **changed)
    return replace(made, net=made.gross - made.fee)


def _besides(one: Movement, kind: MovementKind) -> Movement:
    """Another movement that nothing here knows of."""
    unknown = {"source": "x", "payment": "", "key": "", "fee": Money(0, EUR), "gross": Money(500, EUR)}
    return _changed(one, reference="txn_other", kind=kind, **unknown)


PLANTED: dict[str, Callable[[list[Movement]], list[Movement]]] = {
    "unknown_charge": lambda told: [*told, _besides(told[0], MovementKind.CHARGE)],
    "unknown_refund": lambda told: [*told, _besides(told[0], MovementKind.REFUND)],
    "unknown_other": lambda told: [*told, _besides(told[0], MovementKind.OTHER)],
    "amount_differs": lambda told: [_changed(told[0], gross=told[0].gross - Money(700, EUR))],
    "currency_differs": lambda told: [_changed(told[0], gross=Money(12_800, "USD"), fee=Money(300, "USD"))],
    "charged_twice": lambda told: [*told, _changed(told[0], reference="txn_again")],
    "fee_unexpected": lambda told: [_changed(told[0], fee=Money(5_000, EUR))],
    "not_at_provider": lambda told: [],
    "payment_not_booked": lambda told: told,
}


@pytest.mark.parametrize("cause", PLANTED)
async def test_each_difference_is_one_case_and_accepting_it_leaves_none(books: Books, cause: str) -> None:
    card = await books.kept()
    if cause == "payment_not_booked":  # the answer was lost, and nobody asked again
        books.fake.act("fault", kind="close_after", path="/v1/payment_intents", method="POST")
        invoice = await books.till.shop.invoice(line("100"))
        assert (await books.till.pay(invoice, method_id=card)).state == "sending"
    else:
        await books.paid(method=card)
    books.tell(_TellsOtherwise(await books.provider(), PLANTED[cause]))

    for _ in range(2):
        books.later(4 * DAY)
        await books.pull()

    assert [(one.cause, one.kind) for one in await books.cases()] == [(cause, "difference")]
    (case,) = await books.cases()
    assert case.proposed is not None
    entries = case.proposed.entries
    assert sum(one.debit_minor - one.credit_minor for one in entries) == 0 < len(entries)
    assert {one.difference_minor for one in (await books.clearing()).values()} != {0}
    for _ in range(2):
        await books.accept(case)
    await books.pull()
    assert await books.cases() == []
    assert {one.difference_minor for one in (await books.clearing()).values()} == {0}
    await assert_invariants(books.till.shop.world.database, but=MADE_BY_HAND)


async def test_a_movement_that_is_booked_later_closes_its_case(books: Books) -> None:
    paid = await books.paid()
    assert paid.provider_ref is not None
    await (await books.provider()).refund(RefundOrder("re_late", paid.provider_ref, Money(500, EUR)))
    books.later(2 * DAY)
    await books.pull()
    (case,) = await books.cases()
    assert (case.cause, case.minor) == ("unknown_refund", -500)

    await books.book(paid, JournalKind.REFUND, Money(-500, EUR), "re_late")
    await books.pull()

    (closed,) = await books.cases("dismissed")
    assert (closed.id, closed.note, await books.cases()) == (case.id, FOUND_LATER, [])
    assert (await books.clearing())[EUR].difference_minor == 0


async def test_the_fee_of_what_is_matched_later_is_booked_once(books: Books) -> None:
    paid = await books.paid()
    dispute = books.fake.act("dispute", payment_intent=paid.provider_ref)["id"]
    books.later()
    await books.pull()  # before anybody has followed it here
    assert (await books.platform())["fees"] > 1_500

    await books.book(paid, JournalKind.DISPUTE, Money(-paid.minor, EUR), dispute)
    await books.paid("50")
    books.later()
    for _ in range(2):
        await books.pull()

    async with books.work() as uow:
        kept = (await uow.execute("select sum(fee_minor) from provider_movement")).scalar_one()
    assert (await books.platform())["fees"] == kept
    assert (await books.clearing())[EUR].difference_minor == 0
    assert await books.cases() == []


@pytest.mark.parametrize("away", [False, True], ids=["it can be asked", "it is away, and staff books it"])
async def test_a_refund_that_came_back_unheard_is_asked_about_and_booked_once(
    books: Books, away: bool
) -> None:
    paid, asking = await books.paid(), Refunding(books.till.cashier, clock=books.clock)
    async with books.staff_work(paid.organization_id) as uow:
        started = await refunds.start(
            uow, refunds.Wanted(paid.id, "k", "Agreed", amount=1_900), above={"*": 10**9}
        )
    given = await asking.send(started.id, started.organization_id)
    books.later(DAY)
    await books.pull()
    books.fake.act("fail_refund", refund=given.provider_ref)  # and nobody tells
    books.later(2 * DAY)
    if away:
        books.fake.act("fault", kind="error_before", path="/v1/refunds/*", method="GET")

    await books.pull()

    if away:
        (case,) = await books.cases()
        assert case.cause == "unknown_refund_failure"
        await books.accept(case)
        assert (await books.platform())["suspense"] == -1_900
        await asking.look(given.id, given.organization_id)
        await books.pull()
        assert (await books.cases("accepted"))[0].note == FOUND_LATER
    assert (await asking.look(given.id, given.organization_id)).state == "failed"
    assert [one.kind for one in await books.cases()] == ["refund_failed"]
    assert (await books.clearing())[EUR].difference_minor == 0
    assert "suspense" not in await books.platform()
    assert (await books.till.shop.balances())["customer_credit"] == 1_900


@pytest.mark.parametrize("does", ["accept", "dismiss"])
async def test_another_amount_than_was_asked_for_waits_for_staff(books: Books, does: str) -> None:
    invoice = await books.till.shop.invoice(line("100"))
    waiting = await books.till.pay(invoice)
    pay_on_page(waiting)
    books.tell(_TakesLess(await books.provider()))
    for _ in range(2):
        assert (await books.till.look(waiting)).state == "requires_action"

    (case,) = await books.cases()
    assert (case.kind, case.minor, case.organization_id) == (
        "amount_differs", -900, waiting.organization_id,
    )  # fmt: skip
    assert await books.till.cashier.check_due() == 0
    books.later(3 * DAY)
    await books.pull()
    assert len(await books.cases()) == 1  # the movement waits for the same decision
    if does == "accept":
        await books.accept(case)
        assert (await books.till.shop.read(invoice)).due_minor == 900
        assert (await books.till.shop.balances())["clearing"] == 11_000
    else:
        async with books.staff_work() as uow:
            await accepting.dismiss(uow, case.id, "Sent back by hand")
        assert (await books.till.cashier.read(waiting.id, waiting.organization_id)).state == "canceled"
        assert (await books.till.start(invoice)).state == "sending"
    assert await books.cases() == []
    async with books.staff_work() as uow:
        with pytest.raises(CaseClosed) if does == "dismiss" else nullcontext():
            await accepting.accept(uow, case.id)


class _TakesLess:
    """The provider, which says that nine less came than was asked for."""

    def __init__(self, provider: Any) -> None:
        self._provider = provider

    def __getattr__(self, name: str) -> Any:
        return getattr(self._provider, name)

    async def read(self, reference: str) -> Payment:
        told = await self._provider.read(reference)
        return replace(told, captured=told.captured - Money(900, EUR)) if told.captured.minor else told
