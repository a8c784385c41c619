"""Status as icon, word and colour together, never colour alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import reflex as rx

from components.icons import icon
from components.props import Drawn, Text
from components.texts import t

Tone = Literal["neutral", "info", "ok", "warn", "danger"]

TONE_ICONS: Mapping[Tone, str] = {
    "neutral": "circle-dot",
    "info": "info",
    "ok": "circle-check",
    "warn": "triangle-alert",
    "danger": "circle-alert",
}


@dataclass(frozen=True, slots=True)
class Status:
    """How one value of a status column looks; `text` is a catalogue key."""

    text: str
    tone: Tone = "neutral"
    icon: str | None = None


def badge(word: Text, tone: Tone = "neutral", *, icon_name: str | None = None) -> rx.Component:
    """A word with its icon; `tone` colours both."""
    return rx.el.span(icon(icon_name or TONE_ICONS[tone]), word, class_name=f"badge tone-{tone}")


def status_badge(status: rx.Var[Any], statuses: Mapping[str, Status]) -> Drawn:
    """The badge for the value of a var; a value that nobody declared is shown as it is."""
    cases = [(name, badge(t(look.text), look.tone, icon_name=look.icon)) for name, look in statuses.items()]
    return rx.match(status, *cases, badge(status.to(str)))
