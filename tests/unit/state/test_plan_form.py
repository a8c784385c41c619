"""A price that is shown in its form and saved unchanged is the same price, whichever way it was made."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from services.catalog.charge_json import charge_from_json, charge_to_json
from services.catalog.plan_queries import ChargeRow
from services.core.errors import Invalid
from state.governance.plan_drafts import MODEL_FIELDS, charge_of, form_of

TIERS = [{"up_to": "10", "unit_amount": "2", "flat_amount": "5"}, {"up_to": None, "unit_amount": "0.5"}]
PRICES: list[tuple[str, dict[str, Any]]] = [
    ("flat", {"model": "flat", "amount": "0", "minimum": "0"}),
    ("one_off", {"model": "one_off", "unit_amount": "99.5"}),
    ("seat", {"model": "per_unit", "unit_amount": "0.000000000001", "free_units": "2.5", "maximum": "7"}),
    ("metered", {"model": "package", "amount": "3", "size": "1000"}),
    ("seat", {"model": "graduated", "tiers": TIERS, "first_flat_at_zero": True}),
    ("metered", {"model": "volume", "tiers": TIERS}),
    ("metered", {"model": "volume", "tiers": TIERS, "first_flat_at_zero": True}),
    (
        "metered",
        {
            "model": "percentage",
            "rate": "0.029",
            "fixed_fee": "0.3",
            "free_events": 7,
            "event_minimum": "0",
            "event_maximum": "12.5",
            "free_units": "100",
            "minimum": "1",
        },
    ),
    ("metered", {"model": "percentage", "rate": "0"}),
]


def shown(kind: str, definition: dict[str, Any]) -> dict[str, str]:
    """What the form shows of a price of this definition."""
    return form_of(
        ChargeRow(
            id="chg_1", key="price", name="Price", kind=kind, meter="events" if kind == "metered" else None,
            currency="EUR", interval="month", interval_count=1, timing="advance", proration="day",
            definition=definition, quantity_min=Decimal(0), quantity_max=None, included_credits=Decimal(0),
            tax_inclusive=True,
        )
    )  # fmt: skip


@pytest.mark.parametrize(("kind", "definition"), PRICES)
def test_a_price_is_the_same_after_its_form(kind: str, definition: dict[str, Any]) -> None:
    made = charge_from_json(definition)
    saved = charge_of(shown(kind, charge_to_json(made)))
    assert charge_from_json(saved.definition) == made
    assert saved.tax_inclusive
    as_typed = {
        ticked: charge_of(shown(kind, definition) | {"tax_inclusive": str(ticked or "")})
        for ticked in (True, False)
    }
    assert [one.tax_inclusive for one in as_typed.values()] == [True, False]


def test_every_model_is_tried() -> None:
    assert {definition["model"] for _, definition in PRICES} == set(MODEL_FIELDS)


@pytest.mark.parametrize("line", ["1-10 5", "ten five", "10", "10 5 1 1", "* *", "10 5,50"])
def test_a_line_that_is_no_tier_is_named(line: str) -> None:
    form = shown("seat", charge_to_json(charge_from_json({"model": "graduated", "tiers": TIERS})))
    with pytest.raises(Invalid, match=r"Line 2 is no tier") as refused:
        charge_of(form | {"tiers": f"5 1\n{line}\n* 1"})
    assert refused.value.field == "tiers"


@pytest.mark.parametrize(
    ("field", "value"), [("free_events", "1.5"), ("free_events", "many"), ("event_minimum", "ten")]
)
def test_what_is_no_number_is_said_at_its_field(field: str, value: str) -> None:
    form = shown("metered", charge_to_json(charge_from_json({"model": "percentage", "rate": "0.1"})))
    with pytest.raises(Invalid) as refused:
        charge_from_json(charge_of(form | {field: value}).definition)
    assert refused.value.field == field
