"""A dialog that creates something secret and shows it once.

The secret goes from the REST API's answer to the screen and the clipboard. It is never a state var.
"""

from __future__ import annotations

from typing import Any, Literal

import reflex as rx

from components.js import AriaComponent, library
from components.kit.overlays import Trigger
from components.props import Drawn, Flag, Text
from components.texts import t, texts_under


def _id_spec(created: rx.Var[str]) -> tuple[rx.Var[str]]:
    return (created,)


def _flag_spec(flag: rx.Var[bool]) -> tuple[rx.Var[bool]]:
    return (flag,)


class _SecretDialog(AriaComponent):
    library = library("secret")
    tag = "SecretDialog"

    form_id: rx.Var[str]
    trigger: rx.Var[dict[str, Any]]
    open: rx.Var[bool]
    title: rx.Var[str]
    done_title: rx.Var[str]
    description: rx.Var[str]
    url: rx.Var[str]
    method: rx.Var[str]
    extra: rx.Var[dict[str, Any]]
    submit_label: rx.Var[str]
    secret_path: rx.Var[str]
    id_path: rx.Var[str]
    example: rx.Var[str]
    form_texts: rx.Var[dict[str, str]]
    texts: rx.Var[dict[str, str]]
    on_open_change: rx.EventHandler[_flag_spec]
    on_created: rx.EventHandler[_id_spec]


def secret_dialog(
    form_id: str,
    *fields: Drawn,
    title: Text,
    done_title: Text,
    submit_label: Text,
    url: Text,
    on_created: Any,
    method: Literal["POST", "PUT"] = "POST",
    trigger: Trigger | None = None,
    open: Flag | None = None,
    on_open_change: Any = None,
    description: Text | None = None,
    secret_path: str = "secret",  # noqa: S107 - the name of a field, not a secret
    id_path: str = "id",
    example: Text | None = None,
    extra: dict[str, Any] | None = None,
    words: dict[str, Text] | None = None,
) -> rx.Component:
    """Sends the fields as JSON to `url`, then shows the answer's secret with a copy button until it is put away.

    `secret_path` and `id_path` are dotted paths in the answer; `on_created(id)` fires when the dialog closes.
    `example` is a snippet with `{secret}` where the secret goes. Place it where it stays mounted, not in a row.
    `words` (`once`, `label`) stand for the usual ones about a key.
    """
    given = {
        "trigger": trigger.as_prop() if trigger else None,
        "open": open,
        "on_open_change": on_open_change,
        "description": description,
        "example": example,
        "extra": extra,
    }
    props = {name: prop for name, prop in given.items() if prop is not None}
    return _SecretDialog.create(
        *fields,
        form_id=form_id,
        title=title,
        done_title=done_title,
        submit_label=submit_label,
        url=url,
        method=method,
        secret_path=secret_path,
        id_path=id_path,
        form_texts=texts_under("form"),
        texts=texts_under("secret")
        | {"close": t("dialog.close"), "cancel": t("dialog.cancel")}
        | (words or {}),
        on_created=on_created,
        **props,
    )
