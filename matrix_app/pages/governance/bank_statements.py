"""Bank statements: said how they are written, looked at, imported, and what became of each line."""

from __future__ import annotations

import reflex as rx

from components.feedback.figures import facts
from components.feedback.states import empty_state, skeleton
from components.format.values import when
from components.forms.fields import Option, select, text_field
from components.forms.files import file_field
from components.forms.form import form, form_foot, submit_button
from components.links import link
from components.shell.page import card, page_header, section
from components.tables.filters import Filter
from components.tables.listed import table_of
from components.tables.table import Column, Table, data_table
from components.texts import plural, t
from matrix_app.pages import endpoints, lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.governance.payouts import MATCHES
from matrix_app.pages.registry import Console, Drawn, page
from services.core.permissions import Capability
from services.reconciliation import statement_queries
from services.reconciliation.bank_csv import DATES
from services.reconciliation.bank_lines import FILE
from state.governance.bank_statements import (
    SAID_CHARACTERS_MAX,
    BankMappingState,
    BankStatementsState,
    BankStatementState,
)
from state.session import SessionState

MAY_WRITE = SessionState.capabilities.contains(Capability.STAFF_PAYMENTS_WRITE.value)
_M = BankMappingState
_ROW = BankStatementState.statement
_COLUMNS = (
    "booked_on", "amount", "remittance", "counterparty", "bank_ref", "currency_column", "account_column",
)  # fmt: skip
ACCEPT = ".xml,.csv,text/csv,application/xml"
STATEMENTS = table_of(
    statement_queries.STATEMENTS,
    "bank-statements",
    Column("name", "bank.name", kind="link", href="href", row_header=True),
    Column("format", "bank.format", kind="code"),
    Column("imported_at", "bank.imported_at", kind="datetime"),
    Column("lines", "bank.lines", kind="number"),
    Column("new_lines", "bank.new_lines", kind="number"),
    Column("matched", "bank.matched", kind="number", brief=True),
    Column("open", "bank.open", kind="number", brief=True),
    texts="bank",
)
LINES = table_of(
    statement_queries.LINES,
    "bank-lines",
    Column("name", "bank.bank_ref", kind="link", href="href", row_header=True),
    Column("booked_on", "bank.booked_on"),
    Column("counterparty", "bank.counterparty"),
    Column("remittance", "bank.remittance"),
    Column("amount", "bank.amount", kind="money", currency="currency", brief=True),
    Column("match", "bank.match", kind="badge", statuses=MATCHES, brief=True),
    texts="bank",
    caption="bank.all_lines",
)
PREVIEW = Table(
    "preview",
    "bank.preview",
    columns=(
        Column("remittance", "bank.remittance", row_header=True),
        Column("booked_on", "bank.booked_on", brief=True),
        Column("counterparty", "bank.counterparty"),
        Column("bank_ref", "bank.bank_ref"),
        Column("amount", "bank.amount", kind="money", currency="currency", brief=True),
    ),
)


def _file(name: str, *, url: str, on_uploaded: rx.event.EventHandler) -> rx.Component:
    return file_field(
        name,
        t(f"bank.{name}"),
        url=f"{url}{_M.said}",
        accept=ACCEPT,
        bytes_max=FILE.bytes_max,
        hint=t(f"bank.{name}_hint"),
        required=False,
        on_uploaded=on_uploaded,
    )


