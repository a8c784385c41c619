"""Figures that change while somebody looks, fed by the live hub's websocket (`/live`).

First paint comes from page state (`initial`), later values from the topic; both are the same query, so that a live
page equals its reload. All components of a page share one connection.
"""

from __future__ import annotations

from typing import Any

import reflex as rx
from reflex.utils.imports import ImportVar
from reflex.vars import VarData

from components.format.values import ValueKind
from components.js import ClientComponent, library
from components.props import Text
from components.texts import t, texts_under


class _LiveValue(ClientComponent):
    library = library("live")
    tag = "LiveValue"

    topic: rx.Var[str]
    path: rx.Var[str]
    initial: rx.Var[Any]
    kind: rx.Var[str]
    currency: rx.Var[str]
    zone: rx.Var[str]
    digits: rx.Var[int]
    announce_as: rx.Var[str]
    announce_text: rx.Var[str]


class _LiveStatus(ClientComponent):
    library = library("live")
    tag = "LiveStatus"

    topic: rx.Var[str]
    zone: rx.Var[str]
    texts: rx.Var[dict[str, str]]


class _LiveRefresh(ClientComponent):
    library = library("live")
    tag = "LiveRefresh"

    topic: rx.Var[str]
    path: rx.Var[str]
    since: rx.Var[str]
    wait: rx.Var[int]
    longest: rx.Var[int]
    on_change: rx.EventHandler[rx.event.no_args_event_spec]


def live_value(
    topic: str,
    path: str,
    kind: ValueKind = "number",
    *,
    initial: Any,
    currency: Text | None = None,
    zone: Text | None = None,
    digits: int | None = None,
    announce_as: Text | None = None,
) -> rx.Component:
    """The value at `path` ("totals.cost", "models.0.requests") of a topic, written as `kind`.

    With `announce_as`, screen readers hear "<name> is now <value>", at most every ten seconds for the whole page.
    """
    given = {"currency": currency, "zone": zone, "digits": digits, "announce_as": announce_as}
    props = {name: prop for name, prop in given.items() if prop is not None}
    return _LiveValue.create(
        topic=topic, path=path, kind=kind, initial=initial, announce_text=t("live.changed"), **props
    )


def live_rows(
    topic: str, path: str, *, initial: rx.Var[list[dict[str, Any]]]
) -> rx.Var[list[dict[str, Any]]]:
    """The rows at `path` of a topic for a table to draw: they change without a page event, however many look on.

    Until the hub has spoken they are `initial`, which a page reads by the topic's own query.
    """
    name = f"live_{topic}_{path}".replace(".", "_")
    spoken = VarData(
        imports={library("live"): ImportVar(tag="useLive")},
        hooks={f"const {name} = useLive({topic!r}, {path!r})": None},
    )
    return rx.Var(
        f"({name} ?? {initial!s})",
        _var_type=list[dict[str, Any]],
        _var_data=VarData.merge(spoken, initial._get_all_var_data()),
    )


def live_status(topic: str, *, zone: Text = "UTC") -> rx.Component:
    """ "Live · as of 12:03:04", or since when the figures stand still."""
    return _LiveStatus.create(topic=topic, zone=zone, texts=texts_under("live"))


def live_refresh(
    topic: str,
    *,
    on_change: Any,
    path: Text = "",
    since: Text | None = None,
    wait_ms: int = 300,
    longest_wait_ms: int = 1_000,
) -> rx.Component:
    """Fires `on_change` when the topic, or only what is at `path`, changed: for rows that are read by a page event.

    A burst fires once, `wait_ms` after its last change; one that does not end fires every `longest_wait_ms`. `since`
    is the ISO instant at which the page read its rows; with it, a change between that read and the first live message
    is not missed. Each firing is a page event of each viewer: rows that the topic itself holds are for `live_rows`.
    """
    props = {"since": since} if since is not None else {}
    return _LiveRefresh.create(
        topic=topic, path=path, wait=wait_ms, longest=longest_wait_ms, on_change=on_change, **props
    )
