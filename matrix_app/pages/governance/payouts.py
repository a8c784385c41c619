"""What providers paid out, of what it consists, and what they hold of ours beside our books."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.badges import Status, status_badge
from components.feedback.figures import fact, facts
from components.feedback.states import empty_state, skeleton
from components.format.values import money, when
from components.kit.overlays import icon_button
from components.links import link
from components.shell.page import card, page_header, section
from components.tables.filters import Filter, days
from components.tables.listed import table_of
from components.tables.table import Column, Table, data_table
from components.texts import t, texts_under
from matrix_app.pages import lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from services.core.permissions import Capability
from services.payments.providers.values import MovementKind
from services.reconciliation import payout_queries
from state.governance.payouts import PayoutsState, PayoutState
from state.session import SessionState

MAY_WRITE = SessionState.capabilities.contains(Capability.STAFF_PAYMENTS_WRITE.value)
_ROW = PayoutState.payout
STATES = {
    "underway": Status("payouts.state.underway", "info", "clock"),
    "paid": Status("payouts.state.paid", "ok"),
    "failed": Status("payouts.state.failed", "danger"),
    "canceled": Status("payouts.state.canceled", "neutral", "ban"),
}
MATCHES = {
    "waiting": Status("reconciliation.match.waiting", "info", "clock"),
    "matched": Status("reconciliation.match.matched", "ok"),
    "differs": Status("reconciliation.match.differs", "warn"),
    "settled": Status("reconciliation.match.settled", "neutral", "check"),
}


def _kind(row: Any) -> rx.Component:
    return rx.fragment(rx.match(row["kind"], *texts_under("payouts.kind").items(), row["kind"].to(str)))


def _money(key: str, *, brief: bool = False) -> Column:
    return Column(key, f"payouts.{key}", kind="money", currency="currency", brief=brief)


CLEARING = Table(
    "clearing",
    "payouts.clearing",
    columns=(
        Column("account", "payouts.account", row_header=True),
        _money("provider"),
        _money("books"),
        _money("difference", brief=True),
        _money("explained"),
        Column("open_cases", "payouts.open_cases", kind="number", brief=True),
        Column("read_until", "payouts.read_until", kind="datetime"),
        Column("reason", "payouts.reason"),
    ),
)
PAYOUTS = table_of(
    payout_queries.PAYOUTS,
    "payouts",
    Column("name", "payouts.payout", kind="link", href="href", row_header=True),
    Column("account", "payouts.account"),
    Column("happened_at", "payouts.happened_at", kind="datetime"),
    Column("state", "payouts.state", kind="badge", statuses=STATES, brief=True),
    _money("amount", brief=True),
    _money("fees"),
    _money("difference", brief=True),
    texts="payouts",
)
MOVEMENTS = table_of(
    payout_queries.MOVEMENTS,
    "movements",
    Column("name", "payouts.movement", kind="link", href="href", row_header=True),
    Column("kind", "payouts.kind", draw=_kind, brief=True),
    Column("happened_at", "payouts.happened_at", kind="datetime"),
    _money("gross"),
    _money("fee"),
    _money("net", brief=True),
    Column("match", "payouts.match", kind="badge", statuses=MATCHES, brief=True),
    texts="payouts",
    caption="payouts.movements",
)


def _read_now(row: Any) -> rx.Component:
    again = icon_button(
        t("payouts.read_now", account=row["account"].to(str)),
        "refresh-cw",
        on_press=PayoutsState.read_now(row["provider_account_id"].to(str)),
    )
    return rx.cond(MAY_WRITE, again, rx.fragment())


@page(
    "/governance/payouts",
    console=Console.GOVERNANCE,
    title="payouts.title",
    needs=Capability.STAFF_PAYMENTS_READ,
    on_load=PayoutsState.load,
)
def payouts() -> Drawn:
    """What providers hold, and what they paid out, the newest first."""
    states = [(name, t(look.text)) for name, look in STATES.items()]
    listed = lists.listing(
        PayoutsState,
        PAYOUTS,
        [
            Filter("state", "payouts.state", options=states),
            *days("happened_at"),
        ],
        empty=empty_state(t("payouts.none"), t("payouts.none_text"), icon_name="wallet", level=3),
        values={f"state:{name}": words for name, words in states},
    )
    unread = empty_state(t("payouts.unread"), t("payouts.unread_text"), icon_name="hourglass", level=3)
    balances = data_table(
        CLEARING, PayoutsState.clearing, empty=unread, actions=_read_now, zone=SessionState.zone
    )
    content = rx.fragment(section(t("payouts.clearing"), balances), section(t("payouts.paid_out"), listed))
    return [
        page_header(t("payouts.title"), lists.export(PayoutsState), text=t("payouts.text")),
        in_its_state(PayoutsState, content, retry=PayoutsState.load),
    ]


def _report() -> rx.Component:
    """From what customers paid to what arrived, line by line."""

    def amount(key: str) -> tuple[Any, rx.Component]:
        return t(f"payouts.{key}"), money(_ROW[key], _ROW["currency"].to(str))

    arrived = rx.cond(_ROW["arrived"].to(bool), t("payouts.arrived_yes"), t("payouts.arrived_no"))
    return card(
        facts(
            (t("payouts.state"), rx.fragment(status_badge(_ROW["state"], STATES))),
            (t("payouts.account"), _ROW["account"].to(str)),
            (t("payouts.happened_at"), when(_ROW["happened_at"], zone=SessionState.zone)),
            (t("payouts.arrives_at"), when(_ROW["arrives_at"], zone=SessionState.zone)),
            (t("payouts.arrived"), rx.fragment(arrived)),
            rx.cond(_ROW["failure"], fact(t("payouts.failure"), _ROW["failure"].to(str)), rx.fragment()),
            *(amount(key) for key in ("charges", "refunds", "disputes", "other", "fees", "net", "amount")),
            amount("booked"),
            amount("difference"),
        )
    )


@page(
    "/governance/payouts/[payout_id]",
    console=Console.GOVERNANCE,
    title="payouts.payout",
    needs=Capability.STAFF_PAYMENTS_READ,
    on_load=PayoutState.load,
)
def payout() -> Drawn:
    """One payout to the cent, and each movement in it."""
    kinds = [(one.value, t(f"payouts.kind.{one.value}")) for one in MovementKind]
    matches = [(name, t(look.text)) for name, look in MATCHES.items()]
    parts = lists.listing(
        PayoutState,
        MOVEMENTS,
        [
            Filter("kind", "payouts.kind", options=kinds),
            Filter("match", "payouts.match", options=matches),
        ],
        empty=empty_state(t("payouts.untraced"), t("payouts.untraced_text"), icon_name="info", level=3),
        values={f"kind:{name}": words for name, words in kinds}
        | {f"match:{name}": words for name, words in matches},
    )
    content = rx.fragment(
        _report(), section(t("payouts.movements"), parts, actions=[lists.export(PayoutState)])
    )
    return [
        rx.el.p(link(t("payouts.back"), href="/governance/payouts"), class_name="back-link"),
        page_header(rx.cond(_ROW["name"], _ROW["name"].to(str), t("payouts.payout"))),
        in_its_state(
            PayoutState,
            content,
            loading=skeleton(lines=10, label=t("payouts.loading")),
            retry=PayoutState.load,
        ),
    ]
