"""Prices of plans as pages show them: a line for each figure that somebody would ask about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from services.catalog.charges import (
    Charge,
    Flat,
    Graduated,
    OneOff,
    Package,
    Percentage,
    PerUnit,
    Tier,
    Volume,
)
from services.catalog.plan_queries import ChargeRow, EntitlementRow, planned
from services.catalog.plan_rules import Offer
from services.catalog.rating import Step
from state.format import decimal_text

Line = dict[str, Any]
CENT = Decimal("0.01")  # what costs less is told for a million, which somebody can compare


def charge_shown(row: ChargeRow) -> dict[str, Any]:
    """A price with its `lines`, of which the first says the most."""
    charge = planned(row).charge
    return {
        "id": row.id,
        "key": row.key,
        "name": row.name,
        "kind": row.kind,
        "meter": row.meter or "",
        "model": row.definition["model"],
        "currency": row.currency,
        "interval": row.interval or "",
        "interval_count": row.interval_count,
        "timing": row.timing,
        "quantity_min": decimal_text(row.quantity_min),
        "quantity_max": decimal_text(row.quantity_max),
        "with_tax": row.tax_inclusive,
        "lines": lines_of(charge, row.currency, included=row.included_credits, with_tax=row.tax_inclusive),
    }


def lines_of(
    charge: Charge, currency: str, *, included: Decimal = Decimal(0), with_tax: bool = False
) -> list[Line]:
    """What the charge asks for, in the order in which it is reckoned, the credits that come with it, and that the tax
    is in it where it is. Amounts are in major units."""
    lines = [_line("free", size=charge.free_units)] if charge.free_units else []
    model = charge.model
    if isinstance(model, Flat):
        lines.append(_line("flat", model.amount))
    elif isinstance(model, OneOff | PerUnit):
        lines.append(_line("each", model.unit_amount))
    elif isinstance(model, Package):
        lines.append(_line("package", model.amount, size=model.size))
    elif isinstance(model, Graduated | Volume):
        kind = "volume" if isinstance(model, Volume) else "tier"
        # One scale for all of them: a cent each beside so much a million is nothing that somebody can compare.
        small = all(tier.unit_amount < CENT for tier in model.tiers)
        tiers = [_tier(kind, tier, small=small) for tier in model.tiers]
        if not lines and kind == "tier" and _is_free(model.tiers[0]):
            tiers[0] = _line("free", size=model.tiers[0].up_to)
        lines += tiers
    else:
        lines += _percentage(model)
    if charge.minimum is not None:
        lines.append(_line("minimum", charge.minimum))
    if charge.maximum is not None:
        lines.append(_line("maximum", charge.maximum))
    if included:
        lines.append(_line("included", included))
    if with_tax:
        lines.append(_line("with_tax"))
    return [line | {"currency": currency, "at": str(index)} for index, line in enumerate(lines)]


def _line(what: str, amount: Any = None, *, size: Any = None, rate: Any = None) -> Line:
    return {
        "what": what,
        "amount": decimal_text(amount),
        "a_million": amount is not None and 0 < amount < CENT,
        "size": decimal_text(size),
        "rate": decimal_text(rate),
        "above": "",
        "up_to": "",
        "flat": "",
    }


def _tier(kind: str, tier: Tier, *, small: bool) -> Line:
    return _line(kind, tier.unit_amount) | {
        "a_million": small and tier.unit_amount > 0,
        "above": decimal_text(tier.above),
        "up_to": decimal_text(tier.up_to),
        "flat": decimal_text(tier.flat_amount) if tier.flat_amount else "",
    }


def _is_free(tier: Tier) -> bool:
    return tier.up_to is not None and not tier.unit_amount and not tier.flat_amount


def _percentage(model: Percentage) -> list[Line]:
    lines = [_line("free_events", size=model.free_events)] if model.free_events else []
    lines.append(_line("rate", rate=model.rate))
    if model.fixed_fee:
        lines.append(_line("fee", model.fixed_fee))
    return lines


def named(row: ChargeRow) -> str:
    """A price, told apart from others of its version. What is billed once has no interval."""
    told = (row.currency, str(planned(row).length or ""))
    return f"{row.name} ({', '.join(filter(None, told))})"


def entitlements_shown(rows: Sequence[EntitlementRow]) -> list[dict[str, Any]]:
    return [asdict(row) for row in rows]


def offer_key(offer: Offer) -> str:
    """An interval as an address says it."""
    return f"{offer.length.count}-{offer.length.interval.value}"


def step_shown(index: int, step: Step, currency: str) -> dict[str, Any]:
    """One step of an estimate."""
    return {
        "id": str(index),
        "kind": step.kind.value,
        "quantity": decimal_text(step.quantity),
        "unit_amount": decimal_text(step.unit_amount),
        "flat_amount": decimal_text(step.flat_amount),
        "amount": decimal_text(step.amount),
        "currency": currency,
    }
