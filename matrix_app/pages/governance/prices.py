"""The price book: prices of now, their history, and setting a new one."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.badges import Status
from components.feedback.states import empty_state
from components.format.values import when
from components.forms.fields import Option, number_field, select, text_field
from components.forms.form import rest_form, submit_button
from components.kit.overlays import Trigger, dialog, dialog_close, dialog_foot
from components.shell.page import page_header
from components.tables.filters import Filter
from components.tables.listed import table_of
from components.tables.table import Column
from components.texts import t
from matrix_app.pages import endpoints, lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from services.catalog import queries as catalog
from services.catalog.rules import PRICEABLE
from services.core.permissions import Capability
from state.governance.prices import PricesState
from state.session import SessionState

Row = rx.Var[dict[str, Any]]

STATES = {
    "current": Status("prices.current", "ok"),
    "planned": Status("prices.planned", "info", "clock"),
    "ended": Status("prices.ended", "neutral", "hourglass"),
}


def _meter(row: Row) -> rx.Component:
    return rx.match(row["meter"], *[(name, t(f"meter.{name}")) for name in PRICEABLE], row["meter"].to(str))


def _until(row: Row) -> rx.Component:
    return rx.cond(
        row["valid_to"], when(row["valid_to"], "datetime", zone=SessionState.zone), t("prices.open")
    )


PRICES = table_of(
    catalog.PRICES,
    "prices",
    Column("model", "prices.model", kind="code", row_header=True),
    Column("meter", "prices.meter", draw=_meter),
    Column("per_million", "prices.per_million", kind="money", currency="currency"),
    Column("state", "prices.state", kind="badge", statuses=STATES),
    "valid_from",
    Column("valid_to", "prices.valid_to", draw=_until),
    texts="prices",
)
ALL = ",".join(sorted(STATES))  # as an address says it, beside the usual: what holds now or is planned


def _set_price() -> rx.Component:
    meters = [Option(name, t(f"meter.{name}")) for name in PRICEABLE]
    fields = [
        select("model", t("prices.model"), PricesState.models),
        select("meter", t("prices.meter"), meters),
        rx.el.div(
            text_field(
                "unit_amount",
                t("prices.amount"),
                hint=t("prices.amount_hint"),
                pattern=r"\d{1,12}(\.\d{1,12})?",
                autocomplete="off",
            ),
            text_field(
                "currency",
                t("prices.currency"),
                hint=t("prices.currency_hint"),
                value="USD",
                pattern="[A-Z]{3}",
                autocomplete="off",
            ),
            class_name="field-pair",
        ),
        number_field(
            "per_units", t("prices.per_units"), value=1_000_000, min=1, step=1, suffix=t("prices.units")
        ),
        text_field(
            "valid_from",
            t("prices.valid_from"),
            kind="datetime-local",
            hint=t("prices.from_hint"),
            required=False,
        ),
    ]
    return dialog(
        rest_form(
            "set-price",
            *fields,
            dialog_foot(dialog_close(), submit_button(t("prices.set"))),
            url=endpoints.STAFF_PRICES,
            done_text=t("prices.saved"),
            on_done=PricesState.changed,
        ),
        title=t("prices.set"),
        description=t("prices.set_text"),
        trigger=Trigger(t("prices.set"), "primary", "plus"),
        open=PricesState.open_dialog,
        on_open_change=PricesState.ask,
    )


@page(
    "/governance/prices",
    console=Console.GOVERNANCE,
    title="prices.title",
    needs=Capability.STAFF_PRICES_READ,
    on_load=PricesState.load,
)
def prices() -> Drawn:
    """Prices by model."""
    states = [(ALL, t("prices.show.all")), *((name, t(f"prices.{name}")) for name in STATES)]
    content = lists.listing(
        PricesState,
        PRICES,
        [
            Filter("model", "prices.model", options=PricesState.models),
            Filter("state[in]", "prices.state", options=states, any_text="prices.show.valid"),
        ],
        empty=empty_state(t("prices.none"), t("prices.none_text"), icon_name="tags"),
        values={f"state:{name}": words for name, words in states},
    )
    may_write = SessionState.capabilities.contains(Capability.STAFF_PRICES_WRITE.value)
    return [
        page_header(
            t("prices.title"),
            lists.export(PricesState),
            rx.cond(may_write, _set_price(), rx.fragment()),
            text=t("prices.text"),
        ),
        in_its_state(PricesState, content, retry=PricesState.load),
    ]
