"""The portal's overview."""

from __future__ import annotations

from components.shell.page import page_header
from components.texts import t
from matrix_app.pages.registry import Console, Drawn, page
from services.core.permissions import Capability
from state.portal.overview import OverviewState


@page(
    "/portal",
    console=Console.PORTAL,
    title="overview.title",
    needs=Capability.USAGE_READ,
    on_load=OverviewState.load,
)
def overview() -> Drawn:
    """Figures of now."""
    return [page_header(t("overview.title"), text=t("overview.text"))]
