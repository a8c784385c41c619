"""The test clock of an organisation on its page: turned forward, and what was made on the way."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.figures import facts
from components.feedback.progress import progress_bar
from components.feedback.states import banner, empty_state
from components.format.values import when
from components.forms.fields import Option, select, text_field
from components.forms.form import action_button, form, form_foot, rest_form, submit_button
from components.kit.overlays import Trigger, dialog, dialog_close, dialog_foot
from components.links import link
from components.live.figures import live_refresh
from components.shell.page import section
from components.tables.table import data_table
from components.texts import t
from matrix_app.pages import endpoints
from matrix_app.pages.invoice_papers import STAFF_INVOICES
from matrix_app.pages.previews import documents
from models.types import BillingInterval
from services.core.permissions import Capability
from state.governance.organizations import BY_DATE, LOOK, TURN, OrganizationState
from state.session import SessionState

_S = OrganizationState
_CLOCK = OrganizationState.clock
_URL = f"{endpoints.STAFF_ORGANIZATIONS}/{OrganizationState.organization['id'].to(str)}/clock"
_MAY = SessionState.capabilities.contains(Capability.STAFF_ORGANIZATIONS_WRITE.value)
_SEEN = OrganizationState.foreseen
WAYS = (*BillingInterval, BY_DATE)


def clock_section() -> rx.Component:
    """For those organisations that may have one."""
    title, begin = t("clock.title"), rx.cond(_MAY, _begin(), rx.fragment())
    there = rx.fragment(section(title, rx.el.p(t("clock.text"), class_name="muted"), _clock()), _papers())
    none = section(title, rx.el.p(t("clock.none"), class_name="muted"), actions=[begin])
    is_operator = OrganizationState.organization["kind"] == "operator"
    return rx.cond(is_operator, rx.fragment(), rx.cond(_CLOCK["id"], there, none))


def _begin() -> rx.Component:
    return dialog(
        rest_form(
            "begin-clock",
            text_field("name", t("clock.name"), autocomplete="off"),
            dialog_foot(dialog_close(), submit_button(t("clock.begin"))),
            url=_URL,
            done_text=t("clock.begun"),
            on_done=_S.load,
        ),
        title=t("clock.begin"),
        description=t("clock.begin_text"),
        trigger=Trigger(t("clock.begin"), "", "clock"),
    )


def _clock() -> rx.Component:
    zone = _CLOCK["timezone"].to(str)
    until = rx.cond(
        _CLOCK["target_at"],
        rx.fragment(when(_CLOCK["target_at"], zone=zone)),
        rx.fragment(t("clock.still")),
    )
    place = f"turning.{_CLOCK['id'].to(str)}"
    on_its_way = progress_bar(t("clock.progress"), topic="staff.clocks", path=place)
    return rx.fragment(
        facts(
            (t("clock.name"), _CLOCK["name"].to(str)),
            (t("clock.shows"), when(_CLOCK["shows"], zone=zone)),
            (t("clock.until"), until),
        ),
        _parked(rx.Var.create(_S.parked)),
        rx.cond(_CLOCK["target_at"], on_its_way, rx.cond(_MAY, _turn(), rx.fragment())),
        live_refresh("staff.clocks", path=place, since=_S.read_at, on_change=_S.follow),
    )


# -- turning it, and looking ahead


def _parked(reasons: rx.Var[list[str]]) -> rx.Component:
    """What is not billed, and why: without it nothing would seem to happen."""
    told = banner("warn", reasons.join(" "), title=t("clock.parked"))
    return rx.cond(reasons.length() > 0, told, rx.fragment())


def _turn() -> rx.Component:
    """How far, and whether to see first what it makes; Enter looks."""
    ways = [Option(one, t(f"clock.way_of.{one}")) for one in WAYS]
    day = text_field("on", t("clock.on"), kind="date", hint=t("clock.on_hint"), autocomplete="off")
    return rx.el.div(
        form(
            "turn-clock",
            rx.el.div(
                select(
                    "by", t("clock.way"), ways, value=_S.way, on_change=lambda one: _S.choose(one.to(str))
                ),
                rx.cond(_S.way == BY_DATE, day, rx.fragment()),
                class_name="field-pair",
            ),
            form_foot(
                submit_button(t("clock.look"), look="", icon="search", act=LOOK),
                submit_button(t("clock.turn"), look="", icon="clock", act=TURN),
            ),
            on_submit=_S.use_clock,
            errors=_S.clock_errors,
            busy=_S.at_clock,
        ),
        rx.el.p(t("clock.look_text"), class_name="small muted"),
        rx.el.div(
            rx.cond(_S.clock_refusal, banner("warn", _S.clock_refusal), rx.fragment()),
            rx.cond(_SEEN["until"], _seen(), rx.fragment()),
            aria_live="polite",
            class_name="stack",
        ),
        class_name="stack",
    )


def _seen() -> rx.Component:
    zone = _CLOCK["timezone"].to(str)
    more = rx.cond(_SEEN["more"].to(bool), banner("info", t("clock.looked_more")), rx.fragment())
    groups = _SEEN["groups"].to(list[dict[str, Any]])
    there = rest_form(
        "turn-there",
        submit_button(t("clock.looked_turn"), look="primary", icon="check"),
        url=f"{_URL}/turn",
        extra={"to": _SEEN["until"].to(str)},
        done_text=t("clock.turned"),
        on_done=_S.load,
    )
    away = action_button(t("clock.looked_close"), on_press=_S.look_away, look="quiet", icon="x")
    return rx.el.section(
        rx.el.h3(t("clock.looked"), " ", when(_SEEN["until"], zone=zone)),
        rx.cond(
            groups.length() > 0,
            rx.foreach(groups, _group),
            rx.el.p(t("clock.looked_none"), class_name="muted"),
        ),
        _parked(_SEEN["parked"].to(list[str])),
        more,
        rx.el.div(there, away, class_name="row"),
        class_name="stack",
    )


def _group(row: Any) -> rx.Component:
    name = rx.cond(row["name"], row["name"].to(str), t("clock.looked_usage"))
    return rx.el.details(
        rx.el.summary(
            name, " ", rx.el.span(t("clock.looked_count", count=row["count"].to(int)), class_name="muted")
        ),
        documents(row["documents"].to(list[dict[str, Any]]), _dated),
        class_name="stack",
        open=True,
        key=row["id"].to(str),
    )


def _dated(row: Any) -> rx.Component:
    says = rx.cond(row["waits"], t("clock.looked_waits"), t("clock.looked_final"))
    return rx.fragment(says, " ", when(row["billed_at"], "date", zone=_CLOCK["timezone"].to(str)))


def _papers() -> rx.Component:
    none = empty_state(t("clock.no_papers"), t("clock.no_papers_text"), icon_name="receipt", level=3)
    every = f"/governance/invoices?organization_id={OrganizationState.organization['id'].to(str)}"
    return section(
        t("clock.papers"),
        data_table(STAFF_INVOICES, _S.papers, status=_S.status, empty=none, zone=SessionState.zone),
        rx.el.p(link(t("clock.all_papers"), href=every)),
    )
