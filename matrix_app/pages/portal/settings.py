"""The organisation's settings."""

from __future__ import annotations

import reflex as rx

from components.feedback.figures import copyable, facts
from components.feedback.states import empty_state, skeleton
from components.forms.fields import combobox, text_field
from components.forms.form import form_foot, rest_form, submit_button
from components.shell.page import card, page_header, section
from components.tables.table import Column, Table, data_table
from components.texts import t
from matrix_app.pages import endpoints
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.public.welcome import timezones
from matrix_app.pages.registry import Console, Drawn, page
from models.terms import Occasion
from services.core.permissions import Capability
from state.portal.settings import SettingsState
from state.session import SessionState

MAY_WRITE = SessionState.capabilities.contains(Capability.ORGANIZATION_WRITE.value)


def _general() -> rx.Component:
    changing = rx.el.div(
        rest_form(
            "settings",
            text_field(
                "name",
                t("settings.name"),
                value=SettingsState.name,
                autocomplete="organization",
                max_length=100,
            ),
            combobox(
                "timezone",
                t("settings.timezone"),
                timezones(),
                hint=t("settings.timezone_hint"),
                value=SettingsState.timezone,
            ),
            form_foot(submit_button(t("settings.save"))),
            url=endpoints.ORGANIZATION,
            method="PATCH",
            version=SettingsState.version,
            on_take_theirs=SettingsState.load,
            done_text=t("settings.saved"),
            on_done=SettingsState.saved,
            guard=True,
        ),
        # What somebody else saved is filled in anew, and so is another organisation.
        key=f"{SettingsState.organization_id}.{SettingsState.version}",
    )
    shown = facts((t("settings.name"), SettingsState.name), (t("settings.timezone"), SettingsState.timezone))
    return card(rx.cond(MAY_WRITE, changing, shown), title=t("settings.general"))


def _fixed() -> rx.Component:
    billing = [(mode, t(f"settings.billing.{mode}")) for mode in ("postpaid", "prepaid")]
    return card(
        facts(
            (t("settings.currency"), SettingsState.currency),
            (t("settings.billing_mode"), rx.match(SettingsState.billing_mode, *billing, "")),
            (t("settings.id"), copyable(SettingsState.organization_id, label=t("settings.id"))),
        ),
        rx.el.p(t("settings.currency_text"), class_name="muted"),
        title=t("settings.fixed"),
    )


ACCEPTED = (
    Column("accepted_at", "terms.accepted_at", kind="datetime", row_header=True),
    Column("number", "terms.number", kind="number", brief=True),
    Column("who", "terms.who", brief=True),
    Column(
        "occasion",
        "terms.occasion",
        draw=lambda row: rx.match(
            row["occasion"],
            *((one.value, t(f"terms.occasion_of.{one.value}")) for one in Occasion),
            row["occasion"].to(str),
        ),
    ),
    Column("address", "terms.address"),
    Column("device", "terms.device"),
)


def _accepted() -> rx.Component:
    """Who has accepted which terms, for owners."""
    table = Table("accepted-terms", "terms.accepted", ACCEPTED)
    none = empty_state(
        t("terms.accepted_none"), t("terms.accepted_none_text"), icon_name="file-text", level=3
    )
    shown = data_table(
        table, SettingsState.accepted, status=SettingsState.status, empty=none, zone=SessionState.zone
    )
    return rx.cond(MAY_WRITE, section(t("terms.accepted"), shown), rx.fragment())


@page(
    "/portal/settings",
    console=Console.PORTAL,
    title="settings.title",
    needs=Capability.ORGANIZATION_READ,
    on_load=SettingsState.load,
)
def settings() -> Drawn:
    """Name and timezone to change, currency and billing to see."""
    loading = skeleton(lines=6, label=t("settings.title"))
    return [
        page_header(t("settings.title"), text=t("settings.text")),
        in_its_state(
            SettingsState,
            rx.fragment(_general(), _fixed(), _accepted()),
            loading=loading,
            retry=SettingsState.load,
        ),
    ]
