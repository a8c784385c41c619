"""Stripe's objects, as plain dictionaries, read into ours. Pure.

`payment_intent` objects come with `latest_charge` expanded, `balance_transaction` objects with `source`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

from models.money import Money, Provider, from_provider
from services.collection.declines import decline_of
from services.payments import brands
from services.payments.providers.values import (
    Action,
    Decline,
    Dispute,
    DisputeState,
    EventSubject,
    Method,
    Movement,
    MovementKind,
    Payment,
    PaymentState,
    Payout,
    PayoutState,
    ProviderEvent,
    Refund,
    RefundState,
    Setup,
    SetupState,
)

KEY = "matrix_key"  # in the metadata of all that we make
Thing = Mapping[str, Any]

_PAYMENT_STATES = {
    "requires_payment_method": PaymentState.CREATED,
    "requires_confirmation": PaymentState.CREATED,
    "requires_action": PaymentState.ACTION_REQUIRED,
    "processing": PaymentState.PROCESSING,
    "requires_capture": PaymentState.AUTHORIZED,
    "succeeded": PaymentState.PAID,
    "canceled": PaymentState.CANCELED,
}
_SETUP_STATES = {
    "requires_payment_method": SetupState.CREATED,
    "requires_confirmation": SetupState.CREATED,
    "requires_action": SetupState.ACTION_REQUIRED,
    "processing": SetupState.PROCESSING,
    "succeeded": SetupState.READY,
    "canceled": SetupState.CANCELED,
}
_REFUND_STATES = {
    "pending": RefundState.PENDING,
    "requires_action": RefundState.PENDING,
    "succeeded": RefundState.DONE,
    "failed": RefundState.FAILED,
    "canceled": RefundState.CANCELED,
}
_DISPUTE_STATES = {
    "warning_needs_response": DisputeState.WARNING_NEEDS_ANSWER,
    "warning_under_review": DisputeState.WARNING_UNDER_REVIEW,
    "warning_closed": DisputeState.WARNING_CLOSED,
    "needs_response": DisputeState.NEEDS_ANSWER,
    "under_review": DisputeState.UNDER_REVIEW,
    "prevented": DisputeState.WARNING_CLOSED,
    "won": DisputeState.WON,
    "lost": DisputeState.LOST,
}
_PAYOUT_STATES = {
    "pending": PayoutState.UNDERWAY,
    "in_transit": PayoutState.UNDERWAY,
    "paid": PayoutState.PAID,
    "failed": PayoutState.FAILED,
    "canceled": PayoutState.CANCELED,
}
# By reporting_category, docs.stripe.com/reports/reporting-categories.
_MOVEMENTS = {
    "charge": MovementKind.CHARGE,
    "refund": MovementKind.REFUND,
    "refund_failure": MovementKind.REFUND_FAILURE,
    "dispute": MovementKind.DISPUTE,
    "dispute_reversal": MovementKind.DISPUTE_REVERSAL,
    "fee": MovementKind.FEE,
    "network_cost": MovementKind.FEE,
    "payout": MovementKind.PAYOUT,
    "payout_reversal": MovementKind.PAYOUT_FAILURE,
}
# By the beginning of an event's type; the first that fits.
_SUBJECTS = (
    ("payment_intent.", EventSubject.PAYMENT),
    ("setup_intent.", EventSubject.SETUP),
    ("payment_method.", EventSubject.METHOD),
    ("charge.dispute.", EventSubject.DISPUTE),
    ("charge.refund.", EventSubject.REFUND),
    ("refund.", EventSubject.REFUND),
    ("charge.", EventSubject.PAYMENT),
    ("radar.early_fraud_warning.", EventSubject.WARNING),
    ("payout.", EventSubject.PAYOUT),
)


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def money(amount: int, code: str) -> Money:
    return from_provider(amount, code.upper(), Provider.STRIPE)


def expanded(value: Any) -> dict[str, Any]:
    """What may be an identifier, nothing, or the object itself, if it is that; else empty."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def key_of(thing: Thing) -> str:
    """Ours, or nothing."""
    return str(expanded(thing.get("metadata")).get(KEY, ""))


def identifier(value: Any) -> str:
    """Of what may be expanded, an identifier, or nothing."""
    return str(expanded(value).get("id") or value or "")


def is_partly_captured(intent: Thing) -> bool:
    """Then `amount_refunded` of the charge may count what was only released."""
    charge = expanded(intent.get("latest_charge"))
    return bool(charge) and charge["captured"] and charge["amount_captured"] < charge["amount"]


def payment(intent: Thing, *, refunded: int | None = None) -> Payment:
    """`refunded` in Stripe's units, where the charge's own figure cannot be used."""
    code = intent["currency"]
    charge = expanded(intent.get("latest_charge"))
    given_back = charge.get("amount_refunded", 0) if refunded is None else refunded
    captured = intent.get("amount_received") or 0
    return Payment(
        reference=intent["id"],
        key=key_of(intent),
        state=_PAYMENT_STATES[intent["status"]],
        amount=money(intent["amount"], code),
        captured=money(captured, code),
        # A hold that was released counts as refunded at Stripe, although nothing was taken.
        refunded=money(min(given_back, captured), code),
        disputed=bool(charge.get("disputed")),
        charge=charge.get("id", ""),
        method=_method_of(charge),
        action=_action(intent),
        decline=decline(intent.get("last_payment_error")),
        created=at(intent["created"]),
    )


