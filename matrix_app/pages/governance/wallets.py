"""Wallets of all organisations: balances, what came in and went out, credit that is given, and due top-ups."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.states import empty_state
from components.forms.fields import Option, number_field, select, text_field
from components.forms.form import action_button, rest_form, submit_button
from components.kit.overlays import Trigger, dialog, dialog_close, dialog_foot
from components.shell.page import page_header
from components.tables.filters import Filter
from components.tables.listed import table_of
from components.tables.table import Column
from components.texts import t
from matrix_app.pages import endpoints, lists, wallet_lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.governance.customer_field import customer_field
from matrix_app.pages.registry import Console, Drawn, page
from matrix_app.pages.wallet_lists import GOVERNANCE as HOME
from models.wallets import LotSource, TopUpState
from services.core.permissions import Capability
from services.wallets import queries, rules
from services.wallets.wallets import GIVEN, KEY_CHARACTERS_MAX, NOTE_CHARACTERS_MAX
from state.governance.wallets import (
    StaffLotsState,
    StaffTopUpsState,
    StaffWalletDebitsState,
    StaffWalletsState,
    StaffWalletUsesState,
)
from state.session import SessionState

Row = rx.Var[dict[str, Any]]
MAY_WRITE = SessionState.capabilities.contains(Capability.STAFF_WALLETS_WRITE.value)
_T = StaffTopUpsState
WALLETS = table_of(
    queries.STAFF_WALLETS,
    "staff-wallets",
    Column("organization_name", "wallets.organization_name", kind="link", href="href", row_header=True),
    Column("currency", "wallets.currency"),
    "left_minor",
    "inbound_minor",
    "outbound_minor",
    "breakage_minor",
    Column("held", "wallets.held", kind="price", currency="currency"),
    Column("uncovered", "wallets.uncovered", kind="price", currency="currency"),
    Column("created_at", "wallets.created_at", kind="datetime"),
    texts="wallets",
    caption="wallets.all",
)


def _grant() -> rx.Component:
    """Credit that is given away: how much, why, until when, and what is burnt before it."""
    sources = [Option(one.value, t(f"wallets.source.{one.value}")) for one in GIVEN]
    given = dialog(
        rest_form(
            "grant-credit",
            customer_field(StaffWalletsState.filters["organization_id"].to(str)),
            text_field("amount", t("wallets.amount"), pattern=r"\d{1,13}(\.\d{1,4})?", autocomplete="off"),
            text_field(
                "currency", t("wallets.currency"), max_length=3, pattern="[A-Z]{3}", autocomplete="off"
            ),
            select("given_as", t("wallets.given_as"), sources, value=LotSource.PROMOTION.value),
            text_field(
                "note",
                t("wallets.reason"),
                hint=t("wallets.reason_hint"),
                max_length=NOTE_CHARACTERS_MAX,
                autocomplete="off",
            ),
            text_field(
                "expires_at",
                t("wallets.expires_at"),
                kind="datetime-local",
                hint=t("wallets.expires_at_hint"),
                required=False,
            ),
            number_field(
                "priority",
                t("wallets.priority"),
                hint=t("wallets.priority_hint"),
                value=rules.GIVEN_PRIORITY,
                min=0,
                max=rules.PRIORITY_MAX,
                step=1,
            ),
            dialog_foot(dialog_close(), submit_button(t("wallets.grant"))),
            url=endpoints.STAFF_GRANTS,
            done_text=t("wallets.granted"),
            on_done=StaffWalletsState.changed,
        ),
        title=t("wallets.grant"),
        description=t("wallets.grant_text"),
        trigger=Trigger(t("wallets.grant"), "primary", "plus"),
        open=StaffWalletsState.open_dialog == "grant",
        on_open_change=lambda is_open: StaffWalletsState.show("grant", is_open),
    )
    return rx.cond(MAY_WRITE, given, rx.fragment())


@page(
    "/governance/wallets",
    console=Console.GOVERNANCE,
    title="wallets.all",
    needs=Capability.STAFF_WALLETS_READ,
    on_load=StaffWalletsState.load,
)
def wallets() -> Drawn:
    """Who has paid ahead, and what is left of it."""
    content = lists.listing(
        StaffWalletsState,
        WALLETS,
        [
            Filter("organization_id", "wallets.organization_id", "search"),
            Filter("currency", "wallets.currency", "search"),
        ],
        empty=empty_state(t("wallets.no_balance"), t("wallets.all_text"), icon_name="wallet"),
        names={"organization_id": t("wallets.organization_name"), "currency": t("wallets.currency")},
    )
    return [
        page_header(t("wallets.all"), lists.export(StaffWalletsState), _grant(), text=t("wallets.all_text")),
        wallet_lists.tabs(HOME),
        in_its_state(StaffWalletsState, content, retry=StaffWalletsState.load),
        wallet_lists.follows(StaffWalletsState, HOME),
    ]


@page(
    "/governance/wallets/lots",
    console=Console.GOVERNANCE,
    title="wallets.lots_title",
    needs=Capability.STAFF_WALLETS_READ,
    on_load=StaffLotsState.load,
)
def lots() -> Drawn:
    """What came in, and what is left of it."""
    return wallet_lists.page_of(
        StaffLotsState,
        HOME,
        "lots",
        wallet_lists.LOTS[HOME],
        wallet_lists.lot_filters(),
        wallet_lists.values_of("source", "state"),
    )


@page(
    "/governance/wallets/debits",
    console=Console.GOVERNANCE,
    title="wallets.debits_title",
    needs=Capability.STAFF_WALLETS_READ,
    on_load=StaffWalletDebitsState.load,
)
def debits() -> Drawn:
    """What was taken, and what it paid for."""
    return wallet_lists.debits(StaffWalletDebitsState, HOME)


@page(
    "/governance/wallets/uses",
    console=Console.GOVERNANCE,
    title="wallets.uses_title",
    needs=Capability.STAFF_WALLETS_READ,
    on_load=StaffWalletUsesState.load,
)
def uses() -> Drawn:
    """What each lot paid for."""
    return wallet_lists.uses(StaffWalletUsesState, HOME)


def _record() -> rx.Component:
    """That a top-up which was due has been paid by transfer."""
    chosen = _T.chosen
    return dialog(
        rest_form(
            "record-top-up",
            text_field(
                "payment_key",
                t("wallets.payment_key"),
                hint=t("wallets.payment_key_hint"),
                max_length=KEY_CHARACTERS_MAX,
                autocomplete="off",
            ),
            dialog_foot(dialog_close(), submit_button(t("wallets.record"))),
            url=endpoints.STAFF_TOP_UPS,
            extra={
                "organization_id": chosen["organization_id"],
                "currency": chosen["currency"],
                "amount": chosen["minor"],
                "top_up_id": chosen["id"],
            },
            done_text=t("wallets.recorded"),
            on_done=_T.changed,
        ),
        title=t("wallets.record_of", name=chosen["organization_name"].to(str)),
        description=t("wallets.record_text", amount=chosen["said"].to(str)),
        open=_T.open_dialog == "record",
        on_open_change=_T.dismiss,
        size="small",
    )


def _of_top_up(row: Row) -> rx.Component:
    is_due = MAY_WRITE & (row["state"] == TopUpState.DUE.value)
    press = action_button(t("wallets.record"), on_press=_T.ask(row["id"].to(str), "record"), look="compact")
    return rx.cond(is_due, press, rx.fragment())


@page(
    "/governance/wallets/top-ups",
    console=Console.GOVERNANCE,
    title="wallets.top_ups_title",
    needs=Capability.STAFF_WALLETS_READ,
    on_load=StaffTopUpsState.load,
)
def top_ups() -> Drawn:
    """What rules asked for; what is due is recorded once it is paid."""
    return [*wallet_lists.top_ups(_T, HOME, actions=_of_top_up), _record()]
