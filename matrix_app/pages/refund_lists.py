"""Refunds as both consoles list them: their states, their columns, and what staff does to one."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.badges import Status
from components.forms.fields import text_field
from components.forms.form import rest_form, submit_button
from components.kit.overlays import MenuEntry, dialog, dialog_close, dialog_foot, menu
from components.props import Drawn, Row
from components.tables.table import Column
from components.texts import t
from matrix_app.pages import endpoints
from models.refunds import RefundState as States
from models.refunds import RefundTo
from services.billing.invoices import DESCRIPTION_CHARACTERS_MAX
from services.core.permissions import Capability
from services.payments.transfers import REFERENCE_CHARACTERS_MAX
from state.dialogs import DialogsState
from state.session import SessionState

MAY_WRITE = SessionState.capabilities.contains(Capability.STAFF_PAYMENTS_WRITE.value)
MAY_APPROVE = SessionState.capabilities.contains(Capability.STAFF_REFUNDS_APPROVE.value)
_LOOKS = {
    States.AWAITING_APPROVAL: ("warn", None),
    States.SENDING: ("neutral", "hourglass"),
    States.PROCESSING: ("info", "clock"),
    States.SUCCEEDED: ("ok", None),
    States.FAILED: ("danger", None),
    States.CANCELED: ("neutral", "ban"),
    States.REJECTED: ("neutral", "ban"),
}
STATES = {
    one.value: Status(f"refunds.state.{one.value}", tone, symbol)  # pyright: ignore[reportArgumentType]
    for one, (tone, symbol) in _LOOKS.items()
}


def words() -> list[tuple[str, str]]:
    """Each state with its word."""
    return [(name, t(look.text)) for name, look in STATES.items()]


def destinations() -> list[tuple[str, str]]:
    """Each way back with its word."""
    return [(one.value, t(f"refunds.destination.{one.value}")) for one in RefundTo]


def to(row: Row) -> rx.Component:
    return rx.fragment(rx.match(row["destination"], *destinations(), row["destination"].to(str)))


def common() -> list[Column]:
    return [
        Column("created_at", "refunds.created_at", kind="datetime"),
        Column("state", "refunds.state", kind="badge", statuses=STATES, brief=True),
        Column("destination", "refunds.destination", draw=to),
        Column("amount", "refunds.amount", kind="money", currency="currency", brief=True),
        Column("credit_note", "refunds.credit_note"),
    ]


def of_staff() -> list[Column]:
    return [
        Column("asked_by", "refunds.asked_by"),
        Column("approver", "refunds.approver"),
        Column("why", "refunds.why"),
    ]


def acts(state: type[DialogsState]) -> Any:
    """What can be done to a row that waits."""

    def offered(row: Row) -> rx.Component:
        def entries(*names: tuple[str, str, bool]) -> rx.Component:
            return menu(
                t("table.actions_of", row=row["name"].to(str)),
                [
                    MenuEntry(name, t(f"refunds.{name}"), symbol, danger=danger)
                    for name, symbol, danger in names
                ],
                on_action=lambda act: state.ask(row["id"].to(str), act),
            )

        reject, give_up = ("reject", "ban", True), ("cancel", "x", True)
        decide = (("approve", "check", False), reject)
        # Whoever asked for it may take that back, but not agree to it.
        asked = rx.cond(MAY_WRITE, entries(give_up), rx.cond(MAY_APPROVE, entries(reject), rx.fragment()))
        others = rx.cond(MAY_WRITE, entries(*decide, give_up), entries(*decide))
        waiting = rx.cond(MAY_APPROVE & ~row["is_mine"].to(bool), others, asked)
        transfer = row["by_transfer"].to(bool) & (row["destination"] == RefundTo.SOURCE.value) & MAY_WRITE
        return rx.match(
            row["state"],
            (States.AWAITING_APPROVAL.value, waiting),
            (
                States.SENDING.value,
                rx.cond(transfer, entries(("sent", "check", False), give_up), rx.fragment()),
            ),
            (
                States.SUCCEEDED.value,
                rx.cond(transfer, entries(("returned", "rotate-ccw", True)), rx.fragment()),
            ),
            rx.fragment(),
        )

    return offered


def dialogs(state: type[DialogsState]) -> list[rx.Component]:
    reason = text_field(
        "reason", t("refunds.reason"), max_length=DESCRIPTION_CHARACTERS_MAX, autocomplete="off"
    )
    reference = text_field(
        "reference",
        t("refunds.reference"),
        required=False,
        max_length=REFERENCE_CHARACTERS_MAX,
        autocomplete="off",
    )
    return [
        _act(state, "approve", "approved"),
        _act(state, "reject", "rejected", reason, danger=True),
        _act(state, "cancel", "canceled", danger=True),
        _act(state, "sent", "sent_done", reference),
        _act(state, "returned", "sent_done", danger=True),
    ]


def _act(
    state: type[DialogsState], name: str, done: str, *fields: Drawn, danger: bool = False
) -> rx.Component:
    """The dialog that asks about one act, and sends it."""
    verb = submit_button(t(f"refunds.{name}"), look="primary danger" if danger else "primary")
    return dialog(
        rest_form(
            f"refund-{name}",
            *fields,
            dialog_foot(dialog_close(), verb),
            url=f"{endpoints.STAFF_REFUNDS}/{state.chosen['id'].to(str)}/{name}",
            done_text=t(f"refunds.{done}"),
            on_done=state.changed,
        ),
        title=t(f"refunds.{name}"),
        description=t(f"refunds.{name}_text"),
        open=state.open_dialog == name,
        on_open_change=state.dismiss,
        size="small",
    )
