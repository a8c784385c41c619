"""How much may be used or spent."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.states import empty_state
from components.format.values import money, value
from components.forms.fields import Option, select, text_field
from components.forms.form import action_button, form, rest_form, submit_button
from components.kit.overlays import MenuEntry, dialog, dialog_close, dialog_foot, menu
from components.shell.page import page_header
from components.tables.filters import Filter
from components.tables.listed import table_of
from components.tables.table import Column
from components.texts import t, texts_under
from matrix_app.pages import endpoints, lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from models.budgets import BudgetMeasure
from services.budgets import queries
from services.core.permissions import Capability
from state.portal.budget_forms import CHOICES
from state.portal.budgets import BudgetsState
from state.session import SessionState

Row = rx.Var[dict[str, Any]]
MAY_WRITE = SessionState.capabilities.contains(Capability.BUDGETS_WRITE.value)
_S, _FORM = BudgetsState, BudgetsState.form


def _words(which: str) -> Any:
    return lambda row: rx.fragment(
        rx.match(row[which], *texts_under(f"budgets.{which}").items(), row[which].to(str))
    )


def _about(row: Row) -> rx.Component:
    return rx.fragment(rx.cond(row["about"], row["about"].to(str), t("budgets.about_all")))


def _amount(name: str) -> Any:
    """Money where the budget is about cost, else tokens."""
    return lambda row: rx.cond(
        row["currency"], money(row[name], row["currency"].to(str)), value(row[name], "number")
    )


BUDGETS = table_of(
    queries.BUDGETS,
    "budgets",
    Column("name", "budgets.name", row_header=True),
    Column("about", "budgets.about", draw=_about),
    Column("measure", "budgets.measure", draw=_words("measure")),
    Column("period", "budgets.period", draw=_words("period")),
    Column("spent", "budgets.spent", kind="money", draw=_amount("spent")),
    Column("limit_amount", "budgets.limit_amount", kind="money", draw=_amount("limit_amount")),
    "used_percent",
    Column("action", "budgets.action", draw=_words("action")),
    Column("requests_per_minute", "budgets.requests_per_minute", kind="number"),
    Column("state", "budgets.state", draw=_words("state")),
    texts="budgets",
)


# -- making and changing one


def _choice(name: str, *, on_change: Any = None) -> rx.Component:
    options = [Option(one.value, t(f"budgets.{name}.{one.value}")) for one in CHOICES[name]]
    return select(name, t(f"budgets.{name}"), options, value=_FORM[name], on_change=on_change)


def _of_any(name: str, field: str, offered: rx.Var[list[dict[str, str]]]) -> rx.Component:
    """One of `offered`, or all; the empty choice stands for all and comes first."""
    anything = rx.Var.create([{"id": "", "label": t(f"budgets.{name}_any")}])
    options = (anything + offered).to(list[dict[str, str]])  # pyright: ignore[reportOperatorIssue]
    return select(field, t(f"budgets.{name}"), options, value=_FORM[field], required=False)


def _limit() -> rx.Component:
    """In money or in tokens; whole or not is for the rules of budgets to say."""

    def of(measure: BudgetMeasure, unit: Any) -> rx.Component:
        hint = t(f"budgets.limit_hint.{measure.value}")
        return text_field(
            "limit",
            t("budgets.limit"),
            hint=hint,
            value=_FORM["limit"],
            suffix=unit,
            pattern=r"\d{1,13}(\.\d{1,12})?",
            autocomplete="off",
        )

    return rx.cond(
        _FORM["measure"] == BudgetMeasure.TOKENS.value,
        of(BudgetMeasure.TOKENS, t("budgets.tokens")),
        of(BudgetMeasure.COST, _S.currency),
    )


def _fields(*counted: rx.Component) -> list[rx.Component]:
    return [
        text_field("name", t("budgets.name"), value=_FORM["name"], max_length=100, autocomplete="off"),
        *counted,
        _limit(),
        rx.el.div(
            _choice("action"),
            text_field(
                "requests_per_minute",
                t("budgets.requests_per_minute"),
                hint=t("budgets.requests_per_minute_hint"),
                value=_FORM["requests_per_minute"],
                required=False,
                pattern=r"\d{1,7}",
                autocomplete="off",
            ),
            class_name="field-pair",
        ),
        text_field(
            "thresholds",
            t("budgets.thresholds"),
            hint=t("budgets.thresholds_hint"),
            value=_FORM["thresholds"],
            required=False,
            autocomplete="off",
        ),
    ]


def _dialogs() -> list[rx.Component]:
    counted = [
        rx.el.div(
            _of_any("key", "key_id", _S.keys), _of_any("model", "model", _S.models), class_name="field-pair"
        ),
        rx.el.div(
            _choice("measure", on_change=lambda value: _S.choose_measure(value.to(str))),
            _choice("period"),
            class_name="field-pair",
        ),
    ]
    name = _S.chosen["name"].to(str)
    create = dialog(
        form(
            "new-budget",
            *_fields(*counted),
            dialog_foot(dialog_close(), submit_button(t("budgets.create"))),
            on_submit=_S.save,
            errors=_S.errors,
            error=_S.error,
        ),
        title=t("budgets.create"),
        description=t("budgets.create_text"),
        open=_S.open_dialog == "new",
        on_open_change=_S.dismiss,
    )
    edit = dialog(
        rest_form(
            "edit-budget",
            *_fields(),
            dialog_foot(dialog_close(), submit_button(t("budgets.save"))),
            url=f"{endpoints.BUDGETS}/{_S.chosen['id'].to(str)}",
            method="PATCH",
            version=_S.chosen["version"].to(int),
            names={"limit": "limit_amount"},
            on_take_theirs=_S.changed,
            done_text=t("budgets.saved"),
            on_done=_S.changed,
        ),
        title=t("budgets.edit_title", name=name),
        description=t("budgets.edit_text"),
        open=_S.open_dialog == "edit",
        on_open_change=_S.dismiss,
    )
    archive = dialog(
        dialog_foot(
            dialog_close(),
            action_button(t("budgets.archive"), on_press=_S.archive, look="primary danger"),
        ),
        title=t("budgets.archive_title", name=name),
        description=t("budgets.archive_text"),
        open=_S.open_dialog == "archive",
        on_open_change=_S.dismiss,
        size="small",
    )
    return [create, edit, archive]


def _actions(row: Row) -> rx.Component:
    acts = menu(
        t("table.actions_of", row=row["name"].to(str)),
        [
            MenuEntry("edit", t("budgets.edit"), "pencil"),
            MenuEntry("archive", t("budgets.archive"), "ban", danger=True),
        ],
        on_action=lambda act: _S.ask(row["id"].to(str), act),
    )
    return rx.cond(MAY_WRITE & (row["state"] != "archived"), acts, rx.fragment())


def _create(look: str) -> rx.Component:
    begin = action_button(t("budgets.create"), on_press=_S.show("new", True), look=look, icon="plus")
    return rx.cond(MAY_WRITE, begin, rx.fragment())


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
        empty=empty_state(t("budgets.none"), t("budgets.none_text"), icon_name="gauge", action=_create("")),
        values={f"{which}:{name}": said for which in words for name, said in words[which].items()},
        actions=_actions,
    )
    return [
        page_header(
            t("budgets.title"), lists.export(BudgetsState), _create("primary"), text=t("budgets.text")
        ),
        in_its_state(BudgetsState, content, retry=BudgetsState.load),
        *_dialogs(),
    ]
