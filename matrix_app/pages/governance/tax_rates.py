"""Tax rates with their dates, and where each legal entity is registered."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.badges import Status
from components.feedback.states import empty_state
from components.format.values import when
from components.forms.fields import text_field
from components.forms.form import action_button, rest_form, submit_button
from components.kit.overlays import Trigger, dialog, dialog_close, dialog_foot, icon_button
from components.links import button_link
from components.shell.page import page_header, section
from components.tables.filters import Filter
from components.tables.listed import table_of
from components.tables.table import Column, Table, data_table
from components.texts import t
from matrix_app.pages import endpoints, lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from services.billing import queries
from services.billing.entities import SHORT_TEXT_CHARACTERS_MAX
from services.core.permissions import Capability
from state.governance.issuers import HOME, TaxRatesState
from state.session import SessionState

Row = rx.Var[dict[str, Any]]
MAY_WRITE = SessionState.capabilities.contains(Capability.STAFF_INVOICES_WRITE.value)
STATES = {
    "current": Status("tax_rates.state_of.current", "ok"),
    "planned": Status("tax_rates.state_of.planned", "info", "clock"),
    "ended": Status("tax_rates.state_of.ended", "neutral", "hourglass"),
}


def _until(row: Row) -> rx.Component:
    return rx.fragment(rx.cond(row["valid_until"], when(row["valid_until"], "date"), t("tax_rates.open")))


RATES = table_of(
    queries.TAX_RATES,
    "tax-rates",
    Column("jurisdiction", "tax_rates.jurisdiction", row_header=True),
    "name",
    Column("rate", "tax_rates.rate", kind="percent", digits=4),
    Column("state", "tax_rates.state", kind="badge", statuses=STATES),
    Column("valid_from", "tax_rates.valid_from", kind="date"),
    Column("valid_until", "tax_rates.valid_until", draw=_until),
    "source",
    texts="tax_rates",
)
REGISTERED = Table(
    "registrations",
    "tax_rates.registered",
    columns=(
        Column("code", "tax_rates.entity", kind="link", href="href", row_header=True),
        Column("registrations", "tax_rates.registrations"),
        Column("reverse_charge_in", "tax_rates.reverse_charge_in"),
    ),
)


def _day(name: str, *, hint: str, required: bool = False, given: Any = None) -> rx.Component:
    return text_field(name, t(f"tax_rates.{name}"), kind="date", hint=t(hint), required=required, value=given)


def _said(name: str) -> rx.Component:
    return text_field(
        name,
        t(f"tax_rates.{name}"),
        hint=t(f"tax_rates.{name}_hint"),
        max_length=SHORT_TEXT_CHARACTERS_MAX,
        autocomplete="off",
    )


def _new() -> rx.Component:
    return dialog(
        rest_form(
            "new-tax-rate",
            rx.el.div(_said("jurisdiction"), _said("name"), class_name="field-pair"),
            text_field(
                "rate",
                t("tax_rates.rate"),
                hint=t("tax_rates.rate_hint"),
                pattern=r"[01](\.\d{1,12})?",
                autocomplete="off",
            ),
            rx.el.div(_said("source"), _said("edition"), class_name="field-pair"),
            rx.el.div(
                _day("valid_from", hint="tax_rates.valid_from_hint"),
                _day("valid_until", hint="tax_rates.valid_until_hint"),
                class_name="field-pair",
            ),
            dialog_foot(dialog_close(), submit_button(t("tax_rates.add"))),
            url=endpoints.STAFF_TAX_RATES,
            done_text=t("tax_rates.added"),
            on_done=TaxRatesState.changed,
        ),
        title=t("tax_rates.add"),
        description=t("tax_rates.add_text"),
        trigger=Trigger(t("tax_rates.add"), "primary", "plus"),
        open=TaxRatesState.open_dialog == "new",
        on_open_change=lambda is_open: TaxRatesState.show("new", is_open),
    )


def _end() -> rx.Component:
    chosen = TaxRatesState.chosen
    return dialog(
        rest_form(
            "end-tax-rate",
            _day("valid_until", hint="tax_rates.end_hint", required=True, given=chosen["today"]),
            dialog_foot(dialog_close(), submit_button(t("tax_rates.end"), look="primary danger")),
            url=f"{endpoints.STAFF_TAX_RATES}/{chosen['id'].to(str)}/end",
            done_text=t("tax_rates.ended"),
            on_done=TaxRatesState.changed,
        ),
        title=_end_title(chosen),
        description=t("tax_rates.end_text"),
        open=TaxRatesState.open_dialog == "end",
        on_open_change=TaxRatesState.dismiss,
        size="small",
    )


def _end_title(row: Row) -> str:
    return t("tax_rates.end_title", name=row["name"].to(str), jurisdiction=row["jurisdiction"].to(str))


def _actions(row: Row) -> rx.Component:
    end = icon_button(_end_title(row), "ban", on_press=TaxRatesState.ask(row["id"].to(str), "end"))
    return rx.cond(MAY_WRITE & (row["state"] != "ended"), end, rx.fragment())


def _registrations() -> rx.Component:
    add = button_link(t("entities.add"), href=f"{HOME}/new")
    none = empty_state(
        t("tax_rates.registered_none"),
        t("tax_rates.registered_none_text"),
        action=rx.cond(MAY_WRITE, add, rx.fragment()),
        icon_name="building-2",
        level=3,
    )
    return section(
        t("tax_rates.registered"),
        rx.el.p(t("tax_rates.registered_text"), class_name="small muted"),
        data_table(REGISTERED, TaxRatesState.registered, status=TaxRatesState.status, empty=none),
    )


@page(
    "/governance/tax-rates",
    console=Console.GOVERNANCE,
    title="tax_rates.title",
    needs=Capability.STAFF_INVOICES_READ,
    on_load=TaxRatesState.load,
)
def tax_rates() -> Drawn:
    """Rates by jurisdiction, and who is registered where."""
    add = action_button(
        t("tax_rates.add"), on_press=TaxRatesState.show("new", True), look="primary", icon="plus"
    )
    content = rx.fragment(
        lists.listing(
            TaxRatesState,
            RATES,
            [Filter("jurisdiction", "tax_rates.jurisdiction", "search")],
            empty=empty_state(
                t("tax_rates.none"),
                t("tax_rates.none_text"),
                action=rx.cond(MAY_WRITE, add, rx.fragment()),
                icon_name="table",
            ),
            actions=_actions,
        ),
        _registrations(),
    )
    return [
        page_header(
            t("tax_rates.title"),
            lists.export(TaxRatesState),
            rx.cond(MAY_WRITE, _new(), rx.fragment()),
            text=t("tax_rates.text"),
        ),
        in_its_state(TaxRatesState, content, retry=TaxRatesState.load),
        _end(),
    ]
