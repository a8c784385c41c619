"""How far a task is."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.js import ClientComponent, library
from components.props import Text
from components.texts import texts_under


class _Progress(ClientComponent):
    library = library("progress")
    tag = "Progress"

    label: rx.Var[str]
    done: rx.Var[Any]
    total: rx.Var[Any]
    status: rx.Var[str]
    detail: rx.Var[str]
    topic: rx.Var[str]
    path: rx.Var[str]
    texts: rx.Var[dict[str, str]]


def progress_bar(
    label: Text,
    *,
    done: Any = None,
    total: Any = None,
    status: Text = "running",
    detail: Text | None = None,
    topic: str | None = None,
    path: Text | None = None,
) -> rx.Component:
    """`done` of `total` steps, as words and as a bar; without a total it only says that it goes on.

    `status` is waiting, running, done, failed or cancelled; `detail` is the step of now, or why it failed. With a live
    `topic`, the object at `path` replaces all four.
    """
    given = {"done": done, "total": total, "detail": detail, "topic": topic, "path": path}
    props = {name: prop for name, prop in given.items() if prop is not None}
    return _Progress.create(label=label, status=status, texts=texts_under("progress"), **props)
