"""A figure with all that makes it trustworthy, and small things around values: copying, code, sparklines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import reflex as rx

from components.js import ClientComponent, library
from components.links import link
from components.props import Drawn, Text
from components.texts import t, texts_under


class _CopyButton(ClientComponent):
    library = library("copy")
    tag = "CopyButton"

    text: rx.Var[str]
    label: rx.Var[str]
    show_label: rx.Var[bool]
    texts: rx.Var[dict[str, str]]


class _CopyField(ClientComponent):
    library = library("copy")
    tag = "CopyField"

    field_id: rx.Var[str]
    text: rx.Var[str]
    label: rx.Var[str]
    hint: rx.Var[str]
    texts: rx.Var[dict[str, str]]


class _Sparkline(ClientComponent):
    library = library("sparkline")
    tag = "Sparkline"

    points: rx.Var[list[Any]]
    label: rx.Var[str]
    topic: rx.Var[str]
    path: rx.Var[str]
    field: rx.Var[str]
    bars: rx.Var[bool]


def figure_card(
    label: Text,
    shown: Drawn,
    *,
    period: Text,
    href: Text,
    unit: Text | None = None,
    as_of: Drawn | None = None,
    comparison: Drawn | Text | None = None,
    spark: Drawn | None = None,
    info: Drawn | None = None,
) -> rx.Component:
    """One number as the content: what it is, over which period, as of when, against what, and the rows behind it.

    `shown` is a `value`, `money` or `live_value`; `href` leads to the rows whose sum it is.
    """
    units = [rx.el.span(unit, class_name="figure-unit")] if unit is not None else []
    against = [rx.el.p(comparison, class_name="figure-note")] if comparison is not None else []
    fresh = [t("card.as_of"), " ", as_of] if as_of is not None else []
    details = link(
        t("card.details"),
        rx.el.span(" ", t("card.details_of", label=label), class_name="visually-hidden"),
        href=href,
    )
    return rx.el.section(
        rx.el.h2(label, *([info] if info is not None else []), class_name="figure-label"),
        rx.el.p(shown, *units, class_name="figure-value"),
        *against,
        *([spark] if spark is not None else []),
        rx.el.div(
            rx.el.span(period, *([" \u00b7 ", *fresh] if fresh else []), class_name="faint"),
            details,
            class_name="figure-foot",
        ),
        class_name="card figure-card",
    )


def sparkline(
    points: rx.Var[list[Any]] | Sequence[float],
    *,
    label: Text,
    topic: str | None = None,
    path: str | None = None,
    field: str | None = None,
    bars: bool = False,
) -> rx.Component:
    """The shape of a figure's recent past, from zero; `label` says it in words. With a topic it follows live.

    Points are numbers, or objects with the number in `field`; those whose `start` is to come are left blank.
    `bars` suit points that are sums of their own, such as hours; a line suits what goes on between them.
    """
    given = {"topic": topic, "path": path, "field": field}
    props = {name: prop for name, prop in given.items() if prop is not None}
    return _Sparkline.create(points=points, label=label, bars=bars, **props)


def copy_button(text: Text, *, label: Text, show_label: bool = False) -> rx.Component:
    """Copies `text`; `label` names what ("Copy request id")."""
    return _CopyButton.create(text=text, label=label, show_label=show_label, texts=texts_under("copy"))


def copyable(text: Text, *, label: Text) -> rx.Component:
    """An id or a prefix with its copy button; `label` is what it is ("request id")."""
    return rx.el.span(
        rx.el.code(text), copy_button(text, label=t("copy.copy", label=label)), class_name="copyable"
    )


def copy_field(field_id: str, label: Text, text: Text, *, hint: Text | None = None) -> rx.Component:
    """A value to carry elsewhere, such as an address: whole, selectable, with a button that copies it."""
    named = {"copy_named": t("copy.copy", label=label)}
    props = {"hint": hint} if hint is not None else {}
    return _CopyField.create(
        field_id=field_id, label=label, text=text, texts=texts_under("copy") | named, **props
    )


def code_block(text: Text, *, title: Text) -> rx.Component:
    """Code to paste, with a button that copies exactly what is shown."""
    return rx.el.div(
        rx.el.header(title, copy_button(text, label=t("copy.copy", label=title))),
        rx.el.pre(rx.el.code(text), tab_index=0, role="region", aria_label=title),
        class_name="code-block",
    )


def fact(name: Text, shown: rx.Component | Text) -> rx.Component:
    """One line of `facts` by itself, for one that is there only under a condition."""
    return rx.fragment(rx.el.dt(name), rx.el.dd(shown))


def facts(*pairs: tuple[Text, rx.Component | Text] | rx.Component) -> rx.Component:
    """Names and values of one thing, as on a details page."""
    rows = [fact(*pair) if isinstance(pair, tuple) else pair for pair in pairs]
    return rx.el.dl(*rows, class_name="facts")
