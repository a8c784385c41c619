"""PayPal's objects read into ours. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from models.money import Money, Provider
from services.payments.providers.paypal_declines import DECLINES
from services.payments.providers.paypal_terms import read as money
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
    ProviderEvent,
    Refund,
    RefundState,
    Setup,
    SetupState,
)

Thing = dict[str, Any]

_OPEN = {
    "CREATED": PaymentState.ACTION_REQUIRED,
    "SAVED": PaymentState.ACTION_REQUIRED,
    "PAYER_ACTION_REQUIRED": PaymentState.ACTION_REQUIRED,
    "APPROVED": PaymentState.APPROVED,
    "VOIDED": PaymentState.CANCELED,
}
_HELD = {
    "CREATED": PaymentState.AUTHORIZED,
    "PENDING": PaymentState.PROCESSING,
    "VOIDED": PaymentState.CANCELED,
    "EXPIRED": PaymentState.CANCELED,
    "DENIED": PaymentState.CREATED,
}
_TAKEN = ("COMPLETED", "PARTIALLY_REFUNDED", "REFUNDED")
_REFUNDS = {
    "COMPLETED": RefundState.DONE,
    "PENDING": RefundState.PENDING,
    "FAILED": RefundState.FAILED,
    "CANCELLED": RefundState.CANCELED,
}
_SETUPS = {
    "CREATED": SetupState.ACTION_REQUIRED,
    "PAYER_ACTION_REQUIRED": SetupState.ACTION_REQUIRED,
    "APPROVED": SetupState.PROCESSING,
    "TOKENIZED": SetupState.PROCESSING,
    "VAULTED": SetupState.READY,
}
# By the beginning of the event code, developer.paypal.com/docs/transaction-search/transaction-event-codes; the first
# that fits.
_MOVEMENTS = (
    ("T1107", MovementKind.REFUND),
    ("T1106", MovementKind.DISPUTE),
    ("T1110", MovementKind.DISPUTE),
    ("T1111", MovementKind.DISPUTE_REVERSAL),
    ("T1201", MovementKind.DISPUTE),
    ("T1202", MovementKind.DISPUTE_REVERSAL),
    ("T00", MovementKind.CHARGE),
    ("T01", MovementKind.FEE),
    ("T0401", MovementKind.PAYOUT_FAILURE),
    ("T04", MovementKind.PAYOUT),
)
_SUBJECTS = (
    ("CHECKOUT.ORDER.", EventSubject.PAYMENT),
    ("PAYMENT.CAPTURE.REFUNDED", EventSubject.REFUND),
    ("PAYMENT.REFUND.", EventSubject.REFUND),
    ("PAYMENT.", EventSubject.PAYMENT),
    ("VAULT.", EventSubject.METHOD),
    ("CUSTOMER.DISPUTE.", EventSubject.DISPUTE),
)


def at(text: str) -> datetime:
    """Raises ValueError for what is no time."""
    return datetime.fromisoformat(text).astimezone(UTC)


def _in(thing: Thing, *names: str) -> Thing:
    """What is inside under those names, one within the other; empty where one is missing."""
    for name in names:
        found: Any = thing.get(name)
        thing = cast(Thing, found) if isinstance(found, dict) else {}
    return thing


def payments_of(order: Thing, kind: str) -> list[Thing]:
    """`captures`, `authorizations` or `refunds` of the order's one unit, oldest first."""
    return cast("list[Thing]", _in(order["purchase_units"][0], "payments").get(kind) or [])


def order_of(capture: Thing) -> str:
    return str(_in(capture, "supplementary_data", "related_ids").get("order_id") or "")


def payment(order: Thing) -> Payment:
    unit: Thing = order["purchase_units"][0]
    captures, holds = payments_of(order, "captures"), payments_of(order, "authorizations")
    taken = [one for one in captures if one["status"] in _TAKEN]
    amount = money(unit["amount"])
    given_back = [one for one in payments_of(order, "refunds") if one["status"] in ("COMPLETED", "PENDING")]
    return Payment(
        reference=order["id"],
        key=str(unit.get("custom_id") or ""),
        state=_state(order, captures, holds),
        amount=amount,
        captured=_sum(taken, amount.currency),
        refunded=_sum(given_back, amount.currency),
        charge=str(captures[-1]["id"]) if captures else "",
        method=_method_of(order),
        action=_action(order),
        decline=_decline(captures[-1] if captures else {}),
        created=at(order["create_time"]) if "create_time" in order else None,
    )


def _state(order: Thing, captures: list[Thing], holds: list[Thing]) -> PaymentState:
    if captures:
        status = captures[-1]["status"]
        if status in _TAKEN:
            return PaymentState.PAID
        return PaymentState.PROCESSING if status == "PENDING" else PaymentState.CREATED
    if holds:
        return _HELD.get(holds[-1]["status"], PaymentState.PROCESSING)
    return _OPEN.get(order["status"], PaymentState.PROCESSING)


def _sum(things: Iterable[Thing], currency: str) -> Money:
    return sum((money(one["amount"]) for one in things), Money(0, currency))


