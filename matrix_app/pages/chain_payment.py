"""What a payment asks for on a chain, and what came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import reflex as rx

from components.feedback.badges import Status
from components.feedback.figures import copy_field, facts
from components.feedback.states import banner
from components.format.values import price, when
from components.icons import icon
from components.live.figures import live_refresh
from components.shell.page import section
from components.tables.table import Column, Table, data_table
from components.texts import t
from models.crypto import TransferState
from models.payments import PaymentState as States
from state.portal.payments import PaymentState
from state.session import SessionState

_STATES = {
    TransferState.SEEN.value: Status("crypto.state.seen", "info", "clock"),
    TransferState.CONFIRMED.value: Status("crypto.state.confirmed", "ok", "check"),
    TransferState.TOO_SMALL.value: Status("crypto.state.too_small", "neutral", "minus"),
    TransferState.ORPHANED.value: Status("crypto.state.orphaned", "danger", "x"),
}
_CAME = Table(
    "payment-came",
    "crypto.came",
    columns=(
        Column("amount", "crypto.came_amount", row_header=True),
        Column("state", "crypto.came_state", kind="badge", statuses=_STATES),
        Column("confirmations", "crypto.confirmations"),
        Column("at", "crypto.came_at", kind="datetime"),
        Column("id", "crypto.transaction", draw=lambda row: rx.el.code(row["id"].to(str))),
    ),
)


@dataclass(frozen=True, slots=True)
class OnChain:
    """A payment on a chain as a page shows it: its state, what is asked for, what came, and in which timezone."""

    state: rx.Var[str]
    asked: rx.Var[dict[str, Any]]
    came: rx.Var[list[dict[str, Any]]]
    status: rx.Var[str]
    zone: rx.Var[str] | str


PORTAL = OnChain(
    PaymentState.payment["state"].to(str),
    PaymentState.on_chain,
    PaymentState.came,
    PaymentState.status,
    SessionState.zone,
)


def waits(on: OnChain, again: rx.Component) -> rx.Component:
    """What we wait for."""
    return rx.cond(
        on.state == States.PROCESSING.value,
        rx.el.div(banner("info", _how_deep(on.asked), action=again), role="status"),
        banner("warn", t("crypto.waiting"), action=again),
    )


def _how_deep(row: rx.Var[dict[str, Any]]) -> rx.Var[str]:
    all_of_it = t("crypto.processing", done=row["depth"].to(int), needed=row["needed"].to(int))
    part = t("crypto.part", received=row["received"].to(str), asked=row["named"].to(str))
    return rx.cond(row["missing"] == "0", all_of_it, part)


def follows() -> rx.Component:
    """What was seen is one block deeper: read it again, as long as it is waited for."""
    follow = live_refresh(
        "payments.chain", path="depths", since=PaymentState.read_at, on_change=PaymentState.follow
    )
    return rx.cond(PaymentState.payment["state"] == States.PROCESSING.value, follow, rx.fragment())


def asked(on: OnChain) -> rx.Component:
    """Where to send how much, as long as something is missing: nobody should pay twice."""
    state, row = on.state, on.asked
    is_open = (state == States.REQUIRES_ACTION.value) | (state == States.PROCESSING.value)
    is_asked = row.contains("address") & is_open & (row["missing"] != "0")
    return rx.cond(is_asked, _where(on), rx.fragment())


def came(on: OnChain) -> rx.Component:
    table = data_table(_CAME, on.came, status=on.status, empty=rx.fragment(), zone=on.zone)
    return rx.cond(on.came.length() > 0, section(t("crypto.came"), table), rx.fragment())


def _where(on: OnChain) -> rx.Component:
    row = on.asked
    uri = row["uri"].to(str)
    needed = row["needed"].to(int)
    fields = rx.el.div(
        copy_field("chain-amount", t("crypto.amount", asset=row["asset"].to(str)), row["missing"].to(str)),
        copy_field("chain-address", t("crypto.address"), row["address"].to(str)),
        rx.cond(
            row["contract"],
            copy_field("chain-contract", t("crypto.contract"), row["contract"].to(str)),
            rx.fragment(),
        ),
        class_name="stack",
    )
    return section(
        rx.cond(on.came.length() > 0, t("crypto.rest"), t("crypto.title")),
        rx.el.p(t("crypto.text", chain=row["chain"].to(str), needed=needed)),
        rx.el.div(
            rx.el.img(src=row["picture"].to(str), alt=t("crypto.qr"), class_name="qr-code"),
            fields,
            class_name="beside-code",
        ),
        facts(
            (t("crypto.price"), price(row["price"], row["currency"].to(str))),
            (t("crypto.expires"), rx.fragment(_expiry(row, on.zone), " ", t("crypto.expires_text"))),
            (t("crypto.received"), row["received"].to(str)),
        ),
        actions=[
            rx.cond(row["test_wallet"], _test_wallet(row["test_wallet"].to(str)), rx.fragment()),
            rx.el.a(t("crypto.wallet"), href=uri, class_name="button"),
        ],
    )


def _test_wallet(href: rx.Var[str]) -> rx.Component:
    """Beside the page, which shows what comes of it."""
    return rx.el.a(
        t("crypto.test_wallet"),
        icon("external-link"),
        href=href,
        target="_blank",
        rel="noopener noreferrer",
        class_name="button primary",
    )


def _expiry(row: rx.Var[dict[str, Any]], zone: rx.Var[str] | str) -> rx.Component:
    """The moment, and how long it is until then, which goes on while the page is open."""
    at = row["expires_at"]
    return rx.fragment(when(at, "time", zone=zone), " (", when(at, "ago"), ").")
