"""Contesting an invoice on its page, and what became of it."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.forms.fields import money_field, select, text_area
from components.forms.form import rest_form, submit_button
from components.kit.overlays import Trigger, dialog, dialog_close, dialog_foot
from components.props import Row
from components.texts import t
from matrix_app.pages import contest_lists, endpoints
from matrix_app.pages.portal.payments import MAY_PAY
from models.disputes import ContestState as States
from services.disputes.contests import TEXT_CHARACTERS_MAX
from state.portal.invoices import InvoiceState

_S = InvoiceState


def contest_invoice() -> rx.Component:
    """The way to say that an invoice, or a line of it, is wrong."""
    row = _S.invoice
    whole: Any = rx.Var.create([{"id": "", "label": t("contests.whole")}])
    whole_or_line = whole + _S.contestable
    form = rest_form(
        "contest-invoice",
        select("line_id", t("contests.line"), whole_or_line, required=False),
        money_field(
            "amount",
            t("contests.amount"),
            currency=row["currency"].to(str),
            hint=t("contests.amount_hint"),
            required=False,
        ),
        text_area("reason", t("contests.reason"), max_length=TEXT_CHARACTERS_MAX),
        dialog_foot(dialog_close(), submit_button(t("contests.contest"))),
        url=f"{endpoints.INVOICES}/{row['id'].to(str)}/contests",
        done_text=t("contests.contested"),
        on_done=_S.changed,
    )
    opened = dialog(
        form,
        title=t("contests.contest"),
        description=t("contests.contest_text"),
        trigger=Trigger(t("contests.contest"), "", "triangle-alert"),
    )
    return rx.el.span(rx.cond(_S.may_contest, opened, rx.fragment()), class_name="no-print")


def _withdraw(row: Row) -> rx.Component:
    taken_back = dialog(
        rest_form(
            "withdraw-contest",
            dialog_foot(dialog_close(), submit_button(t("contests.withdraw"), look="primary danger")),
            url=f"{endpoints.CONTESTS}/{row['id'].to(str)}/withdraw",
            done_text=t("contests.withdrawn"),
            on_done=_S.changed,
        ),
        title=t("contests.withdraw"),
        description=t("contests.withdraw_text"),
        trigger=Trigger(t("contests.withdraw"), "quiet compact", "x"),
        size="small",
    )
    may = (row["state"] == States.OPEN.value) & MAY_PAY
    return rx.el.span(rx.cond(may, taken_back, rx.fragment()), class_name="no-print")


def contests_of_invoice() -> rx.Component:
    """What was contested of it; nothing where nothing was."""
    return contest_lists.of_invoice(_S.contests, actions=_withdraw)
