"""Links: inside the app without a reload, outside and across sessions with one."""

from __future__ import annotations

from typing import Any

import reflex as rx
from reflex_components_core.react_router.dom import ReactRouterLink

from components.icons import icon
from components.props import Text


def link(*children: rx.Component | rx.Var | str, href: Text, **props: Any) -> rx.Component:
    """A client-side navigation to a page of ours; the shell then moves focus to its heading.

    The front page leads on who is signed in, which only an answer of the server does in time.
    """
    if isinstance(href, str) and href == "/":
        props["reload_document"] = True
    return ReactRouterLink.create(*children, to=href, **props)


def button_link(label: Text, *, href: Text, look: str = "", icon_name: str | None = None) -> rx.Component:
    """A link that looks like a button, since it begins an act; `look` as for buttons: primary, quiet, compact."""
    shape = [icon(icon_name)] if icon_name else []
    return link(*shape, label, href=href, class_name=f"button {look}".strip())


def file_link(label: Text, *, href: Text, opens: bool = False, look: str = "", **props: Any) -> rx.Component:
    """A file of our API, fetched by the browser itself: saved, or one that `opens` beside the page."""
    beside = {"target": "_blank", "rel": "noopener"} if opens else {}
    symbol = icon("external-link" if opens else "download")
    shape = f"button {look}".strip()
    return link(symbol, label, href=href, reload_document=True, class_name=shape, **beside, **props)


def outside_link(label: Text, *, href: Text) -> rx.Component:
    """A link to another site, which learns nothing about where it was clicked."""
    return rx.el.a(
        label, icon("external-link"), href=href, rel="noopener noreferrer", class_name="outside-link"
    )
