"""What the portal's overview shows first; from then on its figures come from the live hub."""

from __future__ import annotations

import reflex as rx

from services.core.permissions import Capability
from state.base import PageState, page_event


class OverviewState(PageState, rx.State):
    """First paint of the overview."""

    @page_event(Capability.USAGE_READ, reads=True)
    async def load(self) -> None:
        return None
