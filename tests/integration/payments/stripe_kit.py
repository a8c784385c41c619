"""What the contract test needs of a provider besides its adapter: cards, customers' acts, and bad weather."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import stripe
from aiohttp import web

from services.payments.providers.stripe import API_VERSION, StripeAccount, StripeProvider
from tests.fakes.stripe.running import RunningStripe

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
    fake: RunningStripe, *, key: str = "", http_client: stripe.HTTPClient | None = None
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

    def __init__(self, fake: RunningStripe) -> None:
        self.fake = fake

    def provider(self, *, secrets: tuple[str, ...] = ()) -> StripeProvider:
        return StripeProvider(StripeAccount(self.fake.key, secrets, base=self.fake.url))

    def authenticate(self, payment: str, *, ok: bool = True) -> None:
        self.fake.act("authenticate", intent=payment, ok=ok)

    def pay_on_page(self, url: str) -> None:
        answer = httpx.post(url, data={"test_card": "visa"}, trust_env=False)
        assert answer.status_code == 303, answer.text

    def lose_answer(self, *, done: bool) -> None:
        self.fake.act("fault", kind="close_after" if done else "close_before", path=_CREATE, method="POST")

    def fail(self, kind: str) -> None:
        self.fake.act("fault", kind=kind, path=_CREATE, method="POST")

    def dispute(self, payment: str) -> str:
        return self.fake.act("dispute", payment_intent=payment)["id"]

    def decide(self, dispute: str, *, won: bool) -> None:
        self.fake.act("close_dispute", dispute=dispute, won=won)

    def settle(self) -> None:
        self.fake.act("advance", days=3)

    def pay_out(self, currency: str) -> str:
        return self.fake.act("payout", currency=currency)["id"]

    def now(self) -> int:
        return self.fake.state()["now"]

    def listen(self, url: str) -> str:
        """The secret of a new endpoint there."""
        made = sdk(self.fake).v1.webhook_endpoints.create(
            {"url": url, "enabled_events": ["payment_intent.succeeded"]}
        )
        assert made.secret
        return made.secret

    async def deliver(self) -> None:
        """Beside the loop, which the inbox needs meanwhile."""
        await asyncio.to_thread(self.fake.act, "deliver")

    def of_another_account(self, sent: Sent, secret: str, at: int) -> Sent:
        """The same event as a platform would get it for an account that is not ours, rightly signed."""
        raw = json.dumps(json.loads(sent.raw) | {"account": "acct_other"}).encode()
        header = stripe.WebhookSignature.generate_signature_header(raw.decode(), secret, at)
        return Sent({"stripe-signature": header}, raw)
