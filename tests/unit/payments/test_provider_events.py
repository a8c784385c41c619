from typing import Any

import pytest

from services.payments.providers import paypal_reading, stripe_reading
from services.payments.providers.values import EventSubject

NOW = "2026-11-27T03:00:00Z"


@pytest.mark.parametrize(
    ("kind", "thing", "subject", "reference", "payment"),
    [
        ("payment_intent.succeeded", {"id": "pi_1"}, EventSubject.PAYMENT, "pi_1", "pi_1"),
        ("charge.refunded", {"id": "ch_1", "payment_intent": "pi_1"}, EventSubject.PAYMENT, "pi_1", "pi_1"),
        ("charge.succeeded", {"id": "ch_1", "payment_intent": None}, EventSubject.PAYMENT, "ch_1", "ch_1"),
        ("refund.failed", {"id": "re_1", "payment_intent": "pi_1"}, EventSubject.REFUND, "re_1", "pi_1"),
        ("charge.refund.updated", {"id": "re_1", "payment_intent": "pi_1"}, EventSubject.REFUND, "re_1", "pi_1"),
        ("charge.dispute.created", {"id": "du_1", "payment_intent": "pi_1"}, EventSubject.DISPUTE, "du_1", "pi_1"),
        (
            "radar.early_fraud_warning.created", {"id": "w_1", "payment_intent": "pi_1"},
            EventSubject.WARNING, "w_1", "pi_1",
        ),
        (
            "checkout.session.completed", {"id": "cs_1", "mode": "payment", "payment_intent": "pi_1"},
            EventSubject.PAYMENT, "cs_1", "pi_1",
        ),
        ("checkout.session.completed", {"id": "cs_1", "mode": "setup"}, EventSubject.SETUP, "cs_1", ""),
        ("setup_intent.succeeded", {"id": "seti_1"}, EventSubject.SETUP, "seti_1", ""),
        ("payment_method.detached", {"id": "pm_1"}, EventSubject.METHOD, "pm_1", ""),
        ("payout.reconciliation_completed", {"id": "po_1"}, EventSubject.PAYOUT, "po_1", ""),
        ("balance.available", {"object": "balance"}, EventSubject.OTHER, "", ""),
        ("made.up.tomorrow", {"id": "x_1"}, EventSubject.OTHER, "x_1", ""),
    ],
)  # fmt: skip
def test_an_event_of_stripe_says_what_to_read_again(
    kind: str, thing: dict[str, Any], subject: EventSubject, reference: str, payment: str
) -> None:
    about = thing | {"metadata": {"matrix_key": "k"}}
    told = {"id": "evt_1", "type": kind, "created": 1_790_000_000, "data": {"object": about}}

    event = stripe_reading.event(told)

    assert (event.subject, event.reference, event.payment, event.key) == (subject, reference, payment, "k")


@pytest.mark.parametrize(
    ("kind", "thing", "subject", "reference", "payment", "key"),
    [
        (
            "CHECKOUT.ORDER.APPROVED", {"id": "O1", "purchase_units": [{"custom_id": "k"}]},
            EventSubject.PAYMENT, "O1", "O1", "k",
        ),
        (
            "PAYMENT.CAPTURE.COMPLETED",
            {"id": "C1", "custom_id": "k", "supplementary_data": {"related_ids": {"order_id": "O1"}}},
            EventSubject.PAYMENT, "O1", "O1", "k",
        ),
        ("PAYMENT.CAPTURE.REFUNDED", {"id": "R1", "custom_id": "k"}, EventSubject.REFUND, "R1", "", "k"),
        ("CUSTOMER.DISPUTE.CREATED", {"dispute_id": "PP-D-1"}, EventSubject.DISPUTE, "PP-D-1", "", ""),
        ("VAULT.PAYMENT-TOKEN.DELETED", {"id": "t1"}, EventSubject.METHOD, "t1", "", ""),
        ("MADE.UP.TOMORROW", {}, EventSubject.OTHER, "", "", ""),
    ],
)  # fmt: skip
def test_an_event_of_paypal_says_what_to_read_again(
    kind: str, thing: dict[str, Any], subject: EventSubject, reference: str, payment: str, key: str
) -> None:
    event = paypal_reading.event({"id": "WH-1", "event_type": kind, "create_time": NOW, "resource": thing})

    assert (event.subject, event.reference, event.payment, event.key) == (subject, reference, payment, key)