def _mapping() -> rx.Component:
    """How the tables of a bank are written; CAMT.053 says so itself."""

    def said(name: str, length: int = SAID_CHARACTERS_MAX) -> rx.Component:
        return text_field(name, t(f"bank.of.{name}"), required=False, autocomplete="off", max_length=length)

    dates = [Option(name, t(f"bank.dates.{name}")) for name in DATES]
    decimals = [Option(".", t("bank.decimal.point")), Option(",", t("bank.decimal.comma"))]
    return rx.el.details(
        rx.el.summary(t("bank.mapping")),
        rx.el.p(t("bank.mapping_text"), class_name="small"),
        form(
            "bank-mapping",
            rx.el.div(said("account"), said("currency", 3), class_name="field-pair"),
            rx.el.div(
                select("dates", t("bank.of.dates"), dates, value="iso"),
                select("decimal", t("bank.of.decimal"), decimals, value="."),
                class_name="field-pair",
            ),
            *(said(name) for name in _COLUMNS),
            form_foot(submit_button(t("bank.say"), look="")),
            on_submit=_M.say,
        ),
        _file("preview_file", url=f"{endpoints.STAFF_BANK_STATEMENTS}/preview", on_uploaded=_M.previewed),
        rx.cond(_M.looked, _looked(), rx.fragment()),
    )


def _looked() -> rx.Component:
    none = empty_state(t("bank.no_lines"), t("bank.no_lines_text"), icon_name="table", level=3)
    wrong = rx.el.ul(rx.foreach(_M.errors, lambda one: rx.el.li(one.to(str))))
    return rx.fragment(
        rx.el.p(plural("bank.readable", _M.count), role="status"),
        rx.cond(_M.errors.length() > 0, rx.fragment(rx.el.p(t("bank.wrong")), wrong), rx.fragment()),
        data_table(PREVIEW, _M.preview, empty=none),
    )


@page(
    "/governance/bank-statements",
    console=Console.GOVERNANCE,
    title="bank.title",
    needs=Capability.STAFF_PAYMENTS_READ,
    on_load=[BankStatementsState.load],
)
def bank_statements() -> Drawn:
    """Importing a file, and those that were imported."""
    bring_in = section(
        t("bank.import"),
        _mapping(),
        _file("file", url=endpoints.STAFF_BANK_STATEMENTS, on_uploaded=BankStatementsState.imported),
    )
    listed = lists.listing(
        BankStatementsState,
        STATEMENTS,
        empty=empty_state(t("bank.none"), t("bank.none_text"), icon_name="upload", level=3),
    )
    content = rx.fragment(rx.cond(MAY_WRITE, bring_in, rx.fragment()), section(t("bank.imported"), listed))
    return [
        page_header(t("bank.title"), lists.export(BankStatementsState), text=t("bank.text")),
        in_its_state(BankStatementsState, content, retry=BankStatementsState.load),
    ]


@page(
    "/governance/bank-statements/[statement_id]",
    console=Console.GOVERNANCE,
    title="bank.statement",
    needs=Capability.STAFF_PAYMENTS_READ,
    on_load=BankStatementState.load,
)
def bank_statement() -> Drawn:
    """One file, and what each line was found to be."""
    matches = [(name, t(look.text)) for name, look in MATCHES.items()]
    lines = lists.listing(
        BankStatementState,
        LINES,
        [Filter("match", "bank.match", options=matches)],
        empty=empty_state(t("bank.no_lines"), t("bank.no_new_lines_text"), icon_name="table", level=3),
        values={f"match:{name}": words for name, words in matches},
    )
    known = card(
        facts(
            (t("bank.format"), _ROW["format"].to(str)),
            (t("bank.imported_at"), when(_ROW["imported_at"], zone=SessionState.zone)),
            *((t(f"bank.{name}"), _ROW[name].to(str)) for name in ("lines", "new_lines", "matched", "open")),
        )
    )
    content = rx.fragment(
        known, section(t("bank.all_lines"), lines, actions=[lists.export(BankStatementState)])
    )
    return [
        rx.el.p(link(t("bank.back"), href="/governance/bank-statements"), class_name="back-link"),
        page_header(rx.cond(_ROW["name"], _ROW["name"].to(str), t("bank.statement"))),
        in_its_state(
            BankStatementState,
            content,
            loading=skeleton(lines=8, label=t("bank.loading")),
            retry=BankStatementState.load,
        ),
    ]
