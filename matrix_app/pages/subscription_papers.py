"""Subscriptions on pages: lists, and the facts of one, in the portal and in the governance console."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.badges import Status, badge, status_badge
from components.feedback.figures import copyable, fact, facts
from components.feedback.states import banner, empty_state
from components.format.values import money, value, when
from components.links import button_link
from components.live.figures import live_refresh
from components.props import Drawn as Part
from components.shell.page import card, page_header, section
from components.tables.filters import Filter, days
from components.tables.listed import table_of
from components.tables.table import Column, Table, data_table
from components.texts import t
from matrix_app.pages import invoice_papers, lists, plan_prices
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Drawn
from models.subscriptions import CancelReason, Collection
from models.subscriptions import SubscriptionState as States
from services.core.listing import Listing
from services.subscriptions import queries as subscription_queries
from state.session import SessionState

Row = rx.Var[dict[str, Any]]
State = Any  # a page's state of either console: they hold the same

_LOOKS = {
    States.SCHEDULED: ("info", "hourglass"),
    States.INCOMPLETE: ("warn", "hourglass"),
    States.TRIALING: ("info", "clock"),
    States.ACTIVE: ("ok", None),
    States.PAST_DUE: ("danger", None),
    States.PAUSED: ("neutral", "circle-minus"),
    States.CANCELED: ("warn", "log-out"),
    States.ENDED: ("neutral", "ban"),
}
STATES = {
    one.value: Status(f"subscriptions.state_of.{one.value}", tone, symbol)  # pyright: ignore[reportArgumentType]
    for one, (tone, symbol) in _LOOKS.items()
}


def reasons() -> list[tuple[str, str]]:
    """Why people leave, in words."""
    return [(one.value, t(f"subscription.reason_of.{one.value}")) for one in CancelReason]


def _often(row: Row) -> Part:
    return rx.fragment(plan_prices.every(row["interval"], row["interval_count"]))


def _next(row: Row) -> Part:
    parked = badge(t("subscriptions.is_parked"), "danger")
    # Of one that has ended, it is when late usage is closed: nothing that anybody waits for.
    ended = row["state"] == States.ENDED.value
    comes = rx.cond(ended, rx.fragment(), when(row["next_at"], "date", zone=SessionState.zone))
    return rx.cond(row["parked"], parked, comes)


def _table(listing: Listing[Any], *more: Column) -> Table:
    return table_of(
        listing,
        "subscriptions",
        Column("name", "subscriptions.name", kind="link", href="href", row_header=True),
        *more,
        Column("state", "subscriptions.state", kind="badge", statuses=STATES),
        Column("interval", "subscriptions.interval", draw=_often),
        Column("started_at", "subscriptions.started_at", kind="date"),
        Column("next_at", "subscriptions.next_at", draw=_next),
        texts="subscriptions",
    )


SUBSCRIPTIONS = _table(subscription_queries.SUBSCRIPTIONS)
STAFF_SUBSCRIPTIONS = _table(
    subscription_queries.STAFF_SUBSCRIPTIONS, Column("organization", "subscriptions.organization")
)


def _each(row: Row) -> Part:
    every = plan_prices.every(row["interval"], row["interval_count"])
    amount = rx.el.span(
        money(row["amount"], row["currency"].to(str)), " ", rx.el.span(every, class_name="muted")
    )
    return rx.cond(row["amount"], amount, rx.el.span(t("subscription.by_use"), class_name="muted"))


def _quantity(row: Row) -> Part:
    counted = (row["kind"] == "seat") | (row["kind"] == "one_off")
    return rx.cond(counted, value(row["quantity"], "number"), rx.fragment())


ITEMS = Table(
    "items",
    "subscription.items",
    columns=(
        Column("name", "subscription.item", row_header=True),
        Column("quantity", "subscription.quantity", kind="number", draw=_quantity),
        Column("amount", "subscription.amount", kind="money", draw=_each),
    ),
)


def _takes(row: Row) -> Part:
    amount = rx.cond(
        row["share"], value(row["share"], "percent"), money(row["amount"], row["currency"].to(str))
    )
    count, used = row["periods"].to(int), row["periods_used"].to(str)
    lasts = rx.match(
        row["duration"],
        ("once", t("subscription.once")),
        ("forever", t("subscription.forever")),
        t("subscription.periods", used=used, count=count),
    )
    return rx.el.span(amount, " ", rx.el.span(lasts, class_name="muted"))


COUPONS = Table(
    "coupons",
    "subscription.coupons",
    columns=(
        Column("code", "subscription.coupon", row_header=True),
        Column("share", "subscription.takes", draw=_takes),
        Column("taken", "subscription.taken", kind="money", currency="currency"),
    ),
)
INVOICES = Table(
    "invoices",
    "subscription.invoices",
    columns=(
        Column("name", "invoices.name", kind="link", href="href", row_header=True),
        Column("state", "invoices.state", draw=invoice_papers.state_of, brief=True),
        Column("label_date", "invoices.label_date", kind="date"),
        Column("total", "invoices.total", kind="money", currency="currency"),
        Column("due", "invoices.due", kind="money", currency="currency"),
    ),
)


def subscriptions(state: State, *, staff: bool) -> Drawn:
    """All subscriptions, the latest first."""
    states = [(name, t(look.text)) for name, look in STATES.items()]
    who = [Filter("organization_id", "subscriptions.organization_id", "search")] if staff else []
    compare = button_link(t("subscriptions.compare"), href="/portal/plans", look="primary")
    text = t("subscriptions.staff_none_text" if staff else "subscriptions.none_text")
    content = lists.listing(
        state,
        STAFF_SUBSCRIPTIONS if staff else SUBSCRIPTIONS,
        [
            *who,
            Filter("state", "subscriptions.state", options=states),
            *days("created_at"),
        ],
        empty=empty_state(
            t("subscriptions.none"), text, icon_name="refresh-cw", action=None if staff else compare
        ),
        names={
            "organization_id": t("subscriptions.organization"),
            "created_at": t("subscriptions.created_at"),
        },
        values={f"state:{name}": words for name, words in states},
    )
    asked = t("subscriptions.staff_text" if staff else "subscriptions.text")
    return [
        page_header(t("subscriptions.title"), lists.export(state), text=asked),
        in_its_state(state, content, retry=state.load),
        follows(state, state.load, staff=staff),
    ]


def follows(state: State, on_change: Any, *, staff: bool) -> rx.Component:
    """Reads again what changed, seldom where a billing run changes many."""
    topic, longest_ms = ("staff.subscriptions", 5_000) if staff else ("subscriptions", 1_000)
    return live_refresh(
        topic, path="changed", since=state.read_at, on_change=on_change, longest_wait_ms=longest_ms
    )


def _moment(row: Any, name: str) -> rx.Component:
    shown = when(row[name], "date", zone=SessionState.zone)
    return rx.cond(row[name], fact(t(f"subscription.{name}"), shown), rx.fragment())


def _said(row: Any, name: str, shown: Any) -> rx.Component:
    return rx.cond(row[f"cancel_{name}"], fact(t(f"subscription.{name}"), shown), rx.fragment())


def head(row: Any, *, staff: bool) -> rx.Component:
    """What it is, and what comes next."""
    upcoming = rx.fragment(
        money(row["upcoming"], row["currency"].to(str)),
        " ",
        rx.el.span(
            when(row["upcoming_at"], "date", zone=SessionState.zone),
            ", ",
            t("subscription.upcoming_text"),
            class_name="small muted",
        ),
    )
    of_staff = [
        (t("subscriptions.organization"), invoice_papers.customer(row)),
        (t("subscription.version"), row["plan_version"].to(str)),
    ]
    goes_on = (row["state"] != States.CANCELED.value) & (row["upcoming_at"] != "")
    return card(
        facts(
            (t("subscriptions.state"), rx.fragment(status_badge(row["state"], STATES))),
            (t("subscriptions.interval"), _often(row)),
            *(of_staff if staff else []),
            (
                rx.cond(_is_to_come(row), t("subscription.begins_at"), t("subscriptions.started_at")),
                when(row["started_at"], "date", zone=SessionState.zone),
            ),
            _moment(row, "trial_end"),
            (t("subscription.collection"), _collection(row)),
            rx.cond(goes_on, fact(t("subscription.upcoming"), upcoming), rx.fragment()),
            *(_moment(row, name) for name in ("cancel_at", "paused_at", "resume_at", "ended_at")),
            _said(row, "reason", rx.match(row["cancel_reason"], *reasons(), "")),
            _said(row, "comment", row["cancel_comment"].to(str)),
            (t("subscription.id"), copyable(row["id"].to(str), label=t("subscription.id"))),
        )
    )


def _collection(row: Any) -> rx.Component:
    """How its invoices are paid, and within how many days."""
    days = t("subscription.within_days", count=row["payment_days"].to(int))
    sent = rx.fragment(
        t("subscription.collection_of.send"),
        rx.cond(row["payment_days"] != "", rx.fragment(", ", days), rx.fragment()),
    )
    charged = rx.fragment(t("subscription.collection_of.charge"))
    return rx.cond(row["collection"] == Collection.SEND.value, sent, charged)


def _is_to_come(row: Any) -> Any:
    return row["state"] == States.SCHEDULED.value


def begins_later(row: Any) -> rx.Component:
    """When it begins, of one that has not."""
    shown = rx.el.p(t("subscription.begins_later"), " ", when(row["started_at"], zone=SessionState.zone))
    return rx.cond(_is_to_come(row), rx.el.div(shown, class_name="banner tone-info"), rx.fragment())


def just_done(state: State) -> rx.Component:
    """What was agreed to on the way here."""
    plan = state.subscription["name"].to(str)

    def said(name: str, **values: Any) -> tuple[str, rx.Component]:
        return name, banner("ok", t(f"subscription.done_of.{name}", **values))

    acts = said("started", plan=plan), said("changed"), said("waits")
    return rx.fragment(rx.match(state.just_done, *acts, rx.fragment()))


def parked(row: Any) -> rx.Component:
    """Why it is not billed, if it is not."""
    text = t("subscription.parked_text", reason=row["parked"].to(str))
    return rx.cond(row["parked"], banner("danger", text), rx.fragment())


def unaddressed(row: Any, *, staff: bool) -> rx.Component:
    """That a trial is paused as it ends, or was, until there is a billing profile."""
    whose = "staff" if staff else "own"
    place = (
        f"/governance/organizations/{row['organization_id'].to(str)}" if staff else "/portal/billing-profile"
    )
    action = button_link(t(f"subscription.unaddressed_action.{whose}"), href=place)
    shown = rx.cond(
        row["state"] == States.PAUSED.value,
        banner("danger", t(f"subscription.unaddressed_over.{whose}"), action=action),
        banner("warn", t(f"subscription.unaddressed.{whose}"), action=action),
    )
    return rx.cond(row["needs_profile"].to(bool), shown, rx.fragment())


def tables(state: State, *, add: Part | None = None, of_coupon: Any = None) -> rx.Component:
    """What it consists of, its coupons, and its invoices."""

    def none(name: str, symbol: str) -> rx.Component:
        return empty_state(
            t(f"subscription.no_{name}"), t(f"subscription.no_{name}_text"), icon_name=symbol, level=3
        )

    def shown(table: Table, rows: Any, name: str, symbol: str, **more: Any) -> rx.Component:
        return data_table(
            table, rows, status=state.status, empty=none(name, symbol), zone=SessionState.zone, **more
        )

    return rx.fragment(
        section(t("subscription.items"), shown(ITEMS, state.items, "items", "layers")),
        section(
            t("subscription.coupons"),
            shown(COUPONS, state.coupons, "coupons", "tags", actions=of_coupon),
            actions=[add] if add is not None else [],
        ),
        section(t("subscription.invoices"), shown(INVOICES, state.invoices, "invoices", "receipt")),
    )


def _formulas(row: Any) -> rx.Component:
    return rx.el.ul(
        rx.foreach(row["formulas"].to(list[str]), lambda one: rx.el.li(one)), class_name="plain-list"
    )


USED = Table(
    "used",
    "subscription.used",
    columns=(
        Column("name", "subscription.item", row_header=True),
        Column("since", "subscription.used_since", kind="date"),
        Column("quantity", "subscription.quantity", kind="number"),
        Column("formulas", "subscription.used_formula", draw=_formulas),
        Column("amount", "subscription.used_amount", kind="money", currency="currency", brief=True),
        Column("bills_at", "subscription.used_bills_at", kind="date"),
    ),
)


def used(state: State) -> rx.Component:
    """What metered prices come to so far."""
    shown = section(t("subscription.used"), data_table(USED, state.used, zone=SessionState.zone))
    return rx.cond(state.used.length() > 0, shown, rx.fragment())
