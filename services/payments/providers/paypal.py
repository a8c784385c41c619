"""PayPal: orders that buyers approve on its page, wallets kept for later, and what became of the money.

What differs from others, and follows from PayPal:

- An order's identifier is the payment's reference. After the buyer approved it, it is APPROVED, and the same order
  sent again with that reference takes the money. One that was never approved cannot be canceled, only left.
- Only our key goes along (`custom_id`, and `invoice_id`, which PayPal takes once); `metadata` does not.
- There is no list of orders. `read_back` looks through the transaction search, which knows of nothing younger than
  three hours: it raises UnknownOutcome until then. Repeating the call with its key says so at once.
- Whether a payment is disputed is told by `disputes` alone. Their answer is one form with notes and files.
- Movements come oldest first. Withdrawals are movements; there are no payouts that say what they consist of.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, cast

from models.money import Money
from services.payments.providers import paypal_reading as reading
from services.payments.providers.base import RefusedByProvider, UnknownOutcome
from services.payments.providers.capabilities import Capabilities
from services.payments.providers.paypal_events import Verifier
from services.payments.providers.paypal_evidence import evidence_form
from services.payments.providers.paypal_terms import CAPABILITIES, written
from services.payments.providers.paypal_wire import PayPalAccount, PayPalWire, Thing
from services.payments.providers.values import (
    PAGE_ITEMS_MAX,
    Customer,
    Dispute,
    Evidence,
    Method,
    Movement,
    MovementKind,
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

READ_BACK_EARLIER = timedelta(minutes=5)  # their clock and ours
READ_BACK_PAGES_MAX = 50
SEARCH_RANGE_MAX = timedelta(days=31)
CUSTOMER_LENGTH = 22  # of PayPal's names for our customers
DISPUTES_PAGE_MAX = 50
_NOT_THERE = (
    "resource_not_found",
    "invalid_resource_id",
    "token_not_found",
)  # of a method that is kept no more


class PayPalProvider:
    """See base.PaymentProvider. Made inside the running loop, once a process."""

    def __init__(self, account: PayPalAccount) -> None:
        self._wire = PayPalWire(account)
        self._verifier = Verifier(account, self._wire.certificate)

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    async def close(self) -> None:
        await self._wire.close()

    async def keep_customer(self, customer: Customer, *, key: str) -> str:
        """PayPal keeps none: it takes a name of ours, which is the same each time."""
        digest = hashlib.sha256(customer.organization.encode()).digest()
        return urlsafe_b64encode(digest).decode()[:CUSTOMER_LENGTH]

    # Payments

    async def create_or_confirm(self, order: Order) -> Payment:
        amount = written(order.amount)
        if order.reference:
            return await self._taken(order)
        unit = {
            "custom_id": order.key,
            "invoice_id": order.key,
            "description": order.description[:127],
            "amount": amount,
        }
        body: Thing = {
            "intent": "CAPTURE" if order.capture else "AUTHORIZE",
            "purchase_units": [unit],
            "payment_source": {"paypal": {"vault_id": order.method} if order.method else _page(order)},
        }
        return reading.payment(await self._wire.ask("POST", "/v2/checkout/orders", body, key=order.key))

    async def _taken(self, order: Order) -> Payment:
        payment = await self.read(order.reference)
        if payment.state is not PaymentState.APPROVED:
            return payment
        act = "capture" if order.capture else "authorize"
        await self._wire.ask(
            "POST", f"/v2/checkout/orders/{order.reference}/{act}", {}, key=f"{order.key}.take"
        )
        return await self.read(order.reference)

    async def capture(self, reference: str, *, key: str, amount: Money | None = None) -> Payment:
        hold = await self._hold(reference)
        body: Thing = {"final_capture": True, **({"amount": written(amount)} if amount else {})}
        await self._wire.ask("POST", f"/v2/payments/authorizations/{hold}/capture", body, key=key)
        return await self.read(reference)

    async def cancel(self, reference: str, *, key: str) -> Payment:
        payment = await self.read(reference)
        match payment.state:
            case PaymentState.CANCELED:
                return payment
            case PaymentState.AUTHORIZED:
                hold = await self._hold(reference)
                await self._wire.ask("POST", f"/v2/payments/authorizations/{hold}/void", key=key)
                return await self.read(reference)
            case PaymentState.PAID | PaymentState.PROCESSING:
                raise RefusedByProvider("The money was taken already.", reason="already_paid")
            case _:
                # Nobody but us can take it, and PayPal forgets it after some hours.
                return replace(payment, state=PaymentState.CANCELED, action=None)

    async def _hold(self, order: str) -> str:
        holds = reading.payments_of(await self._order(order), "authorizations")
        if not holds:
            raise RefusedByProvider("There is no money held for this order.", reason="not_authorized")
        return str(holds[-1]["id"])

    async def _order(self, reference: str) -> Thing:
        return await self._wire.ask("GET", f"/v2/checkout/orders/{reference}")

    async def read(self, reference: str) -> Payment:
        return reading.payment(await self._order(reference))

    async def read_back(self, key: str, *, since: datetime, customer: str = "") -> Payment | None:
        start = since - READ_BACK_EARLIER
        refreshed = start
        for number in range(1, READ_BACK_PAGES_MAX + 1):
            told = await self._search(start, start + SEARCH_RANGE_MAX, number)
            refreshed = reading.at(told["last_refreshed_datetime"])
            for movement in _movements(told):
                if movement.key == key and movement.kind is MovementKind.CHARGE:
                    return await self.read(movement.payment or await self._order_of(movement.reference))
            if number >= told["total_pages"]:
                break
        else:
            raise UnknownOutcome("There are too many payments of that time to look through.")
        if refreshed < since + READ_BACK_EARLIER:
            raise UnknownOutcome("PayPal's search does not reach to that time yet.")
        return None

    async def _order_of(self, capture: str) -> str:
        return reading.order_of(await self._wire.ask("GET", f"/v2/payments/captures/{capture}"))

    # Refunds

    async def refund(self, order: RefundOrder) -> Refund:
        captures = reading.payments_of(await self._order(order.payment), "captures")
        if not captures:
            raise RefusedByProvider("Nothing was taken for this order.", reason="not_paid")
        body: Thing = {
            "custom_id": order.key,
            **({"amount": written(order.amount)} if order.amount is not None else {}),
        }
        path = f"/v2/payments/captures/{captures[-1]['id']}/refund"
        return reading.refund(await self._wire.ask("POST", path, body, key=order.key), payment=order.payment)

    async def read_refund(self, reference: str) -> Refund:
        told = await self._wire.ask("GET", f"/v2/payments/refunds/{reference}")
        return reading.refund(told, payment=await self._order_of(reading.capture_of_refund(told)))

    async def read_back_refund(self, key: str, *, payment: str) -> Refund | None:
        for told in reading.payments_of(await self._order(payment), "refunds"):
            if told.get("custom_id") == key:
                return reading.refund(told, payment=payment)
        return None

    # Methods

    async def setup(self, order: SetupOrder) -> Setup:
        """`method` is not taken: the buyer signs in at PayPal."""
        body: Thing = {
            "payment_source": {
                "paypal": {"usage_type": "MERCHANT", "experience_context": _context(order.return_url)}
            },
            "customer": {"id": order.customer},
        }
        made = await self._wire.ask("POST", "/v3/vault/setup-tokens", body, key=order.key)
        return replace(reading.setup(made), key=order.key)

    async def read_setup(self, reference: str) -> Setup:
        """What the buyer approved becomes a method by being read, once."""
        told = await self._wire.ask("GET", f"/v3/vault/setup-tokens/{reference}")
        if told["status"] not in ("APPROVED", "VAULTED"):
            return reading.setup(told)
        body: Thing = {"payment_source": {"token": {"id": reference, "type": "SETUP_TOKEN"}}}
        token = await self._wire.ask("POST", "/v3/vault/payment-tokens", body, key=f"{reference}.keep")
        return reading.setup(told, token=token)

    async def methods(self, customer: str) -> tuple[Method, ...]:
        told = await self._wire.ask("GET", "/v3/vault/payment-tokens", query={"customer_id": customer})
        return tuple(reading.method(one) for one in told["payment_tokens"][:PAGE_ITEMS_MAX])

    async def read_method(self, reference: str) -> Method | None:
        try:
            return reading.method(await self._wire.ask("GET", f"/v3/vault/payment-tokens/{reference}"))
        except RefusedByProvider as error:
            if error.reason not in _NOT_THERE:
                raise
            return None

    async def detach(self, method: str, *, key: str) -> None:
        await self._wire.ask("DELETE", f"/v3/vault/payment-tokens/{method}")

    # Events

    async def verify_webhook(self, headers: Mapping[str, str], raw: bytes, *, now: datetime) -> ProviderEvent:
        return await self._verifier.verified(headers, raw, now=now)

    # Balance

    async def _search(self, start: datetime, end: datetime, number: int) -> Thing:
        query = {
            "start_date": start.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "end_date": end.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "fields": "transaction_info",
            "page_size": str(PAGE_ITEMS_MAX),
            "page": str(number),
        }
        return await self._wire.ask("GET", "/v1/reporting/transactions", query=query)

    async def movements(self, *, since: datetime, until: datetime, cursor: str = "") -> Page[Movement]:
        """The cursor is the beginning of a part of the time, which PayPal allows only so much of, and a page of it."""
        begun, _, number = cursor.partition("|")
        start = datetime.fromisoformat(begun) if begun else since
        end, page = min(until, start + SEARCH_RANGE_MAX), int(number or "1")
        told = await self._search(start, end, page)
        items = tuple(one for one in _movements(told) if since <= one.created < until)
        if page < told["total_pages"]:
            return Page(items, f"{start.isoformat()}|{page + 1}")
        return Page(items, f"{end.isoformat()}|1" if end < until else "")

    async def payouts(self, *, since: datetime, cursor: str = "") -> Page[Payout]:
        return Page(())

    async def read_payout(self, reference: str) -> Payout:
        raise _unable("payouts")

    async def payout_movements(self, payout: str, *, cursor: str = "") -> Page[Movement]:
        raise _unable("payouts")

    # Disputes

    async def disputes(self, *, since: datetime, cursor: str = "") -> Page[Dispute]:
        query = {
            "start_time": since.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "page_size": str(DISPUTES_PAGE_MAX),
            **({"next_page_token": cursor} if cursor else {}),
        }
        told = await self._wire.ask("GET", "/v1/customer/disputes", query=query)
        items = cast("list[Thing]", told.get("items") or [])
        found = tuple([await self.read_dispute(str(one["dispute_id"])) for one in items])
        return Page(found, reading.next_page_token(told))

    async def read_dispute(self, reference: str) -> Dispute:
        told = await self._wire.ask("GET", f"/v1/customer/disputes/{reference}")
        return reading.dispute(told, payment=await self._order_of(reading.disputed_capture(told)))

    async def answer_dispute(self, reference: str, evidence: Evidence, *, key: str) -> Dispute:
        path = f"/v1/customer/disputes/{reference}/provide-evidence"
        await self._wire.ask("POST", path, form=evidence_form(evidence, key=key), key=key)
        return await self.read_dispute(reference)


def _page(order: Order) -> Thing:
    """What a wallet is asked for on PayPal's page."""
    kept: Any = {"vault": {"store_in_vault": "ON_SUCCESS", "usage_type": "MERCHANT"}}
    if order.customer:
        kept["customer"] = {"id": order.customer}
    return {
        "experience_context": {
            "user_action": "PAY_NOW",
            "payment_method_preference": "IMMEDIATE_PAYMENT_REQUIRED",
            **_context(order.return_url),
        },
        **({"attributes": kept} if order.keep_method else {}),
    }


def _context(return_url: str) -> Thing:
    return {"return_url": return_url, "cancel_url": return_url, "shipping_preference": "NO_SHIPPING"}


def _movements(told: Thing) -> list[Movement]:
    return [reading.movement(one["transaction_info"]) for one in told["transaction_details"]]


def _unable(what: str) -> RefusedByProvider:
    return RefusedByProvider(f"PayPal has no {what} for programs.", reason="not_supported")
