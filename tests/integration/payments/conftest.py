"""The providers that the contract is asked of: a new one is one more kit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from services.payments.providers.base import PaymentProvider
from tests.fakes.paypal.running import running_paypal
from tests.fakes.stripe.running import running_stripe
from tests.integration.payments.paypal_kit import PayPalKit
from tests.integration.payments.provider_kits import Kit
from tests.integration.payments.stripe_kit import StripeKit


@pytest.fixture(scope="package")
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
