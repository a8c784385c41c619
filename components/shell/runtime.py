"""The parts that exist once per window: toasts, connection banner, proof of who one is, focus on navigation, theme."""

from __future__ import annotations

import reflex as rx

from components.js import AriaComponent, library
from components.props import Text
from components.texts import t, texts_under


class _Runtime(AriaComponent):
    library = library("shell")
    tag = "Runtime"

    texts: rx.Var[dict[str, str]]


class _ProofDialog(AriaComponent):
    library = library("proof")
    tag = "ProofDialog"

    texts: rx.Var[dict[str, str]]
    form_texts: rx.Var[dict[str, str]]


class _PageTitle(AriaComponent):
    library = library("shell")
    tag = "PageTitle"

    title: rx.Var[str]
    organization: rx.Var[str]
    product: rx.Var[str]


def runtime() -> rx.Component:
    """Wraps every page (components/document.py); in the first HTML, so that its live regions announce."""
    words = texts_under("proof") | {"close": t("dialog.close"), "cancel": t("dialog.cancel")}
    return rx.fragment(
        _Runtime.create(texts=texts_under("shell.runtime")),
        _ProofDialog.create(texts=words, form_texts=texts_under("form")),
    )


def page_title(title: Text, organization: Text = "") -> rx.Component:
    """Names the window "Page · Organisation · Matrix"."""
    return _PageTitle.create(title=title, organization=organization, product=t("product.name"))
