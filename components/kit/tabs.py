"""Tabs by React Aria: arrow keys, Home and End move between them. Tabs that are pages of their own are links."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import reflex as rx

from components.js import AriaComponent, library
from components.links import link
from components.props import Drawn, Text


@dataclass(frozen=True, slots=True)
class Tab:
    """One tab and its panel; `id` is what `on_change` is told."""

    id: str
    label: Text
    panel: Drawn


def _text_spec(text: rx.Var[str]) -> tuple[rx.Var[str]]:
    return (text,)


class _Tabs(AriaComponent):
    library = library("tabs")
    tag = "Tabs"

    label: rx.Var[str]
    tabs: rx.Var[list[dict[str, Any]]]
    selected: rx.Var[str]
    on_change: rx.EventHandler[_text_spec]


def tabs(*choices: Tab, label: Text, selected: Text | None = None, on_change: Any = None) -> rx.Component:
    """Panels of which one is seen. Keeps its own choice, or follows `selected` with `on_change`."""
    given = {"selected": selected, "on_change": on_change}
    props = {name: prop for name, prop in given.items() if prop is not None}
    return _Tabs.create(
        *(rx.el.div(choice.panel, key=choice.id) for choice in choices),
        label=label,
        tabs=[{"id": choice.id, "label": choice.label} for choice in choices],
        **props,
    )


@dataclass(frozen=True, slots=True)
class LinkTab:
    """One of the pages that belong together."""

    label: Text
    href: str


def link_tabs(*choices: LinkTab, label: Text, current: str) -> rx.Component:
    """Links that look like tabs, between pages with addresses of their own; `current` is the address of this one."""
    return rx.el.nav(
        *(
            link(
                choice.label,
                href=choice.href,
                class_name="tab",
                custom_attrs={"aria-current": "page"} if choice.href == current else {},
            )
            for choice in choices
        ),
        class_name="tab-list",
        aria_label=label,
    )
