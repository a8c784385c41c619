"""The states beside data: loading, nothing yet, nothing found, failed, not allowed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import reflex as rx
from reflex_components_core.base.error_boundary import ErrorBoundary

from components.feedback.badges import TONE_ICONS, Tone
from components.icons import icon
from components.js import ClientComponent, library
from components.links import button_link, link
from components.props import Drawn, Text
from components.texts import t, texts_under


def empty_state(
    title: Text, text: Text, *, action: Drawn | None = None, icon_name: str = "inbox", level: int = 2
) -> rx.Component:
    """Why there is nothing, and the one act that changes it. `level` is the heading's, 2 or 3."""
    heading = rx.el.h2 if level == 2 else rx.el.h3
    return rx.el.div(
        icon(icon_name, size=24),
        heading(title),
        rx.el.p(text),
        *([action] if action is not None else []),
        class_name="empty-state",
    )


def skeleton(*, lines: int = 3, label: Text = "", class_name: str = "") -> rx.Component:
    """Grey bars in the shape to come, drawn after 200 ms; spoken once by `label`, not bar by bar."""
    return rx.el.div(
        rx.el.span(label, class_name="visually-hidden"),
        *(rx.el.span(class_name="skeleton-line") for _ in range(lines)),
        class_name=f"skeleton {class_name}".strip(),
        role="status",
        aria_busy="true",
    )


def error_state(
    *,
    title: Text | None = None,
    text: Text | None = None,
    reference: Text = "",
    on_retry: Any = None,
    level: int = 2,
) -> rx.Component:
    """What failed, that data is safe, a way to try again, and the reference that finds it in the log."""
    heading = rx.el.h2 if level == 2 else rx.el.h3
    retry = [
        rx.el.button(
            icon("rotate-ccw"), t("feedback.retry"), on_click=on_retry, type="button", class_name="button"
        )
    ]
    return rx.el.div(
        icon("circle-alert", size=24),
        heading(title if title is not None else t("feedback.error.title")),
        rx.el.p(text if text is not None else t("feedback.error.text")),
        _reference(reference),
        *(retry if on_retry is not None else []),
        class_name="empty-state tone-danger",
        role="alert",
    )


def _reference(reference: Text) -> rx.Component:
    line = rx.el.p(t("feedback.reference"), " ", rx.el.code(reference), class_name="small")
    if isinstance(reference, str):
        return line if reference else rx.fragment()
    return rx.cond(reference != "", line, rx.fragment())


def forbidden_state(*, permission: Text, grantor: Text) -> rx.Component:
    """Names the permission that is missing and who can give it."""
    text = t("feedback.forbidden.text", permission=permission, grantor=grantor)
    return empty_state(t("feedback.forbidden.title"), text, icon_name="lock")


def not_found_state(*, home: str = "/") -> rx.Component:
    """The same words for nonsense and for another organisation's rows."""
    return empty_state(
        t("feedback.not_found.title"),
        t("feedback.not_found.text"),
        action=button_link(t("feedback.not_found.home"), href=home),
        icon_name="search",
    )


_SPOKEN_TONES: Mapping[Tone, str] = {
    "info": "feedback.tone.info",
    "ok": "feedback.tone.ok",
    "warn": "feedback.tone.warn",
    "danger": "feedback.tone.danger",
}


class _DismissibleBanner(ClientComponent):
    library = library("banner")
    tag = "DismissibleBanner"

    remember: rx.Var[str]
    tone: rx.Var[str]
    icon: rx.Var[str]
    spoken: rx.Var[str]
    title: rx.Var[str]
    text: rx.Var[str]
    texts: rx.Var[dict[str, str]]
    on_dismiss: rx.EventHandler[rx.event.no_args_event_spec]


def dismissible_banner(
    tone: Tone,
    text: Text,
    *,
    remember: Text = "",
    title: Text | None = None,
    action: Drawn | None = None,
    on_dismiss: Any = None,
) -> rx.Component:
    """A banner that can be put away; with `remember`, a key of its own, it stays away in this browser."""
    given = {"title": title, "on_dismiss": on_dismiss}
    props = {name: prop for name, prop in given.items() if prop is not None}
    return _DismissibleBanner.create(
        *([action] if action is not None else []),
        remember=remember,
        tone=tone,
        icon=TONE_ICONS[tone],
        spoken=t(_SPOKEN_TONES[tone]),
        text=text,
        texts=texts_under("banner"),
        **props,
    )


def banner(tone: Tone, text: Text, *, title: Text | None = None, action: Drawn | None = None) -> rx.Component:
    """A sentence that concerns the page below it; its tone is also said in words."""
    spoken = _SPOKEN_TONES.get(tone)
    return rx.el.div(
        icon(TONE_ICONS[tone], size=20),
        rx.el.div(
            *([rx.el.span(t(spoken), ": ", class_name="visually-hidden")] if spoken else []),
            *([rx.el.strong(title)] if title is not None else []),
            rx.el.p(text),
        ),
        *([action] if action is not None else []),
        class_name=f"banner tone-{tone}",
    )


def crash_page(*, stateful: bool) -> rx.Component:
    """Replaces a page whose script failed; with state, the error has been reported to the server by then."""
    fallback = rx.el.main(
        rx.el.div(
            icon("circle-alert", size=24),
            rx.el.h1(t("feedback.crash.title")),
            rx.el.p(t("feedback.crash.text")),
            link(t("feedback.crash.reload"), href="", reload_document=True, class_name="button primary"),
            class_name="empty-state",
        ),
        class_name="page page-narrow",
    )
    silent: dict[str, Any] = {} if stateful else {"on_error": rx.noop()}
    return ErrorBoundary.create(fallback_render=rx.Var.create(fallback), **silent)
