"""What coins cost: what counts now, what did, and saying it anew."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.badges import Status
from components.feedback.states import empty_state
from components.format.values import price
from components.forms.fields import number_field, select, text_field
from components.forms.form import action_button, rest_form, submit_button
from components.kit.overlays import dialog, dialog_close, dialog_foot, icon_button
from components.links import button_link
from components.shell.page import page_header
from components.tables.filters import Filter
from components.tables.listed import table_of
from components.tables.table import Column
from components.texts import t
from matrix_app.pages import endpoints, lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from services.core.permissions import Capability
from services.crypto import rates
from state.governance.crypto_rates import CryptoRatesState
from state.session import SessionState

Row = rx.Var[dict[str, Any]]
_R = CryptoRatesState
MAY_WRITE = SessionState.capabilities.contains(Capability.STAFF_PAYMENTS_WRITE.value)
VALID_MINUTES = 60  # what the form begins with
STATES = {
    "counts": Status("crypto_rates.state_of.counts", "ok", "check"),
    "replaced": Status("crypto_rates.state_of.replaced", "neutral", "rotate-ccw"),
    "ended": Status("crypto_rates.state_of.ended", "neutral", "hourglass"),
}
RATES = table_of(
    rates.STAFF_RATES,
    "crypto-rates",
    Column("name", "crypto_rates.name", row_header=True),
    Column(
        "price",
        "crypto_rates.price",
        brief=True,
        draw=lambda row: price(row["price"], row["currency"].to(str)),
    ),
    Column("state", "crypto_rates.state", kind="badge", statuses=STATES, brief=True),
    Column("valid_until", "crypto_rates.valid_until", kind="datetime"),
    "account",
    "source",
    Column("author", "crypto_rates.author"),
    Column("created_at", "crypto_rates.created_at", kind="datetime"),
    texts="crypto_rates",
)


def _say() -> rx.Component:
    return dialog(
        rest_form(
            "say-crypto-rate",
            rx.el.div(
                select(
                    "provider_account_id",
                    t("crypto_rates.account"),
                    _R.accounts,
                    value=_R.begun["provider_account_id"],
                ),
                select("asset", t("crypto_rates.asset"), _R.assets, value=_R.begun["asset"]),
                class_name="field-pair",
            ),
            rx.el.div(
                text_field(
                    "price",
                    t("crypto_rates.price"),
                    hint=t("crypto_rates.price_hint"),
                    pattern=r"\d{1,16}(\.\d{1,12})?",
                    value=_R.begun["price"],
                    autocomplete="off",
                ),
                text_field(
                    "currency",
                    t("crypto_rates.currency"),
                    hint=t("crypto_rates.currency_hint"),
                    max_length=3,
                    pattern="[A-Z]{3}",
                    value=_R.begun["currency"],
                    autocomplete="off",
                ),
                class_name="field-pair",
            ),
            number_field(
                "valid_minutes",
                t("crypto_rates.valid_minutes"),
                hint=t("crypto_rates.valid_minutes_hint"),
                value=VALID_MINUTES,
                min=1,
                max=rates.VALID_MINUTES_MAX,
                step=1,
            ),
            text_field(
                "source",
                t("crypto_rates.source"),
                hint=t("crypto_rates.source_hint"),
                max_length=rates.SOURCE_CHARACTERS_MAX,
                value=_R.begun["source"],
                autocomplete="off",
            ),
            dialog_foot(dialog_close(), submit_button(t("crypto_rates.say"))),
            url=endpoints.STAFF_CRYPTO_RATES,
            done_text=t("crypto_rates.said"),
            on_done=_R.changed,
        ),
        title=t("crypto_rates.say"),
        description=t("crypto_rates.say_text"),
        open=_R.open_dialog == "say",
        on_open_change=_R.dismiss,
    )


def _again(row: Row) -> rx.Component:
    name = t("crypto_rates.again", name=row["name"].to(str))
    again = icon_button(name, "refresh-cw", on_press=_R.begin(row["id"].to(str)))
    return rx.cond(MAY_WRITE, again, rx.fragment())


@page(
    "/governance/crypto-rates",
    console=Console.GOVERNANCE,
    title="crypto_rates.title",
    needs=Capability.STAFF_PAYMENTS_READ,
    on_load=CryptoRatesState.load,
)
def crypto_rates() -> Drawn:
    """All rates, the newest first."""
    states = [(name, t(look.text)) for name, look in STATES.items()]
    say = action_button(t("crypto_rates.say"), on_press=_R.begin(""), look="primary", icon="plus")
    has_accounts = _R.accounts.length() > 0
    add_account = button_link(t("crypto_rates.to_accounts"), href="/governance/provider-accounts")
    empty = rx.cond(
        has_accounts,
        empty_state(
            t("crypto_rates.none"),
            t("crypto_rates.none_text"),
            action=rx.cond(MAY_WRITE, say, rx.fragment()),
            icon_name="tags",
        ),
        empty_state(
            t("crypto_rates.no_account"),
            t("crypto_rates.no_account_text"),
            action=add_account,
            icon_name="webhook",
        ),
    )
    content = lists.listing(
        CryptoRatesState,
        RATES,
        [
            Filter("state", "crypto_rates.state", options=states),
            Filter("asset", "crypto_rates.asset", "search"),
            Filter("currency", "crypto_rates.currency", "search"),
        ],
        empty=empty,
        names={name: t(f"crypto_rates.{name}") for name in ("state", "asset", "currency")},
        values={f"state:{name}": words for name, words in states},
        actions=_again,
    )
    return [
        page_header(
            t("crypto_rates.title"),
            lists.export(CryptoRatesState),
            rx.cond(MAY_WRITE & has_accounts, say, rx.fragment()),
            text=t("crypto_rates.text"),
        ),
        in_its_state(CryptoRatesState, content, retry=CryptoRatesState.load),
        _say(),
    ]
