"""Bank statements: how tables of a bank are written, files that were imported, and the lines of one."""

from __future__ import annotations

from typing import Any, ClassVar, cast
from urllib.parse import urlencode

import reflex as rx

from services.core.listing import Listing
from services.core.listing_grammar import Query, understood
from services.core.permissions import Capability
from services.reconciliation import statement_queries
from services.reconciliation.bank_lines import ERRORS_SHOWN_MAX
from state import reconciliation_view
from state.base import PageState, page_event
from state.listed import ListedState

READ, WRITE = Capability.STAFF_PAYMENTS_READ, Capability.STAFF_PAYMENTS_WRITE
# As the API names what is said of a table.
MAPPING = (
    "booked_on", "amount", "currency_column", "bank_ref", "counterparty", "remittance", "account_column", "account",
    "currency", "dates", "decimal",
)  # fmt: skip
SAID_CHARACTERS_MAX = 100
PREVIEW_ROWS_MAX = 10


class BankStatementsState(ListedState, rx.State):
    """One page of imported files."""

    _listing: ClassVar[Listing[Any]] = statement_queries.STATEMENTS
    _file_url: ClassVar[str] = "/api/v1/staff/bank-statements"

    @page_event(READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, statement_queries.STATEMENTS)
        self.rows = [reconciliation_view.statement_shown(row) for row in found]

    @page_event(WRITE)
    async def imported(self, answer: dict[str, Any]) -> Any:
        """A file was imported through the API: see what became of its lines."""
        return rx.redirect(f"{reconciliation_view.STATEMENTS}/{str(answer.get('id', ''))[:64]}")


class BankMappingState(PageState, rx.State):
    """What is said of a table, as the query of the address it is sent to, and what a file comes to by that."""

    said: str = ""
    preview: list[dict[str, Any]] = []
    errors: list[str] = []
    count: int = 0
    looked: bool = False

    @page_event(WRITE)
    async def load(self) -> None:
        self.said, self.preview, self.errors, self.count, self.looked = "", [], [], 0, False

    @page_event(WRITE)
    async def say(self, values: dict[str, Any]) -> None:
        """Files that are sent from now on are read like this."""
        given = {name: str(values.get(name) or "").strip()[:SAID_CHARACTERS_MAX] for name in MAPPING}
        self.said = f"?{urlencode({name: text for name, text in given.items() if text})}"
        self.looked = False

    @page_event(WRITE)
    async def previewed(self, answer: dict[str, Any]) -> None:
        """A file was looked at through the API."""
        self.preview = [
            {"id": str(number)} | {name: str(one.get(name, ""))[:500] for name in _SHOWN}
            for number, one in enumerate(_listed(answer, "lines"))
            if hasattr(one, "get")
        ][:PREVIEW_ROWS_MAX]
        self.errors = [str(one)[:500] for one in _listed(answer, "errors")][:ERRORS_SHOWN_MAX]
        count = answer.get("count")
        self.count, self.looked = count if isinstance(count, int) else 0, True


def _listed(answer: dict[str, Any], name: str) -> list[Any]:
    """A list of the answer, whatever else it may hold there."""
    found: Any = answer.get(name)
    return cast("list[Any]", found) if isinstance(found, list) else []


_SHOWN = ("account", "bank_ref", "booked_on", "amount", "currency", "counterparty", "remittance")


class BankStatementState(ListedState, rx.State):
    """One imported file, and a page of its lines."""

    _listing: ClassVar[Listing[Any]] = statement_queries.LINES
    _file_url: ClassVar[str] = "/api/v1/staff/bank-lines"
    _filter_keys: ClassVar[tuple[str, ...]] = ("match",)

    statement: dict[str, Any] = {}

    @page_event(READ, reads=True)
    async def load(self) -> None:
        self.statement = {}
        async with self._staff_work() as uow:
            statement = await statement_queries.statement(uow, self._address_id)
            found = await self._read(uow, statement_queries.LINES)
        self.statement = reconciliation_view.statement_shown(statement)
        self.rows = [reconciliation_view.line_shown(row) for row in found]

    def _asked(self) -> Query[Any]:
        """Of the file of the page, whatever the address says."""
        asked = super()._asked()
        said = [(name, value) for name, value in asked.parameters if not name.startswith("statement_id")]
        return understood(self._listing, [*said, ("statement_id", self._address_id)])
