"""The dialog by which a customer pays something that is due, at once or by transfer."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.states import banner, empty_state
from components.forms.fields import checkbox, radios
from components.forms.form import form_foot, rest_form, submit_button
from components.kit.overlays import dialog, dialog_close, dialog_foot
from components.props import Text
from components.texts import t
from matrix_app.pages.bank_details import transfer_facts
from matrix_app.pages.terms_line import terms_line
from models.terms import Occasion
from state.paying import Paying


def pay_dialog(
    state: type[Paying], what: str, *, url: Any, reference: rx.Var[Any], title: Text, **opened: Any
) -> rx.Component:
    """`what` ends the names of its forms, `url` is the REST address that payments are sent to, and `reference` what a
    transfer says; `opened` is a trigger, or what opens the dialog otherwise."""
    kept = rest_form(
        "pay-by-kept",
        radios("payment_method_id", t("payments.kept"), state.kept, value=state.kept[0]["id"]),
        form_foot(submit_button(t("payments.pay_at_once"))),
        url=url,
        on_done=state.go_on,
    )
    form = rest_form(
        f"pay-{what}",
        rx.cond(state.takes_play_money, banner("warn", t("payments.play_money")), rx.fragment()),
        radios("provider_account_id", t("payments.way"), state.ways),
        checkbox("keep_method", t("payments.keep")),
        dialog_foot(dialog_close(), submit_button(t("payments.pay_amount"), look="")),
        url=url,
        on_done=state.go_on,
    )
    has_kept = state.kept.length() > 0
    transfer = rx.fragment(rx.el.h3(t("payment_link.bank")), transfer_facts(state.bank, reference))
    none = rx.fragment(
        empty_state(t("payments.no_way"), t("payments.no_way_text"), icon_name="wallet", level=3),
        dialog_foot(dialog_close()),
    )
    return dialog(
        terms_line(state.terms, Occasion.PAYING),
        rx.cond(has_kept, rx.fragment(kept, rx.el.h3(t("payments.another_way"))), rx.fragment()),
        rx.cond(state.ways.length() > 0, form, none),
        rx.cond(state.bank.contains("account"), transfer, rx.fragment()),
        title=title,
        description=t("payments.pay_text"),
        **opened,
    )
