"""The terms of service, for anybody to read."""

from __future__ import annotations

import reflex as rx

from components.feedback.states import empty_state, skeleton
from components.format.values import when
from components.shell.page import card, page_header
from components.texts import t
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from state.terms import TermsState


@page("/terms", console=Console.PUBLIC, title="terms.title", on_load=TermsState.load, wide=True)
def terms() -> Drawn:
    """The version that counts, as it was published."""
    text = rx.fragment(
        rx.el.p(
            t("terms.version", number=TermsState.number.to(str)),
            " · ",
            when(TermsState.published_at, "date"),
            class_name="muted small",
        ),
        card(rx.el.p(TermsState.text, class_name="mail-body reading")),
    )
    none = empty_state(t("terms.none"), t("terms.none_text"), icon_name="file-text")
    return [
        page_header(t("terms.title")),
        in_its_state(
            TermsState,
            rx.cond(TermsState.number > 0, text, none),
            loading=skeleton(lines=12, label=t("terms.loading")),
            retry=TermsState.load,
        ),
    ]
