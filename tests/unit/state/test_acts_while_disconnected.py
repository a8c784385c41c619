"""What changes something is pressed by a control that is off while the connection is gone: found in the pages.

Reflex keeps an event that was pressed meanwhile and sends it later, when nobody means it any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import reflex as rx

from matrix_app import pages
from matrix_app.pages.registry import PAGES
from state.governance.plans import PlanState
from state.listed import ListedState
from state.portal.tasks import TasksState

pages.load_all()

# Of components/js: by themselves off while disconnected.
GUARDED = {"SubmitButton", "IconButton", "ActionMenu", "ConfirmDialog", "Form", "FileField", "Field switch"}
# These are told what happened: something was opened, closed or done through the REST API.
TOLD = {"Dialog", "SecretDialog", "EnrolDialog", "RecoveryCodesDialog", "LiveRefresh"}
# They choose what is looked at, and change nothing else.
LOOKS = {
    "BudgetsState.choose_measure", "CreditNoteState.choose", "InvoiceState.first_page", "NoticesState.first_page",
    "OrganizationState.choose",
    "PlanMoveState.from_the_first", "PlanMoveState.further", "PlanState.choose_kind", "PlanState.choose_model",
    "StaffChoiceState.choose_version", "StaffDisputeState.say", "StaffInvoiceState.first_page",
    "StaffStatementState.choose_days",
    "StaffStatementState.first_page", "StatementState.choose_days", "StatementState.first_page",
    "TasksState.first_page", "TemplateState.look_in",
    *(
        f"{console}.{choice}"
        for console in ("ChoiceState", "StaffChoiceState")
        for choice in ("choose_currency", "choose_interval", "choose_plan", "count", "count_addon", "tick")
    ),
}  # fmt: skip


def wired(component: Any) -> Iterator[tuple[str, Any]]:
    """Every control below, by its name, with each handler of ours that it calls."""
    name = str(component.tag or type(component).__name__).strip('"')
    kind = str(getattr(component, "kind", "")).strip('"')
    for trigger in component.event_triggers.values():
        for event in getattr(trigger, "events", ()):
            function = getattr(getattr(event, "handler", None), "fn", None)
            if hasattr(function, "__matrix_needs__"):
                yield f"{name} {kind}".strip() if name == "Field" else name, function
    for child in component.children:
        yield from wired(child)


def unguarded(component: Any) -> set[tuple[str, str]]:
    """What can be pressed below while the connection is gone, and may change more than what is looked at."""
    return {
        (control, handler.__qualname__)
        for control, handler in wired(component)
        if control not in GUARDED | TOLD
        and not handler.__matrix_reads__
        and handler.__name__ not in vars(ListedState)
        and handler.__qualname__ not in LOOKS
    }


@pytest.mark.parametrize("route", sorted(PAGES))
def test_what_changes_something_is_off_while_disconnected(route: str) -> None:
    assert unguarded(PAGES[route].component()) == set()


def test_a_bare_button_is_found_wherever_it_stands() -> None:
    rows: rx.Var[list[str]] = rx.Var("state.rows").to(list[str])
    drawn = rx.el.div(
        rx.cond(PlanState.missing, rx.el.button(on_click=PlanState.publish), rx.fragment()),
        rx.foreach(rows, lambda row: rx.el.button(on_click=TasksState.cancel(row))),
        rx.el.button(on_click=PlanState.load),
    )

    assert unguarded(drawn) == {("button", "PlanState.publish"), ("button", "TasksState.cancel")}
