"""What is paid ahead."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.states import empty_state
from components.shell.page import page_header, section
from components.tables.filters import Filter
from components.tables.listed import table_of
from components.tables.table import Column, data_table
from components.texts import t, texts_under
from matrix_app.pages import lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from services.core.permissions import Capability
from services.wallets import queries
from state.portal.wallet import WalletState

Row = rx.Var[dict[str, Any]]


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
        ),
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
    ]
