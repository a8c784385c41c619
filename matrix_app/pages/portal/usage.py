"""Usage by time, model and key."""

from __future__ import annotations

import json
from typing import Any

import reflex as rx

from components.charts.chart import chart
from components.feedback.states import banner, empty_state, skeleton
from components.format.values import ValueKind, value
from components.forms.form import action_button
from components.links import button_link, link
from components.live.figures import live_refresh
from components.shell.page import page_header, section
from components.tables.filters import Filter, filter_bar
from components.tables.table import Column, Table, data_table
from components.texts import t
from matrix_app.pages.frame import MAY_SEE_COST, in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from services.core.permissions import Capability
from state.portal.usage import UsageState
from state.portal.usage_view import METERS_OF, RANGES, USUAL_MEASURE, USUAL_RANGE
from state.session import SessionState


def _group_name(row: rx.Var[dict[str, Any]]) -> rx.Component:
    """Leads to the requests that a row is the sum of; the rest together is no list of its own."""
    named = link(value(row["name"], "text"), href=row["href"].to(str))
    return rx.cond(row["rest"].to(bool), t("usage.other"), named)


TABLE = Table(
    "usage",
    "usage.table",
    row_key="id",
    columns=(
        Column("name", "usage.group", row_header=True, draw=_group_name),
        Column("requests", "usage.requests", kind="number"),
        Column("failed", "usage.failed", kind="number"),
        Column("prompt_tokens", "usage.input", kind="tokens"),
        Column("completion_tokens", "usage.output", kind="tokens"),
        Column("cost", "usage.cost", kind="money", currency="currency", shown=MAY_SEE_COST),
    ),
)


def _words(
    prefix: str, ids: rx.Var[list[str]], known: list[str], *, besides: str = ""
) -> rx.Var[list[dict[str, str]]]:
    """Options for the ids that a state offers, in the catalogue's words, without the one that needs no choosing."""
    words = {name: t(f"{prefix}.{name}") for name in known}
    offered = f"({ids!s}).filter((id) => id !== {json.dumps(besides)})"
    return rx.Var(
        f"{offered}.map((id) => ({{ id, label: ({rx.Var.create(words)!s})[id] ?? id }}))",
        _var_type=list[dict[str, str]],
        _var_data=ids._get_all_var_data(),
    )


def _named_lines() -> rx.Var[list[dict[str, str]]]:
    """The chart's lines, with words for the whole and for the sum of the smallest."""
    words = {"": t("usage.all"), "other": t("usage.other"), "-": t("usage.playground")}
    lines = UsageState.chart_lines
    return rx.Var(
        f"({lines!s}).map((line) => ({{ ...line, label: ({rx.Var.create(words)!s})[line.label] ?? line.label }}))",
        _var_type=list[dict[str, str]],
        _var_data=lines._get_all_var_data(),
    )


def _filters() -> rx.Component:
    usual = f"usage.range.{USUAL_RANGE}"
    ranges = [(name, t(f"usage.range.{name}")) for name in RANGES if name != USUAL_RANGE]
    known = ["minute", "hour", "day", "week", "month"]
    return filter_bar(
        [
            Filter("range", "usage.range", options=ranges, any_text=usual),
            Filter(
                "granularity",
                "usage.granularity",
                options=_words("usage.granularity", UsageState.granularities, known),
                any_text="usage.granularity.usual",
            ),
            Filter(
                "measure",
                "usage.measure",
                options=_words("usage.measure", UsageState.measures, list(METERS_OF), besides=USUAL_MEASURE),
                any_text=f"usage.measure.{USUAL_MEASURE}",
            ),
            Filter(
                "group",
                "usage.group_by",
                options=(("model", t("usage.group.model")), ("key", t("usage.group.key"))),
                any_text="usage.group.none",
            ),
            Filter("model", "requests.model", options=UsageState.models),
            Filter("key", "requests.key", options=UsageState.keys),
            Filter("project", "projects.one", options=UsageState.projects, any_text="projects.any"),
        ],
        UsageState.filters,
        on_filter=UsageState.narrow,
        on_clear=UsageState.widen,
        filtered=UsageState.filtered,
    )


def _sum(name: str, kind: ValueKind) -> rx.Component:
    return rx.el.div(
        rx.el.dt(t(f"usage.{name}")),
        rx.el.dd(value(UsageState.sums[name], kind, currency=SessionState.currency), class_name="num"),
    )


def _sums() -> rx.Component:
    cost = rx.cond(MAY_SEE_COST, _sum("cost", "money"), rx.fragment())
    return rx.el.dl(
        _sum("requests", "number"),
        _sum("failed", "number"),
        _sum("prompt_tokens", "tokens"),
        _sum("completion_tokens", "tokens"),
        cost,
        class_name="sums",
    )


def _chart(measure: str, kind: ValueKind) -> rx.Component:
    return chart(
        t(f"usage.chart.{measure}"),
        UsageState.chart_rows,
        _named_lines(),
        summary=t("usage.summary", total=UsageState.chart_total, peak=UsageState.peak),
        kind="bar",
        stacked=True,
        value_kind=kind,
        currency=SessionState.currency,
        x_kind="datetime",
        zone=SessionState.zone,
        partial_last=True,
    )


def _charts() -> rx.Component:
    kinds: dict[str, Any] = {"requests": "number", "tokens": "tokens", "cost": "money"}
    drawn = [(measure, _chart(measure, kind)) for measure, kind in kinds.items()]
    return rx.match(UsageState.measure, *drawn, rx.fragment())


def newer_chip(shown: rx.Var[bool], words: str | rx.Var[str], on_press: Any) -> rx.Component:
    """Says that there is more by now, and shows it when asked: nothing moves under the pointer by itself."""
    button = action_button(words, on_press=on_press, icon="refresh-cw", look="compact")
    return rx.el.div(rx.cond(shown, button, rx.fragment()), role="status")


@page(
    "/portal/usage",
    console=Console.PORTAL,
    title="usage.title",
    needs=Capability.USAGE_READ,
    on_load=UsageState.load,
)
def usage() -> Drawn:
    """A range of usage, drawn, summed and told apart by model or key."""
    unpriced = banner("warn", t("usage.unpriced", n=UsageState.sums["unpriced"]))
    content = rx.fragment(
        _filters(),
        rx.cond(UsageState.sums["unpriced"].to(int) > 0, unpriced, rx.fragment()),
        _sums(),
        _charts(),
        section(
            t("usage.table"),
            data_table(
                TABLE,
                UsageState.rows,
                status=UsageState.status,
                empty=empty_state(t("usage.none"), t("usage.none_text"), icon_name="chart-column", level=3),
                filtered=UsageState.filtered,
                on_clear_filters=UsageState.widen,
            ),
        ),
        live_refresh("overview", path="month", since=UsageState.read_at, on_change=UsageState.note_newer),
    )
    return [
        page_header(
            t("usage.title"),
            newer_chip(UsageState.newer, t("usage.newer"), UsageState.load),
            rx.cond(
                MAY_SEE_COST,
                button_link(t("usage_months.to"), href="/portal/usage/months", icon_name="receipt"),
                rx.fragment(),
            ),
            text=t("usage.text"),
        ),
        in_its_state(
            UsageState, content, loading=skeleton(lines=12, label=t("usage.loading")), retry=UsageState.load
        ),
    ]
