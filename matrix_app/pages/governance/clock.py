"""The test clock of an organisation on its page: turned forward, and what was made on the way."""

from __future__ import annotations

import reflex as rx

from components.feedback.figures import facts
from components.feedback.progress import progress_bar
from components.feedback.states import empty_state
from components.format.values import when
from components.forms.fields import text_field
from components.forms.form import rest_form, submit_button
from components.kit.overlays import Trigger, dialog, dialog_close, dialog_foot
from components.links import link
from components.live.figures import live_refresh
from components.shell.page import section
from components.tables.table import data_table
from components.texts import t
from matrix_app.pages import endpoints
from matrix_app.pages.invoice_papers import STAFF_INVOICES
from services.core.permissions import Capability
from state.governance.organizations import OrganizationState
from state.session import SessionState

_S = OrganizationState
_CLOCK = OrganizationState.clock
_URL = f"{endpoints.STAFF_ORGANIZATIONS}/{OrganizationState.organization['id'].to(str)}/clock"
_MAY = SessionState.capabilities.contains(Capability.STAFF_ORGANIZATIONS_WRITE.value)
STEPS = ("day", "month", "year")


def clock_section() -> rx.Component:
    """For those organisations that may have one."""
    title, begin = t("clock.title"), rx.cond(_MAY, _begin(), rx.fragment())
    there = rx.fragment(section(title, rx.el.p(t("clock.text"), class_name="muted"), _clock()), _papers())
    none = section(title, rx.el.p(t("clock.none"), class_name="muted"), begin)
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
    turn = rx.el.div(*[_turn(step) for step in STEPS], _to_date(), class_name="row")
    return rx.fragment(
        facts(
            (t("clock.name"), _CLOCK["name"].to(str)),
            (t("clock.shows"), when(_CLOCK["shows"], zone=zone)),
            (t("clock.until"), until),
        ),
        rx.cond(_CLOCK["target_at"], on_its_way, rx.cond(_MAY, turn, rx.fragment())),
        live_refresh("staff.clocks", path=place, since=_S.read_at, on_change=_S.follow),
    )


def _turn(step: str) -> rx.Component:
    return rest_form(
        f"turn-{step}",
        submit_button(t(f"clock.{step}"), look=""),
        url=f"{_URL}/turn",
        extra={"by": step},
        done_text=t("clock.turned"),
        on_done=_S.load,
    )


def _to_date() -> rx.Component:
    return dialog(
        rest_form(
            "turn-to",
            text_field("on", t("clock.on"), kind="date", autocomplete="off"),
            dialog_foot(dialog_close(), submit_button(t("clock.turn"))),
            url=f"{_URL}/turn",
            done_text=t("clock.turned"),
            on_done=_S.load,
        ),
        title=t("clock.to"),
        description=t("clock.to_text"),
        trigger=Trigger(t("clock.to"), "", "clock"),
    )


def _papers() -> rx.Component:
    none = empty_state(t("clock.no_papers"), t("clock.no_papers_text"), icon_name="receipt", level=3)
    every = f"/governance/invoices?organization_id={OrganizationState.organization['id'].to(str)}"
    return section(
        t("clock.papers"),
        data_table(STAFF_INVOICES, _S.papers, status=_S.status, empty=none, zone=SessionState.zone),
        rx.el.p(link(t("clock.all_papers"), href=every)),
    )
