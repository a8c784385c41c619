"""Navigation as a declaration: groups of pages, and how a console shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import reflex as rx

from components.icons import icon
from components.js import AriaComponent, library
from components.links import link
from components.props import Text
from components.texts import t, texts_under

NAV_GROUPS_MAX = 7
PHONE_ITEMS = 4


class NavigationTooWide(ValueError):
    """More groups than a person takes in, or not the four pages that a phone's bar shows."""


@dataclass(frozen=True, slots=True)
class NavItem:
    """A page in the navigation. `text` is a catalogue key; `phone` puts it into the bar of four; `also` are pages that
    are reached from it and have addresses of their own."""

    text: str
    href: str
    icon: str
    phone: bool = False
    also: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class NavGroup:
    """Pages that belong together; `text` is a catalogue key, or empty for the first, unnamed group."""

    items: Sequence[NavItem]
    text: str = ""


def require_fitting(groups: Sequence[NavGroup]) -> None:
    """Raises NavigationTooWide when a console has too many groups or too many pages for a phone's bar."""
    if len(groups) > NAV_GROUPS_MAX:
        raise NavigationTooWide(f"{len(groups)} groups; a console has at most {NAV_GROUPS_MAX}.")
    on_phone = sum(item.phone for group in groups for item in group.items)
    if on_phone > PHONE_ITEMS:
        raise NavigationTooWide(f"{on_phone} pages for the phone's bar, which holds {PHONE_ITEMS}.")


def current_item(groups: Sequence[NavGroup], path: str) -> NavItem | None:
    """The page that `path` belongs to: the longest href that is the path or a parent of it."""
    parents = [
        (len(href), item)
        for group in groups
        for item in group.items
        for href in (item.href, *item.also)
        if path == href or path.startswith(href.rstrip("/") + "/")
    ]
    return max(parents, key=lambda found: found[0], default=(0, None))[1]


class _MainNav(AriaComponent):
    library = library("shell")
    tag = "MainNav"

    label: rx.Var[str]
    texts: rx.Var[dict[str, str]]


def main_nav(groups: Sequence[NavGroup], *, path: str, label: Text) -> rx.Component:
    """The console's one navigation. Exactly one link has `aria-current` when `path` belongs to it."""
    require_fitting(groups)
    current = current_item(groups, path)
    return _MainNav.create(
        *(_group(group, current) for group in groups), label=label, texts=texts_under("shell.nav")
    )


def _group(group: NavGroup, current: NavItem | None) -> rx.Component:
    heading = [rx.el.p(t(group.text), class_name="side-heading")] if group.text else []
    return rx.el.div(
        *heading, rx.el.ul(*(_entry(item, item is current) for item in group.items)), class_name="side-group"
    )


def _entry(item: NavItem, is_current: bool) -> rx.Component:
    return rx.el.li(
        link(
            icon(item.icon, size=20),
            rx.el.span(t(item.text)),
            href=item.href,
            class_name="side-link",
            custom_attrs={"aria-current": "page"} if is_current else {},
        ),
        class_name="on-phone" if item.phone else "",
    )
