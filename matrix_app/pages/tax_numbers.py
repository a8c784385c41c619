"""What is known of a tax number, as a badge: for the customer and for staff."""

from __future__ import annotations

import reflex as rx

from components.feedback.badges import Tone, badge
from components.texts import t
from services.tax.rules import NumberState

_TONES: dict[NumberState, Tone] = {
    NumberState.UNCHECKED: "neutral",
    NumberState.VALID: "ok",
    NumberState.INVALID: "danger",
    NumberState.UNAVAILABLE: "warn",
}


def number_badge(state: rx.Var[str]) -> rx.Component:
    """`state` is a NumberState."""
    shown = [(one.value, badge(t(f"tax_number.state.{one.value}"), tone)) for one, tone in _TONES.items()]
    return rx.fragment(rx.match(state, *shown, rx.fragment()))
