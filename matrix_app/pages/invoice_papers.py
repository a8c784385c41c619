"""Invoices on pages: lists, and one as a document, in the portal and in the governance console."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import reflex as rx

from components.feedback.badges import Status, badge, status_badge
from components.feedback.figures import fact, facts
from components.feedback.states import banner, empty_state, skeleton
from components.format.values import money, value, when
from components.icons import icon
from components.kit.overlays import icon_button
from components.links import file_link, link
from components.props import Drawn as Part
from components.props import Text
from components.shell.page import card, page_header, section
from components.tables.filters import Filter, days
from components.tables.listed import table_of
from components.tables.table import Column, Paging, Table, data_table
from components.texts import t
from matrix_app.pages import credit_lists, endpoints, lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.line_reasons import explanation, if_said, period_of
from matrix_app.pages.registry import Drawn
from models.billing import InvoiceState as States
from models.papers import PaperState
from services.billing import queries
from services.core.listing import Listing
from services.tax.rules import Category
from state.session import SessionState

Row = rx.Var[dict[str, Any]]
_CREDIT_NOTES, _STAFF_CREDIT_NOTES = (
    "/api/v1/credit-notes",
    "/api/v1/staff/credit-notes",
)  # files are below them
State = Any  # a page's state of either console: they hold the same

_LOOKS = {
    States.DRAFT: ("neutral", "pencil"),
    States.FINALIZED: ("info", "clock"),
    States.PAID: ("ok", None),
    States.VOID: ("neutral", "ban"),
    States.UNCOLLECTIBLE: ("warn", None),
}
STATES = {
    one.value: Status(f"invoices.state_of.{one.value}", tone, symbol)  # pyright: ignore[reportArgumentType]
    for one, (tone, symbol) in _LOOKS.items()
}


def state_of(row: Row) -> rx.Component:
    """An open invoice whose due date has passed is overdue, with the days since."""
    days = row["days_overdue"].to(int)
    late = badge(t("invoices.overdue_by", count=days), "danger")
    return rx.fragment(rx.cond(days > 0, late, status_badge(row["state"], STATES)))


def _invoices(listing: Listing[Any], *more: Column) -> Table:
    return table_of(
        listing,
        "invoices",
        Column("name", "invoices.name", kind="link", href="href", row_header=True),
        *more,
        Column("state", "invoices.state", draw=state_of, brief=True),
        Column("label_date", "invoices.label_date", kind="date"),
        Column("due_date", "invoices.due_date", kind="date"),
        Column("total", "invoices.total", kind="money", currency="currency"),
        Column("due", "invoices.due", kind="money", currency="currency"),
        texts="invoices",
    )


INVOICES = _invoices(queries.INVOICES)
STAFF_INVOICES = _invoices(
    queries.STAFF_INVOICES,
    Column("organization", "invoices.organization"),
    Column("brand", "invoices.brand"),
)


def _figure(name: str) -> Column:
    return Column(name, f"invoices.{name}", kind="money", currency="currency")


LINES = Table(
    "lines",
    "invoices.lines",
    columns=(
        Column("description", "invoices.description", row_header=True),
        Column("period", "invoices.period", draw=period_of),
        Column("quantity", "invoices.quantity", kind="number"),
        _figure("amount"),
        _figure("discount"),
        _figure("net"),
        _figure("tax"),
    ),
)


def _tax_name(row: Row) -> rx.Component:
    """The tax, or why none is due."""
    why = rx.match(
        row["category"],
        *[(one.value, t(f"invoices.category.{one.name.lower()}")) for one in Category],
        row["category"].to(str),
    )
    return rx.fragment(rx.cond(row["name"], row["name"].to(str), why))


TAXES = Table(
    "taxes",
    "invoices.taxes",
    columns=(
        Column("name", "invoices.tax_name", draw=_tax_name, row_header=True),
        Column("rate", "invoices.rate"),
        Column("base", "invoices.base", kind="money", currency="currency"),
        _figure("tax"),
    ),
)
NOTES = Table(
    "notes",
    "invoices.notes",
    columns=(
        Column("number", "invoices.number", row_header=True),
        Column("label_date", "invoices.label_date", kind="date"),
        Column("reason", "invoices.reason"),
        _figure("net"),
        _figure("tax"),
        _figure("total"),
    ),
)


def _source(row: Row) -> rx.Component:
    return rx.cond(
        row["source"], rx.fragment(row["source"].to(str)), rx.fragment(t("invoices.use_of_payment"))
    )


USES = Table(
    "uses",
    "invoices.uses",
    columns=(
        Column("source", "invoices.use_source", draw=_source, row_header=True),
        Column("invoice", "invoices.use_invoice"),
        Column("created_at", "invoices.use_at", kind="date"),
        _figure("amount"),
    ),
)


def invoices(state: State, *, staff: bool, begin: Part | None = None) -> Drawn:
    """All invoices, the latest first."""
    states = [(name, t(look.text)) for name, look in STATES.items() if staff or name != States.DRAFT]
    overdue = [("true", t("invoices.is_overdue")), ("false", t("invoices.is_not_overdue"))]
    who = [Filter("organization_id", "invoices.organization_id", "search")] if staff else []
    brand = [Filter("brand_id", "invoices.brand", options=state.brands)] if staff else []
    content = lists.listing(
        state,
        STAFF_INVOICES if staff else INVOICES,
        [
            *who,
            *brand,
            Filter("state", "invoices.state", options=states),
            Filter("overdue", "invoices.overdue", options=overdue),
            Filter("number", "invoices.number", "search"),
            *days("created_at"),
        ],
        empty=empty_state(t("invoices.none"), t("invoices.none_text"), icon_name="receipt"),
        names={
            "organization_id": t("invoices.organization"),
            "brand_id": t("invoices.brand"),
            "number": t("invoices.number"),
            "overdue": t("invoices.overdue"),
            "days_overdue": t("invoices.days_overdue"),
            "created_at": t("invoices.created_at"),
        },
        values={f"state:{name}": words for name, words in states}
        | {f"overdue:{name}": words for name, words in overdue},
    )
    text = t("invoices.staff_text" if staff else "invoices.text")
    return [
        page_header(t("invoices.title"), lists.export(state), *([begin] if begin else []), text=text),
        credit_lists.tabs("/governance" if staff else "/portal", "invoices"),
        in_its_state(state, content, retry=state.load),
    ]


def party(row: Any, which: str) -> rx.Component:
    """The seller or the buyer as it stands on a document: name, address and country."""
    country = row[f"{which}_country"]
    named = rx.cond(country, rx.fragment(rx.el.br(), value(country, "region")), rx.fragment())
    return rx.el.span(row[which].to(str), named, class_name="party")


def customer(row: Any) -> rx.Component:
    """Whose it is, by name, for staff."""
    href = f"/governance/organizations/{row['organization_id'].to(str)}"
    return link(row["organization"].to(str), href=href)


def _head(row: Row, *, staff: bool) -> rx.Component:
    whose = [(t("invoices.organization"), customer(row))] if staff else []
    return card(
        facts(
            *whose,
            (t("invoices.state"), state_of(row)),
            if_said("label_date", row["label_date"], when(row["label_date"], "date")),
            if_said("due_date", row["due_date"], when(row["due_date"], "date")),
            if_said(
                "collect_until",
                row["state"] == States.DRAFT.value,
                when(row["collect_until"], zone=SessionState.zone),
            ),
            if_said("seller", row["seller"], party(row, "seller")),
            if_said("tax_number", row["seller_tax"], row["seller_tax"].to(str)),
            if_said("buyer", row["buyer"], party(row, "buyer")),
            if_said("tax_number", row["buyer_tax"], row["buyer_tax"].to(str)),
            if_said("memo", row["memo"], row["memo"].to(str)),
        )
    )


def _sums(row: Row) -> rx.Component:
    def sum_of(name: str) -> tuple[Any, rx.Component]:
        return t(f"invoices.{name}"), money(row[name], row["currency"].to(str))

    def unless_nothing(name: str) -> rx.Component:
        shown = money(row[name], row["currency"].to(str))
        return rx.cond(row[name] != "0", fact(t(f"invoices.{name}"), shown), rx.fragment())

    return card(
        facts(
            sum_of("charged"),
            unless_nothing("discount"),
            sum_of("net"),
            sum_of("tax"),
            sum_of("total"),
            unless_nothing("credited"),
            unless_nothing("paid"),
            unless_nothing("written_off"),
            sum_of("due"),
        )
    )


def _file(url: Any, text: str, *, opens: bool = False) -> rx.Component:
    return file_link(t(text), href=url, opens=opens, look="no-print")


def _files(row: Row, *, staff: bool) -> rx.Component:
    """The files; while there are none, the page itself can be printed."""
    url = f"{endpoints.STAFF_INVOICES if staff else endpoints.INVOICES}/{row['id'].to(str)}"
    made = rx.fragment(
        _file(f"{url}/pdf", "invoices.pdf"),
        rx.cond(row["has_ubl"], _file(f"{url}/ubl", "invoices.ubl"), rx.fragment()),
        _file(f"{url}/html", "invoices.print_view", opens=True),
    )
    return rx.cond(row["paper"] == PaperState.MADE.value, made, print_button(t("invoices.print")))


def print_button(label: Text) -> rx.Component:
    return rx.el.button(
        icon("file-text"),
        label,
        type="button",
        on_click=rx.call_script("window.print()"),
        class_name="button no-print",
    )


def _of_note(staff: bool) -> Callable[[Row], rx.Component]:
    def files(row: Row) -> rx.Component:
        home = _STAFF_CREDIT_NOTES if staff else _CREDIT_NOTES
        url, number = f"{home}/{row['id'].to(str)}", row["number"].to(str)
        look = "quiet compact no-print"
        pdf = file_link(
            t("invoices.note_pdf"),
            href=f"{url}/pdf",
            look=look,
            aria_label=t("invoices.note_pdf_of", number=number),
        )
        view = file_link(
            t("invoices.print_view"),
            href=f"{url}/html",
            opens=True,
            look=look,
            aria_label=t("invoices.note_view_of", number=number),
        )
        return rx.cond(row["has_files"], rx.el.span(pdf, view), rx.fragment())

    return files


def _awaited(state: State, *, again: Part | None) -> rx.Component:
    """Why there are no files yet, and what to do about it: `again` is what staff may do."""
    look = rx.el.button(t("invoices.look_again"), type="button", on_click=state.load, class_name="button")
    error = state.invoice["paper_error"].to(str)
    parked = rx.cond(error, error, t("invoices.files_parked"))
    return rx.el.div(
        rx.match(
            state.invoice["paper"],
            (PaperState.WAITING.value, banner("info", t("invoices.files_waiting"), action=look)),
            (PaperState.PARKED.value, banner("warn", parked, title=t("invoices.files_parked"), action=again)),
            rx.fragment(),
        ),
        class_name="no-print",
    )


def invoice(
    state: State,
    home: str,
    *,
    staff: bool,
    acts: Part | None = None,
    of_line: Any = None,
    again: Part | None = None,
    foreseen: Part | None = None,
    below: Part | None = None,
) -> Drawn:
    """One invoice as a document. `acts` stand above it, `of_line(row)` beside each line's reason, `again` beside why
    its files could not be made, `foreseen` in place of the sums that a draft has not, and `below` at the end."""
    row = state.invoice

    def actions(line: Row) -> rx.Component:
        named = t("invoices.why", line=line["description"].to(str))
        why = icon_button(named, "circle-question-mark", on_press=state.explain(line["id"].to(str)))
        return rx.el.span(why, of_line(line) if of_line else rx.fragment(), class_name="no-print")

    lines = data_table(
        LINES,
        state.lines,
        status=state.status,
        empty=empty_state(t("invoices.no_lines"), t("invoices.no_lines_text"), icon_name="receipt", level=3),
        paging=Paging(~state.is_first, state.next_after != "", state.first_page, state.next_page),
        actions=actions,
        zone=SessionState.zone,
    )
    no_notes = empty_state(t("invoices.no_notes"), t("invoices.no_notes_text"), icon_name="receipt", level=3)
    content = rx.fragment(
        _awaited(state, again=again),
        _head(row, staff=staff),
        section(t("invoices.lines"), lines),
        rx.cond(
            state.taxes.length() > 0,
            section(t("invoices.taxes"), data_table(TAXES, state.taxes)),
            rx.fragment(),
        ),
        rx.cond(
            row["number"],
            rx.fragment(
                section(t("invoices.sums"), _sums(row)),
                section(
                    t("invoices.notes"),
                    data_table(
                        NOTES, state.notes, status=state.status, empty=no_notes, actions=_of_note(staff)
                    ),
                ),
            ),
            foreseen if foreseen is not None else rx.fragment(),
        ),
        rx.cond(
            state.uses.length() > 0,
            section(t("invoices.uses"), data_table(USES, state.uses, zone=SessionState.zone)),
            rx.fragment(),
        ),
        below if below is not None else rx.fragment(),
        explanation(state),
    )
    title = rx.cond(row["name"], t("invoices.of", number=row["name"].to(str)), t("invoices.invoice"))
    back = rx.el.p(link(t("invoices.back"), href=home), class_name="back-link no-print")
    return [
        back,
        page_header(title, _files(row, staff=staff), *([acts] if acts is not None else [])),
        in_its_state(
            state, content, loading=skeleton(lines=12, label=t("invoices.loading")), retry=state.load
        ),
    ]
