"""Wallets of all organisations."""

from __future__ import annotations

from components.feedback.states import empty_state
from components.shell.page import page_header
from components.tables.filters import Filter
from components.tables.listed import table_of
from components.tables.table import Column
from components.texts import t
from matrix_app.pages import lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from services.core.permissions import Capability
from services.wallets import queries
from state.governance.wallets import StaffWalletsState

WALLETS = table_of(
    queries.STAFF_WALLETS,
    "staff-wallets",
    Column("organization_name", "wallets.organization_name", row_header=True),
    Column("currency", "wallets.currency"),
    "left_minor",
    "inbound_minor",
    "outbound_minor",
    "breakage_minor",
    Column("held", "wallets.held"),
    Column("uncovered", "wallets.uncovered"),
    Column("created_at", "wallets.created_at", kind="datetime"),
    texts="wallets",
    caption="wallets.all",
)


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
        page_header(t("wallets.all"), lists.export(StaffWalletsState), text=t("wallets.all_text")),
        in_its_state(StaffWalletsState, content, retry=StaffWalletsState.load),
    ]
