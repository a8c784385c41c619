"""The page that a payment link leads to: an invoice or a top-up, and ways to pay it, for whoever has the link."""

from __future__ import annotations

import reflex as rx

from components.feedback.figures import facts
from components.feedback.states import banner, empty_state, skeleton
from components.format.values import money, when
from components.forms.fields import radios
from components.forms.form import form_foot, rest_form, submit_button
from components.links import file_link
from components.shell.page import card, page_header, section
from components.tables.table import data_table
from components.texts import t
from matrix_app.pages import chain_payment, endpoints, invoice_papers
from matrix_app.pages.bank_details import transfer_facts
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from models.payments import PaymentState as States
from state.payment_link import PaymentLinkState

_S = PaymentLinkState
_ROW = PaymentLinkState.invoice
_IS_TOP_UP = PaymentLinkState.top_up != ""
ON_CHAIN = chain_payment.OnChain(_S.payment["state"], _S.on_chain, _S.came, _S.status, "UTC")


def _document() -> rx.Component:
    currency = _ROW["currency"].to(str)
    due = rx.cond(_ROW["due_date"], when(_ROW["due_date"], "date"), "–")
    return rx.fragment(
        card(
            facts(
                (t("invoices.state"), invoice_papers.state_of(_ROW)),
                (t("payment_link.from"), invoice_papers.party(_ROW, "seller")),
                (t("payment_link.to"), invoice_papers.party(_ROW, "buyer")),
                (t("invoices.label_date"), when(_ROW["label_date"], "date")),
                (t("invoices.due_date"), due),
                (t("invoices.total"), money(_ROW["total"], currency)),
                (t("payment_link.due"), money(_ROW["due"], currency)),
            )
        ),
        section(t("invoices.lines"), data_table(invoice_papers.LINES, _S.lines, zone="UTC")),
        rx.cond(_S.has_more, banner("info", t("payment_link.more")), rx.fragment()),
    )


def _top_up() -> rx.Component:
    return card(facts((t("payment_link.top_up"), _S.top_up)))


def _pay() -> rx.Component:
    failed = banner("warn", _S.payment["message"], title=t("payment_link.failed"))
    form = rest_form(
        "pay-by-link",
        rx.cond(_S.takes_play_money, banner("warn", t("payments.play_money")), rx.fragment()),
        radios("provider_account_id", t("payments.way"), _S.ways),
        form_foot(submit_button(t("payments.pay_amount"))),
        url=endpoints.PAY_BY_LINK,
        extra={"token": _S.token},
        on_done=_S.go_on,
    )
    bank = card(transfer_facts(_S.bank, _S.reference), title=t("payment_link.bank"))
    has_ways, has_bank = _S.ways.length() > 0, _S.bank.contains("account")
    nothing = empty_state(
        t("payment_link.nothing"), t("payment_link.nothing_text"), icon_name="receipt", level=2
    )
    return rx.fragment(
        rx.cond(_S.payment["state"] == States.FAILED.value, failed, rx.fragment()),
        rx.cond(has_ways, card(form, title=t("payment_link.pay")), rx.fragment()),
        rx.cond(has_bank, bank, rx.fragment()),
        rx.cond(has_ways | has_bank, rx.fragment(), nothing),
    )


def _waiting() -> rx.Component:
    """What whoever pays does next, or what we wait for, and giving it up."""
    state, url = _S.payment["state"], _S.payment["action_url"]
    again = rx.el.button(t("payments.refresh"), type="button", on_click=_S.load, class_name="button")
    go_on = rx.el.a(t("payments.go_on"), href=url, class_name="button primary")
    given_up = rest_form(
        "cancel-by-link",
        form_foot(submit_button(t("payments.cancel"), look="")),
        url=endpoints.CANCEL_BY_LINK,
        extra={"token": _S.token},
        done_text=t("payments.canceled"),
        on_done=_S.go_on,
    )
    on_chain = rx.fragment(
        chain_payment.waits(ON_CHAIN, again), chain_payment.asked(ON_CHAIN), chain_payment.came(ON_CHAIN)
    )
    at_provider = rx.match(
        state,
        (
            States.REQUIRES_ACTION.value,
            banner("warn", t("payments.waiting"), action=rx.cond(url != "", go_on, again)),
        ),
        (States.SENDING.value, banner("info", t("payments.sending"), action=again)),
        banner("info", t("payments.processing"), action=again),
    )
    words = rx.cond(_S.on_chain.contains("address"), on_chain, at_provider)
    return rx.fragment(words, rx.cond(state == States.PROCESSING.value, rx.fragment(), given_up))


@page("/pay/[token]", console=Console.PUBLIC, title="payment_link.title", on_load=_S.load, wide=True)
def pay() -> Drawn:
    """One invoice or top-up and how to pay it; nothing leads on from here into the product."""
    again = rx.el.button(t("payments.refresh"), type="button", on_click=_S.load, class_name="button")
    stage = rx.match(
        _S.stage,
        ("pay", _pay()),
        ("waiting", _waiting()),
        ("elsewhere", banner("info", t("payment_link.elsewhere"), action=again)),
        ("paid", banner("ok", t("payment_link.paid"))),
        ("withdrawn", banner("info", t("payment_link.withdrawn"))),
        ("void", banner("info", t("payment_link.void"))),
        banner("info", t("payment_link.uncollectible")),
    )
    until = rx.el.p(t("payment_link.until"), " ", when(_S.expires_at, "date"), class_name="muted small")
    ended = empty_state(t("payment_link.ended"), t("payment_link.ended_text"), icon_name="receipt")
    pdf = rx.cond(_S.has_pdf, file_link(t("invoices.pdf"), href=_S.pdf), rx.fragment())
    of_invoice = rx.cond(
        _ROW["number"], t("payment_link.of", number=_ROW["number"].to(str)), t("payment_link.title")
    )
    title = rx.cond(_IS_TOP_UP, t("payment_link.top_up"), of_invoice)
    return [
        page_header(title, pdf),
        in_its_state(
            _S,
            rx.cond(
                _S.stage == "ended",
                ended,
                rx.cond(
                    _IS_TOP_UP, rx.fragment(_top_up(), stage, until), rx.fragment(stage, _document(), until)
                ),
            ),
            loading=skeleton(lines=10, label=t("payment_link.loading")),
            retry=_S.load,
        ),
    ]
