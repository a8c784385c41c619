"""A price of a plan between its form and its rules: text in, text out. Pure.

Numbers stay text on the way, so that none is rounded; the rules of charges say what is wrong with them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from services.catalog.plan_queries import ChargeRow
from services.catalog.plan_rules import ChargeFields
from services.core.errors import Invalid
from state.format import decimal_text

# What each model takes, beside what any charge may have.
MODEL_FIELDS: dict[str, tuple[str, ...]] = {
    "flat": ("amount",),
    "one_off": ("unit_amount",),
    "per_unit": ("unit_amount",),
    "package": ("amount", "size"),
    "graduated": ("tiers", "first_flat_at_zero"),
    "volume": ("tiers", "first_flat_at_zero"),
    "percentage": ("rate", "fixed_fee", "free_events", "event_minimum", "event_maximum"),
}
MODELS: dict[str, tuple[str, ...]] = {
    "flat": ("flat",),
    "seat": ("per_unit", "package", "graduated", "volume"),
    "metered": ("per_unit", "package", "graduated", "volume", "percentage"),
    "one_off": ("one_off",),
}
FIELDS = (
    "key", "name", "kind", "model", "currency", "interval", "interval_count", "proration", "meter", "unit_amount",
    "amount", "size", "tiers", "first_flat_at_zero", "rate", "fixed_fee", "free_events", "event_minimum",
    "event_maximum", "free_units", "minimum", "maximum", "quantity_min", "quantity_max", "timing",
    "included_credits", "tax_inclusive",
)  # fmt: skip
BLANK: dict[str, str] = dict.fromkeys(FIELDS, "") | {
    "kind": "flat",
    "model": "flat",
    "interval": "month",
    "interval_count": "1",
    "proration": "second",
}
OPEN_END = "*"
_TICKED = "true"  # what is not is empty
_NUMBER = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?")
_PLACE = re.compile(r"^(charges\.[0-9]+\.?)?(definition\.?)?")


def form_of(row: ChargeRow) -> dict[str, str]:
    """What the form shows of a price that is there."""
    said: dict[str, Any] = row.definition
    given = BLANK | {
        "key": row.key,
        "name": row.name,
        "kind": row.kind,
        "model": said["model"],
        "currency": row.currency,
        "interval": row.interval or "",
        "interval_count": str(row.interval_count),
        "proration": row.proration,
        "timing": row.timing,
        "meter": row.meter or "",
        "quantity_min": decimal_text(row.quantity_min) if row.quantity_min else "",
        "quantity_max": decimal_text(row.quantity_max),
        "included_credits": decimal_text(row.included_credits) if row.included_credits else "",
        "tax_inclusive": _TICKED if row.tax_inclusive else "",
    }
    for name in (*MODEL_FIELDS[said["model"]], "minimum", "maximum"):
        given[name] = _said_text(name, said.get(name))
    if said.get("free_units") != "0":
        given["free_units"] = said.get("free_units") or ""
    return given


def _said_text(name: str, value: Any) -> str:
    if name == "tiers":
        return "\n".join(_tier_text(tier) for tier in value)
    if isinstance(value, bool):
        return _TICKED if value else ""
    return "" if value is None else str(value)


def apart(row: ChargeRow | ChargeFields) -> list[str]:
    """What tells a price from the others of its version; rows are made anew with each change."""
    return [row.key, row.currency, row.interval or "", str(row.interval_count)]


def with_price(charges: Sequence[ChargeFields], made: ChargeFields, *, of: list[str]) -> list[ChargeFields]:
    """`made` in the place of the price that `of` tells apart; at the end where there is none."""
    there = [apart(one) for one in charges]
    place = there.index(of) if of in there else len(there)
    return [*charges[:place], made, *charges[place + 1 :]]


def charge_of(values: Mapping[str, Any]) -> ChargeFields:
    """What the form says, to be checked by the rules. Raises Invalid for what is no number where one belongs."""
    text = {name: str(values.get(name) or "").strip() for name in FIELDS}
    recurs = text["kind"] != "one_off"
    return ChargeFields(
        key=text["key"],
        name=text["name"],
        kind=text["kind"],
        currency=text["currency"].upper(),
        definition=_definition(text),
        interval=(text["interval"] or None) if recurs else None,
        interval_count=int(number(text["interval_count"] or "1", "interval_count")),
        timing=text["timing"] or None if text["kind"] in ("flat", "seat") else None,
        proration=text["proration"] or "second",
        meter=(text["meter"] or None) if text["kind"] == "metered" else None,
        quantity_min=number(text["quantity_min"] or "0", "quantity_min"),
        quantity_max=number(text["quantity_max"], "quantity_max") if text["quantity_max"] else None,
        included_credits=number(text["included_credits"] or "0", "included_credits")
        if text["kind"] in ("flat", "seat")
        else Decimal(0),
        tax_inclusive=bool(text["tax_inclusive"]),
    )


def field_at(place: str) -> str:
    """The field of the form that an error's place in a version means; empty for the form as a whole."""
    name = _PLACE.sub("", place).partition(".")[0]
    return name if name in FIELDS else ""


def _definition(text: Mapping[str, str]) -> dict[str, Any]:
    model = text["model"]
    wanted = (*MODEL_FIELDS.get(model, ()), "free_units", "minimum", "maximum")
    made: dict[str, Any] = {name: text[name] for name in wanted if text[name]}
    if "tiers" in wanted:
        made["tiers"] = [
            _tier(line, number) for number, line in enumerate(text["tiers"].splitlines(), 1) if line.strip()
        ]
    if "first_flat_at_zero" in made:
        made["first_flat_at_zero"] = True
    if "free_events" in made:
        made["free_events"] = _count(text["free_events"], "free_events")
    return {"model": model, **made}


def _tier(line: str, at: int) -> dict[str, Any]:
    parts = line.replace(";", " ").split()
    figures = parts[1:] if parts[:1] == [OPEN_END] else parts
    if not 2 <= len(parts) <= 3 or not all(map(_NUMBER.fullmatch, figures)):
        raise Invalid(
            f"Line {at} is no tier: {line.strip()[:60]!r}.",
            field="tiers",
            next_step="Write where it ends, the price of a unit and, if there is one, a flat price, like 100 0.5.",
        )
    made: dict[str, Any] = {"up_to": None if parts[0] == OPEN_END else parts[0], "unit_amount": parts[1]}
    return made | ({"flat_amount": parts[2]} if len(parts) == 3 else {})


def _tier_text(tier: Mapping[str, Any]) -> str:
    flat = f" {tier['flat_amount']}" if tier.get("flat_amount") not in (None, "0") else ""
    return f"{tier['up_to'] or OPEN_END} {tier['unit_amount']}{flat}"


def _count(text: str, field: str) -> int:
    """Raises Invalid at `field` for what is no whole number."""
    amount = number(text, field)
    if amount != amount.to_integral_value():
        raise Invalid(f"{text[:40]!r} is no whole number.", field=field, next_step="Write it like 25.")
    return int(amount)


def number(text: str, field: str) -> Decimal:
    """Raises Invalid at `field` for what is no plain number."""
    if not _NUMBER.fullmatch(text.strip()):
        raise Invalid(f"{text[:40]!r} is no number.", field=field, next_step="Write it like 25 or 0.5.")
    return Decimal(text.strip())
