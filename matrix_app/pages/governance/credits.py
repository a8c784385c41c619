"""Credit notes and credits of all customers."""

from __future__ import annotations

from matrix_app.pages import credit_lists
from matrix_app.pages.registry import Console, Drawn, page
from services.core.permissions import Capability
from state.governance.credits import StaffCreditNotesState, StaffCreditsState


@page(
    "/governance/credit-notes",
    console=Console.GOVERNANCE,
    title="credits.notes",
    needs=Capability.STAFF_INVOICES_READ,
    on_load=StaffCreditNotesState.load,
)
def credit_notes() -> Drawn:
    """All credit notes, the latest first."""
    return credit_lists.notes(StaffCreditNotesState, "/governance")


@page(
    "/governance/credits",
    console=Console.GOVERNANCE,
    title="credits.credits",
    needs=Capability.STAFF_INVOICES_READ,
    on_load=StaffCreditsState.load,
)
def credits_() -> Drawn:
    """All credits, the latest first."""
    return credit_lists.credits_(StaffCreditsState, "/governance")
