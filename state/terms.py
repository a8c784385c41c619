"""The terms of service as anybody may read them."""

from __future__ import annotations

import reflex as rx

from services.core.crossing import Reason, crossing
from services.terms import queries
from state.base import ANYONE, PageState, page_event
from state.format import instant_text


class TermsState(PageState, rx.State):
    """The version that counts; `number` is 0 where there is none."""

    number: int = 0
    text: str = ""
    published_at: str = ""

    @page_event(ANYONE, reads=True)
    async def load(self) -> None:
        async with crossing(Reason.CATALOG) as uow:
            found = await queries.current(uow)
        self.number = 0 if found is None else found.number
        self.text = "" if found is None else found.text
        self.published_at = "" if found is None else instant_text(found.published_at)
