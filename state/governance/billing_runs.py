"""Billing runs, and the subscriptions that they could not bill."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

import reflex as rx

from services.billing_runs import run_records, running
from services.billing_runs.run_records import ParkedRow, RunRow
from services.core.listing import Listing
from services.core.permissions import Capability
from state.base import page_event
from state.format import instant_text
from state.listed import ListedState

READ = Capability.STAFF_SUBSCRIPTIONS_READ


class BillingRunsState(ListedState, rx.State):
    """One page of runs, the newest first, and how many subscriptions wait parked."""

    _listing: ClassVar[Listing[Any]] = run_records.RUNS
    _file_url: ClassVar[str] = "/api/v1/staff/billing-runs"

    parked: int = 0
    read_at: str = ""

    @page_event(READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, run_records.RUNS)
            self.parked = await run_records.parked(uow)
            now = uow.wall_now
        self.read_at = instant_text(now)
        self.rows = [_run_shown(row, now) for row in found]


class ParkedState(ListedState, rx.State):
    """One page of parked subscriptions, the longest parked first."""

    _listing: ClassVar[Listing[Any]] = run_records.PARKED
    _file_url: ClassVar[str] = "/api/v1/staff/parked-subscriptions"
    _filter_keys: ClassVar[tuple[str, ...]] = ("organization_id",)

    @page_event(READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, run_records.PARKED)
        self.rows = [_parked_shown(row) for row in found]

    @page_event(Capability.STAFF_SUBSCRIPTIONS_WRITE)
    async def try_again(self, subscription_id: str) -> Any:
        """Have one tried by the next run."""
        async with self._staff_work() as uow:
            await running.try_again(uow, subscription_id)
        return ParkedState.load


def _run_shown(row: RunRow, now: datetime) -> dict[str, Any]:
    lost = row.ended_at is None and now - row.seen_at > run_records.SILENT_MAX
    return {
        "id": row.id,
        "started_at": instant_text(row.started_at),
        "ended_at": instant_text(row.ended_at),
        "state": "done" if row.ended_at else "cut_off" if lost else "running",
        "due": row.due,
        "billed": row.billed,
        "parked": row.parked,
        "worker": row.worker,
    }


def _parked_shown(row: ParkedRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "organization": row.organization_name,
        "href": f"/governance/organizations/{row.organization_id}",
        "parked_reason": row.parked_reason,
        "attempts": row.attempts,
        "parked_at": instant_text(row.parked_at),
        "retry_at": instant_text(row.retry_at),
    }
