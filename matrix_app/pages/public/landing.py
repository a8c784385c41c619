"""The front page: who is signed in is led on, who is not learns in three facts what this is."""

from __future__ import annotations

import reflex as rx

from components.icons import icon
from components.links import button_link
from components.texts import t
from matrix_app.pages.registry import Console, Drawn, page


def _fact(name: str, icon_name: str) -> rx.Component:
    return rx.el.li(
        icon(icon_name, size=20),
        rx.el.h2(t(f"landing.fact.{name}")),
        rx.el.p(t(f"landing.fact.{name}_text"), class_name="muted"),
    )


@page("/", console=Console.PUBLIC, title="landing.window", wide=True)
def landing() -> Drawn:
    """Sign in, or sign up."""
    lead = rx.el.section(
        rx.el.h1(t("landing.title"), tab_index=-1),
        rx.el.p(t("landing.text")),
        rx.el.div(
            button_link(t("landing.sign_up"), href="/sign-up", look="primary"),
            button_link(t("landing.sign_in"), href="/sign-in"),
            button_link(t("api_docs.link"), href="/docs/api", icon_name="code-xml"),
            class_name="row",
        ),
        class_name="stack landing-lead",
    )
    facts = rx.el.ul(
        _fact("api", "code-xml"),
        _fact("live", "activity"),
        _fact("cost", "receipt"),
        class_name="landing-facts",
    )
    return [rx.el.div(lead, facts, class_name="stack landing")]
