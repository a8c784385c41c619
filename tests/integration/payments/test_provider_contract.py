"""What every payment provider must do with payments and methods, whoever it is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from models.money import Money
from services.payments.providers.base import (
    Declined,
    PaymentProvider,
    ProviderUnavailable,
    RefusedByProvider,
    UnknownOutcome,
)
from services.payments.providers.values import (
    DeclineKind,
    PaymentState,
    RefundOrder,
    RefundState,
    SetupOrder,
    SetupState,
)
from tests.integration.payments.paypal_kit import PayPalKit
from tests.integration.payments.provider_kits import (
    CARDS,
    WALLET,
    Kit,
    customer_of,
    key,
    order,
    since,
)
from tests.integration.payments.stripe_kit import StripeKit


async def test_a_payment_is_made_and_found_again_by_our_key(kit: Kit, provider: PaymentProvider) -> None:
    begin, wanted = since(kit), order(**await kit.ready(provider), metadata={"invoice": "inv_1"})

    paid = await provider.create_or_confirm(wanted)

    assert (paid.state, paid.key) == (PaymentState.PAID, wanted.key)
    assert (paid.amount, paid.captured, paid.refunded) == (wanted.amount, wanted.amount, Money(0, "USD"))
    kit.catch_up()
    assert await provider.read_back(wanted.key, since=begin) == paid
    assert await provider.read_back(key(), since=begin) is None


@CARDS
@pytest.mark.parametrize(("card", "code", "kind", "hard"), StripeKit.declined)
async def test_a_decline_says_why_and_charges_nothing(
    kit: StripeKit, provider: PaymentProvider, card: str, code: str, kind: str, hard: bool
) -> None:
    wanted = order(method=card)

    with pytest.raises(Declined) as caught:
        await provider.create_or_confirm(wanted)

    assert (caught.value.decline_code, caught.value.kind, caught.value.hard) == (code, kind, hard)
    assert "fraud" not in str(caught.value.details) + caught.value.next_step
    left = await provider.read_back(wanted.key, since=since(kit))
    assert left is not None
    assert (left.state, left.captured, left.reference) == (
        PaymentState.CREATED,
        Money(0, "USD"),
        caught.value.reference,
    )
    assert left.decline == caught.value.decline
    again = await provider.create_or_confirm(order(method=kit.good, reference=left.reference))
    assert (again.state, again.reference) == (PaymentState.PAID, left.reference)


@CARDS
async def test_a_bank_may_ask_the_customer_first(kit: StripeKit, provider: PaymentProvider) -> None:
    asked = await provider.create_or_confirm(order(method=kit.asks))
    assert asked.state is PaymentState.ACTION_REQUIRED
    assert asked.action is not None
    assert asked.action.url.startswith("http")

    kit.authenticate(asked.reference)
    assert (await provider.read(asked.reference)).state is PaymentState.PAID

    failed = await provider.create_or_confirm(order(method=kit.asks))
    kit.authenticate(failed.reference, ok=False)
    left = await provider.read(failed.reference)
    assert left.decline is not None
    assert (left.state, left.decline.kind, left.decline.hard) == (
        PaymentState.CREATED, DeclineKind.AUTHENTICATION, False,
    )  # fmt: skip


async def test_held_money_is_taken_in_part_or_given_back(kit: Kit, provider: PaymentProvider) -> None:
    ready = await kit.ready(provider)
    held = await provider.create_or_confirm(order(**ready, capture=False))
    assert (held.state, held.captured) == (PaymentState.AUTHORIZED, Money(0, "USD"))
    with pytest.raises(RefusedByProvider):
        await provider.capture(held.reference, key=key(), amount=Money(20_01, "USD"))
    taken = await provider.capture(held.reference, key=key(), amount=Money(15_00, "USD"))
    assert (taken.state, taken.captured, taken.refunded) == (
        PaymentState.PAID,
        Money(15_00, "USD"),
        Money(0, "USD"),
    )
    with pytest.raises(RefusedByProvider):
        await provider.cancel(held.reference, key=key())

    other = await provider.create_or_confirm(order(**ready, capture=False))
    for _ in range(2):
        ended = await provider.cancel(other.reference, key=key())
        assert (ended.state, ended.captured, ended.refunded) == (
            PaymentState.CANCELED, Money(0, "USD"), Money(0, "USD"),
        )  # fmt: skip
    with pytest.raises(RefusedByProvider):
        await provider.capture(other.reference, key=key())


async def test_never_more_is_given_back_than_was_paid(kit: Kit, provider: PaymentProvider) -> None:
    paid = await provider.create_or_confirm(order(**await kit.ready(provider)))
    part = RefundOrder(key(), paid.reference, Money(5_00, "USD"))

    first = await provider.refund(part)

    assert (first.state, first.amount, first.key, first.payment) == (
        RefundState.DONE, Money(5_00, "USD"), part.key, paid.reference,
    )  # fmt: skip
    assert await provider.refund(part) == first  # the same key gives nothing twice
    assert await provider.read_back_refund(part.key, payment=paid.reference) == first
    assert await provider.read_back_refund(key(), payment=paid.reference) is None
    for amount in (Money(15_01, "USD"), Money(0, "USD"), Money(-1, "USD")):
        with pytest.raises(RefusedByProvider):
            await provider.refund(RefundOrder(key(), paid.reference, amount))
    rest = await provider.refund(RefundOrder(key(), paid.reference))
    assert rest.amount == Money(15_00, "USD")
    with pytest.raises(RefusedByProvider):
        await provider.refund(RefundOrder(key(), paid.reference))
    assert (await provider.read(paid.reference)).refunded == Money(20_00, "USD")


async def test_a_lost_answer_is_found_by_key_and_nothing_is_charged_twice(
    kit: Kit, provider: PaymentProvider
) -> None:
    begin, amount, ready = since(kit), Money(31_00, "NZD"), await kit.ready(provider)
    for done in (True, False):
        wanted = order(amount, **ready)
        kit.lose_answer(done=done)
        with pytest.raises(UnknownOutcome):
            await provider.create_or_confirm(wanted)
        kit.catch_up()
        found = await provider.read_back(wanted.key, since=begin)
        assert (found is not None) is done
        again = await provider.create_or_confirm(wanted)
        assert again.state is PaymentState.PAID
        assert found is None or found.reference == again.reference
    kit.fail("error_after")
    with pytest.raises(UnknownOutcome):
        await provider.create_or_confirm(order(amount, **ready))

    kit.catch_up()
    until = datetime.fromtimestamp(kit.now() + 1, UTC)
    moved = (await provider.movements(since=begin, until=until)).items
    assert [one.gross for one in moved if one.gross.currency == "NZD"] == [amount] * 3


async def test_what_was_not_taken_is_told_apart_from_what_is_refused(
    kit: Kit, provider: PaymentProvider
) -> None:
    begin, ready = since(kit), await kit.ready(provider)
    wanted = order(**ready)
    for kind in kit.not_taken:
        kit.fail(kind)
        with pytest.raises(ProviderUnavailable):
            await provider.create_or_confirm(wanted)
    kit.fail("in_use")
    with pytest.raises(UnknownOutcome):
        await provider.create_or_confirm(wanted)
    kit.catch_up()
    assert await provider.read_back(wanted.key, since=begin) is None
    assert (await provider.create_or_confirm(wanted)).state is PaymentState.PAID
    with pytest.raises(RefusedByProvider):  # the same key for something else
        await provider.create_or_confirm(order(Money(9_00, "USD"), key=wanted.key, **ready))


@pytest.mark.parametrize(
    ("kit", "amount", "reason"),
    [
        ("stripe", Money(500, "JPY"), ""),
        ("stripe", Money(1_230, "KWD"), ""),
        ("stripe", Money(500, "ISK"), ""),
        ("stripe", Money(2_000, "UGX"), ""),
        ("stripe", Money(50_000_00, "MGA"), ""),
        ("stripe", Money(1_231, "KWD"), "amount_not_representable"),
        ("stripe", Money(50_000_01, "MGA"), "amount_not_representable"),
        ("stripe", Money(49, "USD"), "amount_too_small"),
        ("stripe", Money(0, "EUR"), "amount_too_small"),
        ("stripe", Money(10_00, "KPW"), "currency_not_supported"),
        ("paypal", Money(500, "JPY"), ""),
        ("paypal", Money(500_00, "HUF"), ""),
        ("paypal", Money(1, "EUR"), ""),
        ("paypal", Money(500_50, "HUF"), "amount_not_representable"),
        ("paypal", Money(0, "EUR"), "amount_too_small"),
        ("paypal", Money(1_000, "KWD"), "currency_not_supported"),
    ],
    indirect=["kit"],
)
async def test_amounts_arrive_as_they_were_meant(
    kit: Kit, provider: PaymentProvider, amount: Money, reason: str
) -> None:
    wanted = order(amount, **await kit.ready(provider))
    if reason:
        with pytest.raises(RefusedByProvider) as caught:
            await provider.create_or_confirm(wanted)
        assert caught.value.reason == reason
        return
    paid = await provider.create_or_confirm(wanted)
    assert (paid.state, paid.captured) == (PaymentState.PAID, amount)


async def test_a_kept_method_pays_without_its_owner_until_it_is_forgotten(
    kit: Kit, provider: PaymentProvider
) -> None:
    customer = await customer_of(provider)
    method = await kit.keep(provider, customer)
    assert await provider.methods(customer) == (await provider.read_method(method),)

    alone = order(customer=customer, method=method, off_session=True)
    assert (await provider.create_or_confirm(alone)).state is PaymentState.PAID
    for _ in range(2):
        await provider.detach(method, key=key())
    assert (await provider.methods(customer), await provider.read_method(method)) == ((), None)
    with pytest.raises(RefusedByProvider):
        await provider.create_or_confirm(order(customer=customer, method=method, off_session=True))


@CARDS
async def test_a_card_is_charged_for_its_owner_only_and_may_want_them_each_time(
    kit: StripeKit, provider: PaymentProvider
) -> None:
    customer = await customer_of(provider)
    method = await kit.keep(provider, customer)
    with pytest.raises(RefusedByProvider):
        await provider.create_or_confirm(order(customer=await customer_of(provider), method=method))

    asking = await provider.setup(SetupOrder(key(), customer, kit.asks, return_url="http://shop.test/back"))
    assert asking.state is SetupState.ACTION_REQUIRED
    kit.authenticate(asking.reference)
    ready = await provider.read_setup(asking.reference)
    assert ready.method is not None
    with pytest.raises(Declined) as caught:
        await provider.create_or_confirm(
            order(customer=customer, method=ready.method.reference, off_session=True)
        )
    assert (caught.value.kind, caught.value.hard) == (DeclineKind.AUTHENTICATION, False)


async def test_a_page_of_the_provider_pays_once_or_not_at_all(kit: Kit, provider: PaymentProvider) -> None:
    begin, wanted = (
        since(kit),
        order(customer=await customer_of(provider), keep_method=True),
    )
    page = await provider.create_or_confirm(wanted)
    assert page.action is not None
    assert await provider.create_or_confirm(wanted) == page

    kit.pay_on_page(page.action.url)

    paid = await provider.read(page.reference)
    if paid.state is PaymentState.APPROVED:
        for _ in range(2):
            paid = await provider.create_or_confirm(replace(wanted, reference=page.reference))
    assert (paid.state, paid.key, paid.captured) == (PaymentState.PAID, wanted.key, wanted.amount)
    assert paid.method is not None
    assert [one.reference for one in await provider.methods(wanted.customer)] == [paid.method.reference]
    kit.catch_up()
    assert await provider.read_back(wanted.key, since=begin) == paid
    with pytest.raises(RefusedByProvider):
        await provider.cancel(page.reference, key=key())

    unused = await provider.create_or_confirm(order())
    assert (await provider.cancel(unused.reference, key=key())).state is PaymentState.CANCELED
    keeping = await provider.setup(
        SetupOrder(key(), await customer_of(provider), return_url="http://shop.test")
    )
    assert keeping.action is not None
    kit.pay_on_page(keeping.action.url)
    assert (await provider.read_setup(keeping.reference)).state is SetupState.READY


@WALLET
async def test_a_wallet_may_be_declined_too(kit: PayPalKit, provider: PaymentProvider) -> None:
    ready, amount = await kit.ready(provider), Money(200_00, "DKK")
    for issue, hard in (("INSTRUMENT_DECLINED", False), ("PAYER_ACCOUNT_LOCKED_OR_CLOSED", True)):
        kit.decline_next(issue)
        with pytest.raises(Declined) as caught:
            await provider.create_or_confirm(order(amount, **ready))
        assert (caught.value.decline_code, caught.value.hard) == (issue, hard)
    early = order(amount, **ready)
    kit.lose_answer(done=True)
    for ask in (provider.create_or_confirm(early), provider.read_back(early.key, since=since(kit))):
        with pytest.raises(UnknownOutcome):  # the search does not know yet
            await ask
    kit.fake.kill()
    kit.fake.start()
    assert await provider.methods(ready["customer"])  # with a new token: the old one is worth nothing now
    assert (await provider.create_or_confirm(early)).state is PaymentState.PAID
    assert kit.balance("DKK") == Money(200_00 - 747, "DKK")
