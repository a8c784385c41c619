"""What every payment provider must do, whoever it is. A new one is one more kit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from secrets import token_hex

import pytest

from models.money import Money
from services.core.outgoing import AddressRefused
from services.payments.providers.base import (
    Declined,
    PaymentProvider,
    ProviderUnavailable,
    RefusedByProvider,
    UnknownOutcome,
    WebhookRefused,
)
from services.payments.providers.paypal import PayPalProvider
from services.payments.providers.paypal_wire import PayPalAccount
from services.payments.providers.stripe import StripeAccount, StripeProvider
from services.payments.providers.values import (
    NOTES,
    Customer,
    DeclineKind,
    DisputeState,
    Evidence,
    EvidenceFile,
    Flow,
    MovementKind,
    Order,
    PaymentState,
    PayoutState,
    RefundOrder,
    RefundState,
    SetupOrder,
    SetupState,
)
from tests.fakes.paypal.running import running_paypal
from tests.fakes.stripe.running import running_stripe
from tests.integration.payments.paypal_kit import PayPalKit
from tests.integration.payments.stripe_kit import StripeKit, inbox

Kit = StripeKit | PayPalKit
CARDS = pytest.mark.parametrize("kit", ["stripe"], indirect=True)  # where we are told which card does what
WALLET = pytest.mark.parametrize("kit", ["paypal"], indirect=True)


@pytest.fixture(scope="module")
def kits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Kit]]:
    with (
        running_stripe(tmp_path_factory.mktemp("stripe")) as stripe,
        running_paypal(tmp_path_factory.mktemp("paypal")) as paypal,
    ):
        yield {"stripe": StripeKit(stripe), "paypal": PayPalKit(paypal)}


@pytest.fixture(params=["stripe", "paypal"])
def kit(request: pytest.FixtureRequest, kits: dict[str, Kit]) -> Iterator[Kit]:
    chosen = kits[request.param]
    yield chosen
    chosen.stop_listening()


@pytest.fixture
async def provider(kit: Kit) -> AsyncIterator[PaymentProvider]:
    made = kit.provider()
    yield made
    await made.close()


@asynccontextmanager
async def listening(kit: Kit, listener: str) -> AsyncIterator[PaymentProvider]:
    made = kit.provider(listener)
    try:
        yield made
    finally:
        await made.close()


def key() -> str:
    return f"try_{token_hex(8)}"


def order(amount: Money | None = None, **more: object) -> Order:
    told = {
        "key": key(),
        "amount": amount or Money(20_00, "USD"),
        "description": "Invoice 7",
        "return_url": "http://shop.test/back",
    }
    return Order(**{**told, **more})  # pyright: ignore[reportArgumentType]


def since(kit: Kit) -> datetime:
    return datetime.fromtimestamp(kit.now(), UTC) - timedelta(minutes=1)


async def customer_of(provider: PaymentProvider) -> str:
    return await provider.keep_customer(Customer("Ada", "ada@example.test", "org_1"), key=key())


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
        order(flow=Flow.REDIRECT, customer=await customer_of(provider), keep_method=True),
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

    unused = await provider.create_or_confirm(order(flow=Flow.REDIRECT))
    assert (await provider.cancel(unused.reference, key=key())).state is PaymentState.CANCELED
    keeping = await provider.setup(
        SetupOrder(key(), await customer_of(provider), flow=Flow.REDIRECT, return_url="http://shop.test")
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


async def test_only_our_own_events_of_now_are_believed(kit: Kit) -> None:
    async with inbox() as box:
        listener = kit.listen(box.url)
        async with listening(kit, listener) as provider:
            paid = await provider.create_or_confirm(order(**await kit.ready(provider)))
            await kit.deliver()
            (sent,) = box.taken
            now = datetime.now(UTC)

            event = await provider.verify_webhook(sent.headers, sent.raw, now=now)

            assert (event.reference, event.payment, event.key) == (paid.reference, paid.reference, paid.key)
            replayed = await provider.verify_webhook(sent.headers, sent.raw, now=now)
            assert replayed.id == event.id  # which it is known by
            other = await kit.of_another_account(box, sent, event.id)
            refused = {
                "old": (sent.headers, sent.raw, now + timedelta(minutes=6)),
                "from the future": (sent.headers, sent.raw, now - timedelta(minutes=6)),
                "changed": (sent.headers, sent.raw + b" ", now),
                "not text": (sent.headers, b"\xff" + sent.raw, now),
                "unsigned": ({}, sent.raw, now),
                "another account's": (other.headers, other.raw, now),
            }
            for headers, raw, at in refused.values():
                with pytest.raises(WebhookRefused):
                    await provider.verify_webhook(headers, raw, now=at)
        async with listening(kit, kit.wrong) as provider:
            with pytest.raises(WebhookRefused):
                await provider.verify_webhook(sent.headers, sent.raw, now=now)


@WALLET
async def test_a_certificate_is_fetched_from_nobody_but_paypal(kit: PayPalKit) -> None:
    async with inbox() as box, listening(kit, kit.listen(box.url)) as provider:
        await provider.create_or_confirm(order(**await kit.ready(provider)))
        await kit.deliver()
        (sent,) = box.taken
        for url in (
            box.url, "https://paypal.com.evil.test/c", "http://api.paypal.com/c", "https://api.paypal.com:8443/c",
            "https://x@api.paypal.com/c", "file:///etc/passwd", "https://[", "",
        ):  # fmt: skip
            with pytest.raises(WebhookRefused):
                await provider.verify_webhook(
                    sent.headers | {"PAYPAL-CERT-URL": url}, sent.raw, now=datetime.now(UTC)
                )


@pytest.mark.parametrize(
    "base", ["http://127.0.0.1:1", "http://169.254.169.254", "http://db.internal", "ftp://x.test"]
)
async def test_no_address_inside_is_called_that_nobody_vouches_for(base: str) -> None:
    for open_account in (
        lambda: StripeProvider(StripeAccount("sk_test_x", base=base)),
        lambda: PayPalProvider(PayPalAccount("client", "secret", base=base)),
    ):
        with pytest.raises(AddressRefused):
            open_account()


async def test_what_cannot_be_reached_has_done_nothing() -> None:
    nobody, place = "http://127.0.0.1:1", frozenset({"127.0.0.1:1"})
    accounts = (
        StripeProvider(StripeAccount("sk_test_x", base=nobody, allowed=place)),
        PayPalProvider(PayPalAccount("client", "secret", base=nobody, allowed=place)),
    )
    for made in accounts:
        with pytest.raises(ProviderUnavailable):
            await made.create_or_confirm(order(method="pm_x"))
        await made.close()


async def test_movements_add_up_to_the_balance(kit: Kit, provider: PaymentProvider) -> None:
    begin, ready = since(kit), await kit.ready(provider)
    paid = [await provider.create_or_confirm(order(Money(n * 10_00, "SGD"), **ready)) for n in (3, 4, 5)]
    back = RefundOrder(key(), paid[0].reference, Money(7_00, "SGD"))
    await provider.refund(back)
    for one, won in ((paid[1], False), (paid[2], True)):
        kit.decide(kit.dispute(one.reference), won=won)
    kit.catch_up()

    until = datetime.fromtimestamp(kit.now() + 1, UTC)
    moved = [
        one for one in (await provider.movements(since=begin, until=until)).items if one.net.currency == "SGD"
    ]

    assert all(one.net == one.gross - one.fee for one in moved)
    assert sum((one.net for one in moved), Money(0, "SGD")) == kit.balance("SGD")
    by_kind = {kind: [one for one in moved if one.kind is kind] for kind in {one.kind for one in moved}}
    assert by_kind.keys() - {MovementKind.FEE} == {
        MovementKind.CHARGE, MovementKind.REFUND, MovementKind.DISPUTE, MovementKind.DISPUTE_REVERSAL,
    }  # fmt: skip
    assert {(one.key, one.payment) for one in by_kind[MovementKind.CHARGE]} == {
        (one.key, one.reference) for one in paid
    }
    assert [(one.key, one.gross) for one in by_kind[MovementKind.REFUND]] == [(back.key, Money(-7_00, "SGD"))]


@CARDS
async def test_what_a_payout_consists_of_adds_up_to_it(kit: StripeKit, provider: PaymentProvider) -> None:
    begin = since(kit)
    paid = [
        await provider.create_or_confirm(order(Money(n * 10_00, "CHF"), method=kit.good)) for n in (3, 4, 5)
    ]
    await provider.refund(RefundOrder(key(), paid[0].reference, Money(7_00, "CHF")))
    for one, won in ((paid[1], False), (paid[2], True)):
        kit.decide(kit.dispute(one.reference), won=won)
    kit.settle()

    reference = kit.pay_out("chf")

    payout = await provider.read_payout(reference)
    parts = (await provider.payout_movements(reference)).items
    assert payout.traced
    assert sum((one.net.minor for one in parts), 0) == payout.amount.minor > 0
    assert all(one.net == one.gross - one.fee for one in parts)
    kinds = sorted(one.kind for one in parts)
    assert kinds == sorted(
        [MovementKind.CHARGE] * 3
        + [MovementKind.REFUND, MovementKind.DISPUTE_REVERSAL]
        + [MovementKind.DISPUTE] * 2
    )
    assert {one.payment for one in parts} == {one.reference for one in paid}
    assert {one.key for one in parts if one.kind is MovementKind.CHARGE} == {one.key for one in paid}
    until = datetime.fromtimestamp(kit.now() + 1, UTC)
    moved = [
        one for one in (await provider.movements(since=begin, until=until)).items if one.net.currency == "CHF"
    ]
    assert sum(one.net.minor for one in moved) == 0
    assert reference in {one.reference for one in (await provider.payouts(since=begin)).items}
    kit.settle()
    assert (await provider.read_payout(reference)).state is PayoutState.PAID


async def test_a_dispute_is_listed_and_blocks_refunds(kit: Kit, provider: PaymentProvider) -> None:
    begin = since(kit)
    paid = await provider.create_or_confirm(order(**await kit.ready(provider)))
    reference = kit.dispute(paid.reference)

    (found,) = [one for one in (await provider.disputes(since=begin)).items if one.payment == paid.reference]

    assert (found.reference, found.state, found.amount) == (reference, DisputeState.NEEDS_ANSWER, paid.amount)
    assert found.due is not None
    with pytest.raises(RefusedByProvider):
        await provider.refund(RefundOrder(key(), paid.reference))
    kit.decide(reference, won=True)
    assert (await provider.read_dispute(reference)).state is DisputeState.WON
    assert (await provider.refund(RefundOrder(key(), paid.reference))).state is RefundState.DONE


async def test_a_dispute_is_answered_once_with_files(kit: Kit, provider: PaymentProvider) -> None:
    paid = await provider.create_or_confirm(order(**await kit.ready(provider)))
    reference = kit.dispute(paid.reference)
    terms = provider.capabilities.evidence
    assert terms is not None

    def file(name: str, content: bytes, field: str = "") -> EvidenceFile:
        return EvidenceFile(field or terms.pack_field, name, "application/pdf", content)

    with pytest.raises(RefusedByProvider):  # a program is no evidence
        await provider.answer_dispute(reference, Evidence({}, (file("x.pdf", b"MZ\x90\x00"),)), key=key())
    long = "uncategorized_text" if not terms.notes_max else NOTES
    with pytest.raises(RefusedByProvider):
        await provider.answer_dispute(reference, Evidence({long: "x" * 150_001}), key=key())
    said = Evidence(
        {"product_description" if not terms.notes_max else NOTES: "Tokens"},
        (file("log.pdf", b"%PDF-1.7\r\nlog"), file('a "b".pdf', b"%PDF-1.7\r\n--x", terms.fields[1])),
    )
    once = key()
    handed_in = await provider.answer_dispute(reference, said, key=once)
    assert (handed_in.state, handed_in.submissions > 0, handed_in.due) == (
        DisputeState.UNDER_REVIEW,
        True,
        None,
    )
    assert await provider.answer_dispute(reference, said, key=once) == handed_in
    with pytest.raises(RefusedByProvider):
        await provider.answer_dispute(reference, said, key=key())
