"""A conversation with a model through the gateway, run in the browser by the signed-in person's cookie."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.js import ClientComponent, library
from components.props import Rows, Text
from components.texts import t, texts_under


def _id_spec(request_id: rx.Var[str]) -> tuple[rx.Var[str]]:
    return (request_id,)


class _Playground(ClientComponent):
    library = library("playground")
    tag = "Playground"

    models: rx.Var[list[dict[str, Any]]]
    model: rx.Var[str]
    organization: rx.Var[str]
    url: rx.Var[str]
    max_tokens: rx.Var[int]
    texts: rx.Var[dict[str, str]]
    copy_texts: rx.Var[dict[str, str]]
    on_answered: rx.EventHandler[_id_spec]


def playground(
    models: Rows,
    *,
    organization_id: Text,
    model: Text | None = None,
    url: str = "/v1/chat/completions",
    max_tokens: int = 512,
    on_answered: Any = None,
) -> rx.Component:
    """Streams answers of one of `models` (`{id, label}`); the conversation lives in this browser tab only.

    `on_answered(request_id)` fires when an answer is complete. Usage is that of the organisation.
    """
    given = {"model": model, "on_answered": on_answered}
    props = {name: prop for name, prop in given.items() if prop is not None}
    return _Playground.create(
        models=models,
        organization=organization_id,
        url=url,
        max_tokens=max_tokens,
        texts=texts_under("playground") | {"optional": t("form.optional")},
        copy_texts=texts_under("copy"),
        **props,
    )
