"""The page for every address that has none."""

from __future__ import annotations

import reflex as rx

from components.links import button_link
from components.shell.page import page_header
from components.texts import t
from matrix_app.pages.registry import Console, Drawn, page


@page("404", console=Console.PUBLIC, title="not_found.title")
def not_found() -> Drawn:
    """The same words as for another organisation's rows."""
    return [
        page_header(t("feedback.not_found.title"), text=t("feedback.not_found.text")),
        rx.el.p(button_link(t("feedback.not_found.home"), href="/", look="primary")),
    ]
