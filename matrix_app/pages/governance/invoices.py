"""Invoices of all organisations, and what staff does to one."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.figures import facts
from components.feedback.states import banner
from components.format.values import money
from components.forms.fields import checkbox, money_field, select, text_field
from components.forms.form import rest_form, submit_button
from components.kit.overlays import (
    MenuEntry,
    Trigger,
    dialog,
    dialog_close,
    dialog_foot,
    icon_button,
    menu,
)
from components.links import button_link
from components.links import link as to_page
from components.live.figures import live_refresh
from components.props import Drawn as Part
from components.shell.page import section
from components.tables.table import data_table
from components.texts import t
from matrix_app.pages import contest_lists, endpoints, invoice_papers
from matrix_app.pages.governance.customer_field import customer_field
from matrix_app.pages.governance.payments import on_the_statement
from matrix_app.pages.payment_link_acts import payment_link
from matrix_app.pages.registry import Console, Drawn, page
from models.billing import InvoiceState as States
from services.billing.invoices import DESCRIPTION_CHARACTERS_MAX, MEMO_CHARACTERS_MAX
from services.core.permissions import Capability
from state.governance.disputes import CONTESTS
from state.governance.invoices import HOME, NewInvoiceState, StaffInvoicesState, StaffInvoiceState
from state.session import SessionState

MAY_WRITE = SessionState.capabilities.contains(Capability.STAFF_INVOICES_WRITE.value)
MAY_RECORD = SessionState.capabilities.contains(Capability.STAFF_PAYMENTS_WRITE.value)
_S = StaffInvoiceState
FOLLOWED_MS = 5_000  # seldom: it is told of any change to any invoice
_ROW = StaffInvoiceState.invoice
_URL = f"{endpoints.STAFF_INVOICES}/{_ROW['id'].to(str)}"


def _begin() -> rx.Component:
    begin = dialog(
        rest_form(
            "new-invoice",
            customer_field(),
            select(
                "brand_id",
                t("invoices.brand_id"),
                NewInvoiceState.brands.to(list[dict[str, str]]),
                hint=t("invoices.brand_id_hint"),
                value="",
                required=False,
            ),
            text_field(
                "currency",
                t("invoices.currency"),
                hint=t("invoices.currency_hint"),
                required=False,
                max_length=3,
                pattern="[A-Z]{3}",
                autocomplete="off",
            ),
            text_field(
                "memo",
                t("invoices.memo"),
                required=False,
                max_length=MEMO_CHARACTERS_MAX,
                autocomplete="off",
            ),
            dialog_foot(dialog_close(), submit_button(t("invoices.create"))),
            url=endpoints.STAFF_INVOICES,
            done_text=t("invoices.created"),
            on_done=NewInvoiceState.changed,
        ),
        title=t("invoices.create"),
        description=t("invoices.create_text"),
        trigger=Trigger(t("invoices.create"), "primary", "plus"),
        open=NewInvoiceState.asking,
        on_open_change=NewInvoiceState.ask,
    )
    return rx.cond(MAY_WRITE, begin, rx.fragment())


def _act(
    name: str,
    url: Any,
    done: str,
    *fields: Part,
    danger: bool = False,
    text: str = "",
    extra: dict[str, Any] | None = None,
) -> rx.Component:
    """The dialog that asks about one act, and sends it."""
    verb = submit_button(t(f"invoices.{name}"), look="primary danger" if danger else "primary")
    return dialog(
        rest_form(
            f"invoice-{name.replace('_', '-')}",
            *fields,
            dialog_foot(dialog_close(), verb),
            url=url,
            done_text=t(f"invoices.{done}"),
            on_done=_S.changed,
            extra=extra,
        ),
        title=t(f"invoices.{name}"),
        description=t(f"invoices.{text}") if text else None,
        open=_S.asking == name,
        on_open_change=_S.dismiss,
    )


def _reason() -> rx.Component:
    return text_field(
        "reason", t("invoices.reason"), max_length=DESCRIPTION_CHARACTERS_MAX, autocomplete="off"
    )


def _dialogs() -> list[rx.Component]:
    currency = _ROW["currency"].to(str)
    return [
        _add_line(),
        _remove_line(),
        _act("finalize", f"{_URL}/finalize", "finalized", _foreseen(), text="finalize_text"),
        _act("void", f"{_URL}/void", "voided", _reason(), danger=True, text="void_text"),
        _act("uncollectible", f"{_URL}/uncollectible", "given_up", danger=True, text="uncollectible_text"),
        _act("credits", f"{_URL}/pay-by-credits", "credits_used", text="credits_text"),
        _act(
            "transfer",
            endpoints.STAFF_TRANSFERS,
            "transfer_done",
            money_field("amount", t("payments.amount"), currency=currency, value=_ROW["due"]),
            *on_the_statement(),
            text="transfer_text",
            extra={
                "organization_id": _ROW["organization_id"],
                "invoice_id": _ROW["id"],
                "currency": currency,
            },
        ),
    ]


def _foreseen() -> rx.Component:
    """The tax and the sums of a draft, as they would be."""
    seen = _S.foreseen
    sums = facts(
        *(
            (t(f"invoices.{name}"), money(seen[name], seen["currency"].to(str)))
            for name in ("net", "tax", "total", "paid", "due")
        )
    )
    shown = rx.el.div(
        data_table(invoice_papers.TAXES, _S.foreseen_taxes, phone="cards"), sums, class_name="stack"
    )
    return rx.fragment(
        rx.cond(_S.refusal, banner("warn", _S.refusal), rx.fragment()),
        rx.cond(seen.contains("total"), shown, rx.fragment()),
    )


def _draft() -> rx.Component:
    """What the draft would come to now, below its lines, unless the dialog says it."""
    known = (_S.foreseen.contains("total") | (_S.refusal != "")) & (_S.asking != "finalize")
    text = rx.el.p(t("invoices.foreseen_text"), class_name="muted")
    return rx.cond(known, section(t("invoices.foreseen"), text, _foreseen()), rx.fragment())


def _add_line() -> rx.Component:
    decimal = r"\d{1,15}(\.\d{1,12})?"
    return _act(
        "add_line",
        f"{_URL}/lines",
        "line_added",
        text_field(
            "description",
            t("invoices.description"),
            max_length=DESCRIPTION_CHARACTERS_MAX,
            autocomplete="off",
        ),
        text_field("quantity", t("invoices.quantity"), value="1", pattern=decimal, autocomplete="off"),
        text_field("unit_amount", t("invoices.unit_amount"), pattern=decimal, autocomplete="off"),
        checkbox("inclusive", t("invoices.inclusive")),
        text_field(
            "period_start",
            t("invoices.period_start"),
            kind="datetime-local",
            hint=t("invoices.period_hint"),
            required=False,
        ),
        text_field("period_end", t("invoices.period_end"), kind="datetime-local", required=False),
    )


def _remove_line() -> rx.Component:
    return dialog(
        rest_form(
            "invoice-remove-line",
            dialog_foot(dialog_close(), submit_button(t("invoices.remove_verb"), look="primary danger")),
            url=f"{_URL}/lines/{_S.removing}",
            method="DELETE",
            done_text=t("invoices.removed"),
            on_done=_S.changed,
        ),
        title=t("invoices.remove_title"),
        open=_S.removing != "",
        on_open_change=_S.dismiss,
        size="small",
    )


def _acts() -> rx.Component:
    def acts(*names: tuple[str, str, bool]) -> rx.Component:
        entries = [
            MenuEntry(name, t(f"invoices.{name}"), symbol, danger=danger) for name, symbol, danger in names
        ]
        return menu(t("invoices.acts"), entries, on_action=_S.ask, show_label=True, look="")

    credits_ = ("credits", "wallet", False)
    give_up = (("void", "ban", True), ("uncollectible", "circle-alert", True))
    transfer = ("transfer", "wallet", False)
    offered = rx.match(
        _ROW["state"],
        (
            States.DRAFT.value,
            acts(("add_line", "plus", False), ("finalize", "check", False), ("void", "ban", True)),
        ),
        (
            States.FINALIZED.value,
            rx.cond(MAY_RECORD, acts(transfer, credits_, *give_up), acts(credits_, *give_up)),
        ),
        rx.fragment(),
    )
    credit = button_link(
        t("invoices.credit"), href=f"{HOME}/{_ROW['id'].to(str)}/credit", icon_name="rotate-ccw"
    )
    stands = rx.match(_ROW["state"], *[(one.value, True) for one in (States.FINALIZED, States.PAID)], False)
    acting = rx.fragment(rx.cond(stands.to(bool), credit, rx.fragment()), offered, *_dialogs())
    return rx.el.div(rx.cond(MAY_WRITE, acting, rx.fragment()), class_name="row no-print")


def _of_line(row: rx.Var[dict[str, Any]]) -> rx.Component:
    remove = icon_button(
        t("invoices.remove", line=row["description"].to(str)), "x", on_press=_S.ask_remove(row["id"].to(str))
    )
    return rx.cond(MAY_WRITE & (_ROW["state"] == States.DRAFT.value), remove, rx.fragment())


def _again() -> rx.Component:
    retry = rest_form(
        "paper-retry",
        submit_button(t("invoices.files_retry"), look=""),
        url=f"{endpoints.STAFF_PAPERS}/{_ROW['id'].to(str)}/retry",
        done_text=t("invoices.files_retried"),
        on_done=_S.changed,
    )
    return rx.cond(MAY_WRITE, retry, rx.fragment())


@page(
    "/governance/invoices",
    console=Console.GOVERNANCE,
    title="invoices.title",
    needs=Capability.STAFF_INVOICES_READ,
    on_load=StaffInvoicesState.load,
)
def staff_invoices() -> Drawn:
    """All invoices of the installation."""
    return invoice_papers.invoices(StaffInvoicesState, staff=True, begin=_begin())


@page(
    "/governance/invoices/[invoice_id]",
    console=Console.GOVERNANCE,
    title="invoices.invoice",
    needs=Capability.STAFF_INVOICES_READ,
    on_load=StaffInvoiceState.load,
)
def staff_invoice() -> Drawn:
    """One invoice with what can be done to it."""
    may_link = SessionState.capabilities.contains(Capability.STAFF_PAYMENTS_WRITE.value)
    link = payment_link(_ROW, endpoints.STAFF_INVOICES, may=may_link, on_done=_S.changed)
    acts = rx.fragment(_acts(), link)
    # What is contested is answered in the list of all.
    answer = rx.cond(
        _S.contests.length() > 0, rx.el.p(to_page(t("contests.to_all"), href=CONTESTS)), rx.fragment()
    )
    follow = live_refresh(
        "staff.invoices", path="changed", since=_S.read_at, on_change=_S.follow, longest_wait_ms=FOLLOWED_MS
    )
    return invoice_papers.invoice(
        StaffInvoiceState,
        HOME,
        staff=True,
        acts=acts,
        of_line=_of_line,
        again=_again(),
        foreseen=_draft(),
        below=rx.fragment(contest_lists.of_invoice(_S.contests), answer, follow),
    )
