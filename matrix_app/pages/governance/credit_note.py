"""A credit note before it is issued: what is taken back, line by line, beside what was asked for."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.figures import fact
from components.feedback.states import banner, empty_state, skeleton
from components.format.values import money
from components.forms.fields import Option, money_field, radios, text_field
from components.forms.form import form, form_foot, rest_form, submit_button
from components.icons import icon
from components.links import link
from components.shell.page import card, page_header
from components.texts import t
from matrix_app.pages import endpoints
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from services.billing.invoices import DESCRIPTION_CHARACTERS_MAX
from services.core.permissions import Capability
from state.governance.credit_note import PART, CreditNoteState

_S = CreditNoteState
_ROW = CreditNoteState.invoice
_CODE = _ROW["currency"].to(str)
WAYS = ("all", "amount", "lines")


def _part(line: Any) -> rx.Component:
    """How much of a line; left empty it is left alone."""
    return rx.fragment(
        money_field(
            PART + line["id"].to(str),
            line["description"].to(str),
            currency=_CODE,
            hint=t("credit.left_of_line", amount=line["left_said"].to(str)),
            required=False,
        ),
        key=line["id"].to(str),
    )


def _asked() -> rx.Component:
    """All that is left, an amount, or parts of lines."""
    ways = radios(
        "way",
        t("credit.way"),
        [Option(one, t(f"credit.way_of.{one}")) for one in WAYS],
        value="all",
        on_change=lambda way: _S.choose(way.to(str)),
    )
    amount = money_field("amount", t("credit.amount"), currency=_CODE, hint=t("credit.amount_hint"))
    fields = rx.match(
        _S.way,
        ("amount", amount),
        ("lines", rx.fragment(rx.foreach(_S.lines, _part))),
        rx.fragment(),
    )
    look = rx.cond(
        _S.way == "all",
        rx.fragment(),
        form_foot(submit_button(t("credit.look"), look="")),
    )
    return card(
        form("credit-asked", ways, fields, look, on_submit=_S.weigh, on_settled=_S.weigh, seen=_S.weighed)
    )


def _taken(line: Any) -> rx.Component:
    shown = rx.el.li(
        rx.el.div(
            rx.el.span(line["description"].to(str)),
            rx.el.span(money(line["net"], _CODE), class_name="num"),
            class_name="bill-line",
        ),
        rx.el.p(t("choose.tax"), " ", money(line["tax"], _CODE), class_name="small muted"),
        key=line["id"].to(str),
    )
    return rx.cond((line["net"] != "0") | (line["tax"] != "0"), shown, rx.fragment())


def _bill() -> rx.Component:
    seen = _S.preview

    def sum_of(name: str) -> rx.Component:
        return fact(t(f"credit.{name}"), money(seen[name], _CODE))

    issue = rest_form(
        "credit-note",
        text_field(
            "reason",
            t("invoices.reason"),
            hint=t("credit.reason_hint"),
            max_length=DESCRIPTION_CHARACTERS_MAX,
            autocomplete="off",
        ),
        form_foot(submit_button(t("credit.issue", amount=seen["said"].to(str)), agrees=True)),
        url=f"{endpoints.STAFF_INVOICES}/{_ROW['id'].to(str)}/credit-notes",
        extra={"amount": _S.asked["amount"], "by_line": _S.asked["by_line"]},
        done_text=t("invoices.credited_done"),
        on_done=_S.issued,
    )
    shown = rx.fragment(
        rx.el.ul(rx.foreach(_S.taken, _taken), class_name="plain-list bill"),
        rx.el.dl(
            *(sum_of(name) for name in ("net", "tax", "total", "offset", "kept")),
            class_name="facts bill-sums",
        ),
        issue,
    )
    nothing = rx.cond(
        _S.refusal, banner("warn", _S.refusal), rx.el.p(t("credit.say_what"), class_name="muted")
    )
    return rx.el.section(
        rx.el.h2(icon("receipt", size=20), t("credit.taken_back")),
        rx.el.div(rx.cond(seen.contains("total"), shown, nothing), aria_live="polite", class_name="stack"),
        class_name="card bill-card",
    )


@page(
    "/governance/invoices/[invoice_id]/credit",
    console=Console.GOVERNANCE,
    title="credit.title",
    needs=Capability.STAFF_INVOICES_WRITE,
    on_load=CreditNoteState.load,
)
def credit_note() -> Drawn:
    """What a credit note would take back, before it has its number."""
    name = _ROW["name"].to(str)
    nothing = empty_state(t("credit.none"), _S.refusal, icon_name="receipt")
    content = rx.cond(_S.lines.length() > 0, rx.el.div(_asked(), _bill(), class_name="checkout"), nothing)
    return [
        rx.el.p(link(t("credit.back"), href=_ROW["href"].to(str)), class_name="back-link"),
        page_header(rx.cond(name, t("credit.of", number=name), t("credit.title")), text=t("credit.text")),
        in_its_state(_S, content, loading=skeleton(lines=8, label=t("invoices.loading")), retry=_S.load),
    ]
