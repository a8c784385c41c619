"""Which events every payment provider believes, and whom it calls."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.core.outgoing import AddressRefused
from services.payments.providers.base import (
    ProviderUnavailable,
    WebhookRefused,
)
from services.payments.providers.paypal import PayPalProvider
from services.payments.providers.paypal_wire import PayPalAccount
from services.payments.providers.stripe import StripeAccount, StripeProvider
from tests.integration.payments.paypal_kit import PayPalKit
from tests.integration.payments.provider_kits import (
    WALLET,
    Kit,
    listening,
    order,
)
from tests.integration.payments.stripe_kit import inbox


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
