"""Months of usage by the price list."""

from __future__ import annotations

from typing import Any, ClassVar

import reflex as rx

from services.billing_runs import usage_running
from services.billing_runs.usage_running import PeriodRow
from services.core.listing import Listing
from services.core.permissions import Capability
from state.base import page_event
from state.format import instant_text
from state.listed import ListedState

READ = Capability.STAFF_SUBSCRIPTIONS_READ


class UsagePeriodsState(ListedState, rx.State):
    """One page of months, the newest first."""

    _listing: ClassVar[Listing[Any]] = usage_running.PERIODS
    _file_url: ClassVar[str] = "/api/v1/staff/usage-periods"
    _filter_keys: ClassVar[tuple[str, ...]] = ("organization_id", "state")

    @page_event(READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, usage_running.PERIODS)
        self.rows = [_shown(row) for row in found]

    @page_event(Capability.STAFF_SUBSCRIPTIONS_WRITE)
    async def try_again(self, usage_period_id: str) -> Any:
        """Have one that is parked tried by the next run."""
        async with self._staff_work() as uow:
            await usage_running.try_again(uow, usage_period_id)
        return UsagePeriodsState.load


def _shown(row: PeriodRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "organization": row.organization_name,
        "href": f"/governance/organizations/{row.organization_id}",
        "state": row.state,
        "starts_at": instant_text(row.starts_at),
        "ends_at": instant_text(row.ends_at),
        "parked_reason": row.parked_reason or "",
        "retry_at": instant_text(row.retry_at),
    }
