"""The statement of an account on a page: which time of it is asked for, and how it goes on."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import reflex as rx

from services.core.work import UnitOfWork
from services.ledger.queries import Statement
from state import addresses, ledger_view
from state.base import SIGNED_IN, PageState, page_event
from state.days import midnight, midnight_after
from state.ledger_view import Place

DAY_CHARACTERS = 10
FROM, UNTIL, AFTER = "from", "until", "after"


class StatementOfState(PageState, mixin=True):
    """One page of what moved on an account in some days of the organisation, all time if none are asked for.

    A page class has a handler `load` that reads it, by `_asked_time`, and shows it, by `_show`.
    """

    account: dict[str, Any] = {}
    rows: list[dict[str, Any]] = []
    next_place: str = ""
    is_first: bool = True
    from_day: str = ""
    until_day: str = ""

    def _asked_time(self) -> dict[str, Any]:
        """Arguments of `statement`: start and end, and where the page begins. What is no day asks for nothing."""
        self.account, self.rows, self.next_place = {}, [], ""
        start = midnight(self._query.get(FROM, ""), self._zone)
        before = midnight_after(self._query.get(UNTIL, ""), self._zone)
        self.from_day = self._query[FROM] if start else ""
        self.until_day = self._query[UNTIL] if before else ""
        after = ledger_view.place_of_statement(self._query.get(AFTER, ""))
        self.is_first = after is None
        return {
            "start": start,
            "before": before,
            "after": _within(after, before),
            "limit": ledger_view.LINES_PER_PAGE,
        }

    async def _show(self, uow: UnitOfWork, found: Statement, place: Place) -> None:
        names = await ledger_view.names_of_causes(uow, (line.cause_id for line in found.lines))
        self.account = ledger_view.statement_shown(found, place)
        self.rows = ledger_view.statement_lines(found, place, names)
        self.next_place = ledger_view.next_of_statement(found)

    def _days(self) -> dict[str, str]:
        return {FROM: self.from_day, UNTIL: self.until_day}

    @page_event(SIGNED_IN)
    async def choose_days(self, values: dict[str, Any]) -> Any:
        """Show the days from the one to the other, both included."""
        chosen = {name: str(values.get(name) or "")[:DAY_CHARACTERS] for name in ("from", "to")}
        return self._go({FROM: chosen["from"], UNTIL: chosen["to"]})

    @page_event(SIGNED_IN)
    async def all_days(self) -> Any:
        return self._go({})

    @page_event(SIGNED_IN)
    async def next_page(self) -> Any:
        return self._go(self._days() | {AFTER: self.next_place})

    @page_event(SIGNED_IN)
    async def first_page(self) -> Any:
        return self._go(self._days())

    def _go(self, parameters: dict[str, str]) -> Any:
        return rx.redirect(addresses.with_query(self.router.url.path, parameters))


def _within(after: tuple[datetime, int] | None, before: datetime | None) -> tuple[datetime, int] | None:
    """A place in another time than the one asked for begins at its end."""
    return None if after is not None and before is not None and after[0] >= before else after
