"""Setting up an authenticator app, and recovery codes: secrets that go from the REST API to the screen.

They are never state vars. A proof that the server asks for is asked in between (components/js/proof.jsx).
"""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.js import AriaComponent, library
from components.props import Text
from components.texts import t, texts_under


class _EnrolDialog(AriaComponent):
    library = library("two_step")
    tag = "EnrolDialog"

    label: rx.Var[str]
    url: rx.Var[str]
    confirm_url: rx.Var[str]
    texts: rx.Var[dict[str, str]]
    form_texts: rx.Var[dict[str, str]]
    on_done: rx.EventHandler[rx.event.no_args_event_spec]


class _RecoveryCodesDialog(AriaComponent):
    library = library("two_step")
    tag = "RecoveryCodesDialog"

    label: rx.Var[str]
    url: rx.Var[str]
    texts: rx.Var[dict[str, str]]
    form_texts: rx.Var[dict[str, str]]
    on_done: rx.EventHandler[rx.event.no_args_event_spec]


def enrol_dialog(label: Text, *, url: Text, confirm_url: Text, on_done: Any) -> rx.Component:
    """A button that asks `url` for a seed and shows it; a first code, sent to `confirm_url`, gives recovery codes.

    `on_done` fires when those were put away.
    """
    return _EnrolDialog.create(
        label=label, url=url, confirm_url=confirm_url, on_done=on_done, form_texts=texts_under("form"), texts=_texts()
    )  # fmt: skip


def recovery_codes_dialog(label: Text, *, url: Text, on_done: Any) -> rx.Component:
    """A button that has `url` make other recovery codes and shows them once."""
    return _RecoveryCodesDialog.create(
        label=label, url=url, on_done=on_done, form_texts=texts_under("form"), texts=_texts()
    )


def _texts() -> dict[str, str]:
    return texts_under("two_step") | {"close": t("dialog.close"), "cancel": t("dialog.cancel")}
