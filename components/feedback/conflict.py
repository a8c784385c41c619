"""What is shown to the second of two people who changed the same thing."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.js import ClientComponent, library
from components.props import Flag, Rows, Text
from components.texts import texts_under


class _ConflictPanel(ClientComponent):
    library = library("conflict")
    tag = "ConflictPanel"

    who: rx.Var[str]
    at: rx.Var[str]
    zone: rx.Var[str]
    fields: rx.Var[list[dict[str, Any]]]
    busy: rx.Var[bool]
    takes_focus: rx.Var[bool]
    texts: rx.Var[dict[str, str]]
    form_texts: rx.Var[dict[str, str]]
    on_keep_mine: rx.EventHandler[rx.event.no_args_event_spec]
    on_take_theirs: rx.EventHandler[rx.event.no_args_event_spec]


def conflict_panel(
    who: Text,
    at: Text,
    fields: Rows,
    *,
    on_keep_mine: Any,
    on_take_theirs: Any,
    zone: Text = "UTC",
    busy: Flag = False,
    takes_focus: bool = True,
) -> rx.Component:
    """ "Changed by Ana 2 minutes ago", each field with both values, and the choice which of them stay.

    `fields` are `{name, label, mine, theirs}` as text a person reads; equal ones are left out. `on_keep_mine` saves
    again on top of the newer version, `on_take_theirs` reads it.
    """
    return _ConflictPanel.create(
        who=who,
        at=at,
        zone=zone,
        fields=fields,
        busy=busy,
        takes_focus=takes_focus,
        texts=texts_under("conflict"),
        form_texts=texts_under("form"),
        on_keep_mine=on_keep_mine,
        on_take_theirs=on_take_theirs,
    )
