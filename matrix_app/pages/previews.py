"""What an act on a subscription would come to: its invoices line by line, and what comes after them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import reflex as rx

from components.feedback.figures import fact, facts
from components.format.values import money, span, when
from components.props import Drawn
from components.texts import t
from matrix_app.pages.line_reasons import formula_of
from state.session import SessionState


def _rows(row: Any, name: str) -> rx.Var[list[dict[str, Any]]]:
    return row[name].to(list[dict[str, Any]])


def why(line: Any) -> rx.Component:
    """How a line's amount comes about, to open."""
    steps = rx.foreach(
        _rows(line, "steps"),
        lambda step: rx.el.li(formula_of(step), key=step["id"].to(str)),
    )
    period = rx.fragment(
        when(line["period_start"], zone=SessionState.zone),
        " – ",
        when(line["period_end"], zone=SessionState.zone),
    )
    return rx.el.details(
        rx.el.summary(
            t("choose.why"),
            rx.el.span(" ", t("choose.why_of", line=line["name"].to(str)), class_name="visually-hidden"),
        ),
        rx.el.ul(steps, class_name="plain-list"),
        rx.cond(
            line["period_start"], rx.el.p(t("choose.period"), " ", period, class_name="small"), rx.fragment()
        ),
        rx.el.p(t("choose.rounding"), class_name="small faint"),
        class_name="why",
    )


def _line(line: Any) -> rx.Component:
    currency = line["currency"].to(str)
    discount = rx.cond(
        line["discount"],
        rx.el.p(
            t("choose.discount"), " ", "\u2212", money(line["discount"], currency), class_name="small muted"
        ),
        rx.fragment(),
    )
    return rx.el.li(
        rx.el.div(
            rx.el.span(line["name"].to(str)),
            rx.el.span(money(line["amount"], currency), class_name="num"),
            class_name="bill-line",
        ),
        discount,
        why(line),
        key=line["id"].to(str),
    )


def _sum(row: Any, name: str, *, always: bool = False) -> rx.Component:
    shown = fact(t(f"choose.{name}"), money(row[name], row["currency"].to(str)))
    return shown if always else rx.cond(row[name] != "0", shown, rx.fragment())


def _title(row: Any) -> rx.Component:
    """When it is made; of several that are made now, what each is for."""
    waits = rx.cond(row["comes"], t("choose.invoice_comes"), t("choose.invoice_later"))
    period = rx.fragment(
        t("choose.invoice_for"), " ", span(row["period_start"], row["period_end"], zone=SessionState.zone)
    )
    return rx.cond(
        row["waits"],
        rx.fragment(waits, " (", when(row["billed_at"], "date", zone=SessionState.zone), ")"),
        rx.cond(row["period_start"], period, rx.fragment(t("choose.invoice"))),
    )


def _document(row: Any, title: Callable[[Any], Drawn]) -> rx.Component:
    return rx.el.div(
        rx.el.h3(title(row)),
        rx.el.ul(rx.foreach(_rows(row, "lines"), _line), class_name="plain-list bill"),
        rx.el.dl(
            _sum(row, "discount"), _sum(row, "net", always=True), _sum(row, "tax", always=True),
            _sum(row, "total", always=True), _sum(row, "credits"), class_name="facts bill-sums",
        ),
        rx.cond(
            row["comes"], rx.el.p(t("choose.without_usage"), class_name="small muted"), rx.fragment()
        ),
        class_name="stack",
        key=row["id"].to(str),
    )  # fmt: skip


def documents(rows: Any, title: Callable[[Any], Drawn] = _title) -> rx.Component:
    """Invoices that an act would make, each line explained."""
    return rx.fragment(rx.foreach(rows, lambda row: _document(row, title)))


def comes_next(shown: Any) -> rx.Component:
    """What of a preview is due, kept, and what comes after it."""
    currency = shown["currency"].to(str)
    due = rx.cond(
        shown["due"] == "0",
        rx.el.p(t("choose.nothing_due"), class_name="due"),
        rx.el.p(
            t("choose.due"), rx.el.span(money(shown["due"], currency), class_name="num"), class_name="due"
        ),
    )
    later = facts(
        _if(shown, "waiting", money(shown["waiting"], currency)),
        _if(shown, "settled", money(shown["settled"], currency)),
        _if(shown, "credit", money(shown["credit"], currency)),
        _if(shown, "included", money(shown["included"], currency)),
        rx.cond(
            shown["is_later"],
            fact(t("choose.later"), when(shown["effective_at"], zone=SessionState.zone)),
            rx.fragment(),
        ),
        rx.cond(
            shown["upcoming_at"],
            fact(
                t("choose.then"),
                rx.fragment(
                    money(shown["upcoming"], currency),
                    " ",
                    rx.el.span(
                        when(shown["upcoming_at"], "date", zone=SessionState.zone),
                        ", ",
                        t("subscription.upcoming_text"),
                        class_name="small muted",
                    ),
                ),
            ),
            rx.fragment(),
        ),
    )
    return rx.fragment(due, later, _lapses(shown))


def _lapses(shown: Any) -> rx.Component:
    """The change that waits and will not come if this is done."""
    kept = rx.cond(shown["lapses_kept"].to(bool), t("choose.lapses_kept"), "")
    said = rx.el.p(
        t("choose.lapses", plan=shown["lapses_name"].to(str)), " ",
        when(shown["lapses_at"], zone=SessionState.zone), ". ", kept,
    )  # fmt: skip
    return rx.cond(shown["lapses_name"], rx.el.div(said, class_name="banner tone-warn"), rx.fragment())


def _if(row: Any, name: str, shown: rx.Component) -> rx.Component:
    return rx.cond(row[name], fact(t(f"choose.{name}"), shown), rx.fragment())
