"""The organisation's audit log."""

from __future__ import annotations

import reflex as rx

from components.links import link
from components.shell.page import page_header
from components.texts import t
from matrix_app.pages import audit_log, lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from services.core.permissions import Capability
from state.portal import openings
from state.portal.audit import AuditState


@page(
    "/portal/audit",
    console=Console.PORTAL,
    title="audit.title",
    needs=Capability.AUDIT_READ,
    on_load=AuditState.load,
)
def audit() -> Drawn:
    """Who did what in the organisation, the latest first."""
    return [
        page_header(t("audit.title"), lists.export(AuditState), text=t("audit.text")),
        rx.el.p(link(t("openings.to"), href=openings.PAGE), class_name="back-link"),
        in_its_state(AuditState, audit_log.listing(AuditState), retry=AuditState.load),
    ]
