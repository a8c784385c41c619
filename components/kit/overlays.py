"""Things that float, by React Aria: dialogs, menus, tooltips. All work by keyboard and give focus back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

import reflex as rx

from components.js import AriaComponent, library
from components.props import Drawn, Flag, Rows, Text
from components.texts import t, texts_under

Look = Literal["", "primary", "quiet", "danger", "primary danger"]


@dataclass(frozen=True, slots=True)
class Trigger:
    """The button that opens a dialog."""

    label: str
    look: Look = ""
    icon: str = ""

    def as_prop(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class MenuEntry:
    """An act in a menu; with `href` it is a link. `id` is what `on_action` is told."""

    id: str
    label: str
    icon: str = ""
    detail: str = ""
    href: str = ""
    danger: bool = False
    disabled: bool = False


def _text_spec(text: rx.Var[str]) -> tuple[rx.Var[str]]:
    return (text,)


def _answer_spec(answer: rx.Var[dict[str, Any]]) -> tuple[rx.Var[dict[str, Any]]]:
    return (answer,)


def _flag_spec(flag: rx.Var[bool]) -> tuple[rx.Var[bool]]:
    return (flag,)


class _Dialog(AriaComponent):
    library = library("dialog")
    tag = "Dialog"

    trigger: rx.Var[dict[str, Any]]
    open: rx.Var[bool]
    busy: rx.Var[bool]
    dismissable: rx.Var[bool]
    title: rx.Var[str]
    description: rx.Var[str]
    size: rx.Var[str]
    close_label: rx.Var[str]
    on_open_change: rx.EventHandler[_flag_spec]


class _DialogClose(AriaComponent):
    library = library("dialog")
    tag = "DialogClose"

    label: rx.Var[str]
    look: rx.Var[str]


class _ConfirmDialog(AriaComponent):
    library = library("dialog")
    tag = "ConfirmDialog"

    trigger: rx.Var[dict[str, Any]]
    open: rx.Var[bool]
    title: rx.Var[str]
    text: rx.Var[str]
    verb: rx.Var[str]
    typed: rx.Var[str]
    typed_label: rx.Var[str]
    danger: rx.Var[bool]
    busy: rx.Var[bool]
    error: rx.Var[str]
    url: rx.Var[str]
    form_id: rx.Var[str]
    method: rx.Var[str]
    extra: rx.Var[dict[str, Any]]
    done_text: rx.Var[str]
    texts: rx.Var[dict[str, str]]
    form_texts: rx.Var[dict[str, str]]
    on_open_change: rx.EventHandler[_flag_spec]
    on_confirm: rx.EventHandler[rx.event.no_args_event_spec]
    on_done: rx.EventHandler[_answer_spec]


class _ActionMenu(AriaComponent):
    library = library("menu")
    tag = "ActionMenu"

    label: rx.Var[str]
    icon: rx.Var[str]
    look: rx.Var[str]
    show_label: rx.Var[bool]
    items: rx.Var[list[dict[str, Any]]]
    lost_text: rx.Var[str]
    on_action: rx.EventHandler[_text_spec]


class _IconButton(AriaComponent):
    library = library("tooltips")
    tag = "IconButton"

    label: rx.Var[str]
    icon: rx.Var[str]
    look: rx.Var[str]
    disabled: rx.Var[bool]
    lost_text: rx.Var[str]
    on_press: rx.EventHandler[rx.event.no_args_event_spec]


class _InfoTip(AriaComponent):
    library = library("tooltips")
    tag = "InfoTip"

    label: rx.Var[str]
    text: rx.Var[str]


@dataclass(frozen=True, slots=True)
class Act:
    """What a dialog that was confirmed has the REST API do, which may ask for a proof; then the page's `on_done`.

    `form_id` names it on the page; `extra` is the body.
    """

    form_id: str
    url: Text
    done_text: Text
    on_done: Any
    method: Literal["POST", "DELETE"] = "POST"
    extra: dict[str, Any] = field(default_factory=dict[str, Any])

    def as_props(self) -> dict[str, Any]:
        return {one.name: getattr(self, one.name) for one in fields(self)} | {
            "form_texts": texts_under("form")
        }


def _given(**props: Any) -> dict[str, Any]:
    return {name: prop for name, prop in props.items() if prop is not None}


def dialog(
    *body: Drawn,
    title: Text,
    trigger: Trigger | None = None,
    open: Flag | None = None,
    on_open_change: Any = None,
    description: Text | None = None,
    size: Literal["small", "medium", "large"] = "medium",
    busy: Flag = False,
    dismissable: Flag = True,
) -> rx.Component:
    """A modal window named by `title`. Opened by its `trigger`, or by the var `open` with `on_open_change`.

    Escape and a click outside close it unless `busy`; focus then returns to what opened it.
    Put the buttons into `dialog_foot`.
    """
    props = _given(
        trigger=trigger.as_prop() if trigger else None,
        open=open,
        on_open_change=on_open_change,
        description=description,
    )
    return _Dialog.create(
        *body,
        title=title,
        size=size,
        busy=busy,
        dismissable=dismissable,
        close_label=t("dialog.close"),
        **props,
    )


def dialog_close(label: Text | None = None, *, look: Look = "") -> rx.Component:
    """The button that leaves a dialog as it was."""
    return _DialogClose.create(label=label if label is not None else t("dialog.cancel"), look=look)


def dialog_foot(*buttons: Drawn) -> rx.Component:
    """The buttons at the end of a dialog: the way out first, the verb last."""
    return rx.el.footer(*buttons, class_name="dialog-foot")


def confirm_dialog(
    *details: Drawn,
    title: Text,
    verb: Text,
    on_confirm: Any = None,
    act: Act | None = None,
    text: Text | None = None,
    trigger: Trigger | None = None,
    open: Flag | None = None,
    on_open_change: Any = None,
    typed: Text | None = None,
    danger: bool = True,
    busy: Flag | None = None,
    error: Text | None = None,
) -> rx.Component:
    """Asks before an act that cannot be taken back; `verb` names it ("Revoke key"), `text` its consequence.

    With `typed`, that exact name has to be typed first. `on_confirm` is a page's event: it closes when the verb is
    pressed; with the page's `busy` it stays until the act is done, or shows `error`. An `act` is sent to the REST API.
    """
    props = _given(
        trigger=trigger.as_prop() if trigger else None,
        open=open,
        on_open_change=on_open_change,
        text=text,
        typed=typed,
        busy=busy,
        error=error,
        typed_label=t("dialog.type_name", name=typed) if typed is not None else None,
        on_confirm=on_confirm,
        **(act.as_props() if act is not None else {}),
    )
    return _ConfirmDialog.create(
        *details,
        title=title,
        verb=verb,
        danger=danger,
        texts=texts_under("dialog"),
        **props,
    )


def menu(
    label: Text,
    entries: Sequence[MenuEntry] | Rows,
    *,
    on_action: Any = None,
    icon: str = "ellipsis",
    look: Look = "quiet",
    show_label: bool = False,
) -> rx.Component:
    """A button that opens a list of acts; `on_action` is told the chosen id. In a table the label names the row.

    Acts are off while disconnected.
    """
    items = (
        entries
        if isinstance(entries, rx.Var)
        else [asdict(one) if isinstance(one, MenuEntry) else one for one in entries]
    )
    props = _given(on_action=on_action)
    return _ActionMenu.create(
        label=label,
        items=items,
        icon=icon,
        look=look,
        show_label=show_label,
        lost_text=t("dialog.lost"),
        **props,
    )


def icon_button(
    label: Text, icon: str, *, on_press: Any, look: Look = "quiet", disabled: Flag = False
) -> rx.Component:
    """A button known by its icon; its name appears on hover and focus. Off while disconnected."""
    return _IconButton.create(
        label=label, icon=icon, look=look, disabled=disabled, lost_text=t("dialog.lost"), on_press=on_press
    )


def info_tip(label: Text, text: Text) -> rx.Component:
    """A small "i" with an explanation; nothing that is needed to go on hides here."""
    return _InfoTip.create(label=label, text=text)