def session_payment(session: Thing) -> Payment:
    """Of a hosted page on which nobody has begun to pay yet."""
    amount = money(session["amount_total"], session["currency"])
    zero = Money(0, amount.currency)
    ended = session["status"] == "expired"
    return Payment(
        reference=session["id"],
        key=key_of(session),
        state=PaymentState.CANCELED if ended else PaymentState.CREATED,
        amount=amount,
        captured=zero,
        refunded=zero,
        action=Action(url=session["url"]) if session.get("url") else None,
        created=at(session["created"]),
    )


def _action(intent: Thing) -> Action | None:
    """Where the customer goes on, while there is something for them to do."""
    if intent["status"] not in ("requires_payment_method", "requires_confirmation", "requires_action"):
        return None
    redirect = expanded(expanded(intent.get("next_action")).get("redirect_to_url"))
    return Action(redirect["url"]) if redirect.get("url") else None


def decline(error: Thing | None) -> Decline | None:
    if not error:
        return None
    return decline_of(
        code=error.get("code") or "",
        decline_code=error.get("decline_code") or "",
        advice_code=error.get("advice_code") or "",
    )


def _method_of(charge: Thing) -> Method | None:
    details = charge.get("payment_method_details")
    if not details or not charge.get("payment_method"):
        return None
    kind = details["type"]
    return _method(str(charge["payment_method"]), kind, details.get(kind) or {})


def method(thing: Thing) -> Method:
    return _method(thing["id"], thing["type"], thing.get(thing["type"]) or {})


def _method(reference: str, kind: str, told: Thing) -> Method:
    return Method(
        reference=reference,
        kind=kind,
        brand=brands.code(told.get("brand") or ""),
        last4=told.get("last4") or "",
        expiry_month=told.get("exp_month") or 0,
        expiry_year=told.get("exp_year") or 0,
        fingerprint=told.get("fingerprint") or "",
    )


def setup(intent: Thing) -> Setup:
    """`intent` comes with `payment_method` expanded."""
    kept = expanded(intent.get("payment_method"))
    return Setup(
        reference=intent["id"],
        key=key_of(intent),
        state=_SETUP_STATES[intent["status"]],
        method=method(kept) if kept else None,
        action=_action(intent),
        decline=decline(intent.get("last_setup_error")),
    )


def session_setup(session: Thing) -> Setup:
    """Of a hosted page; `session` comes with `setup_intent` and its method expanded."""
    made = setup(session["setup_intent"])
    expired = session["status"] == "expired"
    return replace(
        made,
        reference=session["id"],
        state=SetupState.CANCELED if expired else made.state,
        action=Action(url=session["url"]) if session.get("url") else None,
    )


def refund(thing: Thing) -> Refund:
    return Refund(
        reference=thing["id"],
        key=key_of(thing),
        payment=identifier(thing.get("payment_intent")),
        state=_REFUND_STATES[thing["status"]],
        amount=money(thing["amount"], thing["currency"]),
        failure=thing.get("failure_reason") or "",
    )


def movement(thing: Thing) -> Movement:
    code, source = thing["currency"], thing.get("source")
    behind = expanded(source)
    return Movement(
        reference=thing["id"],
        kind=_MOVEMENTS.get(thing["reporting_category"], MovementKind.OTHER),
        category=thing["reporting_category"],
        gross=money(thing["amount"], code),
        fee=money(thing["fee"], code),
        net=money(thing["net"], code),
        created=at(thing["created"]),
        available=at(thing["available_on"]),
        source=identifier(source),
        payment=identifier(behind.get("payment_intent")),
        key=key_of(behind),
    )


def payout(thing: Thing) -> Payout:
    return Payout(
        reference=thing["id"],
        state=_PAYOUT_STATES[thing["status"]],
        amount=money(thing["amount"], thing["currency"]),
        created=at(thing["created"]),
        arrives=at(thing["arrival_date"]),
        traced=thing["automatic"],
        failure=thing.get("failure_code") or "",
    )


def dispute(thing: Thing) -> Dispute:
    details, state = thing["evidence_details"], _DISPUTE_STATES[thing["status"]]
    open_still = state in (DisputeState.NEEDS_ANSWER, DisputeState.WARNING_NEEDS_ANSWER)
    due = details.get("due_by") if open_still and not details["past_due"] else None
    return Dispute(
        reference=thing["id"],
        payment=identifier(thing.get("payment_intent")),
        charge=identifier(thing["charge"]),
        state=state,
        reason=thing["reason"],
        amount=money(thing["amount"], thing["currency"]),
        due=at(due) if due else None,
        submissions=details["submission_count"],
        created=at(thing["created"]),
        fee=_dispute_fee(thing),
    )


def _dispute_fee(thing: Thing) -> Money | None:
    moved: list[Thing] = thing.get("balance_transactions") or []
    if not moved:
        return None
    return money(sum(one["fee"] for one in moved), moved[0]["currency"])


def event(told: Thing) -> ProviderEvent:
    """Of an event that was verified. Raises KeyError and TypeError when it is none."""
    kind, thing = told["type"], told["data"]["object"]
    subject = next((one for start, one in _SUBJECTS if kind.startswith(start)), EventSubject.OTHER)
    reference, about = str(thing.get("id", "")), identifier(thing.get("payment_intent"))
    if kind.startswith("checkout.session."):
        subject = EventSubject.SETUP if thing["mode"] == "setup" else EventSubject.PAYMENT
    elif subject is EventSubject.PAYMENT:
        reference = about = about or reference
    return ProviderEvent(
        provider=Provider.STRIPE,
        id=str(told["id"] or ""),
        type=str(kind),
        subject=subject,
        reference=reference,
        payment=about,
        key=key_of(thing),
        created=at(told["created"]),
    )
