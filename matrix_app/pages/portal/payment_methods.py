"""What the organisation pays with."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.badges import Status, status_badge
from components.feedback.states import banner, empty_state
from components.forms.fields import radios, text_field
from components.forms.form import rest_form, submit_button
from components.kit.overlays import MenuEntry, Trigger, dialog, dialog_close, dialog_foot, menu
from components.shell.page import page_header
from components.tables.listed import table_of
from components.tables.table import Column
from components.texts import t
from matrix_app.pages import endpoints, lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from services.core.permissions import Capability
from services.payments import queries
from services.payments.methods import NAME_CHARACTERS_MAX
from state.portal.payment_methods import HOME, PaymentMethodsState
from state.session import SessionState

Row = rx.Var[dict[str, Any]]
MAY_WRITE = SessionState.capabilities.contains(Capability.PAYMENTS_WRITE.value)
EXPIRY = {
    "good": Status("payment_methods.expiry.good", "ok"),
    "soon": Status("payment_methods.expiry.soon", "warn"),
    "over": Status("payment_methods.expiry.over", "danger"),
}
USE = {"default": Status("payment_methods.use.default", "info")}


def _expires(row: Row) -> rx.Component:
    shown = rx.el.span(row["expires"].to(str), " ", status_badge(row["expiry"], EXPIRY))
    return rx.cond(row["expires"], shown, rx.fragment("–"))


def _use(row: Row) -> rx.Component:
    return rx.cond(row["is_default"], status_badge(row["use"], USE), rx.fragment("–"))


METHODS = table_of(
    queries.METHODS,
    "payment-methods",
    Column("label", "payment_methods.label", row_header=True),
    Column("method", "payment_methods.method"),
    Column("account", "payment_methods.account"),
    Column("expires", "payment_methods.expires", draw=_expires),
    Column("use", "payment_methods.use", draw=_use),
    Column("created_at", "payment_methods.created_at", kind="date"),
    texts="payment_methods",
)


def _add() -> rx.Component:
    form = rest_form(
        "keep-payment-method",
        rx.cond(
            PaymentMethodsState.takes_play_money, banner("warn", t("payments.play_money")), rx.fragment()
        ),
        radios("provider_account_id", t("payment_methods.through"), PaymentMethodsState.ways),
        dialog_foot(dialog_close(), submit_button(t("payment_methods.go_on"))),
        url=endpoints.PAYMENT_METHOD_SETUPS,
        on_done=PaymentMethodsState.go_on,
    )
    none = rx.fragment(
        empty_state(t("payments.no_way"), t("payments.no_way_text"), icon_name="wallet", level=3),
        dialog_foot(dialog_close()),
    )
    opened = dialog(
        rx.cond(PaymentMethodsState.ways.length() > 0, form, none),
        title=t("payment_methods.add"),
        description=t("payment_methods.add_text"),
        trigger=Trigger(t("payment_methods.add"), "primary", "plus"),
        open=PaymentMethodsState.open_dialog == "add",
        on_open_change=lambda is_open: PaymentMethodsState.show("add", is_open),
    )
    return rx.cond(MAY_WRITE, opened, rx.fragment())


def _act(
    name: str, *fields: rx.Component, url: Any, method: Any, danger: bool = False, **more: Any
) -> rx.Component:
    label = PaymentMethodsState.chosen["label"].to(str)
    verb = submit_button(t(f"payment_methods.{name}"), look="primary danger" if danger else "primary")
    return dialog(
        rest_form(
            f"payment-method-{name}",
            *fields,
            dialog_foot(dialog_close(), verb),
            url=url,
            method=method,
            done_text=t(f"payment_methods.{name}_done"),
            on_done=PaymentMethodsState.changed,
            **more,
        ),
        title=t(f"payment_methods.{name}_title", name=label),
        description=t(f"payment_methods.{name}_text"),
        open=PaymentMethodsState.open_dialog == name,
        on_open_change=PaymentMethodsState.dismiss,
        size="small",
    )


def _dialogs() -> list[rx.Component]:
    chosen = PaymentMethodsState.chosen
    url = f"{endpoints.PAYMENT_METHODS}/{chosen['id'].to(str)}"
    named = text_field(
        "name",
        t("payment_methods.own_name"),
        value=chosen["name"],
        required=False,
        max_length=NAME_CHARACTERS_MAX,
        autocomplete="off",
    )
    version = {"version": chosen["version"].to(int), "on_take_theirs": PaymentMethodsState.changed}
    return [
        _act("name", named, url=url, method="PATCH", **version),
        _act("default", url=f"{url}/default", method="POST"),
        _act("remove", url=url, method="DELETE", danger=True),
    ]


def _actions(row: Row) -> rx.Component:
    def acts(*entries: MenuEntry) -> rx.Component:
        label = t("table.actions_of", row=row["label"].to(str))
        return menu(
            label, list(entries), on_action=lambda act: PaymentMethodsState.ask(row["id"].to(str), act)
        )

    name = MenuEntry("name", t("payment_methods.name"), "pencil")
    default = MenuEntry("default", t("payment_methods.default"), "check")
    remove = MenuEntry("remove", t("payment_methods.remove"), "ban", danger=True)
    return rx.cond(
        MAY_WRITE, rx.cond(row["is_default"], acts(name, remove), acts(name, default, remove)), rx.fragment()
    )


def _waiting() -> rx.Component:
    """What was begun at the provider and has not come to an end."""

    def one(row: Row) -> rx.Component:
        go_on = rx.el.a(
            t("payment_methods.waiting_go_on"), href=row["action_url"].to(str), class_name="button"
        )
        again = rx.el.button(
            t("payments.refresh"), type="button", on_click=PaymentMethodsState.load, class_name="button"
        )
        words = rx.cond(
            row["message"],
            row["message"].to(str),
            t("payment_methods.waiting", account=row["account"].to(str)),
        )
        return banner("info", words, action=rx.cond(row["action_url"], go_on, again))

    return rx.foreach(PaymentMethodsState.waiting, one)


@page(
    HOME,
    console=Console.PORTAL,
    title="payment_methods.title",
    needs=Capability.PAYMENTS_READ,
    on_load=PaymentMethodsState.load,
)
def payment_methods() -> Drawn:
    """Kept methods, the newest first; it is where a customer comes back to from the provider's page."""
    listed = lists.listing(
        PaymentMethodsState,
        METHODS,
        empty=empty_state(t("payment_methods.none"), t("payment_methods.none_text"), icon_name="credit-card"),
        actions=_actions,
    )
    return [
        page_header(t("payment_methods.title"), _add(), text=t("payment_methods.text")),
        in_its_state(PaymentMethodsState, rx.fragment(_waiting(), listed), retry=PaymentMethodsState.load),
        *_dialogs(),
    ]
