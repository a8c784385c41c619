"""Charges, and what a line was rated from, as plain JSON that stays readable for as long as a document does.

Every number is text without an exponent, so that no JSON library makes a float of a price. SCHEMA is raised when
the meaning of a key changes; what is stored in an older schema is then still read here. Pure, no I/O.
Source: docs/decisions/0022-charges-discounts-tax.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from decimal import Decimal
from functools import cache
from typing import Any, cast

from models.money import EXACT
from services.catalog import charges
from services.catalog.charges import Charge, Model, Tier
from services.catalog.rating import EventTally, RatedCharge, Step, rate
from services.core.errors import Invalid

SCHEMA = 1
MODELS: dict[str, type[Model]] = {
    "flat": charges.Flat,
    "one_off": charges.OneOff,
    "per_unit": charges.PerUnit,
    "package": charges.Package,
    "graduated": charges.Graduated,
    "volume": charges.Volume,
    "percentage": charges.Percentage,
}
_NAMES = {kind: name for name, kind in MODELS.items()}
_NUMBER = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?")


def charge_to_json(charge: Charge) -> dict[str, Any]:
    """All that the charge is, with its defaults: {"schema": 1, "model": "per_unit", "unit_amount": "12.5", ...}."""
    return {
        "schema": SCHEMA,
        "model": _NAMES[type(charge.model)],
        **_written(charge.model),
        "free_units": _plain(charge.free_units),
        "minimum": _plain(charge.minimum),
        "maximum": _plain(charge.maximum),
    }


def charge_from_json(data: Any) -> Charge:
    """The charge written as `data`, checked as if it were new; without `schema` it is of the newest.

    `above` of a tier may be left out: it begins where the one before it ends. Raises Invalid naming the field at
    fault: a key that is unknown or missing, another schema, a number that JSON does not hold exactly.
    """
    given = _object(data, "charge")
    if type(schema := given.pop("schema", SCHEMA)) is not int or schema != SCHEMA:
        raise Invalid(f"A charge of schema {schema!r} cannot be read: {SCHEMA} is known.", field="schema")
    name = given.pop("model", None)
    kind = MODELS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise Invalid(f"{name!r} is no charge model. There are {', '.join(MODELS)}.", field="model")
    around = {key: given.pop(key) for key in ("free_units", "minimum", "maximum") if key in given}
    return Charge(model=kind(**_read(kind, given, "")), **_read(Charge, around, "", but="model"))


def facts_of(charge: Charge, quantity: Decimal, events: EventTally | None = None) -> dict[str, Any]:
    """What a line keeps so that `replay` gives its exact amount again, whatever the price is by then."""
    return {
        "charge": charge_to_json(charge),
        "quantity": _plain(quantity),
        "events": _written(events) if events is not None else None,
    }


def replay(facts: Any) -> RatedCharge:
    """The amount and the steps of a line from its `facts_of`. Raises Invalid for facts that are none."""
    given = _object(facts, "facts")
    events = given.get("events")
    made = None if events is None else EventTally(**_read(EventTally, _object(events, "events"), "events."))
    return rate(
        charge_from_json(given.get("charge")), _number(given.get("quantity"), "quantity"), events=made
    )


def steps_to_json(rated: RatedCharge) -> list[dict[str, Any]]:
    """The steps as an explanation shows them, amounts in major units as text."""
    return [
        {key: value for key, value in _written(step).items() if value is not None} for step in rated.steps
    ]


def _written(part: Model | Tier | Step | EventTally) -> dict[str, Any]:
    return {one.name: _plain(getattr(part, one.name)) for one in fields(part)}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{value.normalize(EXACT):f}"
    if isinstance(value, tuple):
        return [_written(tier) for tier in cast("tuple[Tier, ...]", value)]
    return value


def _read(kind: type[Any], data: dict[str, Any], at: str, *, but: str = "") -> dict[str, Any]:
    """Arguments of `kind` from `data`, whose keys are its fields. Defaults are left to it."""
    known = _shape(kind, but)
    for key in data:
        if key not in known:
            raise Invalid(f"There is no {key!r} here. Known are {', '.join(known)}.", field=f"{at}{key}")
    for name, one in known.items():
        if one.needed and name not in data:
            raise Invalid(f"{name!r} is missing.", field=f"{at}{name}")
    return {name: known[name].read(value, f"{at}{name}") for name, value in data.items()}


@dataclass(frozen=True, slots=True)
class _Field:
    read: Callable[[Any, str], Any]
    needed: bool


@cache
def _shape(kind: type[Any], but: str) -> dict[str, _Field]:
    """How the fields of `kind` are read: by their annotations, which are text here."""
    return {
        one.name: _Field(_READERS[str(one.type)], one.default is MISSING)
        for one in fields(kind)
        if one.name != but
    }


def _object(data: Any, field: str) -> dict[str, Any]:
    if not isinstance(data, Mapping):
        raise Invalid(f"This is no JSON object: {data!r:.80}.", field=field)
    return dict(cast("Mapping[str, Any]", data))


def _number(value: Any, field: str) -> Decimal:
    if type(value) is int:
        return Decimal(value)
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        raise Invalid(
            f"{value!r:.80} is no exact number.", field=field, next_step='Write it as text, such as "0.125".'
        )
    return Decimal(value)


def _optional(value: Any, field: str) -> Decimal | None:
    return None if value is None else _number(value, field)


def _count(value: Any, field: str) -> int:
    if type(value) is not int or not 0 <= value <= charges.EVENTS_MAX:
        raise Invalid(f"{value!r:.80} is no whole number from 0 on.", field=field)
    return value


def _flag(value: Any, field: str) -> bool:
    if not isinstance(value, bool):
        raise Invalid(f"{value!r:.80} is neither true nor false.", field=field)
    return value


def _tiers(value: Any, field: str) -> tuple[Tier, ...]:
    if not isinstance(value, list | tuple):
        raise Invalid("Tiers are a list.", field=field)
    listed = cast("list[Any]", value)[: charges.TIERS_MAX + 1]  # one too many, and the model refuses it
    tiers: list[Tier] = []
    for index, one in enumerate(listed):
        given = _object(one, f"{field}.{index}")
        before = tiers[-1].up_to if tiers else Decimal(0)
        if before is None:
            raise Invalid("Only the last tier has no end.", field=f"{field}.{index - 1}.up_to")
        if "above" not in given:
            given["above"] = f"{before:f}"
        tiers.append(Tier(**_read(Tier, given, f"{field}.{index}.")))
    return tuple(tiers)


_READERS: dict[str, Callable[[Any, str], Any]] = {
    "Decimal": _number,
    "Decimal | None": _optional,
    "int": _count,
    "bool": _flag,
    "tuple[Tier, ...]": _tiers,
}
