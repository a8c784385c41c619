"""The frame of a signed-in page, and the smaller one of sign-in and public pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import reflex as rx
from reflex_base.constants.state import FIELD_MARKER

from components.icons import icon
from components.js import AriaComponent, ClientComponent, library
from components.links import link
from components.props import Drawn, Flag, Text
from components.shell.navigation import NavGroup, main_nav
from components.shell.runtime import page_title
from components.texts import t, texts_under


@dataclass(frozen=True, slots=True)
class Session:
    """Who looks, as vars of the session state.

    `organizations` and `consoles` are lists of `{id, label, detail?, href?}`; an entry with `href` is a page to go to,
    one without is posted as `organization_id` to `switch_url`, which sets the cookie, and the page is loaded anew.
    """

    organization_id: Text
    organization_name: Text
    organizations: Any
    consoles: Any
    account_name: Text
    account_email: Text
    account_items: Sequence[dict[str, str]] = field(default_factory=tuple)
    switch_url: str = "/api/v1/session/organization"
    sign_out_url: str = "/api/v1/session/sign-out"
    sign_in_path: str = "/sign-in"


class _SkipLink(AriaComponent):
    library = library("shell")
    tag = "SkipLink"

    label: rx.Var[str]


class _ThemeSwitch(AriaComponent):
    library = library("shell")
    tag = "ThemeSwitch"

    texts: rx.Var[dict[str, str]]


class _Switcher(AriaComponent):
    library = library("shell")
    tag = "Switcher"

    label: rx.Var[str]
    current: rx.Var[str]
    items: rx.Var[list[dict[str, Any]]]
    switch_url: rx.Var[str]
    field: rx.Var[str]
    destination: rx.Var[str]
    texts: rx.Var[dict[str, str]]


class _AccountMenu(AriaComponent):
    library = library("shell")
    tag = "AccountMenu"

    name: rx.Var[str]
    email: rx.Var[str]
    items: rx.Var[list[dict[str, Any]]]
    sign_out_url: rx.Var[str]
    sign_in_path: rx.Var[str]
    texts: rx.Var[dict[str, str]]


class OfAddress(ClientComponent):
    library = library("address")
    tag = "OfAddress"

    field: rx.Var[str]


def of_address(*content: Drawn, field: str) -> rx.Component:
    """A whole page, to which states that were read for another address look as before their first reading.

    `field` names the var in which a state says its address. Between two rows of one kind, and between two pages with
    one state, nothing of the first is drawn at the address of the second, nor can anything be pressed there.
    """
    return OfAddress.create(*content, field=field + FIELD_MARKER)


def theme_switch() -> rx.Component:
    """System, light or dark; kept in this browser and told to the server by a cookie."""
    return _ThemeSwitch.create(texts=texts_under("shell.theme"))


def brand(href: Text = "/") -> rx.Component:
    """The product's mark, leading home."""
    return link(
        rx.el.img(src="/favicon.svg", alt="", class_name="brand-mark"),
        rx.el.span(t("product.name"), class_name="brand-name"),
        href=href,
        class_name="brand",
    )


def mode_bar(*, demo: Flag = False, test: Flag = False) -> rx.Component:
    """Says on every page, and in print, that this is not real business. Demo mode leads to its mailbox."""
    mailbox = link(t("shell.mailbox"), href="/mailbox")
    demo_bar = _mode(
        t("shell.demo_mode"), rx.el.span(t("shell.demo_mode_text"), " ", class_name="mode-detail"), mailbox
    )
    test_bar = _mode(t("shell.test_mode"), t("shell.test_mode_text"))
    return rx.cond(test, test_bar, rx.cond(demo, demo_bar, rx.fragment()))


def _mode(name: str, *content: Drawn | str) -> rx.Component:
    return rx.el.aside(rx.el.p(rx.el.strong(name), " ", *content), class_name="mode-bar", aria_label=name)


def _skip_link() -> rx.Component:
    return _SkipLink.create(label=t("shell.skip"))


