"""Signing in and signing up. The API sets the cookie, so both forms go there and end in a full navigation."""

from __future__ import annotations

import reflex as rx

from components.forms.fields import email_field, password_field, text_field
from components.forms.form import form_foot, rest_form, submit_button
from components.links import link
from components.shell.page import card, page_header
from components.texts import t
from matrix_app.pages import endpoints
from matrix_app.pages.registry import Console, Drawn, page
from state.account import ConfirmState


def _instead(question: str, words: str, href: str | rx.Var[str]) -> rx.Component:
    return rx.el.p(t(question), " ", link(t(words), href=href), class_name="muted")


@page("/sign-in", console=Console.PUBLIC, title="sign_in.title")
def sign_in() -> Drawn:
    """By address and password; afterwards to `?next=`."""
    return [
        page_header(t("sign_in.title")),
        card(
            rest_form(
                "sign-in",
                email_field(label=t("account.email"), autocomplete="username"),
                password_field(label=t("account.password")),
                form_foot(submit_button(t("sign_in.submit"))),
                url=endpoints.SIGN_IN,
                destination="/",
            )
        ),
        _instead("sign_in.forgotten", "sign_in.forgotten_link", "/reset"),
        _instead("sign_in.new", "sign_in.new_link", "/sign-up"),
        _instead("sign_in.unconfirmed", "sign_in.unconfirmed_link", "/confirm"),
    ]


@page("/sign-up", console=Console.PUBLIC, title="sign_up.title")
def sign_up() -> Drawn:
    """A new account; a mail then asks to confirm the address."""
    return [
        page_header(t("sign_up.title"), text=t("sign_up.text")),
        card(
            rest_form(
                "sign-up",
                text_field("name", t("account.name"), autocomplete="name", max_length=100),
                email_field(label=t("account.email")),
                password_field(
                    label=t("account.password"), new=True, min_length=10, hint=t("account.password_hint")
                ),
                form_foot(submit_button(t("sign_up.submit"))),
                url=endpoints.SIGN_UP,
                on_done=ConfirmState.signed_up,
            )
        ),
        _instead("sign_up.known", "sign_up.known_link", "/sign-in"),
    ]
