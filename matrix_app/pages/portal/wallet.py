"""What is paid ahead."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.states import empty_state
from components.forms.fields import money_field
from components.forms.form import action_button, rest_form, submit_button
from components.kit.overlays import MenuEntry, dialog, dialog_close, dialog_foot, menu
from components.shell.page import page_header, section
from components.tables.filters import Filter
from components.tables.listed import table_of
from components.tables.table import Column, data_table
from components.texts import t, texts_under
from matrix_app.pages import endpoints, lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from services.core.permissions import Capability
from services.wallets import queries
from state.portal.wallet import WalletState
from state.session import SessionState

Row = rx.Var[dict[str, Any]]
MAY_WRITE = SessionState.capabilities.contains(Capability.WALLET_WRITE.value)


def _words(which: str) -> Any:
    return lambda row: rx.fragment(
        rx.match(row[which], *texts_under(f"wallets.{which}").items(), row[which].to(str))
    )


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
LOTS = table_of(
    queries.LOTS,
    "lots",
    Column("created_at", "wallets.created_at", kind="datetime", row_header=True),
    Column("source", "wallets.source", draw=_words("source")),
    "minor",
    "used_minor",
    "expired_minor",
    "left_minor",
    "expires_at",
    "priority",
    "note",
    texts="wallets",
    caption="wallets.lots",
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
    words = {which: texts_under(f"wallets.{which}") for which in ("source", "state")}
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
    content = lists.listing(
        WalletState,
        LOTS,
        [
            *(Filter(which, f"wallets.{which}", options=list(words[which].items())) for which in words),
            Filter("currency", "wallets.currency", "search"),
        ],
        empty=empty_state(t("wallets.none"), t("wallets.none_text"), icon_name="inbox"),
        names={"state": t("wallets.state"), "currency": t("wallets.currency")},
        values={f"{which}:{name}": said for which in words for name, said in words[which].items()},
        between=balance,
    )
    return [
        page_header(t("wallets.title"), lists.export(WalletState), text=t("wallets.text")),
        in_its_state(WalletState, content, retry=WalletState.load),
        _rule_dialog(),
        _remove_dialog(),
    ]
