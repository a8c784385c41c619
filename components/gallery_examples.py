"""Every component in its states, for the gallery. Names, figures and sentences are made-up content, as in demo data."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.charts.chart import Series, chart
from components.feedback.badges import Status, badge
from components.feedback.conflict import conflict_panel
from components.feedback.figures import figure_card, sparkline
from components.feedback.progress import progress_bar
from components.feedback.states import (
    banner,
    dismissible_banner,
    empty_state,
    error_state,
    forbidden_state,
    not_found_state,
    skeleton,
)
from components.format.values import money, price, value, when
from components.forms.form import action_button
from components.kit.overlays import (
    MenuEntry,
    icon_button,
    info_tip,
    menu,
)
from components.live.figures import live_value
from components.tables.filters import Filter, filter_bar
from components.tables.listed import filter_chips
from components.tables.table import Column, Paging, Sorting, Table, data_table
from components.texts import made_up as say

STATUSES = {
    "active": Status("gallery.status.active", "ok"),
    "expiring": Status("gallery.status.expiring", "warn", "clock"),
    "revoked": Status("gallery.status.revoked", "neutral", "ban"),
}

KEYS = Table(
    "gallery-keys",
    "gallery.keys",
    columns=(
        Column("name", "gallery.col.name", kind="link", href="href", row_header=True, sortable=True),
        Column("prefix", "gallery.col.prefix", kind="code"),
        Column("status", "gallery.col.status", kind="badge", statuses=STATUSES),
        Column("requests", "gallery.col.requests", kind="number", sortable=True),
        Column("cost", "gallery.col.cost", kind="money", currency="currency", sortable=True),
        Column("used", "gallery.col.used", kind="datetime"),
    ),
)


def _key(key_id: str, name: str, status: str, requests: int, cost: str, used: str | None) -> dict[str, Any]:
    return {
        "id": key_id, "name": name, "href": f"/keys/{key_id}", "prefix": f"mtx_{key_id[-4:]}", "status": status,
        "requests": requests, "cost": cost, "currency": "USD", "used": used,
    }  # fmt: skip


ROWS = [
    _key("key_0001", "Production", "active", 1204331, "1832.401200000000", "2026-11-24T08:31:00+00:00"),
    _key(
        "key_0002",
        "Night batch for the catalogue translation",
        "expiring",
        88120,
        "47.020000000000",
        "2026-11-24T03:02:11+00:00",
    ),
    _key("key_0003", "Ana's laptop", "active", 312, "0.000412500000", "2026-11-23T17:40:00+00:00"),
    _key("key_0004", "Old website", "revoked", 0, "0", None),
]


def _chip(column: str, operator: str, value: str, kind: str) -> dict[str, str]:
    key, words = f"{column}[{operator}]", f"{column}:{value}"
    return {"key": key, "column": column, "operator": operator, "value": value, "words": words, "kind": kind}


CHIPS = [
    _chip("status", "eq", "active", "enum"),
    _chip("cost", "gte", "10", "decimal"),
    _chip("used", "lt", "2026-11-24T00:00:00Z", "instant"),
]


def figures_examples() -> rx.Component:
    past = [3, 4, 4, 6, 5, 7, 9, 8, 11, 12, 12, 15]
    return rx.el.div(
        figure_card(
            say("Requests"),
            live_value("overview", "requests", "number", initial=1204331),
            period=say("Today"),
            href="/usage",
            as_of=when("2026-11-24T08:31:04+00:00", "second"),
            comparison=say("12 % more than yesterday by this time"),
            spark=sparkline(past, label=say("Requests by hour, rising from 3 to 15 thousand")),
        ),
        figure_card(
            say("Cost so far"),
            money("1832.4012"),
            period=say("November 2026"),
            href="/usage",
            as_of=when("2026-11-24T08:31:04+00:00", "second"),
        ),
        figure_card(
            say("Tokens"), value(48120331, "tokens"), period=say("Today"), href="/usage", unit=say("tokens")
        ),
        figure_card(
            say("Errors"),
            value(0.0021, "percent"),
            period=say("Last hour"),
            href="/requests",
            info=info_tip(say("About errors"), say("Answers with status 500 or above.")),
        ),
        class_name="grid-cards",
    )


def charts_examples() -> list[rx.Component]:
    hours = [f"2026-11-23T{hour:02}:00:00+00:00" for hour in range(24)]
    rows = [
        {
            "x": hour,
            "smollm2": 40 + (index * 7) % 31,
            "llama": None if index in (9, 10) else 22 + (index * 5) % 17,
            "qwen": 9 + index,
        }
        for index, hour in enumerate(hours)
    ]
    days = [
        {
            "x": f"2026-11-{day:02}T00:00:00+00:00",
            "smollm2": f"{day * 1.25:.2f}",
            "llama": f"{20 - day * 0.6:.2f}",
        }
        for day in range(10, 25)
    ]
    return [
        rx.el.div(
            chart(
                say("Requests by model"),
                rows,
                (
                    Series("smollm2", "SmolLM2 135M"),
                    Series("llama", "Llama 4 Scout"),
                    Series("qwen", "Qwen 3 8B"),
                ),
                summary=say(
                    "SmolLM2 carried most of the day; Llama 4 Scout did not answer between 09:00 and 10:00."
                ),
                level=3,
            ),
            class_name="card",
        ),
        rx.el.div(
            chart(
                say("Cost by day"),
                days,
                (Series("smollm2", "SmolLM2 135M"), Series("llama", "Llama 4 Scout")),
                kind="bar",
                stacked=True,
                value_kind="money",
                currency="USD",
                x_kind="day",
                summary=say("Cost grew from 26.50 to 35.60 USD a day."),
                partial_last=True,
                level=3,
            ),
            class_name="card",
        ),
    ]


def buttons_examples() -> rx.Component:
    return rx.el.div(
        action_button(say("Save changes"), on_press=rx.noop(), look="primary"),
        action_button(say("Refund 40.00 EUR"), on_press=rx.noop()),
        action_button(
            say("Export"),
            on_press=rx.toast.success(say("Export started"), description=say("You may leave this page.")),
            icon="download",
        ),
        action_button(
            say("Fail"),
            on_press=rx.toast.error(say("The key was not revoked."), description=say("Try again.")),
            look="danger",
        ),
        action_button(say("Working"), on_press=rx.noop(), busy=rx.Var.create(True)),
        action_button(say("Quiet"), on_press=rx.noop(), look="quiet"),
        icon_button(say("Copy invoice number"), "copy", on_press=rx.noop()),
        info_tip(say("About tokens"), say("A token is about three quarters of an English word.")),
        class_name="row",
    )


def badges_examples() -> rx.Component:
    return rx.el.div(
        badge(say("Draft")),
        badge(say("Active"), "ok"),
        badge(say("Expires soon"), "warn", icon_name="clock"),
        badge(say("Failed"), "danger"),
        badge(say("New"), "info"),
        class_name="row",
    )


def tables_examples() -> list[rx.Component]:
    rows = rx.Var.create(ROWS)
    none: rx.Var[list[dict[str, Any]]] = rx.Var.create([]).to(list[dict[str, Any]])
    bar = filter_bar(
        (
            Filter("q", "gallery.col.name", "search"),
            Filter(
                "status",
                "gallery.col.status",
                options=(("active", say("Active")), ("revoked", say("Revoked"))),
            ),
        ),
        rx.Var.create({"q": "", "status": ""}),
        on_filter=lambda _key, _value: rx.console_log("filter"),
        on_clear=rx.noop(),
        filtered=True,
    )
    full = data_table(
        KEYS,
        rows,
        status=rx.Var.create("ready"),
        sorting=Sorting(rx.Var.create("-requests"), lambda _key: rx.noop()),
        paging=Paging(False, True, rx.noop(), rx.noop(), say("1\u20134 of about 1,200")),
        actions=lambda row: menu(
            rx.Var.create(say("Actions for ")) + row["name"].to(str),
            [
                MenuEntry("rotate", say("Rotate"), "refresh-cw"),
                MenuEntry("revoke", say("Revoke"), "trash-2", danger=True),
            ],
        ),
    )
    chips = filter_chips(
        rx.Var.create(CHIPS),
        columns={"status": say("Status"), "cost": say("Cost"), "used": say("Last used")},
        values={"status:active": say("Active")},
        on_remove=lambda _key, _value: rx.noop(),
    )
    return [
        bar,
        chips,
        full,
        data_table(_named("loading"), none, status=rx.Var.create("loading")),
        data_table(
            _named("error"),
            none,
            status=rx.Var.create("error"),
            error_reference="req_01k9",
            on_retry=rx.noop(),
        ),
        data_table(_named("filtered"), none, filtered=True, on_clear_filters=rx.noop()),
        data_table(
            _named("empty"),
            none,
            empty=empty_state(
                say("No API keys yet"),
                say("A key lets your programs call the gateway."),
                icon_name="key-round",
            ),
        ),
    ]


def _named(name: str) -> Table:
    return Table(f"gallery-{name}", KEYS.caption, KEYS.columns)


def states_examples() -> list[rx.Component]:
    return [
        banner("info", say("Prices change on 1 December."), title=say("New price book")),
        banner("warn", say("Usage since 10:42 is not counted yet.")),
        banner(
            "danger",
            say("The card was declined. The service stops on 30 November."),
            title=say("Payment failed"),
        ),
        banner("ok", say("All 12 upstreams answer.")),
        dismissible_banner(
            "info",
            say("Keys may now belong to a project."),
            title=say("New"),
            remember="gallery",
        ),
        rx.el.div(
            progress_bar(say("Import of members"), done=42, total=1204, detail=say("Sending invitations")),
            progress_bar(say("Export of usage")),
            progress_bar(say("Backup"), done=3, total=8, status="waiting"),
            progress_bar(say("Rating of October"), done=8, total=8, status="done"),
            progress_bar(
                say("Search index"),
                done=2,
                total=8,
                status="failed",
                detail=say("The disk is full: 2 of 8 parts fit."),
            ),
            class_name="card",
        ),
        conflict_panel(
            "Ana",
            rx.Var("new Date(Date.now() - 120000).toISOString()").to(str),
            [
                {
                    "name": "name",
                    "label": say("Name"),
                    "mine": "Night batch",
                    "theirs": "Nightly translation",
                },
                {"name": "limit", "label": say("Requests a minute"), "mine": "120", "theirs": "60"},
                {"name": "note", "label": say("Note"), "mine": "same", "theirs": "same"},
            ],
            on_keep_mine=rx.noop(),
            on_take_theirs=rx.noop(),
            takes_focus=False,
        ),
        rx.el.div(
            rx.el.div(skeleton(lines=4, label=say("Loading")), class_name="card"),
            rx.el.div(error_state(reference="req_01k9x2", on_retry=rx.noop(), level=3), class_name="card"),
            rx.el.div(forbidden_state(permission="keys:write", grantor=say("An owner")), class_name="card"),
            rx.el.div(not_found_state(), class_name="card"),
            class_name="grid-halves",
        ),
    ]


def values_examples() -> rx.Component:
    shown = {
        "number": value(-1234567.5, "number"),
        "tokens": value(48120331, "tokens"),
        "money": money("1832.4012"),
        "small money": money("0.0004125"),
        "exact money": money("0.000412500001", exact=True),
        "yen": money("1200", "JPY"),
        "price of a million": price("0.00000015", per_unit=True),
        "percent": value(0.193, "percent"),
        "duration": value(1834, "duration"),
        "bytes": value(1_500_000, "bytes"),
        "instant": when("2026-11-24T08:31:00+00:00", zone="Europe/Lisbon"),
        "hour that comes twice": when("2026-10-25T01:30:00+00:00", zone="Europe/Berlin"),
        "missing": value("", "money"),
    }
    return rx.el.dl(
        *(part for name, drawn in shown.items() for part in (rx.el.dt(say(name)), rx.el.dd(drawn))),
        class_name="facts",
    )
