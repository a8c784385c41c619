"""Customers in dunning, and the campaigns that they are in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import reflex as rx

from models.money import Money
from services.collection import history
from services.collection.learned_hours import Judged
from services.core.listing import Listing
from services.core.permissions import Capability
from services.dunning import cases, queries, rules, trying
from services.dunning.queries import CampaignRow, CaseRow
from services.dunning.simulating import Simulated
from state.base import page_event
from state.dialogs import DialogsState
from state.format import decimal_text, instant_text
from state.listed import ListedState

READ, WRITE = Capability.STAFF_PAYMENTS_READ, Capability.STAFF_PAYMENTS_WRITE
_VERBS = {"pause": cases.pause, "resume": cases.resume, "skip": cases.skip}


class DunningState(DialogsState, ListedState, rx.State):
    """One page of overdue invoices in campaigns, and the customer who is about to be held."""

    _dialogs: ClassVar[Mapping[str, Capability]] = {"hold": WRITE}

    _listing: ClassVar[Listing[Any]] = queries.CASES
    _file_url: ClassVar[str] = "/api/v1/staff/dunning"
    _filter_keys: ClassVar[tuple[str, ...]] = ("organization_id", "state", "campaign_id")

    @page_event(READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, queries.CASES)
        self.rows = [case_shown(row) for row in found]

    @page_event(WRITE)
    async def pause(self, case_id: str) -> Any:
        return await self._act(case_id, "pause")

    @page_event(WRITE)
    async def resume(self, case_id: str) -> Any:
        return await self._act(case_id, "resume")

    @page_event(WRITE)
    async def skip(self, case_id: str) -> Any:
        return await self._act(case_id, "skip")

    async def _act(self, case_id: str, verb: str) -> Any:
        async with self._staff_work() as uow:
            found = await queries.case(uow, case_id)
        async with self._staff_work(within=found.organization_id) as uow:
            await _VERBS[verb](uow, case_id)
        return DunningState.load


class CampaignsState(ListedState, rx.State):
    """One page of campaigns; `chosen` is the one that a dialog is about, and `simulated` what it would have done."""

    _listing: ClassVar[Listing[Any]] = queries.CAMPAIGNS
    _file_url: ClassVar[str] = "/api/v1/staff/dunning-campaigns"

    chosen: dict[str, Any] = {}
    open_dialog: str = ""
    simulated: dict[str, Any] = {}
    looked_at: str = ""  # the campaign whose steps are shown
    by_step: list[dict[str, Any]] = []
    learned: dict[str, Any] = {}  # what learned hours are worth

    @page_event(READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, queries.CAMPAIGNS)
            judged = await history.learned_hours_judged(uow)
        self.rows = [_campaign_shown(row) for row in found]
        self.learned = _judged_shown(judged)

    @page_event(WRITE)
    async def turn(self, name: str, is_open: bool) -> None:
        """Open or close the dialog `name`."""
        self.open_dialog = name if is_open and name in ("new", "edit") else ""

    @page_event(WRITE)
    async def ask(self, campaign_id: str) -> None:
        """Open the dialog that edits one of the campaigns on screen."""
        self.chosen = next((row for row in self.rows if row["id"] == campaign_id), dict[str, Any]())
        self.open_dialog = "edit" if self.chosen else ""

    @page_event(WRITE)
    async def changed(self, answer: dict[str, Any]) -> Any:
        """A campaign was made or changed through the API."""
        self.open_dialog = ""
        return CampaignsState.load

    @page_event(READ)
    async def look(self, campaign_id: str) -> None:
        """Show what each step of a campaign on screen brought in."""
        row = next((row for row in self.rows if row["id"] == campaign_id), dict[str, Any]())
        self.looked_at, self.by_step = str(row.get("name", "")), row.get("by_step", [])

    @page_event(READ, reads=True)
    async def simulate(self, campaign_id: str) -> None:
        """Try one on the failures of the last quarter."""
        async with self._staff_work() as uow:
            row = await queries.campaign(uow, campaign_id)
            made = await trying.tried_on_last_quarter(
                uow, rules.steps_from(row.steps), row.retry_days, row.segment()
            )
        self.simulated = _simulated_shown(row.name, made)


def case_shown(row: CaseRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "href": f"/governance/dunning/cases/{row.id}",
        "invoice_href": f"/governance/invoices/{row.invoice_id}",
        "number": row.invoice_number or "",
        "organization_id": row.organization_id,
        "organization": row.organization_name,
        "campaign": row.campaign,
        "state": row.outcome or row.state,
        "done": f"{row.done} / {row.steps}",
        "next": row.next_action or "",
        "next_at": instant_text(row.next_at),
        "currency": row.currency,
        "due": decimal_text(Money(row.due_minor, row.currency).amount),
        "recovered": decimal_text(Money(row.recovered_minor, row.currency).amount),
        "lost": decimal_text(Money(row.lost_minor, row.currency).amount),
        "lifted": row.restricts and row.lifted,
        "created_at": instant_text(row.created_at),
        "ended_at": instant_text(row.ended_at),
        "reopened_at": instant_text(row.reopened_at),
    }


def _campaign_shown(row: CampaignRow) -> dict[str, Any]:
    segment = " · ".join(one for one in (row.currency, row.country, row.plan_id) if one)
    return {
        "id": row.id,
        "name": row.name,
        "enabled": "on" if row.enabled else "off",
        "is_enabled": row.enabled,
        "segment": segment,
        "rank": row.rank,
        "plan_id": row.plan_id or "",
        "currency": row.currency or "",
        "country": row.country or "",
        "minimum_minor": row.minimum_minor,
        "maximum_minor": row.maximum_minor,
        "retry_days": ", ".join(str(day) for day in row.retry_days),
        "learned_hours": row.learned_hours,
        "steps": "\n".join(f"{step['after_days']} {step['action']}" for step in row.steps),
        "in_short": ", ".join(f"{step['after_days']} {step['action']}" for step in row.steps),
        "open_cases": row.open_cases,
        "recovered": _sums(row.recovered),
        "lost": _sums(row.lost),
        "by_step": [_step_sum(one) for one in row.by_step],
        "created_at": instant_text(row.created_at),
        "version": row.version,
    }


def _step_sum(one: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"{one['position']}.{one['action']}.{one['currency']}",
        "number": one["position"] + 1,
        "action": one["action"],
        "done": one["done"],
        "currency": one["currency"],
        "recovered": decimal_text(Money(one["recovered_minor"], one["currency"]).amount),
    }


def _judged_shown(judged: Judged) -> dict[str, Any]:
    return {
        "is_synthetic": judged.is_synthetic,
        "fixed": f"{judged.score.fixed_percent:f}",
        "learned": f"{judged.score.learned_percent:f}",
        "retries": judged.score.retries,
        "agreeing": judged.score.agreeing,
        "known": judged.known,
    }


def _simulated_shown(name: str, made: Simulated) -> dict[str, Any]:
    return {
        "name": name,
        "invoices": made.invoices,
        "retries": made.retries,
        "mails": made.mails,
        "restricted": made.restricted,
        "suspended": made.suspended,
        "cancelled": made.cancelled,
        "written_off": made.written_off,
        "failed": _sums({code: one.failed for code, one in made.sums.items()}),
        "came": _sums({code: one.came for code, one in made.sums.items()}),
        "expected": _sums({code: one.expected for code, one in made.sums.items()}),
    }


def _sums(minor: dict[str, int]) -> str:
    return ", ".join(Money(amount, code).said() for code, amount in sorted(minor.items()))
