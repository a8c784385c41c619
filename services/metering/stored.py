"""Reading quantities out of stored events in SQL, by the same rules as `rules.added_by` at the door.

An event may be older than the meter that reads it: a value that would be refused today adds nothing.
"""

from __future__ import annotations

from models.types import Aggregation
from services.metering.rules import DECIMAL_TEXT, NUMERIC, QUANTITY_MAX

# `:property` is the meter's value property. The first case decides before the cast can fail.
_NUMBER = f"""
    case jsonb_typeof(event.properties -> cast(:property as text))
      when 'number' then cast(event.properties ->> cast(:property as text) as numeric)
      when 'string' then case when event.properties ->> cast(:property as text) ~ '{DECIMAL_TEXT}'
        then cast(event.properties ->> cast(:property as text) as numeric) end
    end"""
_SIMPLE = (
    "case when jsonb_typeof(event.properties -> cast(:property as text)) in ('number','string','boolean')"
    " then event.properties ->> cast(:property as text) end"
)


def value_of(aggregation: Aggregation) -> str:
    """SQL for what `event` states to a meter: a number, the text that is told apart, or 1. Null: nothing."""
    if aggregation is Aggregation.UNIQUE:
        return _SIMPLE
    if aggregation is Aggregation.COUNT:
        return "cast(1 as numeric)"
    return f"round({_NUMBER}, 12)"


def counts(aggregation: Aggregation) -> str:
    """SQL condition on `value` (what `value_of` gave): whether the event counts for the meter."""
    if aggregation in NUMERIC:
        return f"value between 0 and {QUANTITY_MAX:f}"
    return "value is not null"
