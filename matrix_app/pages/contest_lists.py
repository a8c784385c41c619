"""Contests as both consoles list them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import reflex as rx

from components.feedback.badges import Status
from components.props import Row
from components.shell.page import section
from components.tables.table import Column, Table, data_table
from components.texts import t
from models.disputes import ContestState as States
from state.session import SessionState

_LOOKS = {
    States.OPEN: ("warn", None),
    States.CREDITED: ("ok", None),
    States.REFUSED: ("neutral", "ban"),
    States.WITHDRAWN: ("neutral", "x"),
}
STATES = {
    one.value: Status(f"contests.state.{one.value}", tone, symbol)  # pyright: ignore[reportArgumentType]
    for one, (tone, symbol) in _LOOKS.items()
}


def words() -> list[tuple[str, str]]:
    """Each state with its word."""
    return [(name, t(look.text)) for name, look in STATES.items()]


def what(row: Row) -> rx.Component:
    return rx.fragment(rx.cond(row["line"], row["line"].to(str), t("contests.whole")))


def columns() -> list[Column]:
    return [
        Column("line", "contests.line", draw=what),
        Column("reason", "contests.reason"),
        Column("state", "contests.state", kind="badge", statuses=STATES, brief=True),
        Column("amount", "contests.amount", kind="money", currency="currency", brief=True),
        Column("credited", "contests.credited", kind="money", currency="currency"),
        Column("due_at", "contests.due_at", kind="datetime"),
        Column("answer", "contests.answer"),
    ]


def of_invoice(
    rows: rx.Var[list[dict[str, Any]]], *, actions: Callable[[Row], rx.Component] | None = None
) -> rx.Component:
    """What was contested of an invoice; nothing where nothing was."""
    table = Table(
        "contests",
        "contests.of_invoice",
        columns=(Column("created_at", "contests.created_at", kind="datetime", row_header=True), *columns()),
    )
    seen = data_table(table, rows, actions=actions, zone=SessionState.zone)
    return rx.cond(rows.length() > 0, section(t("contests.of_invoice"), seen), rx.fragment())
