"""The component gallery, in demo mode only."""

from __future__ import annotations

import reflex as rx

from components import gallery as kit
from components.shell.page import page_header
from components.texts import t
from matrix_app.pages.frame import public_frame
from matrix_app.pages.registry import Console, Drawn, page
from state.session import SessionState


@page("/developer/gallery", console=Console.BARE, title="gallery.title")
def gallery() -> Drawn:
    """Every component in its states; in production there is nothing at this address."""
    heading = page_header(t("feedback.not_found.title"), text=t("feedback.not_found.text"))
    nothing = public_frame(heading, title="not_found.title", wide=False)
    return [rx.cond(SessionState.demo, kit.gallery(), nothing)]
