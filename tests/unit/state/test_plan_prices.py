"""Prices of plans as figures that somebody can compare."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from services.catalog.charge_json import charge_from_json
from state.plan_view import lines_of

TIERS: list[dict[str, Any]] = [
    {"up_to": "1000000", "unit_amount": "0", "flat_amount": "0"},
    {"up_to": None, "unit_amount": "0.00000224", "flat_amount": "0"},
]


@pytest.mark.parametrize(
    ("definition", "said"),
    [
        ({"model": "graduated", "tiers": TIERS}, [("free", False), ("tier", True)]),
        ({"model": "volume", "tiers": TIERS}, [("volume", False), ("volume", True)]),
        (
            {"model": "graduated", "tiers": TIERS, "free_units": "5"},
            [("free", False), ("tier", False), ("tier", True)],
        ),
        (
            {"model": "graduated", "tiers": [TIERS[0] | {"flat_amount": "2"}, TIERS[1]]},
            [("tier", False), ("tier", True)],
        ),
        (
            {"model": "graduated", "tiers": [{"up_to": "1000", "unit_amount": "0.01"}, TIERS[1]]},
            [("tier", False), ("tier", False)],  # one scale, lest 0.01 stand beside 2.24 a million
        ),
        ({"model": "per_unit", "unit_amount": "0.00999"}, [("each", True)]),
        ({"model": "per_unit", "unit_amount": "0.01"}, [("each", False)]),
        ({"model": "per_unit", "unit_amount": "0"}, [("each", False)]),
    ],
)
def test_what_is_free_is_called_so_and_less_than_a_cent_is_told_for_a_million(
    definition: dict[str, Any], said: list[tuple[str, bool]]
) -> None:
    lines = lines_of(charge_from_json(definition), "EUR", included=Decimal(0))
    assert [(line["what"], line["a_million"]) for line in lines] == said
    if said[0] == ("free", False) and len(said) == 2:
        assert lines[0]["size"] == "1000000"
