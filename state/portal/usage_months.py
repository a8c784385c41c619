"""Months of usage by the price list: the one that runs as it stands, and those before it."""

from __future__ import annotations

from typing import Any, ClassVar

import reflex as rx

from models.money import Money
from services.billing import usage_months
from services.billing.usage_months import LineSoFar, MonthRow, MonthSoFar
from services.core.listing import Listing
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from state.base import SIGNED_IN, page_event
from state.format import decimal_text, instant_text
from state.listed import ListedState
from state.portal.invoices import HOME as INVOICES

HOME = "/portal/usage/months"
READ = Capability.COST_READ


class UsageMonthsState(ListedState, rx.State):
    """One page of months, and above it the one that `month` in the address names, or else the one that runs."""

    _listing: ClassVar[Listing[Any]] = usage_months.MONTHS
    _file_url: ClassVar[str] = "/api/v1/usage-periods"
    _filter_keys: ClassVar[tuple[str, ...]] = ("state",)

    month: dict[str, Any] = {}
    lines: list[dict[str, Any]] = []
    totals: list[dict[str, str]] = []
    paid_ahead: list[dict[str, Any]] = []
    by_plans: list[dict[str, str]] = []
    explained: dict[str, Any] = {}
    steps: list[dict[str, str]] = []
    read_at: str = ""

    @page_event(READ, reads=True)
    async def load(self) -> None:
        self.explained, self.steps = {}, []
        async with self._unit_of_work() as uow:
            found = await self._read(uow, usage_months.MONTHS)
            await self._look(uow)
        self.rows = [_row_shown(row) for row in found]

    @page_event(READ)
    async def follow(self) -> None:
        """More was used: what it comes to by now. An explanation that is open stays as it is."""
        async with self._unit_of_work() as uow:
            await self._look(uow)

    @page_event(READ)
    async def explain(self, key: str) -> None:
        """Show what a line on screen is made of."""
        for line in self.lines:
            if line["id"] == key:
                self.explained, self.steps = line, line["steps"]

    @page_event(SIGNED_IN)
    async def close(self, is_open: bool) -> None:
        """Close the explanation."""
        if not is_open:
            self.explained, self.steps = {}, []

    async def _look(self, uow: UnitOfWork) -> None:
        asked = self._query.get("month", "")
        found = await (usage_months.so_far(uow, asked) if asked else usage_months.running(uow))
        self.read_at = instant_text(uow.wall_now)
        self.month = {} if found is None else _month_shown(found)
        self.lines = [] if found is None else [_line_shown(line) for line in found.lines]
        self.totals = [] if found is None else [_money(one) for one in found.totals]
        self.paid_ahead = (
            []
            if found is None
            else [
                {"currency": one.currency, "calls": one.calls, "amount": decimal_text(one.cost)}
                for one in found.paid_ahead
            ]
        )
        self.by_plans = (
            []
            if found is None
            else [{"meter": one.meter, "quantity": decimal_text(one.quantity)} for one in found.by_plans]
        )


def _row_shown(row: MonthRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "href": f"{HOME}?month={row.id}",
        "state": row.state,
        "starts_at": instant_text(row.starts_at),
        "ends_at": instant_text(row.ends_at),
        "invoices": [
            {"id": one["id"], "href": f"{INVOICES}/{one['id']}", "name": one["number"]}
            | _money(Money(one["total_minor"], one["currency"]))
            for one in row.invoices or []
        ],
    }


def _month_shown(found: MonthSoFar) -> dict[str, Any]:
    return {
        "id": found.id,
        "state": found.state,
        "starts_at": instant_text(found.starts_at),
        "ends_at": instant_text(found.ends_at),
        "counted_until": instant_text(found.counted_until),
        "bills_at": instant_text(found.bills_at),
        "parked": found.parked_reason or "",
    }


def _line_shown(line: LineSoFar) -> dict[str, Any]:
    return {
        "id": line.key,
        "name": line.model,
        "description": line.description,
        "late": line.late,
        "period_start": instant_text(line.period_start),
        "period_end": instant_text(line.period_end),
        "parts": [
            {
                "meter": part.meter,
                "quantity": decimal_text(part.quantity),
                "unit_amount": decimal_text(part.unit_amount),
                "per_units": str(part.per_units),
            }
            for part in line.parts
        ],
        "steps": [
            {"id": str(place), "name": step.name, "formula": f"{step.formula} = {step.amount}"}
            for place, step in enumerate(line.steps)
        ],
        "before": decimal_text(Money(line.billed_before_minor, line.currency).amount),
        **_money(Money(line.asked_minor, line.currency)),
    }


def _money(one: Money) -> dict[str, str]:
    return {"currency": one.currency, "amount": decimal_text(one.amount)}
