"""The installation's audit log."""

from __future__ import annotations

import reflex as rx

from components.links import link
from components.shell.page import page_header
from components.texts import t
from matrix_app.pages import audit_log, lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from services.core.permissions import Capability
from state.governance import openings
from state.governance.audit import StaffAuditState


@page(
    "/governance/audit",
    console=Console.GOVERNANCE,
    title="audit.title",
    needs=Capability.STAFF_AUDIT_READ,
    on_load=StaffAuditState.load,
)
def staff_audit() -> Drawn:
    """Who did what in the whole installation, the latest first."""
    return [
        page_header(t("audit.title"), lists.export(StaffAuditState), text=t("audit.staff_text")),
        rx.el.p(link(t("openings.to"), href=openings.PAGE), class_name="back-link"),
        in_its_state(
            StaffAuditState, audit_log.listing(StaffAuditState, staff=True), retry=StaffAuditState.load
        ),
    ]
