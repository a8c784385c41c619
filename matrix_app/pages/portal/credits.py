"""Credit notes and credits of the organisation."""

from __future__ import annotations

from matrix_app.pages import credit_lists
from matrix_app.pages.registry import Console, Drawn, page
from services.core.permissions import Capability
from state.portal.credits import CreditNotesState, CreditsState


@page(
    "/portal/credit-notes",
    console=Console.PORTAL,
    title="credits.notes",
    needs=Capability.INVOICES_READ,
    on_load=CreditNotesState.load,
)
def credit_notes() -> Drawn:
    """All credit notes, the latest first."""
    return credit_lists.notes(CreditNotesState, "/portal")


@page(
    "/portal/credits",
    console=Console.PORTAL,
    title="credits.credits",
    needs=Capability.INVOICES_READ,
    on_load=CreditsState.load,
)
def credits_() -> Drawn:
    """All credits, the latest first."""
    return credit_lists.credits_(CreditsState, "/portal")
