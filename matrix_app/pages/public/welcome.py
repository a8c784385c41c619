"""Founding an organisation: the first thing after signing up, and any time later."""

from __future__ import annotations

import zoneinfo

import reflex as rx

from components.feedback.states import skeleton
from components.forms.fields import Option, combobox, radios, select, text_field
from components.forms.form import form_foot, rest_form, submit_button
from components.links import link
from components.shell.page import card, page_header
from components.texts import t
from matrix_app.pages import endpoints
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from matrix_app.pages.terms_line import terms_line
from models.terms import Occasion
from state.account import WelcomeState
from state.session import PORTAL_HOME, SessionState

KINDS = ("client", "partner", "developer")


def timezones() -> list[Option]:
    return [Option(name, name.replace("_", " ")) for name in sorted(zoneinfo.available_timezones())]


@page("/welcome", console=Console.PUBLIC, title="welcome.title", on_load=WelcomeState.load)
def welcome() -> Drawn:
    """Its name, kind, timezone and currency; afterwards one works in it."""
    kinds = [Option(kind, t(f"welcome.kind.{kind}"), t(f"welcome.kind.{kind}_text")) for kind in KINDS]
    founding = card(
        rest_form(
            "welcome",
            text_field("name", t("welcome.name"), autocomplete="organization", max_length=100),
            radios("kind", t("welcome.kind"), kinds, value="client"),
            combobox(
                "timezone",
                t("welcome.timezone"),
                timezones(),
                hint=t("welcome.timezone_hint"),
                value=WelcomeState.zone,
            ),
            select(
                "currency",
                t("welcome.currency"),
                WelcomeState.currencies,
                hint=t("welcome.currency_hint"),
                value="USD",
            ),
            terms_line(WelcomeState.terms, Occasion.FOUNDING),
            form_foot(submit_button(t("welcome.submit"))),
            url=endpoints.ORGANIZATIONS,
            go_on=(endpoints.SWITCH_ORGANIZATION, "organization_id"),
            destination=PORTAL_HOME,
        )
    )
    invited = rx.el.p(t("welcome.invited", email=SessionState.account_email), class_name="muted")
    return [
        page_header(t("welcome.title"), text=t("welcome.text")),
        in_its_state(
            WelcomeState,
            founding,
            loading=skeleton(lines=10, label=t("welcome.loading")),
            retry=WelcomeState.load,
        ),
        rx.cond(SessionState.without_organization, invited, rx.fragment()),
        rx.el.p(link(t("welcome.account"), href="/account"), class_name="muted"),
    ]
