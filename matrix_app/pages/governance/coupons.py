"""Coupons: what is taken off, for whom, and how often it was used."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.badges import Status
from components.feedback.states import empty_state
from components.format.values import money, value
from components.forms.fields import Option, checkboxes, number_field, select, text_field
from components.forms.form import rest_form, submit_button
from components.kit.overlays import Trigger, dialog, dialog_close, dialog_foot, icon_button
from components.shell.page import page_header
from components.tables.filters import Filter
from components.tables.listed import table_of
from components.tables.table import Column
from components.texts import t
from matrix_app.pages import endpoints, lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from services.billing.discounts import PERIODS_MAX, REDEMPTIONS_MAX, Duration
from services.catalog import coupon_queries
from services.core.permissions import Capability
from state.governance.subscriptions import CouponsState
from state.session import SessionState

Row = rx.Var[dict[str, Any]]
MAY_WRITE = SessionState.capabilities.contains(Capability.STAFF_PLANS_WRITE.value)
STATES = {
    "active": Status("coupons.state_of.active", "ok"),
    "expired": Status("coupons.state_of.expired", "neutral", "clock"),
    "used_up": Status("coupons.state_of.used_up", "neutral", "check"),
    "archived": Status("coupons.state_of.archived", "neutral", "ban"),
}


def _durations() -> list[tuple[str, str]]:
    return [(one.value, t(f"coupons.duration_of.{one.value}")) for one in Duration]


def _takes(row: Row) -> rx.Component:
    return rx.cond(
        row["share"], value(row["share"], "percent"), money(row["amount"], row["currency"].to(str))
    )


def _lasts(row: Row) -> rx.Component:
    counted = t("coupons.lasts_periods", count=row["periods"].to(int))
    others = [(name, words) for name, words in _durations() if name != Duration.PERIODS]
    return rx.fragment(rx.match(row["duration"], *others, counted))


def _used(row: Row) -> rx.Component:
    most = rx.cond(row["most"], rx.fragment(" / ", value(row["most"], "number")), rx.fragment())
    return rx.fragment(value(row["redeemed"], "number"), most)


COUPONS = table_of(
    coupon_queries.COUPONS,
    "coupons",
    Column("code", "coupons.code", row_header=True),
    "name",
    Column("share", "coupons.takes", draw=_takes),
    Column("duration", "coupons.duration", draw=_lasts),
    Column("plans", "coupons.only"),
    Column("redeemed", "coupons.redeemed", draw=_used),
    Column("expires_at", "coupons.expires_at", kind="date"),
    Column("state", "coupons.state", kind="badge", statuses=STATES),
    Column("created_at", "coupons.created_at", kind="date"),
    texts="coupons",
)


def _limit(name: str, options: Any) -> rx.Component:
    """What the coupon is limited to; nothing to choose from is not shown."""
    chosen = checkboxes(name, t(f"coupons.{name}"), options, hint=t(f"coupons.{name}_hint"))
    return rx.cond(options.length() > 0, chosen, rx.fragment())


def _create() -> rx.Component:
    return dialog(
        rest_form(
            "new-coupon",
            text_field("code", t("coupons.code"), hint=t("coupons.code_hint"), max_length=64, autocomplete="off"),
            text_field("name", t("coupons.name"), max_length=100, autocomplete="off"),
            text_field("rate", t("coupons.rate"), hint=t("coupons.rate_hint"), required=False, autocomplete="off"),
            text_field(
                "amount", t("coupons.amount"), hint=t("coupons.amount_hint"), required=False, autocomplete="off",
                pattern=r"\d{1,13}(\.\d{1,4})?",
            ),
            text_field(
                "currency", t("coupons.currency"), required=False, max_length=3, pattern="[A-Z]{3}", autocomplete="off"
            ),
            select(
                "duration",
                t("coupons.duration"),
                [Option(name, words) for name, words in _durations()],
                value=Duration.ONCE.value,
            ),
            number_field(
                "periods", t("coupons.periods"), hint=t("coupons.periods_hint"), required=False, min=1,
                max=PERIODS_MAX, step=1,
            ),
            text_field("expires_at", t("coupons.expires_at"), kind="datetime-local", required=False),
            number_field(
                "redemptions_max", t("coupons.redemptions_max"), required=False, min=1, max=REDEMPTIONS_MAX, step=1
            ),
            _limit("plans", CouponsState.plans),
            _limit("meters", CouponsState.meters),
            dialog_foot(dialog_close(), submit_button(t("coupons.create"))),
            url=endpoints.STAFF_COUPONS,
            done_text=t("coupons.created"),
            on_done=CouponsState.changed,
        ),
        title=t("coupons.create"),
        description=t("coupons.create_text"),
        trigger=Trigger(t("coupons.create"), "primary", "plus"),
        open=CouponsState.open_dialog == "new",
        on_open_change=lambda is_open: CouponsState.show("new", is_open),
    )  # fmt: skip


def _archive() -> rx.Component:
    chosen = CouponsState.chosen
    return dialog(
        rest_form(
            "archive-coupon",
            dialog_foot(dialog_close(), submit_button(t("coupons.archive"), look="primary danger")),
            url=f"{endpoints.STAFF_COUPONS}/{chosen['id'].to(str)}/archive",
            done_text=t("coupons.archived"),
            on_done=CouponsState.changed,
        ),
        title=t("coupons.archive_title", code=chosen["code"].to(str)),
        description=t("coupons.archive_text"),
        open=CouponsState.open_dialog == "archive",
        on_open_change=CouponsState.dismiss,
        size="small",
    )


def _actions(row: Row) -> rx.Component:
    name = t("coupons.archive_title", code=row["code"].to(str))
    archive = icon_button(name, "ban", on_press=CouponsState.ask(row["id"].to(str), "archive"))
    return rx.cond(MAY_WRITE & (row["state"] != "archived"), archive, rx.fragment())


@page(
    "/governance/coupons",
    console=Console.GOVERNANCE,
    title="coupons.title",
    needs=Capability.STAFF_PLANS_READ,
    on_load=CouponsState.load,
)
def coupons() -> Drawn:
    """All coupons, the newest first."""
    states = [(name, t(look.text)) for name, look in STATES.items()]
    content = lists.listing(
        CouponsState,
        COUPONS,
        [Filter("state", "coupons.state", options=states)],
        empty=empty_state(t("coupons.none"), t("coupons.none_text"), icon_name="tags"),
        values={f"state:{name}": words for name, words in states},
        actions=_actions,
    )
    create = rx.cond(MAY_WRITE, _create(), rx.fragment())
    return [
        page_header(t("coupons.title"), lists.export(CouponsState), create, text=t("coupons.text")),
        in_its_state(CouponsState, content, retry=CouponsState.load),
        _archive(),
    ]
