"""Where a transfer for an invoice or a top-up goes to, with what to write on it."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.figures import copyable, fact, facts
from components.texts import t


def transfer_facts(bank: rx.Var[dict[str, str]], number: rx.Var[Any]) -> rx.Component:
    """The seller's account, and the invoice's number, or the top-up's, as what the transfer is for."""
    return rx.fragment(
        rx.el.p(t("payment_link.bank_text")),
        facts(
            (
                t("payment_link.bank_reference"),
                copyable(number.to(str), label=t("payment_link.bank_reference")),
            ),
            (t("payment_link.bank_account"), copyable(bank["account"], label=t("payment_link.bank_account"))),
            (t("payment_link.bank_name"), bank["name"]),
            rx.cond(bank["code"] != "", fact(t("payment_link.bank_code"), bank["code"]), rx.fragment()),
        ),
    )
