"""What the contract test needs of a provider besides its adapter: cards, customers' acts, and bad weather."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

import httpx
import stripe
from aiohttp import web

from models.money import Money
from services.payments.providers.base import PaymentProvider
from services.payments.providers.stripe import API_VERSION, StripeAccount, StripeProvider
from services.payments.providers.values import SetupOrder
from tests.fakes.stripe.running import RunningFake

TIMEOUT_S = 120  # a busy machine is not what is tested
_CREATE = "/v1/payment_intents"


@dataclass
class Sent:
    headers: dict[str, str]
    raw: bytes


@dataclass
class Inbox:
    """Takes events, or refuses as many as `refusing` says."""

    url: str = ""
    refusing: int = 0
    taken: list[Sent] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        sent = Sent(dict(request.headers), await request.read())
        if self.refusing:
            self.refusing -= 1
            return web.Response(status=500)
        self.taken.append(sent)
        return web.Response()


@asynccontextmanager
async def inbox() -> AsyncIterator[Inbox]:
    box = Inbox()
    app = web.Application()
    app.router.add_post("/", box.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    box.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    try:
        yield box
    finally:
        await runner.cleanup()


def sdk(
    fake: RunningFake, *, key: str = "", http_client: stripe.HTTPClient | None = None
) -> stripe.StripeClient:
    """The official client, as anybody would make it."""
    return stripe.StripeClient(
        key or fake.key,
        stripe_version=API_VERSION,
        base_addresses={"api": fake.url, "files": fake.url},
        max_network_retries=0,
        http_client=http_client,
    )


class StripeKit:
    not_taken = ("limited", "locked")
    wrong = "whsec_other"
    good = "pm_card_visa"
    keeps_but_declines = "pm_card_chargeCustomerFail"
    asks = "pm_card_authenticationRequired"
    declined = (
        # card, the provider's code, kind, hard
        ("pm_card_visa_chargeDeclined", "generic_decline", "unexplained", False),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "insufficient_funds", "funds", False),
        ("pm_card_visa_chargeDeclinedLostCard", "lost_card", "card_gone", True),
        ("pm_card_visa_chargeDeclinedStolenCard", "stolen_card", "card_gone", True),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired", True),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "card_data", False),
        ("pm_card_chargeDeclinedProcessingError", "processing_error", "try_later", False),
        ("pm_card_radarBlock", "fraudulent", "fraud", True),
    )

    def __init__(self, fake: RunningFake) -> None:
        self.fake = fake
        self._secret = ""
        self._listeners: list[str] = []

    def provider(self, listener: str = "") -> StripeProvider:
        """With that webhook secret, while the one before it is valid still."""
        return StripeProvider(
            StripeAccount(
                self.fake.key,
                ("whsec_before", listener),
                base=self.fake.url,
                allowed=frozenset({self.fake.place}),
            )
        )

    async def ready(self, provider: PaymentProvider) -> dict[str, Any]:
        """What an order needs to be paid at once."""
        return {"method": self.good}

    async def keep(self, provider: PaymentProvider, customer: str) -> str:
        kept = await provider.setup(SetupOrder(token_hex(8), customer, self.good))
        assert kept.method is not None
        return kept.method.reference

    def authenticate(self, payment: str, *, ok: bool = True) -> None:
        self.fake.act("authenticate", intent=payment, ok=ok)

    def pay_on_page(self, url: str) -> None:
        answer = httpx.post(url, data={"test_card": "visa"}, trust_env=False, verify=False, timeout=TIMEOUT_S)
        assert answer.status_code == 303, answer.text

    def lose_answer(self, *, done: bool) -> None:
        self.fake.act("fault", kind="close_after" if done else "close_before", path=_CREATE, method="POST")

    def fail(self, kind: str) -> None:
        self.fake.act("fault", kind=kind, path=_CREATE, method="POST")

    def dispute(self, payment: str) -> str:
        return self.fake.act("dispute", payment_intent=payment)["id"]

    def decide(self, dispute: str, *, won: bool) -> None:
        self.fake.act("close_dispute", dispute=dispute, won=won)

    def catch_up(self) -> None:
        """What has happened is told at once."""

    def balance(self, currency: str) -> Money:
        told = sdk(self.fake).v1.balance.retrieve()
        return Money(
            sum(one.amount for one in [*told.available, *told.pending] if one.currency == currency.lower()),
            currency,
        )

    def settle(self) -> None:
        self.fake.act("advance", days=3)

    def pay_out(self, currency: str) -> str:
        return self.fake.act("payout", currency=currency)["id"]

    def now(self) -> int:
        return self.fake.state()["now"]

    def listen(self, url: str, event: Any = "payment_intent.succeeded") -> str:
        """The secret of a new endpoint there; `*` is any event."""
        made = sdk(self.fake).v1.webhook_endpoints.create({"url": url, "enabled_events": [event]})
        assert made.secret
        self._secret = made.secret
        self._listeners.append(made.id)
        return made.secret

    def stop_listening(self) -> None:
        while self._listeners:
            sdk(self.fake).v1.webhook_endpoints.delete(self._listeners.pop())

    async def deliver(self) -> None:
        """Beside the loop, which the inbox needs meanwhile."""
        await asyncio.to_thread(self.fake.act, "deliver")

    async def of_another_account(self, box: Inbox, sent: Sent, event: str) -> Sent:
        """The same event as a platform would get it for an account that is not ours, rightly signed."""
        raw = json.dumps(json.loads(sent.raw) | {"account": "acct_other"}).encode()
        header = stripe.WebhookSignature.generate_signature_header(raw.decode(), self._secret)
        return Sent({"stripe-signature": header}, raw)
