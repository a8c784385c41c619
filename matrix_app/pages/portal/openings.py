"""Who opened what is sealed of the organisation's."""

from __future__ import annotations

import reflex as rx

from components.links import link
from components.shell.page import page_header
from components.texts import t
from matrix_app.pages import lists, openings_log
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from services.core.permissions import Capability
from state.portal.openings import PAGE, OpeningsState


@page(
    PAGE,
    console=Console.PORTAL,
    title="openings.title",
    needs=Capability.AUDIT_READ,
    on_load=OpeningsState.load,
)
def openings() -> Drawn:
    """Those of what is the organisation's, the latest first."""
    return [
        rx.el.p(link(t("openings.back"), href="/portal/audit"), class_name="back-link"),
        page_header(t("openings.title"), lists.export(OpeningsState), text=t("openings.own_text")),
        in_its_state(OpeningsState, openings_log.listing(OpeningsState), retry=OpeningsState.load),
    ]
