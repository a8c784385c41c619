"""The parts that exist once per window: toasts, connection banner, focus on route change, theme."""

from __future__ import annotations

import reflex as rx

from components.js import AriaComponent, library
from components.props import Text
from components.texts import t, texts_under


class _Runtime(AriaComponent):
    library = library("shell")
    tag = "Runtime"

    texts: rx.Var[dict[str, str]]


class _PageTitle(AriaComponent):
    library = library("shell")
    tag = "PageTitle"

    title: rx.Var[str]
    organization: rx.Var[str]
    product: rx.Var[str]


def runtime() -> rx.Component:
    """Wraps every page (components/document.py); in the first HTML, so that its live regions announce."""
    return rx.fragment(_Runtime.create(texts=texts_under("shell.runtime")))


def page_title(title: Text, organization: Text = "") -> rx.Component:
    """Names the window "Page · Organisation · Matrix"."""
    return _PageTitle.create(title=title, organization=organization, product=t("product.name"))
