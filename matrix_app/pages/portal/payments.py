"""What was paid, and one payment."""

from __future__ import annotations

import reflex as rx

from components.feedback.figures import fact
from components.feedback.states import banner, empty_state, skeleton
from components.forms.form import rest_form, submit_button
from components.kit.overlays import Trigger, dialog, dialog_close, dialog_foot
from components.links import link
from components.live.figures import live_refresh
from components.shell.page import page_header, section
from components.tables.listed import table_of
from components.tables.table import Column, Table, data_table
from components.texts import t
from matrix_app.pages import chain_payment, endpoints, invoice_papers, lists, payment_lists, refund_lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.paying import pay_dialog
from matrix_app.pages.registry import Console, Drawn, page
from models.payments import PaymentState as States
from services.core.permissions import Capability
from services.payments import queries
from state.portal.invoices import HOME as INVOICES
from state.portal.invoices import InvoiceState
from state.portal.payments import HOME, PaymentsState, PaymentState
from state.session import SessionState

MAY_PAY = SessionState.capabilities.contains(Capability.PAYMENTS_WRITE.value)
REFUNDS = Table(
    "payment-refunds",
    "refunds.of_payment",
    columns=(Column("reason", "refunds.reason", row_header=True), *refund_lists.common()),
)
PAYMENTS = table_of(queries.PAYMENTS, "payments", *payment_lists.columns(), texts="payments")


@page(
    "/portal/payments",
    console=Console.PORTAL,
    title="payments.title",
    needs=Capability.PAYMENTS_READ,
    on_load=PaymentsState.load,
)
def payments() -> Drawn:
    """Payments of the organisation, the newest first."""
    content = lists.listing(
        PaymentsState,
        PAYMENTS,
        payment_lists.filters(),
        empty=empty_state(t("payments.none"), t("payments.none_text"), icon_name="receipt"),
        names={"created_at": t("payments.created_at")},
        values={f"state:{name}": words for name, words in payment_lists.words()},
    )
    return [
        page_header(t("payments.title"), lists.export(PaymentsState), text=t("payments.text")),
        in_its_state(PaymentsState, content, retry=PaymentsState.load),
    ]


def _cancel() -> rx.Component:
    return dialog(
        rest_form(
            "cancel-payment",
            dialog_foot(dialog_close(), submit_button(t("payments.cancel"), look="primary danger")),
            url=f"{endpoints.PAYMENTS}/{PaymentState.payment['id'].to(str)}/cancel",
            done_text=t("payments.canceled"),
            on_done=PaymentState.changed,
        ),
        title=t("payments.cancel"),
        description=t("payments.cancel_text"),
        trigger=Trigger(t("payments.cancel"), "", "ban"),
        size="small",
    )


def _waiting() -> rx.Component:
    """What the customer does next, or what we wait for."""
    row = PaymentState.payment
    again = rx.el.button(
        t("payments.refresh"), type="button", on_click=PaymentState.load, class_name="button"
    )
    go_on = rx.el.a(t("payments.go_on"), href=row["action_url"].to(str), class_name="button primary")
    is_under_way = (row["state"] == States.REQUIRES_ACTION.value) | (row["state"] == States.PROCESSING.value)
    on_chain = rx.cond(is_under_way, chain_payment.waits(chain_payment.PORTAL, again), rx.fragment())
    at_provider = rx.match(
        row["state"],
        (
            States.REQUIRES_ACTION.value,
            banner("warn", t("payments.waiting"), action=rx.cond(row["action_url"], go_on, again)),
        ),
        (States.SENDING.value, banner("info", t("payments.sending"), action=again)),
        (States.PROCESSING.value, banner("info", t("payments.processing"), action=again)),
        rx.fragment(),
    )
    return rx.cond(row["provider"] == "crypto", on_chain, at_provider)


def _given_back() -> rx.Component:
    table = data_table(
        REFUNDS, PaymentState.refunds, status=PaymentState.status, empty=rx.fragment(), zone=SessionState.zone
    )
    there = PaymentState.refunds.length() > 0
    return rx.cond(there, section(t("refunds.of_payment"), table), rx.fragment())


def _receipt() -> rx.Component:
    """What a customer keeps of a payment that came: also on paper."""
    parties = PaymentState.receipt
    return section(
        t("payments.receipt"),
        payment_lists.facts_of(
            PaymentState.payment,
            INVOICES,
            fact(t("payments.paid_by"), invoice_papers.party(parties, "buyer")),
            fact(t("payments.paid_to"), invoice_papers.party(parties, "seller")),
            rx.cond(
                parties["seller_tax"], fact(t("invoices.tax_number"), parties["seller_tax"]), rx.fragment()
            ),
            fact(t("payments.number"), rx.el.code(PaymentState.payment["id"].to(str))),
        ),
        actions=[invoice_papers.print_button(t("payments.print_receipt"))],
    )


@page(
    "/portal/payments/[payment_id]",
    console=Console.PORTAL,
    title="payments.payment",
    needs=Capability.PAYMENTS_READ,
    on_load=PaymentState.load,
)
def payment() -> Drawn:
    """One payment: where a customer comes back to from the provider's page."""
    row = PaymentState.payment
    title = rx.cond(
        row["number"], t("payments.payment_of", number=row["number"].to(str)), t("payments.payment")
    )
    is_open = (row["state"] == States.REQUIRES_ACTION.value) | (row["state"] == States.SENDING.value)
    return [
        rx.el.p(link(t("payments.back"), href=HOME), class_name="back-link no-print"),
        page_header(title, rx.cond(MAY_PAY & is_open, _cancel(), rx.fragment())),
        in_its_state(
            PaymentState,
            rx.fragment(
                _waiting(),
                chain_payment.asked(chain_payment.PORTAL),
                rx.cond(
                    PaymentState.receipt.contains("seller"), _receipt(), payment_lists.facts_of(row, INVOICES)
                ),
                chain_payment.came(chain_payment.PORTAL),
                _given_back(),
                rx.cond(PaymentState.on_chain.contains("address"), chain_payment.follows(), rx.fragment()),
                live_refresh(
                    "payments", path="changed", since=PaymentState.read_at, on_change=PaymentState.follow
                ),
            ),
            loading=skeleton(lines=8, label=t("payments.loading")),
            retry=PaymentState.load,
        ),
    ]


def pay_invoice() -> rx.Component:
    """The way from an invoice that is due to the provider's page."""
    row = InvoiceState.invoice
    opened = pay_dialog(
        InvoiceState,
        "invoice",
        url=f"{endpoints.INVOICES}/{row['id'].to(str)}/payments",
        reference=row["number"],
        title=t("payments.pay_of", number=row["name"].to(str)),
        trigger=Trigger(t("payments.pay"), "primary", "wallet"),
    )
    return rx.el.span(rx.cond(InvoiceState.may_pay, opened, rx.fragment()), class_name="no-print")
