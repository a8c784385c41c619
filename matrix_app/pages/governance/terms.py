"""The terms of service: what was published, who accepted it, and the next version."""

from __future__ import annotations

import reflex as rx

from components.feedback.states import empty_state
from components.forms.fields import text_area
from components.forms.form import action_button, rest_form, submit_button
from components.kit.overlays import dialog, dialog_close, dialog_foot
from components.shell.page import page_header
from components.tables.listed import table_of
from components.tables.table import Column
from components.texts import t
from matrix_app.pages import endpoints, lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from services.core.permissions import Capability
from services.terms import queries
from services.terms.service import TEXT_CHARACTERS_MAX
from state.governance.terms import StaffTermsState
from state.session import SessionState

MAY_WRITE = SessionState.capabilities.contains(Capability.STAFF_INVOICES_WRITE.value)
VERSIONS = table_of(
    queries.VERSIONS,
    "terms",
    Column("number", "terms.number", kind="number", row_header=True),
    Column("published_at", "terms.published_at", kind="datetime", brief=True),
    Column("accepted", "terms.organizations", kind="number", brief=True),
    Column("author", "terms.author"),
    Column("sha256", "terms.sha256"),
    texts="terms",
)


def _publish() -> rx.Component:
    return dialog(
        rest_form(
            "publish-terms",
            text_area(
                "text",
                t("terms.text"),
                hint=t("terms.text_hint"),
                value=StaffTermsState.text,
                rows=14,
                max_length=TEXT_CHARACTERS_MAX,
            ),
            dialog_foot(dialog_close(), submit_button(t("terms.publish"))),
            url=endpoints.STAFF_TERMS,
            done_text=t("terms.published"),
            on_done=StaffTermsState.changed,
        ),
        title=t("terms.publish"),
        description=t("terms.publish_text"),
        open=StaffTermsState.open_dialog == "publish",
        on_open_change=StaffTermsState.dismiss,
    )


@page(
    "/governance/terms",
    console=Console.GOVERNANCE,
    title="terms.title",
    needs=Capability.STAFF_INVOICES_READ,
    on_load=StaffTermsState.load,
)
def staff_terms() -> Drawn:
    """All versions, the newest first."""
    publish = action_button(t("terms.publish"), on_press=StaffTermsState.begin, look="primary", icon="plus")
    offered = rx.cond(MAY_WRITE, publish, rx.fragment())
    empty = empty_state(
        t("terms.staff_none"), t("terms.staff_none_text"), action=offered, icon_name="file-text"
    )
    return [
        page_header(t("terms.title"), lists.export(StaffTermsState), offered, text=t("terms.staff_text")),
        in_its_state(
            StaffTermsState,
            lists.listing(StaffTermsState, VERSIONS, [], empty=empty),
            retry=StaffTermsState.load,
        ),
        _publish(),
    ]
