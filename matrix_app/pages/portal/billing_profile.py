"""To whom the organisation's invoices are addressed."""

from __future__ import annotations

import reflex as rx

from components.feedback.figures import fact, facts
from components.feedback.states import skeleton
from components.format.values import value, when
from components.forms.fields import combobox, text_area, text_field
from components.forms.form import form_foot, rest_form, submit_button
from components.live.figures import live_refresh
from components.shell.page import card, page_header
from components.texts import t
from matrix_app.pages import endpoints
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from matrix_app.pages.tax_numbers import number_badge
from models.places import COUNTRIES
from services.billing.entities import ADDRESS_CHARACTERS_MAX, NAME_CHARACTERS_MAX
from services.core.permissions import Capability
from services.documents.words import LANGUAGES
from services.tax.numbers import NUMBER_CHARACTERS_MAX
from services.tax.rules import NumberState
from state.portal.billing_profile import BillingProfileState
from state.session import SessionState

MAY_WRITE = SessionState.capabilities.contains(Capability.BILLING_PROFILE_WRITE.value)
_S = BillingProfileState


def _form() -> rx.Component:
    row = _S.profile
    return rx.el.div(
        rest_form(
            "billing-profile",
            text_field(
                "name",
                t("profile.name"),
                value=row["name"].to(str),
                autocomplete="organization",
                max_length=NAME_CHARACTERS_MAX,
            ),
            _address(),
            combobox(
                "country",
                t("profile.country"),
                [{"id": code} for code in COUNTRIES],
                names="region",
                hint=t("profile.country_hint"),
                value=row["country"].to(str),
            ),
            combobox(
                "language",
                t("profile.language"),
                [{"id": code} for code in LANGUAGES],
                names="language",
                value=row["language"].to(str),
            ),
            text_field(
                "tax_number",
                t("profile.tax_number"),
                hint=t("profile.tax_number_hint"),
                value=row["tax"].to(str),
                required=False,
                autocomplete="off",
                max_length=NUMBER_CHARACTERS_MAX,
            ),
            form_foot(submit_button(t("profile.save"))),
            url=endpoints.BILLING_PROFILE,
            method="PUT",
            version=_S.version,
            names={
                "tax_number": "tax_number.number"
            },  # read, it is more than what was typed: left out of a conflict
            on_take_theirs=_S.load,
            done_text=t("profile.saved"),
            on_done=_S.saved,
            guard=True,
        ),
        key=_S.filled.to_string(),  # what is read anew is filled in anew
    )


def _address() -> rx.Component:
    hint = t("profile.address_hint")
    return text_area(
        "address",
        t("profile.address"),
        hint=hint,
        value=_S.profile["address"].to(str),
        rows=3,
        max_length=ADDRESS_CHARACTERS_MAX,
    )


def _tax_number() -> rx.Component:
    """What its register says of the number, and what follows for the tax."""
    row, state = _S.tax, _S.tax["state"].to(str)
    says = [(one.value, t(f"profile.tax_state_text.{one.value}")) for one in NumberState]
    checked = rx.fragment(
        when(row["checked_at"], "datetime", zone=SessionState.zone), " · ", row["source"].to(str)
    )
    return card(
        facts(
            (t("profile.tax_number"), rx.fragment(row["number"].to(str), " ", number_badge(state))),
            rx.cond(row["checked_at"], fact(t("profile.tax_checked"), checked), rx.fragment()),
            rx.cond(
                row["reference"],
                fact(t("profile.tax_reference"), row["reference"].to(str)),
                rx.fragment(),
            ),
        ),
        rx.el.p(rx.match(state, *says, ""), class_name="muted"),
    )


@page(
    "/portal/billing-profile",
    console=Console.PORTAL,
    title="profile.title",
    needs=Capability.INVOICES_READ,
    on_load=BillingProfileState.load,
)
def billing_profile() -> Drawn:
    """Name, address and country of whoever pays."""
    row = _S.profile
    shown = facts(
        (t("profile.name"), row["name"].to(str)),
        (t("profile.address"), rx.el.span(row["address"].to(str), class_name="party")),
        (t("profile.country"), value(row["country"].to(str), "region")),
        (t("profile.language"), value(row["language"].to(str), "language")),
    )
    content = rx.el.div(
        card(rx.cond(MAY_WRITE, _form(), shown), rx.el.p(t("profile.kept"), class_name="small muted")),
        rx.cond(_S.tax.contains("number"), _tax_number(), rx.fragment()),
        live_refresh("billing_profile", path="changed", since=_S.read_at, on_change=_S.follow),
        class_name="text-column stack",
    )
    return [
        page_header(t("profile.title"), text=t("profile.text")),
        in_its_state(_S, content, loading=skeleton(lines=6, label=t("profile.title")), retry=_S.load),
    ]