def _decline(capture: Thing) -> Decline | None:
    return DECLINES["INSTRUMENT_DECLINED"] if capture.get("status") in ("DECLINED", "FAILED") else None


def _action(order: Thing) -> Action | None:
    if _OPEN.get(order["status"]) is not PaymentState.ACTION_REQUIRED:
        return None
    return Action(url=_link(order, "payer-action", "approve"))


def _link(thing: Thing, *names: str) -> str:
    return next((str(one["href"]) for one in thing.get("links", []) if one["rel"] in names), "")


def next_page_token(told: Thing) -> str:
    return parse_qs(urlsplit(_link(told, "next")).query).get("next_page_token", [""])[0]


def _method_of(order: Thing) -> Method | None:
    kept = _in(order, "payment_source", "paypal", "attributes", "vault")
    return Method(reference=str(kept["id"]), kind="paypal") if kept.get("id") else None


def method(token: Thing) -> Method:
    return Method(reference=token["id"], kind=next(iter(_in(token, "payment_source")), "paypal"))


def setup(told: Thing, *, token: Thing | None = None) -> Setup:
    state = SetupState.READY if token else _SETUPS.get(told["status"], SetupState.PROCESSING)
    return Setup(
        reference=told["id"],
        key="",
        state=state,
        method=method(token) if token else None,
        action=Action(url=_link(told, "approve")) if state is SetupState.ACTION_REQUIRED else None,
    )


def refund(told: Thing, *, payment: str) -> Refund:
    return Refund(
        reference=told["id"],
        key=str(told.get("custom_id") or ""),
        payment=payment,
        state=_REFUNDS.get(told["status"], RefundState.PENDING),
        amount=money(told["amount"]),
        failure=str(_in(told, "status_details").get("reason") or ""),
    )


def capture_of_refund(told: Thing) -> str:
    return _link(told, "up").rpartition("/")[2]


def movement(info: Thing) -> Movement:
    code, gross = info["transaction_event_code"], money(info["transaction_amount"])
    fee = -money(info["fee_amount"]) if "fee_amount" in info else Money(0, gross.currency)
    made = at(info["transaction_initiation_date"])
    about = str(info.get("paypal_reference_id") or "")
    return Movement(
        reference=info["transaction_id"],
        kind=next((kind for start, kind in _MOVEMENTS if code.startswith(start)), MovementKind.OTHER),
        category=code,
        gross=gross,
        fee=fee,
        net=gross - fee,
        created=made,
        available=made,
        source=about or info["transaction_id"],
        payment=about if info.get("paypal_reference_id_type") == "ODR" else "",
        key=str(info.get("custom_field") or ""),
    )


def dispute(told: Thing, *, payment: str) -> Dispute:
    due = told.get("seller_response_due_date")
    state = _dispute_state(told)
    return Dispute(
        reference=told["dispute_id"],
        payment=payment,
        charge=disputed_capture(told),
        state=state,
        reason=told["reason"],
        amount=money(told["dispute_amount"]),
        due=at(due)
        if due and state in (DisputeState.NEEDS_ANSWER, DisputeState.WARNING_NEEDS_ANSWER)
        else None,
        submissions=sum(one.get("source") == "SUBMITTED_BY_SELLER" for one in told.get("evidences") or ()),
        created=at(told["create_time"]),
    )


def disputed_capture(told: Thing) -> str:
    return str(told["disputed_transactions"][0]["seller_transaction_id"])


def _dispute_state(told: Thing) -> DisputeState:
    inquiry = told.get("dispute_life_cycle_stage") == "INQUIRY"
    match told["status"]:
        case "RESOLVED":
            outcome = str(_in(told, "dispute_outcome").get("outcome_code", ""))
            if inquiry:
                return DisputeState.WARNING_CLOSED
            return DisputeState.WON if "SELLER" in outcome else DisputeState.LOST
        case "OPEN" | "WAITING_FOR_SELLER_RESPONSE":
            return DisputeState.WARNING_NEEDS_ANSWER if inquiry else DisputeState.NEEDS_ANSWER
        case _:
            return DisputeState.WARNING_UNDER_REVIEW if inquiry else DisputeState.UNDER_REVIEW


def event(told: Thing) -> ProviderEvent:
    """Of an event that was verified. Raises KeyError, TypeError, AttributeError and ValueError when it is none."""
    kind, thing = str(told["event_type"]), cast(Thing, told["resource"])
    subject = next((one for start, one in _SUBJECTS if kind.startswith(start)), EventSubject.OTHER)
    order = order_of(thing)
    reference = str(thing.get("dispute_id") or thing.get("id") or "")
    if subject is EventSubject.PAYMENT:
        reference = order = order or reference
    return ProviderEvent(
        provider=Provider.PAYPAL,
        id=str(told["id"] or ""),
        type=kind,
        subject=subject,
        reference=reference,
        payment=order,
        key=str(thing.get("custom_id") or _unit_key(thing)),
        created=at(told["create_time"]),
    )


def _unit_key(thing: Thing) -> str:
    units = cast("list[Thing]", thing.get("purchase_units") or [{}])
    return str(units[0].get("custom_id") or "")
