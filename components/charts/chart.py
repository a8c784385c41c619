"""Charts by declaration: rows of numbers, drawn by Plotly and always readable as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import reflex as rx

from components.format.values import ValueKind
from components.js import PLOTLY, ClientComponent, library
from components.props import Flag, Rows, Text
from components.texts import texts_under


@dataclass(frozen=True, slots=True)
class Series:
    """One line or bar colour; `key` names its field in the rows."""

    key: str
    label: str


class _Chart(ClientComponent):
    library = library("chart")
    tag = "Chart"
    lib_dependencies: list[str] = [PLOTLY]

    title: rx.Var[str]
    summary: rx.Var[str]
    level: rx.Var[int]
    kind: rx.Var[str]
    rows: rx.Var[list[dict[str, Any]]]
    series: rx.Var[list[dict[str, Any]]]
    stacked: rx.Var[bool]
    value_kind: rx.Var[str]
    currency: rx.Var[str]
    x_kind: rx.Var[str]
    x_label: rx.Var[str]
    zone: rx.Var[str]
    partial_last: rx.Var[bool]
    topic: rx.Var[str]
    path: rx.Var[str]
    texts: rx.Var[dict[str, str]]


def chart(
    title: Text,
    rows: Rows,
    series: Sequence[Series] | Rows,
    *,
    summary: Text,
    kind: Literal["line", "area", "bar"] = "line",
    value_kind: ValueKind = "number",
    currency: Text | None = None,
    x_kind: Literal["datetime", "time", "day", "date", "month", "text"] = "datetime",
    x_label: Text | None = None,
    zone: Text = "UTC",
    stacked: bool = False,
    partial_last: Flag = False,
    level: Literal[2, 3] = 2,
    topic: str | None = None,
    path: str | None = None,
) -> rx.Component:
    """A figure with heading, one-sentence `summary` from the data, picture, "Show table" and CSV.

    Rows are `{"x": ISO instant or text, <series key>: number, decimal string or None}` in order; None is a gap,
    never zero. At most six series: the query sums the rest into one named "other". Bars begin at zero; the last
    bucket is hatched when `partial_last`. With `topic` and `path` the rows follow the live hub.
    """
    given = {"currency": currency, "x_label": x_label, "topic": topic, "path": path}
    props = {name: prop for name, prop in given.items() if prop is not None}
    lines = (
        series
        if isinstance(series, rx.Var)
        else [asdict(one) if isinstance(one, Series) else one for one in series]
    )
    return _Chart.create(
        title=title,
        rows=rows,
        series=lines,
        summary=summary,
        kind=kind,
        value_kind=value_kind,
        x_kind=x_kind,
        zone=zone,
        stacked=stacked,
        partial_last=partial_last,
        level=level,
        texts=texts_under("chart"),
        **props,
    )
