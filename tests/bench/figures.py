"""What a benchmark says: figures with units, what each is compared with, and whether its goal is met."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value. `ratio` is value over the reference measured in the same run, where there is one.

    The goal is on the value, or on the ratio when `goal_on_ratio`; without a goal the figure only informs.
    """

    name: str
    value: float
    unit: str
    reference: float | None = None
    reference_name: str = ""
    goal: float | None = None
    more_is_better: bool = False
    goal_on_ratio: bool = False
    samples: tuple[float, ...] = ()  # what `value` is the median of, one a repeat

    @property
    def ratio(self) -> float | None:
        return self.value / self.reference if self.reference else None

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None when there is none."""
        judged = self.ratio if self.goal_on_ratio else self.value
        if self.goal is None or judged is None:
            return None
        return judged >= self.goal if self.more_is_better else judged <= self.goal


@dataclass(frozen=True, slots=True)
class Result:
    """What one benchmark found. `notes` go into the JSON and are printed under the table."""

    benchmark: str
    figures: tuple[Figure, ...]
    notes: dict[str, Any] = field(default_factory=dict[str, Any])


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that `percent` of `values` do not exceed, interpolated. Raises ValueError for no values."""
    if not values:
        raise ValueError("There is nothing to take a percentile of.")
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def median_figure(name: str, samples: Sequence[float], unit: str, **rest: Any) -> Figure:
    """A figure whose value is the median over repeats."""
    return Figure(name, statistics.median(samples), unit, samples=tuple(samples), **rest)


def table(result: Result) -> str:
    """The figures of one benchmark as aligned text."""
    head = ("", "value", "", "reference", "ratio", "goal", "")
    rows = [head, *(_row(figure) for figure in result.figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [f"== {result.benchmark}"]
    for row in rows:
        cells = [row[0].ljust(widths[0]), row[1].rjust(widths[1]), row[2].ljust(widths[2])]
        cells += [cell.rjust(width) for cell, width in zip(row[3:6], widths[3:6], strict=True)]
        lines.append("  ".join([*cells, row[6]]).rstrip())
    lines += [f"  {name}: {value}" for name, value in result.notes.items()]
    return "\n".join(lines)


def _row(figure: Figure) -> tuple[str, ...]:
    verdict = {None: "", True: "met", False: "MISSED"}[figure.met]
    sign = "≥" if figure.more_is_better else "≤"
    of = "× " if figure.goal_on_ratio else ""
    return (
        figure.name,
        _number(figure.value),
        figure.unit,
        _number(figure.reference) if figure.reference is not None else "",
        f"{figure.ratio:.2f}" if figure.ratio is not None else "",
        f"{sign} {of}{_number(figure.goal)}" if figure.goal is not None else "",
        verdict,
    )


def _number(value: float) -> str:
    if value >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
