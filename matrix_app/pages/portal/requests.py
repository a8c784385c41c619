"""The request log, and one call with the arithmetic of its cost."""

from __future__ import annotations

import reflex as rx

from components.feedback.badges import Status, status_badge
from components.feedback.figures import copyable, fact, facts
from components.feedback.states import banner, empty_state, skeleton
from components.format.values import money, value, when
from components.links import link
from components.live.figures import live_refresh
from components.shell.page import card, page_header, section
from components.tables.filters import Filter, days
from components.tables.listed import table_of
from components.tables.table import Column, Table, data_table
from components.texts import plural, t
from matrix_app.pages import lists
from matrix_app.pages.frame import MAY_SEE_COST, MAY_SEE_KEYS, in_its_state
from matrix_app.pages.portal.usage import newer_chip
from matrix_app.pages.registry import Console, Drawn, page
from services.core.permissions import Capability
from services.metering import requests as metering
from state.portal.requests import RequestsState, RequestState
from state.session import SessionState

OUTCOMES = {"ok": Status("requests.ok", "ok"), "failed": Status("requests.failed", "danger")}

REQUESTS = table_of(
    metering.REQUESTS,
    "requests",
    Column("started_at", "requests.time", kind="datetime", href="href", row_header=True),
    Column("model", "requests.model", kind="code"),
    Column("key", "requests.key", shown=MAY_SEE_KEYS),
    Column("outcome", "requests.outcome", kind="badge", statuses=OUTCOMES),
    Column("status", "requests.status", kind="number"),
    Column("prompt_tokens", "requests.input", kind="tokens"),
    Column("completion_tokens", "requests.output", kind="tokens"),
    Column("latency_ms", "requests.latency", kind="duration"),
    Column("cost", "requests.cost", kind="money", currency="currency", shown=MAY_SEE_COST),
    texts="requests",
)

COST_LINES = Table(
    "cost-lines",
    "request.explained",
    columns=(
        Column("meter", "request.meter", row_header=True, draw=lambda row: _meter(row["meter"])),
        Column("quantity", "request.quantity", kind="number"),
        Column("unit_amount", "request.unit_amount", kind="price", currency="currency"),
        Column("per_units", "request.per_units", kind="number"),
        Column(
            "amount",
            "request.amount",
            kind="money",
            draw=lambda row: money(row["amount"], row["currency"].to(str), exact=True),
        ),
    ),
)


def _meter(slug: rx.Var[str]) -> rx.Component:
    known = [(name, t(f"meter.{name}")) for name in ("requests", "prompt_tokens", "completion_tokens")]
    return rx.match(slug, *known, slug)


def _filters() -> list[Filter]:
    outcomes = (("ok", t("requests.ok")), ("failed", t("requests.failed")))
    return [
        Filter("model", "requests.model", options=RequestsState.models),
        Filter("key_id", "requests.key", options=RequestsState.keys),
        Filter("project_id", "projects.one", options=RequestsState.projects, any_text="projects.any"),
        Filter("outcome", "requests.outcome", options=outcomes),
        *days("started_at"),
    ]


@page(
    "/portal/requests",
    console=Console.PORTAL,
    title="requests.title",
    needs=Capability.USAGE_READ,
    on_load=RequestsState.load,
)
def requests() -> Drawn:
    """Every call, the latest first."""
    content = rx.fragment(
        lists.listing(
            RequestsState,
            REQUESTS,
            _filters(),
            empty=empty_state(t("requests.none"), t("requests.none_text"), icon_name="activity"),
            names={"key_id": t("requests.key"), "project_id": t("projects.one")},
            values={f"outcome:{name}": t(status.text) for name, status in OUTCOMES.items()},
        ),
        live_refresh(
            "overview", path="latest", since=RequestsState.read_at, on_change=RequestsState.count_newer
        ),
    )
    return [
        page_header(
            t("requests.title"),
            newer_chip(
                RequestsState.newer > 0, plural("requests.newer", RequestsState.newer), RequestsState.load
            ),
            lists.export(RequestsState),
            text=t("requests.text"),
        ),
        in_its_state(RequestsState, content, retry=RequestsState.load),
    ]


def _facts() -> rx.Component:
    request = RequestState.request
    key = rx.cond(request["key"], request["key"].to(str), t("request.playground"))
    cost = money(request["cost"], request["currency"].to(str), exact=True)
    return card(
        facts(
            (t("request.id"), copyable(request["id"].to(str), label=t("request.id"))),
            (t("requests.time"), when(request["started_at"], "datetime", zone=SessionState.zone)),
            (t("requests.model"), rx.el.code(request["model"].to(str))),
            (t("request.endpoint"), rx.el.code(request["endpoint"].to(str))),
            rx.cond(MAY_SEE_KEYS, fact(t("requests.key"), key), rx.fragment()),
            (
                t("requests.outcome"),
                rx.fragment(
                    status_badge(request["outcome"], OUTCOMES),
                    " ",
                    request["status"].to(str),
                    " ",
                    request["error_code"].to(str),
                ),
            ),
            (t("request.streamed"), rx.cond(request["streamed"], t("request.yes"), t("request.no"))),
            (t("requests.latency"), value(request["latency_ms"], "duration")),
            (t("request.first_token"), value(request["first_token_ms"], "duration")),
            (t("requests.input"), value(request["prompt_tokens"], "tokens")),
            (t("requests.output"), value(request["completion_tokens"], "tokens")),
            rx.cond(MAY_SEE_COST, fact(t("requests.cost"), cost), rx.fragment()),
            (t("request.trace"), copyable(request["trace_id"].to(str), label=t("request.trace"))),
        )
    )


@page(
    "/portal/requests/[request_id]",
    console=Console.PORTAL,
    title="request.title",
    needs=Capability.USAGE_READ,
    on_load=RequestState.load,
)
def request() -> Drawn:
    """One call: what happened, what it used, and which prices made its cost."""
    unpriced = banner("warn", t("request.unpriced", meters=RequestState.unpriced.join(", ")))
    explained = section(
        t("request.explained"),
        rx.cond(RequestState.unpriced.length() > 0, unpriced, rx.fragment()),
        data_table(
            COST_LINES,
            RequestState.lines,
            status=RequestState.status,
            empty=empty_state(t("request.free"), t("request.free_text"), icon_name="receipt", level=3),
        ),
        rx.el.p(t("request.arithmetic"), class_name="small muted"),
    )
    return [
        rx.el.p(link(t("request.back"), href="/portal/requests"), class_name="back-link"),
        page_header(t("request.title")),
        in_its_state(
            RequestState,
            rx.fragment(_facts(), rx.cond(MAY_SEE_COST, explained, rx.fragment())),
            loading=skeleton(lines=12, label=t("request.loading")),
            retry=RequestState.load,
        ),
    ]
