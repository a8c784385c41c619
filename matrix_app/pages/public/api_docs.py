"""How programs use this installation: what holds everywhere, examples to paste, and the reference."""

from __future__ import annotations

import re

import reflex as rx

from components.api_reference import api_reference
from components.feedback.figures import code_block, copyable
from components.kit.tabs import Tab, tabs
from components.links import file_link
from components.shell.page import page_header, section
from components.texts import t
from matrix_app.pages.registry import Console, Drawn, page
from state.api_docs import EXAMPLES, ApiDocsState

DOCUMENT = "/api/v1/openapi.json"
RULES = ("errors", "idempotency", "paging", "fields", "etags", "limits", "values", "versions")
LANGUAGES = {"sh": "curl", "py": "Python", "mjs": "JavaScript"}
_CODE = re.compile("`([^`]*)`")


def _words(key: str) -> rx.Component:
    """A text whose `parts in backticks` are code."""
    parts = _CODE.split(t(key))
    return rx.el.p(*(rx.el.code(part) if at % 2 else part for at, part in enumerate(parts)))


def _start() -> rx.Component:
    return section(
        t("api_docs.start"),
        rx.el.p(t("api_docs.address"), ": ", copyable(ApiDocsState.address, label=t("api_docs.address"))),
        *(_words(f"api_docs.start.{part}") for part in ("keys", "gateway", "session")),
        rx.el.p(file_link(t("api_docs.document"), href=DOCUMENT, opens=True)),
    )


def _rules() -> rx.Component:
    parts = (
        rx.el.section(rx.el.h3(t(f"api_docs.{name}")), _words(f"api_docs.{name}.text"), id=name)
        for name in RULES
    )
    return section(t("api_docs.rules"), *parts)


def _example(name: str) -> rx.Component:
    title = t(f"api_docs.example.{name}")

    def code(suffix: str, language: str) -> rx.Component:
        return code_block(
            ApiDocsState.examples[f"{name}.{suffix}"],
            title=t("api_docs.code", name=title, language=language),
        )

    panels = (Tab(suffix, language, code(suffix, language)) for suffix, language in LANGUAGES.items())
    return rx.el.section(
        rx.el.h3(title), tabs(*panels, label=t("api_docs.language")), class_name="stack", id=f"example-{name}"
    )


@page("/docs/api", console=Console.PUBLIC, title="api_docs.title", on_load=ApiDocsState.load, wide=True)
def api_docs() -> Drawn:
    """Open to anyone: who has no account yet wants to know, too."""
    examples = section(
        t("api_docs.examples"), _words("api_docs.examples.text"), *(_example(name) for name in EXAMPLES)
    )
    reference = section(
        t("api_docs.reference"), rx.el.p(t("api_docs.reference.text")), api_reference(DOCUMENT)
    )
    return [
        page_header(t("api_docs.title"), text=t("api_docs.text")),
        rx.el.div(_start(), _rules(), examples, reference, class_name="stack api-docs"),
    ]
