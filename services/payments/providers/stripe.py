"""Stripe, through its official SDK, with the API's version pinned to what the SDK and our tests know.

A hosted page is a Checkout session. Its reference (`cs_…`) stands for the payment until somebody begins to pay; from
then on `read` and events give the payment's own (`pi_…`), and both may be asked for.
"""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

import stripe

from models.money import Money
from services.core.outgoing import checked_url
from services.payments.providers import stripe_events
from services.payments.providers import stripe_reading as reading
from services.payments.providers.base import RefusedByProvider, UnknownOutcome
from services.payments.providers.capabilities import Capabilities
from services.payments.providers.stripe_events import StripeAccount
from services.payments.providers.stripe_terms import CAPABILITIES, chargeable_units, in_units
from services.payments.providers.stripe_wire import StripeWire, stripe_errors
from services.payments.providers.values import (
    EVIDENCE_TEXT_MAX,
    PAGE_ITEMS_MAX,
    Customer,
    Dispute,
    Evidence,
    EvidenceFile,
    Method,
    Movement,
    Order,
    Page,
    Payment,
    PaymentState,
    Payout,
    ProviderEvent,
    Refund,
    RefundOrder,
    Setup,
    SetupOrder,
)

T = TypeVar("T")

API_VERSION = "2026-05-27.dahlia"
READ_BACK_PAGES_MAX = 50
READ_BACK_EARLIER = timedelta(minutes=5)  # their clock and ours


