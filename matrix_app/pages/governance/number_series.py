"""Numbers of documents: each counter, and the proof that none of it is missing."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.badges import Status, badge
from components.feedback.states import empty_state
from components.links import button_link
from components.shell.page import page_header
from components.tables.filters import Filter
from components.tables.listed import table_of
from components.tables.table import Column
from components.texts import t
from matrix_app.pages import lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Console, Drawn, page
from services.billing.numbering import Series
from services.billing.series import SERIES
from services.core.permissions import Capability
from state.governance.issuers import SeriesState

Row = rx.Var[dict[str, Any]]


def _kinds() -> list[tuple[str, str]]:
    return [(one.value, t(f"series.series_of.{one.value}")) for one in Series]


def _series(row: Row) -> rx.Component:
    return rx.fragment(rx.match(row["series"], *_kinds(), row["series"].to(str)))


def _counter(row: Row) -> rx.Component:
    return rx.fragment(rx.cond(row["counter"], row["counter"].to(str), t("series.counter_all")))


def _gaps(row: Row) -> rx.Component:
    none, some = badge(t("series.missing_none"), "ok"), badge(row["missing"].to(str), "danger")
    return rx.cond(row["has_no_gap"].to(bool), none, some)


def _proof(row: Row) -> rx.Component:
    first, last, issued = (row[name].to(int) for name in ("first", "last", "issued"))
    proved = t("series.proof_ok", first=first, last=last, issued=issued)
    wrong = t("series.proof_wrong", last=last, issued=issued, missing=row["missing"].to(str))
    return rx.fragment(rx.cond(row["has_no_gap"].to(bool), proved, wrong))


BILLS = {
    "real": Status("entities.is_test_of.false", "neutral"),
    "test": Status("entities.is_test_of.true", "warn", "clock"),
}

COUNTERS = table_of(
    SERIES,
    "number-series",
    Column("legal_entity", "series.legal_entity", kind="link", href="href", row_header=True, sort="id"),
    Column("series", "series.series", draw=_series),
    Column("counter", "series.counter", draw=_counter),
    Column("bills", "entities.is_test", kind="badge", statuses=BILLS),
    Column("first", "series.first", kind="number"),
    Column("last", "series.last", kind="number"),
    Column("issued", "series.issued", kind="number"),
    Column("missing", "series.missing", draw=_gaps),
    Column("proof", "series.proof", draw=_proof),
    texts="series",
)


@page(
    "/governance/number-series",
    console=Console.GOVERNANCE,
    title="series.title",
    needs=Capability.STAFF_INVOICES_READ,
    on_load=SeriesState.load,
)
def number_series() -> Drawn:
    """Every counter against its documents."""
    kinds = [(name, t(f"entities.is_test_of.{name}")) for name in ("false", "true")]
    gaps = [(name, t(f"series.has_no_gap_of.{name}")) for name in ("true", "false")]
    content = lists.listing(
        SeriesState,
        COUNTERS,
        [
            Filter("legal_entity_id", "series.legal_entity_id", options=SeriesState.entities),
            Filter("series", "series.series", options=_kinds()),
            Filter("has_no_gap", "series.has_no_gap", options=gaps),
            Filter("is_test", "entities.is_test", options=kinds),
        ],
        empty=empty_state(
            t("series.none"),
            t("series.none_text"),
            action=button_link(t("series.to_invoices"), href="/governance/invoices"),
            icon_name="receipt",
        ),
        names={
            "legal_entity_id": t("series.legal_entity_id"),
            "has_no_gap": t("series.has_no_gap"),
            "is_test": t("entities.is_test"),
        },
        values={f"series:{name}": words for name, words in _kinds()}
        | {f"has_no_gap:{name}": words for name, words in gaps}
        | {f"is_test:{name}": words for name, words in kinds},
    )
    return [
        page_header(t("series.title"), lists.export(SeriesState), text=t("series.text")),
        in_its_state(SeriesState, content, retry=SeriesState.load),
    ]
