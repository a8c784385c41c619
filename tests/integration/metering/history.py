"""A naive second opinion: keeps every event in a list and adds up from scratch, in plain Python."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any

from models.types import Aggregation
from services.metering.rules import UsageEventIn
from services.metering.sums import Figure, Filter, GroupBy

PRICED = ("prompt_tokens", "completion_tokens", "requests")


@dataclass(frozen=True)
class MeterSpec:
    slug: str
    event_type: str
    aggregation: Aggregation
    value_property: str | None
    platform: bool = False


@dataclass(frozen=True)
class Kept:
    """An event, its cost by meter, and whether a price was missing."""

    event: UsageEventIn
    costs: dict[str, Fraction]
    unpriced: bool


@dataclass
class History:
    """What should be there. The first event of a key wins; prices are those known when it came."""

    events: dict[tuple[str, str], Kept] = field(default_factory=dict)
    prices: list[tuple[str, str, datetime, Decimal, int]] = field(default_factory=list)

    def send(self, event: UsageEventIn) -> str:
        key = (event.source, event.event_id)
        there = self.events.get(key)
        if there is not None:
            return "duplicate" if _said(there.event) == _said(event) else "conflict"
        costs, unpriced = self._rate(event) if event.type == "ai.request" else ({}, False)
        self.events[key] = Kept(event, costs, unpriced)
        return "accepted"

    def _rate(self, event: UsageEventIn) -> tuple[dict[str, Fraction], bool]:
        costs: dict[str, Fraction] = {}
        for meter in PRICED:
            used = _served(event) if meter == "requests" else event.properties[meter]
            valid = [p for p in self.prices if p[:2] == (event.model, meter) and p[2] <= event.time]
            if valid:
                _, _, _, amount, per_units = max(valid, key=lambda p: p[2])
                costs[meter] = _round(Fraction(used) * Fraction(amount) / per_units)
            elif used and meter != "requests":  # which may do without a price
                return {}, True
        return costs, False

    def figures(
        self,
        meter: MeterSpec,
        edges: list[datetime],
        group_by: GroupBy | None,
        where: Filter,
        now: datetime,
        told_apart: Set[str] | None = None,
    ) -> dict[tuple[int, str | None], Figure]:
        """Figures by bucket and group, where something was seen. What is not of `told_apart` is the group None."""

        def group_of(kept: Kept) -> str | None:
            group = _group(kept.event, group_by)
            return group if told_apart is None or group in told_apart else None

        seen = [kept for kept in self.events.values() if _matches(kept.event, meter, where)]
        counted = [(kept, value) for kept in seen if (value := _value(meter, kept.event)) is not None]
        groups = {group_of(kept) for kept, _ in counted}
        found: dict[tuple[int, str | None], Figure] = {}
        for group in groups:
            members = [(kept, value) for kept, value in counted if group_of(kept) == group]
            for bucket in range(len(edges) - 1):
                window = (edges[bucket], edges[bucket + 1])
                inside = [pair for pair in members if window[0] <= pair[0].event.time < window[1]]
                quantity = _quantity(meter.aggregation, inside, members, window, now)
                if inside or quantity:
                    found[bucket, group] = Figure(
                        len(inside),
                        _decimal(quantity),
                        _cost(meter, inside),
                        sum(k.unpriced for k, _ in inside),
                    )
        return found


def _served(event: UsageEventIn) -> int:
    """Whether a call is charged as a request: it went well, or somebody hung up in the middle of it."""
    said = event.properties
    in_the_middle = said["status"] == 499 and said["prompt_tokens"] + said["completion_tokens"] > 0
    return int(said["status"] < 400 or in_the_middle)


def _said(event: UsageEventIn) -> tuple[Any, ...]:
    return (event.type, event.time, event.model, event.key_id, dict(event.properties))


def _round(value: Fraction) -> Fraction:
    """Half away from zero at 12 places, for what is never negative."""
    return Fraction((2 * value * 10**12 + 1) // 2, 10**12)


_WIDE = Context(prec=100)  # Python's own 28 digits are fewer than a long history's sums have


def _decimal(value: Fraction | int | None) -> Decimal | None:
    return None if value is None else _WIDE.divide(Decimal(value.numerator), Decimal(value.denominator))


def _cost(meter: MeterSpec, inside: Iterable[tuple[Kept, Any]]) -> Decimal | None:
    total = sum((kept.costs.get(meter.slug, Fraction(0)) for kept, _ in inside), Fraction(0))
    return _decimal(total if meter.platform else Fraction(0))


def _group(event: UsageEventIn, group_by: GroupBy | None) -> str:
    return {None: "", GroupBy.MODEL: event.model, GroupBy.KEY: event.key_id}[group_by]


def _matches(event: UsageEventIn, meter: MeterSpec, where: Filter) -> bool:
    return (
        event.type == meter.event_type
        and (not where.models or event.model in where.models)
        and (not where.keys or event.key_id in where.keys)
        and all(str(event.properties.get(name)) == value for name, value in where.properties.items())
    )


def _value(meter: MeterSpec, event: UsageEventIn) -> Any:
    """What the event states: a Fraction, a text for `unique`, or None for nothing (that can be counted)."""
    if meter.aggregation is Aggregation.COUNT:
        return Fraction(1)
    value = event.properties.get(meter.value_property or "")
    if meter.aggregation is Aggregation.UNIQUE:
        return None if value is None else str(value)
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = _round(Fraction(str(value)))
    except ValueError:
        return None
    return number if number >= 0 else None


def _quantity(
    aggregation: Aggregation,
    inside: list[tuple[Kept, Any]],
    members: list[tuple[Kept, Any]],
    window: tuple[datetime, datetime],
    now: datetime,
) -> Any:
    values = [value for _, value in inside]
    if aggregation is Aggregation.WEIGHTED_SUM:
        return _area(members, window, now)
    if aggregation is Aggregation.UNIQUE:
        return len(set(values))
    if aggregation in (Aggregation.COUNT, Aggregation.SUM):
        return sum(values, Fraction(0))
    if not values:
        return None
    if aggregation is Aggregation.MAX:
        return max(values)
    if aggregation is Aggregation.AVERAGE:
        return _round(sum(values, Fraction(0)) / len(values))
    return max(inside, key=lambda pair: (pair[0].event.time, pair[0].event.source, pair[0].event.event_id))[1]


def _area(members: list[tuple[Kept, Any]], window: tuple[datetime, datetime], now: datetime) -> Fraction:
    """Unit-seconds under the level of each model and key, second guessing nothing: interval by interval."""
    total = Fraction(0)
    for stream in {(kept.event.model, kept.event.key_id) for kept, _ in members}:
        steps = sorted(
            (kept.event.time, kept.event.source, kept.event.event_id, value)
            for kept, value in members
            if (kept.event.model, kept.event.key_id) == stream
        )
        for n, (since, _, _, value) in enumerate(steps):
            until = steps[n + 1][0] if n + 1 < len(steps) else now
            start, end = max(since, window[0]), min(until, window[1], now)
            if start < end:
                total += value * Fraction((end - start) // timedelta(microseconds=1), 10**6)
    return total
