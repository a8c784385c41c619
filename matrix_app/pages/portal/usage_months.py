"""What this month's usage comes to so far, and the months before it with their invoices."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.badges import Status, status_badge
from components.feedback.figures import fact, facts
from components.feedback.states import banner, empty_state, skeleton
from components.format.values import money, span, value, when
from components.kit.overlays import dialog, dialog_close, dialog_foot, icon_button
from components.links import link
from components.live.figures import live_refresh
from components.shell.page import card, page_header, section
from components.tables.filters import Filter
from components.tables.listed import table_of
from components.tables.table import Column, Table, data_table
from components.texts import t
from matrix_app.pages import lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from services.billing import usage_months as months
from services.catalog.rules import PRICEABLE
from services.core.permissions import Capability
from state.portal.usage_months import UsageMonthsState
from state.session import SessionState

_S = UsageMonthsState
FOLLOWED_MS = 10_000  # between two readings of a month that is used without end: each counts all of it
MAY_SEE_INVOICES = SessionState.capabilities.contains(Capability.INVOICES_READ.value)
STATES = {
    "open": Status("usage_months.state.open", "info", "clock"),
    "collecting": Status("usage_months.state.collecting", "info", "hourglass"),
    "closed": Status("usage_months.state.closed", "ok"),
    "parked": Status("usage_months.state.parked", "warn"),
}


def _meter(name: rx.Var[Any]) -> rx.Component:
    words = [(meter, t(f"usage_months.meter_of.{meter}")) for meter in PRICEABLE]
    return rx.fragment(rx.match(name, *words, name.to(str)))


def _each(row: Any, draw: Any) -> rx.Component:
    return rx.el.ul(rx.foreach(row.to(list[dict[str, Any]]), draw), class_name="plain-list")


def _model(row: Any) -> rx.Component:
    late = rx.el.span(
        t("usage_months.late"),
        " ",
        when(row["period_start"], "date", zone=SessionState.zone),
        class_name="small muted",
    )
    return rx.fragment(row["name"].to(str), rx.cond(row["late"], rx.fragment(" ", late), rx.fragment()))


def _used(row: Any) -> rx.Component:
    return _each(
        row["parts"], lambda part: rx.el.li(value(part["quantity"], "number"), " ", _meter(part["meter"]))
    )


def _price(row: Any) -> rx.Component:
    def one(part: Any) -> rx.Component:
        per = rx.fragment(t("usage_months.price_per"), " ", value(part["per_units"], "number"))
        return rx.el.li(
            money(part["unit_amount"], row["currency"].to(str), exact=True),
            " ",
            rx.el.span(per, class_name="muted"),
        )

    return _each(row["parts"], one)


LINES = Table(
    "usage-lines",
    "usage_months.lines",
    columns=(
        Column("name", "usage_months.model", row_header=True, draw=_model),
        Column("parts", "usage_months.used", draw=_used),
        Column("price", "usage_months.price", draw=_price),
        Column("amount", "usage_months.amount", kind="money", currency="currency", brief=True),
    ),
)


def _span(row: Any) -> rx.Component:
    return span(row["starts_at"], row["ends_at"], zone=SessionState.zone)


def _name(row: Any) -> rx.Component:
    return link(_span(row), href=row["href"].to(str))


def _invoices(row: Any) -> rx.Component:
    def one(invoice: Any) -> rx.Component:
        amount = money(invoice["amount"], invoice["currency"].to(str))
        return rx.el.li(link(invoice["name"].to(str), href=invoice["href"].to(str)), " ", amount)

    return _each(row["invoices"], one)


MONTHS = table_of(
    months.MONTHS,
    "usage-months",
    Column("starts_at", "usage_months.month", row_header=True, draw=_name),
    Column("state", "usage_months.state", kind="badge", statuses=STATES, brief=True),
    Column("invoices", "usage_months.invoices", draw=_invoices, shown=MAY_SEE_INVOICES, brief=True),
    texts="usage_months",
    caption="usage_months.months",
)
STEPS = Table(
    "usage-steps",
    "usage_months.explain",
    columns=(
        Column("name", "invoices.step", row_header=True, draw=lambda row: _meter(row["name"])),
        Column("formula", "invoices.formula"),
    ),
)


def _sums(rows: Any, draw: Any, *, otherwise: Any) -> rx.Component:
    return rx.cond(rows.length() > 0, rx.el.ul(rx.foreach(rows, draw), class_name="plain-list"), otherwise)


def _head() -> rx.Component:
    """What it comes to, what is not in it, and when it is billed."""
    row = _S.month

    def sum_of(one: Any) -> rx.Component:
        return rx.el.li(money(one["amount"], one["currency"].to(str)))

    def paid(one: Any) -> rx.Component:
        calls = t("usage_months.calls", count=one["calls"].to(int))
        return rx.el.li(
            money(one["amount"], one["currency"].to(str)), " ", rx.el.span(calls, class_name="muted")
        )

    def counted(one: Any) -> rx.Component:
        return rx.el.li(value(one["quantity"], "number"), " ", _meter(one["meter"]))

    nothing = rx.fragment(t("usage_months.nothing"))
    bills = rx.cond(
        row["bills_at"], when(row["bills_at"], zone=SessionState.zone), t("usage_months.nobody_bills")
    )
    runs = row["state"] != "closed"

    def while_it_runs(name: str, shown: Any) -> rx.Component:
        return rx.cond(runs, fact(t(f"usage_months.{name}"), shown), rx.fragment())

    return card(
        facts(
            (t("usage_months.month"), _span(row)),
            (t("usage_months.state"), rx.fragment(status_badge(row["state"], STATES))),
            while_it_runs("total", _sums(_S.totals, sum_of, otherwise=nothing)),
            while_it_runs("counted_until", when(row["counted_until"], zone=SessionState.zone)),
            while_it_runs("bills_at", bills),
            (t("usage_months.paid_ahead"), _sums(_S.paid_ahead, paid, otherwise=nothing)),
            while_it_runs("by_plans", _sums(_S.by_plans, counted, otherwise=nothing)),
        )
    )


def _explanation() -> rx.Component:
    row = _S.explained
    currency = row["currency"].to(str)
    before = fact(t("usage_months.billed_before"), money(row["before"], currency))
    return dialog(
        data_table(STEPS, _S.steps, phone="scroll"),
        facts(
            rx.cond(row["late"], before, rx.fragment()),
            (t("usage_months.amount"), money(row["amount"], currency)),
        ),
        dialog_foot(dialog_close(t("usage_months.close"))),
        title=t("usage_months.explain"),
        description=t("usage_months.explain_text"),
        open=_S.steps.length() > 0,
        on_open_change=_S.close,
        size="large",
    )


def _month() -> rx.Component:
    row = _S.month

    def why(line: Any) -> rx.Component:
        named = t("usage_months.why", line=line["description"].to(str))
        return icon_button(named, "circle-question-mark", on_press=_S.explain(line["id"].to(str)))

    lines = section(
        t("usage_months.lines"),
        data_table(
            LINES,
            _S.lines,
            empty=empty_state(
                t("usage_months.no_lines"), t("usage_months.no_lines_text"), icon_name="chart-column", level=3
            ),
            actions=why,
            zone=SessionState.zone,
        ),
    )
    parked = t("usage_months.parked_text", reason=row["parked"].to(str))
    return rx.fragment(
        rx.cond(row["parked"], banner("warn", parked), rx.fragment()),
        _head(),
        rx.cond(row["state"] == "closed", rx.el.p(t("usage_months.closed_text")), lines),
    )


@page(
    "/portal/usage/months",
    console=Console.PORTAL,
    title="usage_months.title",
    needs=Capability.COST_READ,
    on_load=UsageMonthsState.load,
)
def usage_months() -> Drawn:
    """The month that runs, or the one that the address names, and all of them below."""
    states = [(name, t(look.text)) for name, look in STATES.items()]
    content = rx.fragment(
        rx.cond(_S.month["id"], _month(), rx.fragment()),
        section(
            t("usage_months.months"),
            lists.listing(
                _S,
                MONTHS,
                [Filter("state", "usage_months.state", options=states)],
                empty=empty_state(
                    t("usage_months.none"), t("usage_months.none_text"), icon_name="receipt", level=3
                ),
                values={f"state:{name}": words for name, words in states},
            ),
        ),
        _explanation(),
        live_refresh(
            "overview", path="month", since=_S.read_at, on_change=_S.follow, longest_wait_ms=FOLLOWED_MS
        ),
    )
    return [
        rx.el.p(link(t("usage_months.back"), href="/portal/usage"), class_name="back-link"),
        page_header(t("usage_months.title"), lists.export(_S), text=t("usage_months.text")),
        in_its_state(_S, content, loading=skeleton(lines=12, label=t("usage_months.loading")), retry=_S.load),
    ]
