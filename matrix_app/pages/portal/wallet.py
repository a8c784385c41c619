"""What is paid ahead."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.states import banner, empty_state
from components.forms.fields import money_field
from components.forms.form import action_button, rest_form, submit_button
from components.kit.overlays import MenuEntry, Trigger, dialog, dialog_close, dialog_foot, menu
from components.links import link
from components.shell.page import page_header, section
from components.tables.listed import table_of
from components.tables.table import Column, data_table
from components.texts import t
from matrix_app.pages import endpoints, lists, wallet_lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.paying import pay_dialog
from matrix_app.pages.payment_link_acts import link_dialogs
from matrix_app.pages.registry import Console, Drawn, page
from models.wallets import TopUpState
from services.core.permissions import Capability
from services.wallets import queries
from state.portal.invoices import InvoiceState
from state.portal.wallet import HOME, WalletDebitsState, WalletState, WalletTopUpsState, WalletUsesState
from state.session import SessionState

Row = rx.Var[dict[str, Any]]
MAY_PAY = SessionState.capabilities.contains(Capability.PAYMENTS_WRITE.value)
MAY_WRITE = SessionState.capabilities.contains(Capability.WALLET_WRITE.value)


BALANCES = table_of(
    queries.WALLETS,
    "wallets",
    Column("currency", "wallets.currency", row_header=True),
    "left_minor",
    "inbound_minor",
    "outbound_minor",
    "breakage_minor",
    "threshold_minor",
    "refill_minor",
    "ceiling_minor",
    texts="wallets",
    caption="wallets.balance",
)


def _rule_dialog() -> rx.Component:
    """Below what to ask for how much, and for how much at most in a month."""
    chosen = WalletState.chosen
    currency = chosen["currency"].to(str)
    return dialog(
        rest_form(
            "top-up-rule",
            *(
                money_field(
                    name,
                    t(f"wallets.{name}"),
                    currency=currency,
                    hint=t(f"wallets.{name}_hint"),
                    value=chosen[f"{name}_minor"].to(str),
                )
                for name in ("threshold", "refill", "ceiling")
            ),
            dialog_foot(dialog_close(), submit_button(t("wallets.save_rule"))),
            url=f"{endpoints.WALLETS}/{currency}/top-up-rule",
            method="PUT",
            version=chosen["version"].to(int),
            names={name: f"{name}_minor" for name in ("threshold", "refill", "ceiling")},
            on_take_theirs=WalletState.changed,
            done_text=t("wallets.rule_saved"),
            on_done=WalletState.changed,
        ),
        title=t("wallets.rule_of", currency=currency),
        description=t("wallets.rule_text"),
        open=WalletState.open_dialog == "rule",
        on_open_change=WalletState.dismiss,
    )


def _remove_dialog() -> rx.Component:
    currency = WalletState.chosen["currency"].to(str)
    return dialog(
        rest_form(
            "remove-top-up-rule",
            dialog_foot(dialog_close(), submit_button(t("wallets.remove_rule"), look="primary danger")),
            url=f"{endpoints.WALLETS}/{currency}/top-up-rule",
            method="DELETE",
            done_text=t("wallets.rule_removed"),
            on_done=WalletState.changed,
        ),
        title=t("wallets.remove_rule_of", currency=currency),
        description=t("wallets.remove_rule_text"),
        open=WalletState.open_dialog == "remove",
        on_open_change=WalletState.dismiss,
        size="small",
    )


def _rule_actions(row: Row) -> rx.Component:
    currency = row["currency"].to(str)
    change = MenuEntry("rule", t("wallets.set_rule"), "pencil")
    remove = MenuEntry("remove", t("wallets.remove_rule"), "ban", danger=True)

    def acts(*entries: MenuEntry) -> rx.Component:
        return menu(
            t("table.actions_of", row=currency),
            list(entries),
            on_action=lambda act: WalletState.ask_rule(currency, act),
        )

    return rx.cond(
        MAY_WRITE, rx.cond(row["threshold_minor"], acts(change, remove), acts(change)), rx.fragment()
    )


def pay_from_wallet() -> rx.Component:
    """The way to pay an invoice that is due from the wallet, as far as it goes."""
    row, found = InvoiceState.invoice, InvoiceState.wallet
    pays, due = found["pays"].to(str), found["due"].to(str)
    opened = dialog(
        rx.el.p(
            rx.cond(
                found["due"],
                t("wallets.pays_a_part", amount=pays, due=due),
                t("wallets.pays_all", amount=pays),
            )
        ),
        rest_form(
            "pay-from-wallet",
            dialog_foot(dialog_close(), submit_button(t("wallets.pay", amount=pays))),
            url=f"{endpoints.INVOICES}/{row['id'].to(str)}/pay-from-wallet",
            done_text=t("wallets.paid"),
            on_done=InvoiceState.changed,
        ),
        title=t("wallets.pay_of", number=row["name"].to(str)),
        trigger=Trigger(t("wallets.pay_from"), "", "wallet"),
        size="small",
    )
    return rx.el.span(rx.cond(found["pays"], opened, rx.fragment()), class_name="no-print")


def _set_rule() -> rx.Component:
    begin = action_button(t("wallets.set_rule"), on_press=WalletState.ask_rule("", "rule"), icon="plus")
    return rx.cond(MAY_WRITE & WalletState.may_begin, begin, rx.fragment())


@page(
    "/portal/wallet",
    console=Console.PORTAL,
    title="wallets.title",
    needs=Capability.WALLET_READ,
    on_load=WalletState.load,
)
def wallet() -> Drawn:
    """The balance of each wallet, and the lots that came in."""
    balance = section(
        t("wallets.balance"),
        rx.el.p(t("wallets.balance_text"), class_name="small muted"),
        data_table(
            BALANCES,
            WalletState.balances,
            status=WalletState.status,
            empty=empty_state(
                t("wallets.no_balance"), t("wallets.no_balance_text"), icon_name="wallet", level=3
            ),
            actions=_rule_actions,
        ),
        actions=[_set_rule()],
    )
    lots = section(
        t("wallets.lots"),
        lists.listing(
            WalletState,
            wallet_lists.LOTS[HOME],
            wallet_lists.lot_filters(),
            empty=empty_state(t("wallets.none"), t("wallets.none_text"), icon_name="inbox", level=3),
            names={"state": t("wallets.state"), "currency": t("wallets.currency")},
            values=wallet_lists.values_of("source", "state"),
        ),
    )
    due = banner(
        "info",
        t("wallets.due", amount=WalletState.due),
        action=link(t("wallets.see_due"), href=f"{HOME}/top-ups?state={TopUpState.DUE.value}"),
    )
    content = rx.el.div(
        rx.cond(WalletState.due, due, rx.fragment()), balance, lots, class_name="stack stack-32"
    )
    return [
        page_header(t("wallets.title"), lists.export(WalletState), text=t("wallets.text")),
        wallet_lists.tabs(HOME),
        in_its_state(WalletState, content, retry=WalletState.load),
        _rule_dialog(),
        _remove_dialog(),
        wallet_lists.follows(WalletState, HOME),
    ]


@page(
    "/portal/wallet/debits",
    console=Console.PORTAL,
    title="wallets.debits_title",
    needs=Capability.WALLET_READ,
    on_load=WalletDebitsState.load,
)
def wallet_debits() -> Drawn:
    """What was taken, and what it paid for."""
    return wallet_lists.debits(WalletDebitsState, HOME)


@page(
    "/portal/wallet/uses",
    console=Console.PORTAL,
    title="wallets.uses_title",
    needs=Capability.WALLET_READ,
    on_load=WalletUsesState.load,
)
def wallet_uses() -> Drawn:
    """What each lot paid for."""
    return wallet_lists.uses(WalletUsesState, HOME)


def _of_top_up(row: Row) -> rx.Component:
    is_due = MAY_PAY & (row["state"] == TopUpState.DUE.value)
    top_up_id = row["id"].to(str)
    press = action_button(t("payments.pay"), on_press=WalletTopUpsState.pay_now(top_up_id), look="compact")
    links = menu(
        t("table.actions_of", row=row["minor"].to(str)),
        [
            MenuEntry("link", t("payment_link.copy"), "copy"),
            MenuEntry("revoke", t("payment_link.revoke"), "ban", danger=True),
        ],
        on_action=lambda act: WalletTopUpsState.ask(top_up_id, act),
    )
    return rx.cond(is_due, rx.fragment(press, links), rx.fragment())


def _pay_top_up() -> rx.Component:
    """How a top-up is paid, and links to pay it by."""
    top_up_id = WalletTopUpsState.chosen["id"].to(str)
    paid = pay_dialog(
        WalletTopUpsState,
        "top-up",
        url=f"{endpoints.TOP_UPS}/{top_up_id}/payments",
        reference=WalletTopUpsState.chosen["id"],
        title=t("wallets.top_up_of", amount=WalletTopUpsState.asked),
        open=WalletTopUpsState.open_dialog == "pay",
        on_open_change=WalletTopUpsState.dismiss,
    )
    links = link_dialogs(
        f"{endpoints.TOP_UPS}/{top_up_id}/payment-link",
        on_done=WalletTopUpsState.changed,
        opened=WalletTopUpsState,
    )
    return rx.fragment(paid, links)


@page(
    "/portal/wallet/top-ups",
    console=Console.PORTAL,
    title="wallets.top_ups_title",
    needs=Capability.WALLET_READ,
    on_load=WalletTopUpsState.load,
)
def wallet_top_ups() -> Drawn:
    """What the rule asked for, and how to pay what is due."""
    return [*wallet_lists.top_ups(WalletTopUpsState, HOME, actions=_of_top_up), _pay_top_up()]
