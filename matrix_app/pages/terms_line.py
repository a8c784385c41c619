"""The line beside a button that says what pressing it accepts."""

from __future__ import annotations

import reflex as rx

from components.links import link
from components.texts import t
from models.terms import Occasion


def terms_line(number: rx.Var[int], occasion: Occasion) -> rx.Component:
    """Nothing where no terms were published."""
    text = link(t("terms.link", number=number.to(str)), href="/terms", target="_blank")
    line = rx.el.p(t(f"terms.by_{occasion.value}"), " ", text, ".", class_name="muted small")
    return rx.cond(number.to(int) > 0, line, rx.fragment())
