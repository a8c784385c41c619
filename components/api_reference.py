"""The reference of an API, read from its OpenAPI document in the browser: always that of the API that answers."""

from __future__ import annotations

import reflex as rx

from components.js import ClientComponent, library
from components.texts import texts_under


class _ApiReference(ClientComponent):
    library = library("api_reference")
    tag = "ApiReference"

    url: rx.Var[str]
    texts: rx.Var[dict[str, str]]
    copy_texts: rx.Var[dict[str, str]]


def api_reference(url: str) -> rx.Component:
    """Operations by tag, each folded; below an h2 of the page. An address that ends in `#<operation id>` opens it."""
    return _ApiReference.create(
        url=url, texts=texts_under("api_docs.operations"), copy_texts=texts_under("copy")
    )
