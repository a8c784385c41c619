"""Subscriptions and previews as pages show them: plain rows, amounts as decimal text."""

from __future__ import annotations

from typing import Any

from models.money import Money, figure_text
from models.subscriptions import SubscriptionState
from services.subscriptions.previewing import Preview, PreviewInvoice, PreviewLine
from services.subscriptions.queries import (
    BilledRow,
    CouponRow,
    ItemRow,
    ScheduledChange,
    SubscriptionDetail,
    SubscriptionRow,
)
from services.subscriptions.retention import Offer
from services.subscriptions.upcoming import Upcoming
from services.subscriptions.usage_so_far import UsedSoFar
from state.format import decimal_text, instant_text
from state.invoices_view import formula_shown

FILTERS = ("state", "created_at[gte]", "created_at[lt]")
_MOMENTS = (
    "started_at", "trial_end", "next_at", "cancel_at", "paused_at", "resume_at", "ended_at",
)  # fmt: skip


def row_shown(row: SubscriptionRow, home: str) -> dict[str, Any]:
    return {
        "id": row.id,
        "href": f"{home}/{row.id}",
        "name": row.plan_name,
        "plan_version": row.plan_version,
        "organization": row.organization_name,
        "organization_id": row.organization_id,
        "state": row.state,
        "currency": row.currency,
        "interval": row.interval,
        "interval_count": row.interval_count,
        "parked": row.parked_reason or "",
        "scheduled_at": instant_text(row.scheduled_at),
        "created_at": instant_text(row.created_at),
        **{name: instant_text(getattr(row, name)) for name in _MOMENTS},
    }


def detail_shown(found: SubscriptionDetail) -> dict[str, Any]:
    scheduled, upcoming = found.scheduled, _upcoming_shown(found.upcoming, found.currency)
    return {
        "id": found.id,
        "organization_id": found.organization_id,
        "state": found.state.value,
        "name": found.plan_name,
        "plan_id": found.plan_id,
        "plan_version": found.plan_version,
        "currency": found.currency,
        "interval": found.interval,
        "interval_count": found.interval_count,
        "period_end": instant_text(found.period_end),
        "cancel_reason": found.cancel_reason or "",
        "cancel_comment": found.cancel_comment or "",
        "parked": found.parked_reason or "",
        "needs_profile": found.needs_profile,
        "scheduled_at": instant_text(scheduled.at) if scheduled else "",
        "scheduled_name": scheduled.plan_name if scheduled else "",
        "pay_until": instant_text(found.pay_until),
        "collection": found.collection,
        "payment_days": "" if found.payment_days is None else found.payment_days,
        "scheduled_by_staff": scheduled is not None and scheduled.by_staff,
        "scheduled_ends_first": scheduled is not None
        and found.cancel_at is not None
        and found.cancel_at <= scheduled.at,
        "scheduled_amount": _period_amount(scheduled, found.currency) if scheduled else "",
        **upcoming,
        **{name: instant_text(getattr(found, name)) for name in _MOMENTS},
    }


def _period_amount(scheduled: ScheduledChange, currency: str) -> str:
    """What is charged for time, in each item's own period."""
    return _amount(sum(one.amount_minor or 0 for one in scheduled.items if one.interval), currency)


def items_shown(items: tuple[ItemRow, ...], currency: str) -> list[dict[str, Any]]:
    return [
        {
            "id": f"{item.plan_id}/{item.key}",
            "name": item.name,
            "kind": item.kind.value,
            "addon": item.addon,
            "quantity": decimal_text(item.quantity),
            "currency": currency,
            "amount": "" if item.amount_minor is None else _amount(item.amount_minor, currency),
            "interval": item.interval or "",
            "interval_count": item.interval_count,
        }
        for item in items
    ]


def used_shown(one: UsedSoFar) -> dict[str, Any]:
    """`amount` is what is still to be billed of it; what was billed already comes off, as its formula says."""
    formulas = [f"{step.formula} = {step.amount}" for step in one.steps]
    if one.billed_before_minor:
        formulas.append(f"− {_amount(one.billed_before_minor, one.currency)}")
    return {
        "id": one.key,
        "name": one.name,
        "quantity": decimal_text(one.quantity),
        "currency": one.currency,
        "amount": _amount(one.amount_minor - one.billed_before_minor, one.currency),
        "since": instant_text(one.since),
        "bills_at": instant_text(one.bills_at),
        "formulas": formulas,
    }


def coupon_shown(row: CouponRow, currency: str) -> dict[str, Any]:
    """`takes` says how much of what, `share` and `amount` one of both."""
    return {
        "id": row.id,
        "code": row.code,
        "name": row.name,
        "share": decimal_text(row.rate) if row.rate is not None else "",
        "amount": "" if row.amount_minor is None else _amount(row.amount_minor, row.currency or currency),
        "currency": currency,
        "duration": row.duration,
        "periods": row.periods or 0,
        "periods_used": row.periods_used,
        "taken": _amount(row.taken_minor, currency),
    }


