"""A credit note that is to be issued: all that is left of an invoice, an amount, or parts of lines."""

from __future__ import annotations

from typing import Any

import reflex as rx

from services.billing import notes, queries
from services.billing.notes import Asked
from services.core.errors import Conflict, Invalid
from services.core.permissions import Capability
from state import invoices_view, typed
from state.base import PageState, page_event
from state.governance.invoices import HOME
from state.problems import problem_of

WRITE = Capability.STAFF_INVOICES_WRITE
PART = "part-"  # of a line, in the form: its id follows
LINES_SHOWN_MAX = 200


class CreditNoteState(PageState, rx.State):
    """`way` is all, amount or lines; `asked` is what the REST API is sent for it, `preview` what that comes to."""

    invoice: dict[str, Any] = {}
    lines: list[dict[str, Any]] = []
    way: str = "all"
    asked: dict[str, Any] = {}
    weighed: dict[str, Any] = {}  # as it was typed
    preview: dict[str, Any] = {}
    taken: list[dict[str, Any]] = []  # by line
    refusal: str = ""
    organization_id: str = ""

    @page_event(WRITE, reads=True)
    async def load(self) -> None:
        self.invoice, self.lines, self.way, self.asked = {}, [], "all", {}
        async with self._staff_work() as uow:
            found = await queries.invoice(uow, self._invoice_id(), staff=True)
        self.organization_id = found.organization_id
        self.invoice = {
            "id": found.id, "name": found.number or found.id, "currency": found.currency,
            "href": f"{HOME}/{found.id}",
        }  # fmt: skip
        await self._look()
        self.lines = [line for line in self.taken if line["left"] != "0"][:LINES_SHOWN_MAX]

    @page_event(WRITE)
    async def choose(self, way: str) -> None:
        """Credit all that is left, an amount, or parts of lines."""
        self.way = way if way in ("all", "amount", "lines") else "all"
        self.weighed = {"way": self.way}
        self.asked = {} if self.way == "all" else self.asked
        await self._look()

    @page_event(WRITE)
    async def weigh(self, values: dict[str, Any]) -> None:
        """What it comes to as it is typed now."""
        self.weighed = given = {name: str(said or "") for name, said in values.items()}
        if self.way == "amount":
            self.asked = {"amount": given.get("amount", "")}
        elif self.way == "lines":
            parts = {
                name.removeprefix(PART): said
                for name, said in given.items()
                if name.startswith(PART) and said
            }
            self.asked = {"by_line": parts}
        await self._look()

    @page_event(WRITE)
    async def issued(self, answer: dict[str, Any]) -> Any:
        """It was issued through the API: see it on its invoice."""
        return rx.redirect(f"{HOME}/{self._invoice_id()}")

    async def _look(self) -> None:
        self.preview, self.taken, self.refusal = {}, [], ""
        if not self.invoice or (self.way != "all" and not any(self.asked.values())):
            return  # nothing is open, or nothing was said yet
        try:
            asked = _asked(self.asked, self.invoice["currency"])
            async with self._staff_work(within=self.organization_id) as uow:
                found = await notes.preview(uow, self.invoice["id"], asked)
        except (Invalid, Conflict) as refused:
            self.refusal = problem_of(refused, "").text
        else:
            self.preview = invoices_view.credit_shown(found)
            self.taken = invoices_view.credit_lines_shown(found)

    def _invoice_id(self) -> str:
        return self.router.url.path.rstrip("/").removesuffix("/credit").rsplit("/", 1)[-1]


def _asked(said: dict[str, Any], currency: str) -> Asked:
    if "amount" in said:
        return Asked(amount=_minor(said["amount"], currency))
    if "by_line" in said:
        return Asked(lines={line: _minor(part, currency) for line, part in said["by_line"].items()})
    return Asked()


def _minor(said: str, currency: str) -> int:
    return notes.minor_of(typed.amount(said, "amount"), currency, "amount")
