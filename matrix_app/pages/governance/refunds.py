"""Refunds of all organisations, and one payment with giving it back."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.states import banner, empty_state, skeleton
from components.forms.fields import Option, money_field, radios, text_field
from components.forms.form import rest_form, submit_button
from components.kit.overlays import Trigger, dialog, dialog_close, dialog_foot
from components.links import link
from components.shell.page import page_header, section
from components.tables.filters import Filter, days
from components.tables.listed import table_of
from components.tables.table import Column, Table, data_table
from components.texts import t
from matrix_app.pages import endpoints, lists, payment_lists, refund_lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from models.refunds import RefundTo
from services.billing.invoices import DESCRIPTION_CHARACTERS_MAX
from services.core.permissions import Capability
from services.refunds import queries as refund_queries
from state.governance.payments import INVOICES
from state.governance.refunds import PAYMENTS, StaffPaymentState, StaffRefundsState

_P = StaffPaymentState
REFUNDS = table_of(
    refund_queries.STAFF_REFUNDS,
    "staff-refunds",
    Column("name", "refunds.payment", kind="link", href="href", row_header=True),
    Column("organization", "refunds.organization"),
    *refund_lists.common(),
    *refund_lists.of_staff(),
    texts="refunds",
)
OF_PAYMENT = Table(
    "payment-refunds",
    "refunds.of_payment",
    columns=(
        Column("reason", "refunds.reason", row_header=True),
        *refund_lists.common(),
        *refund_lists.of_staff(),
    ),
)


@page(
    "/governance/refunds",
    console=Console.GOVERNANCE,
    title="refunds.title",
    needs=Capability.STAFF_PAYMENTS_READ,
    on_load=StaffRefundsState.load,
)
def refunds() -> Drawn:
    """What was given back and what waits to be, the newest first."""
    to_payments = link(t("refunds.to_payments"), href=PAYMENTS, class_name="button primary")
    content = lists.listing(
        StaffRefundsState,
        REFUNDS,
        [
            Filter("organization_id", "refunds.organization_id", "search"),
            Filter("state", "refunds.state", options=refund_lists.words()),
            Filter("destination", "refunds.destination", options=refund_lists.destinations()),
            *days("created_at"),
        ],
        empty=empty_state(
            t("refunds.none"), t("refunds.none_text"), icon_name="rotate-ccw", action=to_payments
        ),
        names={"organization_id": t("refunds.organization"), "created_at": t("refunds.created_at")},
        values={f"state:{name}": said for name, said in refund_lists.words()}
        | {f"destination:{name}": said for name, said in refund_lists.destinations()},
        actions=refund_lists.acts(StaffRefundsState),
    )
    return [
        page_header(t("refunds.title"), lists.export(StaffRefundsState), text=t("refunds.text")),
        in_its_state(StaffRefundsState, content, retry=StaffRefundsState.load),
        *refund_lists.dialogs(StaffRefundsState),
    ]


def _part_of_line(line: Any) -> rx.Component:
    """How much of a line goes back; left empty nothing of it."""
    return rx.fragment(
        money_field(
            "by_line." + line["id"].to(str),
            line["description"].to(str),
            currency=line["currency"].to(str),
            hint=t("refunds.of_line", amount=line["left"].to(str)),
            required=False,
        ),
        key=line["id"].to(str),
    )


def _give() -> rx.Component:
    row, seen = _P.payment, _P.preview
    outlook = t(
        "refunds.comes_to",
        amount=seen["amount"].to(str),
        owed=seen["owed"].to(str),
        credited=seen["credited"].to(str),
        tax=seen["tax"].to(str),
    )
    options = [Option(name, said) for name, said in refund_lists.destinations()]
    as_credit = [one for one in options if one.id == RefundTo.CREDIT.value]
    where = rx.cond(
        _P.goes_back,
        radios("to", t("refunds.destination"), options, value=RefundTo.SOURCE.value),
        radios(
            "to",
            t("refunds.destination"),
            as_credit,
            value=RefundTo.CREDIT.value,
            hint=t("refunds.stays_on_chain"),
        ),
    )
    lines = rx.el.fieldset(
        rx.el.legend(t("refunds.lines"), class_name="label"),
        rx.foreach(_P.lines, _part_of_line),
        class_name="stack",
    )
    form = rest_form(
        "give-back",
        rx.el.div(
            rx.cond(_P.objection, banner("warn", _P.objection), rx.el.p(outlook)),
            rx.cond(seen["waits"].to(bool), banner("warn", t("refunds.will_wait")), rx.fragment()),
            aria_live="polite",
        ),
        where,
        money_field(
            "amount",
            t("refunds.amount"),
            currency=row["currency"].to(str),
            hint=t("refunds.amount_hint"),
            required=False,
        ),
        rx.cond(_P.lines.length() > 0, lines, rx.fragment()),
        text_field(
            "reason",
            t("refunds.reason"),
            hint=t("refunds.reason_hint"),
            max_length=DESCRIPTION_CHARACTERS_MAX,
            autocomplete="off",
        ),
        dialog_foot(dialog_close(), submit_button(t("refunds.give"), agrees=seen.length() > 0)),
        url=f"{endpoints.STAFF_PAYMENTS}/{row['id'].to(str)}/refunds",
        done_text=t("refunds.given"),
        on_done=_P.changed,
        on_settled=_P.weigh,
        seen=_P.weighed,
    )
    opened = dialog(
        form,
        title=t("refunds.give"),
        description=t("refunds.give_text"),
        trigger=Trigger(t("refunds.give"), "primary", "rotate-ccw"),
        open=_P.open_dialog == "give",
        on_open_change=lambda is_open: _P.show("give", is_open),
    )
    return rx.cond(refund_lists.MAY_WRITE & _P.can_give, opened, rx.fragment())


@page(
    "/governance/payments/[payment_id]",
    console=Console.GOVERNANCE,
    title="payments.payment",
    needs=Capability.STAFF_PAYMENTS_READ,
    on_load=StaffPaymentState.load,
)
def staff_payment() -> Drawn:
    """One payment, what was given back of it, and giving back more."""
    row = _P.payment
    title = rx.cond(
        row["number"], t("payments.payment_of", number=row["number"].to(str)), t("payments.payment")
    )
    given = data_table(
        OF_PAYMENT,
        _P.rows,
        status=_P.status,
        empty=rx.el.p(t("refunds.none_of_payment"), class_name="muted"),
        actions=refund_lists.acts(_P),
    )
    content = rx.fragment(
        rx.cond(_P.refusal != "", banner("info", _P.refusal), rx.fragment()),
        payment_lists.facts_of(row, INVOICES),
        section(t("refunds.of_payment"), given),
    )
    return [
        rx.el.p(link(t("payments.back"), href=PAYMENTS), class_name="back-link"),
        page_header(title, _give(), text=row["organization"].to(str)),
        in_its_state(_P, content, loading=skeleton(lines=8, label=t("payments.loading")), retry=_P.load),
        *refund_lists.dialogs(_P),
    ]
