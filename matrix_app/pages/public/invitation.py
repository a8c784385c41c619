"""The page that an invitation's mail leads to."""

from __future__ import annotations

import reflex as rx

from components.feedback.states import empty_state, skeleton
from components.format.values import when
from components.forms.fields import password_field, text_field
from components.forms.form import form_foot, rest_form, submit_button
from components.links import button_link
from components.shell.page import card, page_header
from components.texts import t
from matrix_app.pages import endpoints
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from matrix_app.pages.roles import role_word
from state.invitation import InvitationState
from state.session import PORTAL_HOME


def _to() -> rx.Component:
    return card(
        rx.el.p(
            t(
                "invitation.text",
                invited_by=InvitationState.invited_by,
                email=InvitationState.email,
                organization=InvitationState.organization,
            )
        ),
        rx.el.p(rx.el.strong(role_word(InvitationState.role))),
        rx.el.p(
            t("invitation.expires"), " ", when(InvitationState.expires_at, "datetime"), class_name="muted"
        ),
    )


def _accept() -> rx.Component:
    return card(
        rx.el.p(t("invitation.as", email=InvitationState.signed_in_as)),
        rest_form(
            "accept",
            form_foot(submit_button(t("invitation.accept"))),
            url=endpoints.ACCEPT_INVITATION,
            extra={"token": InvitationState.token},
            destination=PORTAL_HOME,
        ),
    )


def _other_address() -> rx.Component:
    return card(
        rx.el.p(
            t(
                "invitation.other_address",
                email=InvitationState.email,
                own=InvitationState.signed_in_as,
            )
        ),
        rest_form(
            "sign-out",
            form_foot(submit_button(t("invitation.sign_out"))),
            url=endpoints.SIGN_OUT,
            destination=InvitationState.here,
        ),
    )


def _sign_in() -> rx.Component:
    return card(
        rx.el.p(t("invitation.sign_in_text", email=InvitationState.email)),
        rx.el.p(button_link(t("invitation.sign_in"), href=InvitationState.sign_in_href, look="primary")),
    )


def _sign_up() -> rx.Component:
    return card(
        rx.el.p(t("invitation.sign_up_text", email=InvitationState.email)),
        rest_form(
            "join",
            text_field("name", t("account.name"), autocomplete="name", max_length=100),
            password_field(
                label=t("account.password"),
                new=True,
                min_length=10,
                hint=t("account.password_hint"),
                strength=True,
            ),
            form_foot(submit_button(t("invitation.sign_up"))),
            url=endpoints.SIGN_UP_BY_INVITATION,
            extra={"token": InvitationState.token},
            destination=PORTAL_HOME,
        ),
    )


@page("/invitation", console=Console.PUBLIC, title="invitation.title", on_load=InvitationState.load)
def invitation() -> Drawn:
    """What it invites to, and the way in that fits whoever looks."""
    ended = empty_state(
        t("invitation.ended"),
        InvitationState.ended_text,
        action=button_link(t("invitation.home"), href="/"),
        icon_name="mail",
    )
    way_in = rx.match(
        InvitationState.stage,
        ("accept", _accept()),
        ("other_address", _other_address()),
        ("sign_in", _sign_in()),
        _sign_up(),
    )
    content = rx.cond(InvitationState.stage == "ended", ended, rx.fragment(_to(), way_in))
    return [
        page_header(
            rx.cond(
                InvitationState.organization != "",
                t("invitation.heading", organization=InvitationState.organization),
                t("invitation.title"),
            )
        ),
        in_its_state(
            InvitationState,
            content,
            loading=skeleton(lines=6, label=t("invitation.loading")),
            retry=InvitationState.load,
        ),
    ]
