"""The button by which a page's list becomes a file."""

from __future__ import annotations

import reflex as rx

from components.forms.form import action_button
from components.texts import t
from services.core.permissions import Capability
from state.portal.tasks import ExportState
from state.session import SessionState


def export_button(listing: str) -> rx.Component:
    """Asks for the list with the filters of the page's address, and leads to the tasks; for who may ask for any."""
    may_ask = SessionState.capabilities.contains(Capability.TASKS_WRITE.value)
    button = action_button(t("tasks.export"), on_press=ExportState.ask(listing), icon="download")
    return rx.cond(may_ask, button, rx.fragment())
