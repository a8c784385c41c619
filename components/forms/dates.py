"""A range of days, by typing, by calendar or by name, in the organisation's zone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import reflex as rx

from components.js import DATES, REACT_ARIA, AriaComponent, library
from components.props import Text
from components.texts import texts_under

Preset = Literal[
    "today", "yesterday", "last_7_days", "last_30_days", "last_90_days", "this_month", "last_month", "this_year",
]  # fmt: skip
USUAL_PRESETS: tuple[Preset, ...] = ("today", "last_7_days", "last_30_days", "this_month", "last_month")


def _range_spec(chosen: rx.Var[dict[str, str]]) -> tuple[rx.Var[dict[str, str]]]:
    return (chosen,)


class _DateRange(AriaComponent):
    library = library("date_range")
    tag = "DateRange"
    lib_dependencies: list[str] = [REACT_ARIA, DATES]

    name: rx.Var[str]
    label: rx.Var[str]
    hint: rx.Var[str]
    start: rx.Var[str]
    end: rx.Var[str]
    zone: rx.Var[str]
    presets: rx.Var[list[str]]
    last_day: rx.Var[str]
    required: rx.Var[bool]
    texts: rx.Var[dict[str, str]]
    on_change: rx.EventHandler[_range_spec]


def date_range(
    label: Text,
    *,
    zone: Text,
    start: Text = "",
    end: Text = "",
    on_change: Any = None,
    name: str | None = None,
    presets: Sequence[Preset] = USUAL_PRESETS,
    last_day: Text | None = None,
    hint: Text | None = None,
    required: bool = False,
) -> rx.Component:
    """The first and the last day, both included, as ISO days of `zone`; empty for none.

    `on_change` is told `{"from", "to", "preset"}` once both are known; `preset` is empty for days picked by hand. In a
    form they travel as `<name>_from` and `<name>_to`. No day after `last_day` can be chosen.
    """
    given = {"name": name, "on_change": on_change, "last_day": last_day, "hint": hint}
    props = {key: prop for key, prop in given.items() if prop is not None}
    return _DateRange.create(
        label=label, zone=zone, start=start, end=end, presets=list(presets), required=required,
        texts=texts_under("dates"), **props,
    )  # fmt: skip
