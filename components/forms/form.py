"""Forms: checked on submit, errors in a summary that takes the focus and at each field, one effect per submit."""

from __future__ import annotations

from typing import Any, Literal

import reflex as rx

from components.js import ClientComponent, library
from components.props import Count, Drawn, Flag, Text, Texts
from components.texts import texts_under


def _values_spec(values: rx.Var[dict[str, Any]]) -> tuple[rx.Var[dict[str, Any]]]:
    return (values,)


class _Form(ClientComponent):
    library = library("forms")
    tag = "Form"

    form_id: rx.Var[str]
    url: rx.Var[str]
    method: rx.Var[str]
    extra: rx.Var[dict[str, Any]]
    version: rx.Var[int]
    met: rx.Var[dict[str, Any]]
    names: rx.Var[dict[str, str]]
    go_on: rx.Var[dict[str, str]]
    destination: rx.Var[str]
    full_page: rx.Var[bool]
    done_text: rx.Var[str]
    errors: rx.Var[dict[str, str]]
    error: rx.Var[str]
    busy: rx.Var[bool]
    guard: rx.Var[bool]
    seen: rx.Var[dict[str, Any]]
    texts: rx.Var[dict[str, str]]
    conflict_texts: rx.Var[dict[str, str]]
    on_submit: rx.EventHandler[_values_spec]
    on_settled: rx.EventHandler[_values_spec]
    on_done: rx.EventHandler[_values_spec]
    on_take_theirs: rx.EventHandler[rx.event.no_args_event_spec]


class _SubmitButton(ClientComponent):
    library = library("forms")
    tag = "SubmitButton"

    label: rx.Var[str]
    name: rx.Var[str]
    look: rx.Var[str]
    icon: rx.Var[str]
    busy: rx.Var[bool]
    agrees: rx.Var[bool]
    act: rx.Var[str]
    texts: rx.Var[dict[str, str]]
    on_press: rx.EventHandler[rx.event.no_args_event_spec]


def form(
    form_id: str,
    *content: Drawn,
    on_submit: Any,
    errors: Texts | None = None,
    error: Text | None = None,
    busy: Flag | None = None,
    extra: dict[str, Any] | None = None,
    guard: bool = False,
    on_settled: Any = None,
    seen: Any = None,
    met: Any = None,
    on_take_theirs: Any = None,
) -> rx.Component:
    """Hands its values as one dict to the page's `on_submit(values)`, after the browser's checks passed.

    Checkboxes are booleans, numbers are numbers or null, everything else is text; `extra` is added.
    `errors` ({field: message}) and `error` (about the whole) come back from the page; `busy` while it works.
    With `guard`, leaving what was typed and not sent asks first. `on_settled(values)` gets them unchecked whenever
    somebody stops typing, to show what would come of them. `seen` are those of its values that the preview on the page
    was made of: while it holds others, no button of the page `agrees`.

    A form over a row that others may change shows both values when the page `met` a newer version (state/edited.py):
    mine are handed on again with its `version`, or `on_take_theirs` reads what is there.
    """
    given = {
        "errors": errors,
        "error": error,
        "busy": busy,
        "extra": extra,
        "guard": guard or None,
        "on_settled": on_settled,
        "seen": seen,
        "met": met,
        "conflict_texts": texts_under("conflict") if met is not None else None,
        "on_take_theirs": on_take_theirs,
    }
    props = {name: prop for name, prop in given.items() if prop is not None}
    return _Form.create(*content, form_id=form_id, on_submit=on_submit, texts=texts_under("form"), **props)


def rest_form(
    form_id: str,
    *content: Drawn,
    url: Text,
    method: Literal["POST", "PUT", "PATCH", "DELETE"] = "POST",
    go_on: tuple[str, str] | None = None,
    destination: Text | None = None,
    done_text: Text | None = None,
    on_done: Any = None,
    extra: dict[str, Any] | None = None,
    version: Count | None = None,
    names: dict[str, str] | None = None,
    on_take_theirs: Any = None,
    guard: bool = False,
    on_settled: Any = None,
    seen: Any = None,
) -> rx.Component:
    """Sends its values as JSON to our REST API, with the cookie: for all that sets cookies or answers with secrets. A
    field called `settings.base` is `base` within `settings`.

    Problem details come back as errors (`errors` by field, else `detail` and `next_step`). On success the browser
    leaves by a full navigation for the answer's `next`, the address bar's `?next=`, or `destination`;
    without `destination` it stays, shows `done_text` and fires `on_done(answer)`. `guard`, `on_settled` and `seen` are
    as for `form`. What is made is first posted on to the address `go_on` names, its id as the field that it names. A
    POST that is sent again because its answer was lost carries the same idempotency key.

    With `version`, that of the row when it was read, somebody else's newer save (412, with `details.current`) opens
    both values: mine are sent again on top of it, or `on_take_theirs` reads what is there. `names` says what a field of
    the form is called in what is read, where that is not the same.
    """
    given = {
        "version": version,
        "names": names,
        "conflict_texts": texts_under("conflict") if version is not None else None,
        "on_take_theirs": on_take_theirs,
        "go_on": {"url": go_on[0], "field": go_on[1]} if go_on is not None else None,
        "destination": destination,
        "done_text": done_text,
        "on_done": on_done,
        "extra": extra,
        "guard": guard or None,
        "on_settled": on_settled,
        "seen": seen,
    }
    props = {name: prop for name, prop in given.items() if prop is not None}
    return _Form.create(*content, form_id=form_id, url=url, method=method, texts=texts_under("form"), **props)


def submit_button(
    label: Text,
    *,
    look: Literal["primary", "", "primary danger"] = "primary",
    icon: str | None = None,
    busy: Flag | None = None,
    act: str | None = None,
    agrees: Flag | None = None,
) -> rx.Component:
    """Submits the form around it. Keeps its width and name while busy; off, with the reason, while disconnected.

    Where a form has several, each says by its `act` which one it was; Enter presses the first. What somebody agrees to
    by it is on the page while `agrees`; it is off otherwise, and while fields hold something else than was looked at.
    """
    return _button(label, look=look, icon=icon, busy=busy, act=act, agrees=agrees)


def action_button(
    label: Text,
    *,
    on_press: Any,
    look: str = "",
    icon: str | None = None,
    busy: Flag | None = None,
    name: Text | None = None,
    agrees: Flag | None = None,
) -> rx.Component:
    """A button for an act outside a form, with the same guards: no second effect, off while disconnected.

    In a row of a table its `name` says of which row. `agrees` is as for `submit_button`.
    """
    return _button(label, look=look, icon=icon, busy=busy, on_press=on_press, name=name, agrees=agrees)


def _button(label: Text, *, look: str, **props: Any) -> rx.Component:
    given = {name: prop for name, prop in props.items() if prop is not None}
    return _SubmitButton.create(label=label, look=look, texts=texts_under("form"), **given)


def form_foot(*buttons: Drawn) -> rx.Component:
    """The buttons at the end of a form."""
    return rx.el.div(*buttons, class_name="form-foot")