def _top_bar(session: Session, *, console: str, home: Text, bell: Drawn | None) -> rx.Component:
    texts = texts_under("shell.menu")
    console_switcher = _Switcher.create(
        label=t("shell.console"),
        current=console,
        items=session.consoles,
        switch_url="",
        texts=texts,
        class_name="switcher-console",
    )
    organization_switcher = _Switcher.create(
        label=t("shell.organization"),
        current=session.organization_id,
        items=session.organizations,
        switch_url=session.switch_url,
        field="organization_id",
        destination=home,
        texts=texts,
        class_name="switcher-organization",
    )
    slash = rx.el.span("/", class_name="top-slash", custom_attrs={"aria-hidden": "true"})
    account = _AccountMenu.create(
        name=session.account_name,
        email=session.account_email,
        items=list(session.account_items),
        sign_out_url=session.sign_out_url,
        sign_in_path=session.sign_in_path,
        texts=texts,
    )
    return rx.el.header(
        brand(home),
        console_switcher,
        rx.cond(session.organization_id != "", slash, rx.fragment()),
        organization_switcher,
        rx.el.div(class_name="top-space"),
        *([bell] if bell is not None else []),
        theme_switch(),
        account,
        class_name="top-bar",
    )


def console_page(
    *content: Drawn,
    title: Text,
    path: str,
    console: str,
    nav: Sequence[NavGroup],
    session: Session,
    home: Text = "/",
    alone: Flag = False,
    nav_label: Text = "",
    demo: Flag = False,
    test: Flag = False,
    bell: Drawn | None = None,
) -> rx.Component:
    """A page of a console: skip link, top bar, navigation, main. `content` holds the page's one h1 (`page_header`).

    `path` is the page's route and marks its navigation entry; `console` is the id in `session.consoles`.
    A page that is `alone` has no navigation beside it.
    """
    return rx.el.div(
        _skip_link(),
        page_title(title, session.organization_name),
        mode_bar(demo=demo, test=test),
        _top_bar(session, console=console, home=home, bell=bell),
        rx.el.div(
            rx.cond(alone, rx.fragment(), main_nav(nav, path=path, label=nav_label or t("shell.console"))),
            rx.el.main(rx.el.div(*content, class_name="page"), id="content", tab_index=-1),
            class_name="shell-body",
        ),
        class_name="shell",
    )


def public_page(*content: Drawn, title: Text, demo: Flag = False, wide: bool = False) -> rx.Component:
    """Sign-in, sign-up, errors: a mark, a theme switch and one column."""
    return rx.el.div(
        _skip_link(),
        page_title(title),
        mode_bar(demo=demo),
        rx.el.header(brand(), rx.el.div(class_name="top-space"), theme_switch(), class_name="top-bar"),
        rx.el.main(
            rx.el.div(*content, class_name="page page-wide" if wide else "page page-narrow"),
            id="content",
            tab_index=-1,
        ),
        class_name="shell",
    )


def page_header(
    title: Text,
    *actions: Drawn,
    text: Text | None = None,
    status: Drawn | None = None,
) -> rx.Component:
    """The page's h1, the question it answers, what can be done, and how fresh it is."""
    lead = [rx.el.p(text)] if text is not None else []
    fresh = [status] if status is not None else []
    return rx.el.div(
        rx.el.div(rx.el.h1(title, tab_index=-1), *lead),
        rx.el.div(*fresh, *actions, class_name="row"),
        class_name="page-head",
    )


def section(title: Text, *content: Drawn, actions: Sequence[Drawn] = ()) -> rx.Component:
    """A part of a page with its h2."""
    return rx.el.section(
        rx.el.div(rx.el.h2(title), rx.el.div(*actions, class_name="row"), class_name="section-head"),
        *content,
        class_name="stack",
    )


def card(*content: Drawn, title: Text | None = None, actions: Sequence[Drawn] = ()) -> rx.Component:
    """A bordered part of a page, with an optional h2."""
    head = [rx.el.header(rx.el.h2(title), *actions)] if title is not None else []
    return rx.el.section(*head, *content, class_name="card")


def text_with_icon(icon_name: str, text: Text) -> rx.Component:
    """A word with its picture, on one line."""
    return rx.el.span(icon(icon_name), text, class_name="with-icon")
