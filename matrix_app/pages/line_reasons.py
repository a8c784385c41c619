"""Why a line of an invoice asks for what it does, opened over the document."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.figures import fact, facts
from components.feedback.states import banner
from components.format.values import money, span
from components.kit.overlays import dialog, dialog_close, dialog_foot
from components.tables.table import Column, Table, data_table
from components.texts import t, texts_under
from models.types import ProrationPolicy
from services.billing import explaining
from state.session import SessionState

Row = rx.Var[dict[str, Any]]
State = Any  # a page's state of either console: they hold the same


def period_of(row: Row) -> rx.Component:
    shown = span(row["period_start"], row["period_end"], zone=SessionState.zone)
    return rx.cond(row["period_start"], shown, rx.fragment())


def if_said(name: str, said: rx.Var[Any], shown: Any) -> rx.Component:
    return rx.cond(said, fact(t(f"invoices.{name}"), shown), rx.fragment())


def _step(row: Row) -> rx.Component:
    name = row["name"].to(str)
    charged = rx.match(
        row["name"],
        *[(kind, rx.fragment(words)) for kind, words in texts_under("plan.step").items()],
        *[(kind, rx.fragment(t(f"invoices.step.{kind}"))) for kind in ("debit", "credit", "restore")],
        rx.fragment(t("invoices.step.charge")),
    )
    return rx.match(
        row["kind"],
        ("charge", charged),
        ("before", rx.fragment(t("invoices.step.before"))),
        ("coupon", rx.fragment(t("invoices.step.coupon", name=name))),
        ("tax_share", rx.fragment(t("invoices.step.tax_share", name=name))),
        ("tax_given", rx.fragment(t("invoices.step.tax_given", name=name))),
        rx.fragment(t("invoices.step.tax", name=name)),
    )


def formula_of(step: Row) -> rx.Component:
    """The formula of a step, what a part of a period is measured in, and what it comes to."""
    unit = rx.match(
        step["unit"], *[(one, t(f"invoices.unit_of.{one}")) for one in explaining.UNITS.values()], ""
    )
    return rx.fragment(
        rx.el.code(step["formula"].to(str)),
        rx.cond(step["unit"], rx.el.span(" ", unit, class_name="small muted"), rx.fragment()),
        rx.cond(step["comes_to"], rx.el.code(" ", step["comes_to"].to(str)), rx.fragment()),
    )


STEPS = Table(
    "steps",
    "invoices.explain",
    columns=(
        Column("name", "invoices.step", row_header=True, draw=_step),
        Column("formula", "invoices.formula", draw=formula_of),
    ),
)


def explanation(state: State) -> rx.Component:
    """Opened over the line: what it was made of, step by step."""
    row = state.explained
    currency = row["currency"].to(str)
    rounding = rx.match(
        row["tax_rounding"],
        *[(level, t(f"invoices.rounding_of.{level}")) for level in ("line", "document")],
        t("invoices.rounding_of.draft"),
    )
    policy = rx.match(
        row["policy"], *[(one.value, t(f"plan.proration.{one.value}")) for one in ProrationPolicy], ""
    )
    agrees = rx.cond(
        row["agrees"], banner("ok", t("invoices.agrees")), banner("danger", t("invoices.differs"))
    )
    return dialog(
        facts(
            (t("invoices.description"), row["description"].to(str)),
            if_said("period", row["period_start"], period_of(row)),
            (t("invoices.rounding"), rounding),
            if_said("policy", row["policy"], policy),
            if_said("why_no_tax", row["reason"], row["reason"].to(str)),
        ),
        data_table(STEPS, state.steps, phone="scroll"),
        facts(
            (t("invoices.amount"), money(row["amount"], currency)),
            if_said("billed_before", row["billed_before"], money(row["billed_before"], currency)),
            (t("invoices.net"), money(row["net"], currency)),
            (t("invoices.tax"), money(row["tax"], currency)),
            (t("invoices.gross"), money(row["gross"], currency)),
        ),
        agrees,
        dialog_foot(dialog_close(t("invoices.close"))),
        title=t("invoices.explain"),
        description=t("invoices.explain_text"),
        open=state.steps.length() > 0,
        on_open_change=state.close,
        size="large",
    )
