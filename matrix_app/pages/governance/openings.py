"""Who opened what is sealed."""

from __future__ import annotations

import reflex as rx

from components.links import link
from components.shell.page import page_header
from components.texts import t
from matrix_app.pages import lists, openings_log
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from services.core.permissions import Capability
from state.governance.openings import PAGE, StaffOpeningsState


@page(
    PAGE,
    console=Console.GOVERNANCE,
    title="openings.title",
    needs=Capability.STAFF_AUDIT_READ,
    on_load=StaffOpeningsState.load,
)
def staff_openings() -> Drawn:
    """All openings, the latest first."""
    return [
        rx.el.p(link(t("openings.back"), href="/governance/audit"), class_name="back-link"),
        page_header(t("openings.title"), lists.export(StaffOpeningsState), text=t("openings.text")),
        in_its_state(
            StaffOpeningsState,
            openings_log.listing(StaffOpeningsState, staff=True),
            retry=StaffOpeningsState.load,
        ),
    ]
