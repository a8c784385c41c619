"""To whom the organisation's invoices are addressed."""

from __future__ import annotations

import reflex as rx

from components.feedback.figures import fact, facts
from components.feedback.states import skeleton
from components.format.values import when
from components.forms.fields import text_area, text_field
from components.forms.form import form_foot, rest_form, submit_button
from components.shell.page import card, page_header
from components.texts import t
from matrix_app.pages import endpoints
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from matrix_app.pages.tax_numbers import number_badge
from services.billing.entities import ADDRESS_CHARACTERS_MAX, NAME_CHARACTERS_MAX
from services.core.permissions import Capability
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
            text_field(
                "country",
                t("profile.country"),
                hint=t("profile.country_hint"),
                value=row["country"].to(str),
                autocomplete="country",
                max_length=2,
                pattern="[A-Z]{2}",
            ),
            text_field(
                "language",
                t("profile.language"),
                value=row["language"].to(str),
                autocomplete="off",
                max_length=12,
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
        key=_S.version.to_string(),  # what somebody else saved is filled in anew
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
    row, state = _S.profile, _S.profile["tax_state"].to(str)
    says = [(one.value, t(f"profile.tax_state_text.{one.value}")) for one in NumberState]
    checked = rx.fragment(when(row["tax_checked_at"], "datetime"), " · ", row["tax_source"].to(str))
    return card(
        facts(
            (t("profile.tax_number"), rx.fragment(row["tax"].to(str), " ", number_badge(state))),
            rx.cond(row["tax_checked_at"], fact(t("profile.tax_checked"), checked), rx.fragment()),
            rx.cond(
                row["tax_reference"],
                fact(t("profile.tax_reference"), row["tax_reference"].to(str)),
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
        (t("profile.country"), row["country"].to(str)),
    )
    content = rx.el.div(
        card(rx.cond(MAY_WRITE, _form(), shown), rx.el.p(t("profile.kept"), class_name="small muted")),
        rx.cond(row["tax"], _tax_number(), rx.fragment()),
        class_name="text-column stack",
    )
    return [
        page_header(t("profile.title"), text=t("profile.text")),
        in_its_state(_S, content, loading=skeleton(lines=6, label=t("profile.title")), retry=_S.load),
    ]
