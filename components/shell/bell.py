"""The bell in the top bar: how many notifications wait to be read, live."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.js import ClientComponent, library
from components.texts import t


class _Bell(ClientComponent):
    library = library("bell")
    tag = "Bell"

    href: rx.Var[str]
    topic: rx.Var[str]
    initial: rx.Var[Any]
    most: rx.Var[int]
    text: rx.Var[str]


def bell(href: str, *, topic: str, initial: Any, most: int) -> rx.Component:
    """Leads to the list at `href`. The live topic's `unread` follows `initial`; `most` and more are shown as "99+"."""
    return _Bell.create(href=href, topic=topic, initial=initial, most=most, text=t("notices.bell"))
