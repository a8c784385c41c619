"""Making a link to pay by, and taking links back: of an invoice on its page of either console, and of a top-up."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.forms.form import rest_form, submit_button
from components.kit.overlays import Trigger, dialog, dialog_close, dialog_foot
from components.secret import secret_dialog
from components.texts import t, texts_under
from models.billing import InvoiceState as States
from state.dialogs import DialogsState

Row = rx.Var[dict[str, Any]]


def payment_link(row: Row, invoices: str, *, may: rx.Var[bool], on_done: Any) -> rx.Component:
    """For the invoice `row`; `invoices` is the REST address of those it is one of."""
    acts = link_dialogs(f"{invoices}/{row['id'].to(str)}/payment-link", on_done=on_done)
    is_open = may & (row["state"] == States.FINALIZED.value)
    return rx.el.span(rx.cond(is_open, acts, rx.fragment()), class_name="no-print")


def link_dialogs(url: Any, *, on_done: Any, opened: type[DialogsState] | None = None) -> rx.Component:
    """Both dialogs, each with a button; or `opened` by a page's state, as `link` and `revoke`."""

    def by(name: str, trigger: Trigger) -> dict[str, Any]:
        if opened is None:
            return {"trigger": trigger}
        return {"open": opened.open_dialog == name, "on_open_change": opened.dismiss}

    shown = secret_dialog(
        "payment-link",
        title=t("payment_link.copy"),
        done_title=t("payment_link.made"),
        description=t("payment_link.copy_text"),
        submit_label=t("payment_link.make"),
        url=url,
        method="PUT",
        secret_path="url",  # noqa: S106 - the name of a field
        on_created=rx.noop(),
        words=texts_under("payment_link.secret"),
        **by("link", Trigger(t("payment_link.copy"), "", "copy")),
    )
    ended = dialog(
        rest_form(
            "revoke-payment-link",
            dialog_foot(dialog_close(), submit_button(t("payment_link.revoke"), look="primary danger")),
            url=url,
            method="DELETE",
            done_text=t("payment_link.revoked"),
            on_done=on_done,
        ),
        title=t("payment_link.revoke"),
        description=t("payment_link.revoke_text"),
        size="small",
        **by("revoke", Trigger(t("payment_link.revoke"), "quiet", "ban")),
    )
    return rx.fragment(shown, ended)
