"""Files in a form: chosen or dropped, checked for size and kind, and sent one by one."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.js import ClientComponent, library
from components.props import Text
from components.texts import t, texts_under


def _files_spec(files: rx.Var[list[dict[str, Any]]]) -> tuple[rx.Var[list[dict[str, Any]]]]:
    return (files,)


def _answer_spec(answer: rx.Var[dict[str, Any]]) -> tuple[rx.Var[dict[str, Any]]]:
    return (answer,)


class _FileField(ClientComponent):
    library = library("file_field")
    tag = "FileField"

    name: rx.Var[str]
    label: rx.Var[str]
    hint: rx.Var[str]
    accept: rx.Var[str]
    bytes_max: rx.Var[int]
    many: rx.Var[bool]
    url: rx.Var[str]
    required: rx.Var[bool]
    optional: rx.Var[str]
    texts: rx.Var[dict[str, str]]
    on_files: rx.EventHandler[_files_spec]
    on_uploaded: rx.EventHandler[_answer_spec]


def file_field(
    name: str,
    label: Text,
    *,
    url: Text | None = None,
    accept: str | None = None,
    bytes_max: int | None = None,
    many: bool = False,
    hint: Text | None = None,
    required: bool = True,
    on_files: Any = None,
    on_uploaded: Any = None,
) -> rx.Component:
    """Each file is posted to `url` as the part `file` of a form, with its progress shown; the server checks it again.

    The form sends, as `name`, the `id`s that `url` answered, separated by commas. `accept` is as in HTML
    ("image/*,.pdf"), `bytes_max` the largest size of one file. `on_uploaded(answer)` follows each that arrived.
    """
    given = {
        "url": url,
        "accept": accept,
        "bytes_max": bytes_max,
        "hint": hint,
        "on_files": on_files,
        "on_uploaded": on_uploaded,
    }
    if not required:
        given["optional"] = t("form.optional")
    props = {key: prop for key, prop in given.items() if prop is not None}
    return _FileField.create(
        name=name, label=label, many=many, required=required, texts=texts_under("files"), **props
    )
