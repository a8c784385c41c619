"""What a provider tells: checked, stored once, and believed only when the provider says so itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
import stripe as sdk

from services.core.actor import system
from services.core.crossing import Reason, crossing
from services.core.errors import NotFound
from services.core.ids import new_id
from services.payments import accounts
from services.payments.accounts import AccountFields
from services.payments.inbox import KEPT_FOR, Inbox
from services.payments.intake import RAW_BYTES_MAX, EventTooLarge, Intake
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
    intake: Intake
    secret: str

    async def told(self) -> Sent:
        """An invoice is paid on the provider's page, and nobody comes back from there."""
        invoice = await self.till.shop.invoice(line("100"))
        pay_on_page(await self.till.pay(invoice))
        await self.kit.deliver()
        return self.box.taken[-1]

    def signed(self, event_id: str, *, kind: str = "charge.updated", secret: str = "") -> Sent:
        """As the provider would, of now."""
        told = {
            "id": event_id, "type": kind, "livemode": False, "created": int(self.till.clock.at.timestamp()),
            "data": {"object": {"id": "ch_1", "object": "charge"}},
        }  # fmt: skip
        raw = json.dumps(told)
        header = sdk.WebhookSignature.generate_signature_header(raw, secret or self.secret)
        return Sent({"stripe-signature": header}, raw.encode())

    async def take(self, sent: Sent, account_id: str = "") -> bool:
        return await self.intake.take(account_id or self.till.account.id, sent.headers, sent.raw)

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
            inbox, intake = Inbox(till.cashier, clock=till.clock), Intake(till.cashier, clock=till.clock)
            yield Listening(till, kit, box, inbox, intake, secret)
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


async def test_events_that_come_together_are_stored_once_each(listening: Listening) -> None:
    one, other, unwritable = (
        listening.signed("evt_1"), listening.signed("evt_2"), listening.signed("evt_3", kind="charge.\0"),
    )  # fmt: skip

    taken = await asyncio.gather(
        *(listening.take(sent) for sent in (one, other, unwritable, one, other, one)), return_exceptions=True
    )

    assert sorted(new for new in taken if isinstance(new, bool)) == [False] * 3 + [True] * 2
    assert sum(isinstance(error, Exception) for error in taken) == 1  # which kept nobody else from it
    assert len(await listening.stored()) == 2
    assert await asyncio.gather(listening.take(one), listening.take(listening.signed("evt_4"))) == [
        False,
        True,
    ]


async def test_what_an_account_was_before_counts_no_more(listening: Listening) -> None:
    await listening.take(listening.signed("evt_1"))
    async with crossing(Reason.PAYMENTS, actor=system(), clock=listening.till.clock) as uow:
        said = AccountFields(
            "stripe",
            "Cards",
            True,
            settings=listening.till.account.settings,
            secrets={"webhook_secret": "whsec_new"},
        )
        await accounts.change_account(
            uow, listening.till.account.id, said, allowed=[listening.till.stripe.place]
        )

    with pytest.raises(WebhookRefused):
        await listening.take(listening.signed("evt_2"))
    assert await listening.take(listening.signed("evt_2", secret="whsec_new")) is True
    assert len(await listening.stored()) == 2


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
