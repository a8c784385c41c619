"""What the contract test needs of PayPal besides its adapter."""

from __future__ import annotations

import asyncio
from secrets import token_hex
from typing import Any

import httpx

from models.money import Money
from services.payments.providers.base import PaymentProvider
from services.payments.providers.paypal import PayPalProvider
from services.payments.providers.paypal_terms import read
from services.payments.providers.paypal_wire import PayPalAccount
from services.payments.providers.values import Customer, SetupOrder
from tests.fakes.paypal.signing import NAME
from tests.fakes.stripe.running import RunningFake
from tests.integration.payments.stripe_kit import TIMEOUT_S, Inbox, Sent

_CREATE = "/v2/checkout/orders"
_EVENT = "PAYMENT.CAPTURE.COMPLETED"


class PayPalKit:
    not_taken = ("limited",)
    wrong = "WH-OTHER"

    def __init__(self, fake: RunningFake) -> None:
        self.fake = fake
        self._listeners: list[str] = []

    def provider(self, listener: str = "") -> PayPalProvider:
        client, _, secret = self.fake.key.partition(":")
        trusted = httpx.get(
            f"{self.fake.url}/_control/root", trust_env=False, verify=False, timeout=TIMEOUT_S
        ).text
        allowed = frozenset({self.fake.place})
        return PayPalProvider(PayPalAccount(client, secret, listener, self.fake.url, NAME, trusted, allowed))

    async def ready(self, provider: PaymentProvider) -> dict[str, Any]:
        customer = await provider.keep_customer(Customer("Ada", "", f"org_{token_hex(8)}"), key=token_hex(8))
        return {"customer": customer, "method": await self.keep(provider, customer)}

    async def keep(self, provider: PaymentProvider, customer: str) -> str:
        begun = await provider.setup(SetupOrder(token_hex(8), customer, return_url="http://shop.test/back"))
        assert begun.action is not None
        self.pay_on_page(begun.action.url)
        kept = await provider.read_setup(begun.reference)
        assert kept.method is not None
        assert await provider.read_setup(begun.reference) == kept
        return kept.method.reference

    def pay_on_page(self, url: str) -> None:
        answer = httpx.post(url, data={"act": "agree"}, trust_env=False, verify=False, timeout=TIMEOUT_S)
        assert answer.status_code == 303, answer.text

    def decline_next(self, issue: str) -> None:
        self.fake.act("declines", codes=[issue])

    def lose_answer(self, *, done: bool) -> None:
        self.fake.act("fault", kind="close_after" if done else "close_before", path=_CREATE, method="POST")

    def fail(self, kind: str) -> None:
        self.fake.act("fault", kind=kind, path=_CREATE, method="POST")

    def dispute(self, payment: str) -> str:
        return self.fake.act("dispute", order=payment)["id"]

    def decide(self, dispute: str, *, won: bool) -> None:
        self.fake.act("close_dispute", dispute=dispute, won=won)

    def catch_up(self) -> None:
        """Lets the search see what has happened so far."""
        self.fake.act("advance", seconds=3 * 3600 + 600)

    def balance(self, currency: str) -> Money:
        told = self._api("GET", "/v1/reporting/balances")
        return next(read(one["total_balance"]) for one in told["balances"] if one["currency"] == currency)

    def _api(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        with httpx.Client(base_url=self.fake.url, trust_env=False, verify=False, timeout=TIMEOUT_S) as client:
            client_id, _, secret = self.fake.key.partition(":")
            token = client.post("/v1/oauth2/token", auth=(client_id, secret)).json()["access_token"]
            answer = client.request(method, path, headers={"Authorization": f"Bearer {token}"}, **more)
            return answer.json() if answer.content else {}

    def now(self) -> int:
        return self.fake.state()["now"]

    def listen(self, url: str, event: str = _EVENT) -> str:
        """The name of a new listener there; `*` is any event."""
        asked = {"url": url, "event_types": [{"name": event}]}
        self._listeners.append(self._api("POST", "/v1/notifications/webhooks", json=asked)["id"])
        return self._listeners[-1]

    def stop_listening(self) -> None:
        while self._listeners:
            self._api("DELETE", f"/v1/notifications/webhooks/{self._listeners.pop()}")

    async def deliver(self) -> None:
        """Beside the loop, which the inbox needs meanwhile."""
        await asyncio.to_thread(self.fake.act, "deliver")

    async def of_another_account(self, box: Inbox, sent: Sent, event: str) -> Sent:
        """The same event, rightly signed for another listener."""
        self.listen(box.url)
        self.fake.act("resend", event=event)
        await self.deliver()
        return box.taken[-1]
