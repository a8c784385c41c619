"""Payments as both consoles list them: their states, their columns, and one with what became of it."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.badges import Status, status_badge
from components.feedback.figures import fact, facts
from components.format.values import money, when
from components.links import link
from components.props import Drawn
from components.shell.page import card
from components.tables.filters import Filter, days
from components.tables.table import Column
from components.texts import t
from models.payments import PaymentState as States
from state.session import SessionState

Row = rx.Var[dict[str, Any]]

_LOOKS = {
    States.SENDING: ("neutral", "hourglass"),
    States.REQUIRES_ACTION: ("warn", None),
    States.PROCESSING: ("info", "clock"),
    States.SUCCEEDED: ("ok", None),
    States.FAILED: ("danger", None),
    States.CANCELED: ("neutral", "ban"),
}
STATES = {
    one.value: Status(f"payments.state.{one.value}", tone, symbol)  # pyright: ignore[reportArgumentType]
    for one, (tone, symbol) in _LOOKS.items()
}


def words() -> list[tuple[str, str]]:
    """Each state with its word."""
    return [(name, t(look.text)) for name, look in STATES.items()]


def through(row: Row) -> rx.Component:
    """Through whom, and with what."""
    account = rx.cond(row["account"], row["account"].to(str), t("payments.provider.bank"))
    return rx.el.span(account, rx.cond(row["method"], rx.fragment(" · ", row["method"].to(str)), ""))


def columns(*more: Column) -> list[Column]:
    return [
        Column("name", "payments.invoice", kind="link", href="href", row_header=True),
        *more,
        Column("created_at", "payments.created_at", kind="datetime"),
        Column("state", "payments.state", kind="badge", statuses=STATES, brief=True),
        Column("account", "payments.provider", draw=through),
        Column("amount", "payments.amount", kind="money", currency="currency", brief=True),
    ]


def filters() -> list[Filter]:
    return [
        Filter("state", "payments.state", options=words()),
        *days("created_at"),
    ]


def facts_of(row: Row, invoices: str, *more: Drawn) -> rx.Component:
    """What is known of one payment, and `more`; its invoice is below `invoices`."""

    def if_said(name: str) -> rx.Component:
        return rx.cond(row[name], fact(t(f"payments.{name}"), row[name].to(str)), rx.fragment())

    invoice = rx.cond(
        row["invoice_id"],
        link(row["number"].to(str), href=f"{invoices}/{row['invoice_id'].to(str)}"),
        rx.cond(row["top_up_id"], t("payments.top_up"), t("payments.on_account")),
    )
    over = fact(t("payments.over"), money(row["over"], row["currency"].to(str)))
    refunded = fact(t("payments.refunded"), money(row["refunded"], row["currency"].to(str)))
    came = fact(t("payments.succeeded_at"), when(row["succeeded_at"], zone=SessionState.zone))
    return card(
        facts(
            (t("payments.state"), rx.fragment(status_badge(row["state"], STATES))),
            (t("payments.amount"), money(row["amount"], row["currency"].to(str))),
            (t("payments.invoice"), rx.fragment(invoice)),
            (t("payments.provider"), through(row)),
            (t("payments.created_at"), when(row["created_at"], zone=SessionState.zone)),
            rx.cond(row["succeeded_at"], came, rx.fragment()),
            rx.cond(row["over"] != "0", over, rx.fragment()),
            rx.cond(row["refunded"] != "0", refunded, rx.fragment()),
            if_said("message"),
            if_said("reference"),
            *more,
        )
    )