def billed_shown(row: BilledRow, currency: str, home: str) -> dict[str, Any]:
    return {
        "id": row.id,
        "href": f"{home}/{row.id}",
        "name": row.number or row.id,
        "state": row.state,
        "days_overdue": row.days_overdue or 0,
        "currency": currency,
        "label_date": row.label_date or "",
        "total": _amount(row.total_minor, currency),
        "due": _amount(row.due_minor, currency),
    }


def preview_shown(found: Preview) -> dict[str, Any]:
    """What an act comes to: `total_minor` is agreed to; `due` is to be paid now, `waits` what a later invoice asks
    for; `settled` is what of the credit pays open invoices, and `credit` what is kept of it."""
    now = [one for one in found.invoices if not one.waits]
    later = [one for one in found.invoices if one.waits]
    currency = found.currency

    def added(name: str, of: list[PreviewInvoice]) -> str:
        return _amount(sum(getattr(one, name) for one in of), currency)

    return {
        "at": found.at.isoformat(),
        "currency": currency,
        "state": found.state,
        "effective_at": found.effective_at.isoformat(),
        "is_later": found.effective_at > found.at,
        "total_minor": found.total_minor,
        "due": added("due_minor", now),
        "due_said": figure_text(Money(sum(one.due_minor for one in now), currency).amount, currency),
        "waiting": added("total_minor", later) if later else "",
        "credit": _unless_nothing(sum(one.carried_minor - one.settled_minor for one in now), currency),
        "settled": _unless_nothing(sum(one.settled_minor for one in now), currency),
        "included": _unless_nothing(found.included_minor, currency),
        "needs_profile": found.needs_profile,
        "lapses_name": found.lapses.plan_name if found.lapses else "",
        "lapses_at": instant_text(found.lapses.at) if found.lapses else "",
        "lapses_kept": found.state == SubscriptionState.CANCELED,
        **_upcoming_shown(None if _is_shown(found) else found.upcoming, currency),
    }


def _is_shown(found: Preview) -> bool:
    """Whether what comes next is among the documents already: as the first invoice on which the act counts, or as one
    that waits and is joined by nothing."""
    comes = found.upcoming
    waits = [one for one in found.invoices if one.waits and comes is not None and one.billed_at == comes.at]
    sums = [sum(line.amount_minor - line.discount_minor for line in one.lines) for one in waits]
    return found.first_invoice is not None or (comes is not None and comes.amount_minor in sums)


def offer_shown(found: Offer) -> dict[str, Any]:
    return {
        "coupon": found.coupon,
        "text": found.text,
        "share": decimal_text(found.rate),
        "duration": found.duration,
        "periods": found.periods or 0,
        "currency": found.currency,
        "at": found.at.isoformat(),
        "before": _amount(found.before_minor, found.currency),
        "after": _amount(found.after_minor, found.currency),
        "saves": _amount(found.saves_minor, found.currency),
    }


def documents_shown(found: Preview) -> list[dict[str, Any]]:
    """Invoices that an act makes; where it makes none, the first on which it counts, if that is known."""
    if found.first_invoice is not None:
        return [document_shown(0, found.first_invoice, comes=True)]
    several = sum(not one.waits for one in found.invoices) > 1
    return [document_shown(place, one, one_of_several=several) for place, one in enumerate(found.invoices)]


def document_shown(
    place: int, one: PreviewInvoice, *, comes: bool = False, one_of_several: bool = False
) -> dict[str, Any]:
    """An invoice that is made; one of several at the same moment is told apart by the time that it charges for."""
    names = ("discount", "net", "tax", "total", "credits", "due", "carried")
    charges = [line for line in one.lines if line.period_start is not None and line.amount_minor >= 0]
    starts = [line.period_start for line in charges if line.period_start is not None]
    ends = [line.period_end for line in charges if line.period_end is not None]
    return {
        "id": str(place),
        "period_start": instant_text(min(starts)) if starts and one_of_several else "",
        "period_end": instant_text(max(ends)) if ends and one_of_several else "",
        "currency": one.currency,
        "billed_at": one.billed_at.isoformat(),
        "waits": one.waits,
        "comes": comes,
        "lines": [_line(at, line, one.currency) for at, line in enumerate(one.lines)],
        **{name: _amount(getattr(one, f"{name}_minor"), one.currency) for name in names},
    }


def _line(place: int, line: PreviewLine, currency: str) -> dict[str, Any]:
    return {
        "id": str(place),
        "name": line.description,
        "currency": currency,
        "amount": _amount(line.amount_minor, currency),
        "discount": _amount(line.discount_minor, currency) if line.discount_minor else "",
        "tax": _amount(line.tax_minor, currency),
        "period_start": instant_text(line.period_start),
        "period_end": instant_text(line.period_end),
        "steps": [{"id": str(at), **formula_shown(step)} for at, step in enumerate(line.steps)],
    }


def _upcoming_shown(found: Upcoming | None, currency: str) -> dict[str, Any]:
    return {
        "upcoming_at": instant_text(found.at) if found else "",
        "upcoming": _amount(found.amount_minor, currency) if found else "",
    }


def _amount(minor: int, currency: str) -> str:
    return decimal_text(Money(minor, currency).amount)


def _unless_nothing(minor: int, currency: str) -> str:
    return _amount(minor, currency) if minor else ""
