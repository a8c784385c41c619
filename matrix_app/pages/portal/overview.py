"""The portal's overview: what is being used right now, and what it costs."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.badges import Status, status_badge
from components.feedback.figures import code_block, figure_card, sparkline
from components.feedback.states import banner, empty_state, skeleton
from components.format.values import ValueKind, money, when
from components.links import button_link, link
from components.live.figures import live_refresh, live_rows, live_status, live_value
from components.props import Row
from components.shell.page import card, page_header, section
from components.tables.table import Column, Table, data_table
from components.texts import t
from matrix_app.pages.frame import MAY_SEE_COST, MAY_SEE_KEYS, in_its_state
from matrix_app.pages.portal.keys import create_key_dialog
from matrix_app.pages.registry import Console, Drawn, page
from services.core.permissions import Capability
from state.portal.overview import OverviewState
from state.session import SessionState

TOPIC = "overview"
OUTCOMES = {"ok": Status("requests.ok", "ok"), "failed": Status("requests.failed", "danger")}

LATEST = Table(
    "latest",
    "overview.latest",
    columns=(
        Column("started_at", "requests.time", row_header=True, draw=lambda row: _when(row)),
        Column("model", "requests.model", kind="code", brief=True),
        Column(
            "key",
            "requests.key",
            draw=lambda row: rx.cond(row["key"], row["key"], row["key_id"]),
            shown=MAY_SEE_KEYS,
        ),
        Column("status", "requests.outcome", draw=lambda row: _outcome(row["status"]), brief=True),
        Column("prompt_tokens", "requests.input", kind="tokens"),
        Column("completion_tokens", "requests.output", kind="tokens"),
        Column("latency_ms", "requests.latency", kind="duration"),
        Column(
            "cost",
            "requests.cost",
            kind="money",
            draw=lambda row: money(row["cost"], SessionState.currency),
            shown=MAY_SEE_COST,
            brief=True,
        ),
    ),
)


def _when(row: Row) -> rx.Component:
    return link(
        when(row["started_at"], "ago", zone=SessionState.zone), href="/portal/requests/" + row["id"].to(str)
    )


def _outcome(status: rx.Var[Any]) -> rx.Component:
    return status_badge(rx.cond(status.to(int) < 400, "ok", "failed"), OUTCOMES)


def _initial(path: str) -> rx.Var[Any]:
    found: Any = OverviewState.figures.to(dict)
    for part in path.split("."):
        found = found[part].to(dict)
    return found


def _figure(name: str, path: str, kind: ValueKind, *, spark: bool = False) -> rx.Component:
    """A live figure of today or this month, with the way to the rows behind it."""
    shown = live_value(
        TOPIC,
        path,
        kind,
        initial=_initial(path),
        currency=SessionState.currency,
        announce_as=t(f"overview.{name}"),
    )
    today = path.startswith("today")
    field = path.rsplit(".", 1)[-1]
    line = sparkline(
        OverviewState.figures["hours"].to(list),
        label=t("overview.by_hour"),
        topic=TOPIC,
        path="hours",
        field=field,
        bars=True,
    )
    return figure_card(
        t(f"overview.{name}"),
        shown,
        period=t("overview.today") if today else t("overview.month"),
        href="/portal/usage?range=today" if today else "/portal/usage?range=month",
        spark=line if spark else None,
    )


def _figures() -> rx.Component:
    cost = rx.cond(
        MAY_SEE_COST,
        rx.fragment(
            _figure("cost_today", "today.cost", "money", spark=True),
            _figure("cost_month", "month.cost", "money"),
        ),
        rx.fragment(),
    )
    return rx.el.div(
        _figure("requests", "today.requests", "number", spark=True),
        _figure("tokens", "today.tokens", "tokens", spark=True),
        _figure("error_rate", "today.error_rate", "percent"),
        cost,
        _figure("requests_month", "month.requests", "number"),
        class_name="grid-thirds",
    )


def _guide() -> rx.Component:
    """From no key to the first answer, on one page; the page notices the call by itself."""
    key_step = rx.el.li(
        rx.el.h3(t("guide.key")),
        rx.cond(
            OverviewState.step == "key",
            rx.fragment(
                rx.el.p(t("guide.key_text"), class_name="muted"),
                create_key_dialog(OverviewState, on_created=OverviewState.key_made),
            ),
            rx.el.p(t("guide.key_done"), class_name="muted"),
        ),
        class_name=rx.cond(OverviewState.step == "key", "", "done"),
    )
    call_step = rx.el.li(
        rx.el.h3(t("guide.call")),
        rx.el.p(t("guide.call_text"), class_name="muted"),
        code_block(OverviewState.example.replace("{secret}", "$MATRIX_API_KEY"), title=t("guide.curl")),
    )
    watch_step = rx.el.li(rx.el.h3(t("guide.watch")), rx.el.p(t("guide.watch_text"), class_name="muted"))
    return card(rx.el.ol(key_step, call_step, watch_step, class_name="stack guide"), title=t("guide.title"))


def _overdue() -> rx.Component:
    """What is overdue, and the way to pay it."""
    late = OverviewState.overdue
    days, more = late["days"].to(int), late["more"].to(int)
    others = link(t("overview.overdue_more", count=more), href="/portal/invoices?overdue=true")
    text = rx.fragment(
        t("overview.overdue_invoice", invoice=late["number"]),
        " ",
        money(late["due"], late["currency"]),
        ". ",
        rx.cond(days > 0, rx.fragment(t("overview.overdue_days", count=days), " "), rx.fragment()),
        rx.cond(more > 0, rx.fragment(others, " "), rx.fragment()),
        rx.cond(late["restricts"], t("overview.overdue_restricts"), t("overview.overdue_text")),
    )
    pay = button_link(t("overview.pay"), href=late["href"].to(str), look="primary")
    return rx.cond(
        late["href"], banner("danger", text, title=t("overview.overdue"), action=pay), rx.fragment()
    )


def _latest() -> rx.Component:
    return section(
        t("overview.latest"),
        data_table(
            LATEST,
            live_rows(TOPIC, "latest", initial=OverviewState.latest),
            status=OverviewState.status,
            empty=empty_state(t("requests.none"), t("requests.none_text"), icon_name="activity", level=3),
            zone=SessionState.zone,
            phone="lines",
        ),
        actions=[button_link(t("overview.all_requests"), href="/portal/requests", look="compact")],
    )


@page(
    "/portal",
    console=Console.PORTAL,
    title="overview.title",
    needs=Capability.USAGE_READ,
    on_load=OverviewState.load,
)
def overview() -> Drawn:
    """Figures of now, the latest calls, and for a newcomer the way to the first one."""
    # The first call ends the guide. From then on nothing is read again: 200 people look on at the cost of one.
    first_call = live_refresh(
        TOPIC, path="latest", since=OverviewState.read_at, on_change=OverviewState.load, wait_ms=0
    )
    content = rx.fragment(
        _overdue(),
        rx.cond(OverviewState.step != "done", rx.fragment(_guide(), first_call), rx.fragment()),
        _figures(),
        _latest(),
    )
    return [
        page_header(
            t("overview.title"), text=t("overview.text"), status=live_status(TOPIC, zone=SessionState.zone)
        ),
        in_its_state(
            OverviewState,
            content,
            loading=skeleton(lines=12, label=t("overview.loading")),
            retry=OverviewState.load,
        ),
    ]
