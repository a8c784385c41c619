"""How much may be used or spent."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.states import empty_state
from components.links import button_link
from components.shell.page import page_header
from components.tables.filters import Filter
from components.tables.listed import table_of
from components.tables.table import Column
from components.texts import t, texts_under
from matrix_app.pages import lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from services.budgets import queries
from services.core.permissions import Capability
from state.portal.budgets import BudgetsState


def _words(which: str) -> Any:
    return lambda row: rx.fragment(
        rx.match(row[which], *texts_under(f"budgets.{which}").items(), row[which].to(str))
    )


def _about(row: rx.Var[dict[str, Any]]) -> rx.Component:
    return rx.fragment(rx.cond(row["about"], row["about"].to(str), t("budgets.about_all")))


BUDGETS = table_of(
    queries.BUDGETS,
    "budgets",
    Column("name", "budgets.name", row_header=True),
    Column("about", "budgets.about", draw=_about),
    Column("measure", "budgets.measure", draw=_words("measure")),
    Column("period", "budgets.period", draw=_words("period")),
    Column("spent", "budgets.spent"),
    Column("limit_amount", "budgets.limit_amount"),
    "used_percent",
    Column("action", "budgets.action", draw=_words("action")),
    Column("requests_per_minute", "budgets.requests_per_minute", kind="number"),
    Column("state", "budgets.state", draw=_words("state")),
    texts="budgets",
)


@page(
    "/portal/budgets",
    console=Console.PORTAL,
    title="budgets.title",
    needs=Capability.BUDGETS_READ,
    on_load=BudgetsState.load,
)
def budgets() -> Drawn:
    """Budgets, with what is used of each in the running day or month."""
    words = {which: texts_under(f"budgets.{which}") for which in ("state", "measure", "period")}
    content = lists.listing(
        BudgetsState,
        BUDGETS,
        [Filter(which, f"budgets.{which}", options=list(words[which].items())) for which in words],
        empty=empty_state(
            t("budgets.none"),
            t("budgets.none_text"),
            icon_name="gauge",
            action=button_link(t("budgets.none_action"), href="/docs/api"),
        ),
        values={f"{which}:{name}": said for which in words for name, said in words[which].items()},
    )
    return [
        page_header(t("budgets.title"), lists.export(BudgetsState), text=t("budgets.text")),
        in_its_state(BudgetsState, content, retry=BudgetsState.load),
    ]