class StripeProvider:
    """See base.PaymentProvider. Made inside the running loop, once a process.

    Raises AddressRefused for a `base` that may not be called.
    """

    def __init__(self, account: StripeAccount) -> None:
        self._account = account
        self._wire = StripeWire(account.allowed)
        base = checked_url(account.base, allowed=account.allowed) if account.base else ""
        bases: Any = {"api": base, "files": base} if base else None
        self._api = stripe.StripeClient(
            account.secret_key,
            stripe_version=API_VERSION,
            base_addresses=bases,
            http_client=self._wire,
            max_network_retries=0,
        ).v1

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    async def close(self) -> None:
        await self._wire.close_async()

    async def keep_customer(self, customer: Customer, *, key: str) -> str:
        params: Any = {
            "name": customer.name,
            **({"email": customer.email} if customer.email else {}),
            "metadata": {"organization": customer.organization, reading.KEY: key},
        }
        with stripe_errors():
            return (await self._api.customers.create_async(params, {"idempotency_key": key})).id

    # Payments

    async def create_or_confirm(self, order: Order) -> Payment:
        amount = chargeable_units(order.amount)
        if order.reference:
            return await self._confirmed(order)
        if not order.method:
            return await self._page_to_pay(order, amount)
        params: Any = {
            "amount": amount,
            "currency": order.amount.currency.lower(),
            "description": order.description,
            "metadata": {**order.metadata, reading.KEY: order.key},
            "automatic_payment_methods": _ways(order.return_url),
            "expand": ["latest_charge"],
            **_if(order.customer, customer=order.customer),
            **_if(not order.capture, capture_method="manual"),
            **_if(order.keep_method, setup_future_usage="off_session"),
            **_if(order.method, payment_method=order.method, confirm=True),
            **_if(order.method and order.return_url, return_url=order.return_url),
            **_if(order.off_session, off_session=True),
        }
        with stripe_errors():
            made = await self._api.payment_intents.create_async(params, {"idempotency_key": order.key})
        return await self._payment(made)

    async def _confirmed(self, order: Order) -> Payment:
        params: Any = {
            "expand": ["latest_charge"],
            **_if(order.method, payment_method=order.method),
            **_if(order.return_url, return_url=order.return_url),
            **_if(order.off_session, off_session=True),
        }
        with stripe_errors():
            made = await self._api.payment_intents.confirm_async(
                order.reference, params, {"idempotency_key": order.key}
            )
        return await self._payment(made)

    async def _page_to_pay(self, order: Order, amount: int) -> Payment:
        told = {**order.metadata, reading.KEY: order.key}
        line: dict[str, Any] = {
            "quantity": 1,
            "price_data": {
                "currency": order.amount.currency.lower(),
                "unit_amount": amount,
                "product_data": {"name": order.description},
            },
        }
        params: Any = {
            "mode": "payment",
            "line_items": [line],
            "success_url": order.return_url,
            "cancel_url": order.return_url,
            "metadata": told,
            "payment_intent_data": {
                "metadata": told,
                "description": order.description,
                **_if(not order.capture, capture_method="manual"),
                **_if(order.keep_method, setup_future_usage="off_session"),
            },
            **_if(order.customer, customer=order.customer),
        }
        with stripe_errors():
            made = await self._api.checkout.sessions.create_async(params, {"idempotency_key": order.key})
        return reading.session_payment(made.to_dict())

    async def capture(self, reference: str, *, key: str, amount: Money | None = None) -> Payment:
        params: Any = {
            "expand": ["latest_charge"],
            **_if(amount, amount_to_capture=amount and in_units(amount)),
        }
        with stripe_errors():
            made = await self._api.payment_intents.capture_async(reference, params, {"idempotency_key": key})
        return await self._payment(made)

    async def cancel(self, reference: str, *, key: str) -> Payment:
        payment = await self.read(reference)
        if payment.state is PaymentState.CANCELED:
            return payment
        if reference.startswith("cs_"):
            # First the page: from an open one, a payment could begin again.
            await self._expire(reference, key)
            payment = await self.read(reference)
            if payment.state is PaymentState.CANCELED:
                return payment
        params: Any = {"expand": ["latest_charge"]}
        with stripe_errors():
            made = await self._api.payment_intents.cancel_async(
                payment.reference, params, {"idempotency_key": key}
            )
        return await self._payment(made)

    async def _expire(self, session: str, key: str) -> None:
        try:
            with stripe_errors():
                await self._api.checkout.sessions.expire_async(
                    session, options={"idempotency_key": f"{key}:page"}
                )
        except RefusedByProvider:
            pass  # somebody has paid on it, or it is too old: what became of it is read next

    async def read(self, reference: str) -> Payment:
        if not reference.startswith("cs_"):
            params: Any = {"expand": ["latest_charge"]}
            with stripe_errors(changes=False):
                return await self._payment(await self._api.payment_intents.retrieve_async(reference, params))
        params = {"expand": ["payment_intent.latest_charge"]}
        with stripe_errors(changes=False):
            session = (await self._api.checkout.sessions.retrieve_async(reference, params)).to_dict()
        intent = reading.expanded(session.get("payment_intent"))
        # On a page that ended, a payment nobody finished ends with it.
        given_up = session["status"] == "expired" and intent.get("status") == "requires_payment_method"
        if intent and not given_up:
            return await self._payment(intent)
        return reading.session_payment(session)

    async def _payment(self, made: Any) -> Payment:
        intent = reading.expanded(made) or made.to_dict()
        if not reading.is_partly_captured(intent):
            return reading.payment(intent)
        params: Any = {"payment_intent": intent["id"], "limit": PAGE_ITEMS_MAX}
        with stripe_errors(changes=False):
            found = (await self._api.refunds.list_async(params)).to_dict()["data"]
        taken = [
            one["amount"] for one in found if one["status"] in ("succeeded", "pending", "requires_action")
        ]
        return reading.payment(intent, refunded=sum(taken))

    async def read_back(self, key: str, *, since: datetime, customer: str = "") -> Payment | None:
        params: dict[str, Any] = {
            "created": {"gte": int((since - READ_BACK_EARLIER).timestamp())},
            **_if(customer, customer=customer),
        }
        async for intent in self._through(self._api.payment_intents, params):
            if reading.key_of(intent) == key:
                return await self.read(intent["id"])
        async for session in self._through(self._api.checkout.sessions, params):
            if reading.key_of(session) == key and session["mode"] == "payment":
                return await self.read(session["id"])
        return None

    async def _through(self, service: Any, params: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """All that fits, newest first. Raises UnknownOutcome rather than look through without end."""
        after: dict[str, Any] = {}
        for _ in range(READ_BACK_PAGES_MAX):
            with stripe_errors(changes=False):
                page = (await service.list_async({**params, **after, "limit": PAGE_ITEMS_MAX})).to_dict()
            for one in page["data"]:
                yield one
            if not page["has_more"]:
                return
            after = {"starting_after": page["data"][-1]["id"]}
        raise UnknownOutcome("There are too many payments of that time to look through.")

    # Refunds

    async def refund(self, order: RefundOrder) -> Refund:
        params: Any = {
            "payment_intent": order.payment,
            "metadata": {reading.KEY: order.key},
            **_if(order.amount, amount=order.amount and in_units(order.amount)),
        }
        with stripe_errors():
            made = await self._api.refunds.create_async(params, {"idempotency_key": order.key})
        return reading.refund(made.to_dict())

    async def read_refund(self, reference: str) -> Refund:
        with stripe_errors(changes=False):
            return reading.refund((await self._api.refunds.retrieve_async(reference)).to_dict())

    async def read_back_refund(self, key: str, *, payment: str) -> Refund | None:
        async for one in self._through(self._api.refunds, {"payment_intent": payment}):
            if reading.key_of(one) == key:
                return reading.refund(one)
        return None

    # Methods

    async def setup(self, order: SetupOrder) -> Setup:
        if not order.method:
            return await self._page_to_keep(order)
        params: Any = {
            "customer": order.customer,
            "usage": "off_session",
            "metadata": {reading.KEY: order.key},
            "automatic_payment_methods": _ways(order.return_url),
            "expand": ["payment_method"],
            **_if(order.method, payment_method=order.method, confirm=True),
            **_if(order.method and order.return_url, return_url=order.return_url),
        }
        with stripe_errors():
            made = await self._api.setup_intents.create_async(params, {"idempotency_key": order.key})
        return reading.setup(made.to_dict())

    async def _page_to_keep(self, order: SetupOrder) -> Setup:
        told = {reading.KEY: order.key}
        params: Any = {
            "mode": "setup", "customer": order.customer, "payment_method_types": ["card"],
            "success_url": order.return_url, "cancel_url": order.return_url,
            "metadata": told, "setup_intent_data": {"metadata": told},
        }  # fmt: skip
        with stripe_errors():
            made = await self._api.checkout.sessions.create_async(params, {"idempotency_key": order.key})
        return await self.read_setup(made.id)

    async def read_setup(self, reference: str) -> Setup:
        """A page that keeps a method is known by its own reference to the end."""
        if not reference.startswith("cs_"):
            params: Any = {"expand": ["payment_method"]}
            with stripe_errors(changes=False):
                intent = (await self._api.setup_intents.retrieve_async(reference, params)).to_dict()
            return reading.setup(intent)
        params = {"expand": ["setup_intent.payment_method"]}
        with stripe_errors(changes=False):
            session = (await self._api.checkout.sessions.retrieve_async(reference, params)).to_dict()
        return reading.session_setup(session)

    async def read_method(self, reference: str) -> Method | None:
        with stripe_errors(changes=False):
            found = (await self._api.payment_methods.retrieve_async(reference)).to_dict()
        return reading.method(found) if found.get("customer") else None

    async def methods(self, customer: str) -> tuple[Method, ...]:
        params: Any = {"limit": PAGE_ITEMS_MAX}
        with stripe_errors(changes=False):
            found = await self._api.customers.payment_methods.list_async(customer, params)
        return tuple(reading.method(one) for one in found.to_dict()["data"])

    async def detach(self, method: str, *, key: str) -> None:
        try:
            with stripe_errors():
                await self._api.payment_methods.detach_async(method, options={"idempotency_key": key})
        except RefusedByProvider:
            if await self.read_method(method) is not None:
                raise

    # Events

    async def verify_webhook(self, headers: Mapping[str, str], raw: bytes, *, now: datetime) -> ProviderEvent:
        return stripe_events.verified(self._account, headers, raw, now=now)

    # Balance

    async def movements(self, *, since: datetime, until: datetime, cursor: str = "") -> Page[Movement]:
        params = {
            "created": {"gte": int(since.timestamp()), "lt": int(until.timestamp())},
            "expand": ["data.source"],
        }
        return await self._page(self._api.balance_transactions, params, cursor, reading.movement)

    async def payouts(self, *, since: datetime, cursor: str = "") -> Page[Payout]:
        return await self._page(self._api.payouts, _from(since), cursor, reading.payout)

    async def read_payout(self, reference: str) -> Payout:
        with stripe_errors(changes=False):
            return reading.payout((await self._api.payouts.retrieve_async(reference)).to_dict())

    async def payout_movements(self, payout: str, *, cursor: str = "") -> Page[Movement]:
        params = {"payout": payout, "expand": ["data.source"]}
        page = await self._page(self._api.balance_transactions, params, cursor, reading.movement)
        return Page(tuple(one for one in page.items if one.source != payout), page.cursor)

    # Disputes

    async def disputes(self, *, since: datetime, cursor: str = "") -> Page[Dispute]:
        return await self._page(self._api.disputes, _from(since), cursor, reading.dispute)

    async def read_dispute(self, reference: str) -> Dispute:
        with stripe_errors(changes=False):
            return reading.dispute((await self._api.disputes.retrieve_async(reference)).to_dict())

    async def _keep_file(self, one: EvidenceFile, *, key: str) -> str:
        file = io.BytesIO(one.content)
        file.name = one.name
        params: Any = {"purpose": "dispute_evidence", "file": file}
        with stripe_errors():
            return (await self._api.files.create_async(params, {"idempotency_key": key})).id

    async def answer_dispute(self, reference: str, evidence: Evidence, *, key: str) -> Dispute:
        if (length := sum(map(len, evidence.texts.values()))) > EVIDENCE_TEXT_MAX:
            said = f"The texts have {length} characters together; at most {EVIDENCE_TEXT_MAX} may be sent."
            raise RefusedByProvider(said, reason="evidence_too_long")
        kept = {one.field: await self._keep_file(one, key=f"{key}.{one.field}") for one in evidence.files}
        params: Any = {"evidence": {**evidence.texts, **kept}, "submit": True}
        with stripe_errors():
            made = await self._api.disputes.update_async(reference, params, {"idempotency_key": key})
        return reading.dispute(made.to_dict())

    async def _page(
        self, service: Any, params: dict[str, Any], cursor: str, read: Callable[[Any], T]
    ) -> Page[T]:
        asked = {**params, "limit": PAGE_ITEMS_MAX, **_if(cursor, starting_after=cursor)}
        with stripe_errors(changes=False):
            told = (await service.list_async(asked)).to_dict()
        data = told["data"]
        return Page(tuple(read(one) for one in data), data[-1]["id"] if told["has_more"] else "")


def _if(condition: Any, **members: Any) -> dict[str, Any]:
    return members if condition else {}


def _from(since: datetime) -> dict[str, Any]:
    return {"created": {"gte": int(since.timestamp())}}


def _ways(return_url: str) -> dict[str, Any]:
    """Without an address to come back to, only ways to pay that do not lead away."""
    return {"enabled": True, **_if(not return_url, allow_redirects="never")}
