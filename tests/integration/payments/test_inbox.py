"""What a provider tells: checked, stored once, and believed only when the provider says so itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from services.core.crossing import Reason, crossing
from services.core.errors import NotFound
from services.core.ids import new_id
from services.payments.inbox import KEPT_FOR, RAW_BYTES_MAX, EventTooLarge, Inbox
from services.payments.providers.base import WebhookRefused
from tests.fakes.stripe.running import RunningStripe, running_stripe
from tests.integration.billing.shop import line, open_shop
from tests.integration.payments import stripe_kit
from tests.integration.payments.stripe_kit import Sent, StripeKit
from tests.integration.payments.till import Till, open_till, pay_on_page
from tests.world import World


@pytest.fixture(scope="module")
def stripe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStripe]:
    with running_stripe(tmp_path_factory.mktemp("stripe")) as fake:
        yield fake


@dataclass
class Listening:
    """A till whose provider tells of each payment, and what it told."""

    till: Till
    kit: StripeKit
    box: stripe_kit.Inbox
    inbox: Inbox

    async def told(self) -> Sent:
        """An invoice is paid on the provider's page, and nobody comes back from there."""
        invoice = await self.till.shop.invoice(line("100"))
        pay_on_page(await self.till.pay(invoice))
        await self.kit.deliver()
        return self.box.taken[-1]

    async def take(self, sent: Sent, account_id: str = "") -> bool:
        return await self.inbox.take(account_id or self.till.account.id, sent.headers, sent.raw)

    async def stored(self) -> list[tuple[bool, int, str | None]]:
        """Of each event whether it is due, how often it was tried, and why in vain."""
        async with crossing(Reason.PAYMENTS) as uow:
            found = await uow.execute(
                "select due_at is not null, attempts, reason from provider_event order by id"
            )
            return [tuple(row) for row in found]  # pyright: ignore[reportReturnType]

    async def due(self) -> int:
        balances = await self.till.shop.balances()
        return balances.get("receivable", 0)


@pytest.fixture
async def listening(world: World, stripe: RunningStripe) -> AsyncIterator[Listening]:
    kit = StripeKit(stripe)
    async with stripe_kit.inbox() as box:
        secret = kit.listen(box.url)
        async with open_till(await open_shop(world), stripe, secret=secret) as till:
            till.clock.at = datetime.now(UTC)  # as signatures say
            yield Listening(till, kit, box, Inbox(till.cashier, clock=till.clock))
        kit.stop_listening()


async def test_a_payment_is_known_from_the_provider_alone(listening: Listening) -> None:
    sent = await listening.told()
    assert await listening.due() == 11_900

    assert await listening.take(sent) is True
    assert await listening.take(sent) is False
    assert await listening.due() == 11_900  # stored, and not yet believed
    assert await listening.inbox.follow_due() == 1

    assert await listening.due() == 0
    assert await listening.stored() == [(False, 1, None)]
    assert await listening.inbox.follow_due() == 0


async def test_what_cannot_be_looked_up_now_is_looked_up_later(listening: Listening) -> None:
    await listening.take(await listening.told())
    for _ in range(2):
        listening.kit.fake.act("fault", kind="error_before", method="GET", times=1)

    assert await listening.inbox.follow_due() == 0
    ((is_due, attempts, reason),) = await listening.stored()
    assert (is_due, attempts) == (True, 1)
    assert reason
    listening.kit.fake.act("clear")
    listening.till.later(timedelta(minutes=2))

    assert await listening.inbox.follow_due() == 1
    assert await listening.due() == 0


async def test_what_is_not_the_providers_is_not_stored(listening: Listening) -> None:
    sent = await listening.told()
    changed = Sent(sent.headers, sent.raw.replace(b"succeeded", b"succeedee"))
    for refused in (changed, Sent({}, sent.raw), Sent(sent.headers, b"no JSON"), Sent(sent.headers, b"")):
        with pytest.raises(WebhookRefused):
            await listening.take(refused)
    with pytest.raises(EventTooLarge):
        await listening.take(Sent(sent.headers, b"x" * (RAW_BYTES_MAX + 1)))
    for account in (new_id("pacc"), "pacc_", "x"):
        with pytest.raises(NotFound):
            await listening.take(sent, account)
    listening.till.later(timedelta(hours=1))
    with pytest.raises(WebhookRefused):
        await listening.take(sent)  # an old one, sent again by somebody who listened
    assert await listening.stored() == []


async def test_what_was_followed_long_ago_is_forgotten(listening: Listening) -> None:
    await listening.take(await listening.told())
    await listening.inbox.follow_due()
    assert await listening.inbox.forget_old() == 0

    listening.till.later(KEPT_FOR + timedelta(days=1))

    assert await listening.inbox.forget_old() == 1
