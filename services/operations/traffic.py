"""Rate, errors and duration of each door, as this process has measured them since it started."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import Counter, Histogram

from services.core import metrics

ROWS_PER_DOOR_MAX = 20


@dataclass(frozen=True, slots=True)
class Traffic:
    """`slow_ms` is the bound below which 95 of 100 stayed, as fine as the measured steps; None beyond the last."""

    door: str  # rest, pages, gateway
    name: str
    handled: int
    failed: int
    mean_ms: float
    slow_ms: float | None


@dataclass(slots=True)
class _Sums:
    handled: int = 0
    failed: int = 0
    seconds: float = 0.0
    measured: float = 0.0
    steps: dict[float, float] = field(default_factory=dict[float, float])  # handled within so many seconds


def traffic() -> list[Traffic]:
    """The busiest of each door first. A page event fails by a fault of ours, the others with a status from 500 on."""
    return [
        *_door("rest", metrics.HTTP_REQUESTS, metrics.HTTP_SECONDS, "route", "status"),
        *_door("pages", metrics.PAGE_EVENTS, metrics.PAGE_EVENT_SECONDS, "handler", "outcome"),
        *_door("gateway", metrics.GATEWAY_REQUESTS, metrics.GATEWAY_SECONDS, "model", "status"),
    ]


def _door(door: str, counted: Counter, timed: Histogram, name: str, outcome: str) -> list[Traffic]:
    sums: defaultdict[str, _Sums] = defaultdict(_Sums)
    for sample in _samples(counted, "_total"):
        one = sums[sample.labels[name]]
        one.handled += int(sample.value)
        one.failed += int(sample.value) if _is_failure(sample.labels[outcome]) else 0
    for sample in _samples(timed, "_sum"):
        sums[sample.labels[name]].seconds = sample.value
    for sample in _samples(timed, "_count"):
        sums[sample.labels[name]].measured = sample.value
    for sample in _samples(timed, "_bucket"):
        sums[sample.labels[name]].steps[float(sample.labels["le"])] = sample.value
    busiest = sorted(sums.items(), key=lambda pair: (-pair[1].handled, pair[0]))[:ROWS_PER_DOOR_MAX]
    return [_row(door, named, one) for named, one in busiest if one.handled]


def _samples(metric: Counter | Histogram, suffix: str) -> list[Any]:
    return [
        sample for family in metric.collect() for sample in family.samples if sample.name.endswith(suffix)
    ]


def _is_failure(outcome: str) -> bool:
    return outcome.startswith("5") or outcome in {"internal_error", "unavailable"}


def _row(door: str, name: str, one: _Sums) -> Traffic:
    mean_ms = one.seconds / one.measured * 1_000 if one.measured else 0.0
    within = [bound for bound, count in sorted(one.steps.items()) if count >= 0.95 * one.measured]
    slow = within[0] * 1_000 if within and within[0] != float("inf") else None
    return Traffic(door, name, one.handled, one.failed, mean_ms, slow)
