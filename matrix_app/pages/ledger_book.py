"""The ledger on pages: of one's own organisation in the portal, of all in the governance console."""

from __future__ import annotations

from typing import Any

import reflex as rx

from components.feedback.figures import copyable, fact, facts
from components.feedback.states import banner, empty_state, skeleton
from components.format.values import money, when
from components.forms.dates import date_range
from components.forms.form import action_button
from components.links import button_link, link
from components.shell.page import card, page_header, section
from components.tables.filters import Filter, days
from components.tables.listed import table_of
from components.tables.table import Column, Paging, Table, data_table
from components.texts import t, texts_under
from matrix_app.pages import lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.registry import Drawn
from services.core.listing import Listing
from services.ledger import queries
from state.ledger_view import Place
from state.session import SessionState

Row = rx.Var[dict[str, Any]]
State = Any  # a page's state of either console: they hold the same


def _words(value: rx.Var[Any], which: str) -> Any:
    """`purpose`, `kind` or `account_kind` as people say it; in the language in which the page is drawn."""
    return rx.match(value, *texts_under(f"ledger.{which}").items(), value.to(str))


def _purpose(row: Row) -> rx.Component:
    words = _words(row["purpose"], "purpose")
    named = rx.cond(row["href"], link(words, href=row["href"].to(str)), words)
    return rx.cond(row["purpose"] == "total", rx.el.strong(t("ledger.total")), named)


def _kind(row: Row) -> rx.Component:
    return rx.fragment(_words(row["kind"], "kind"))


def _account_kind(row: Row) -> rx.Component:
    return rx.fragment(_words(row["kind"], "account_kind"))


def _book(row: Row) -> rx.Component:
    return rx.fragment(rx.cond(row["organization"], row["organization"].to(str), t("ledger.platform")))


def _cause(row: Row) -> rx.Component:
    """By its number or name, leading to its page where it has one."""
    named = row["cause"].to(str)
    return rx.fragment(
        rx.cond(row["cause_href"], link(named, href=row["cause_href"].to(str)), rx.el.code(named))
    )


_SIDES = (
    Column("debit", "ledger.debit", kind="money", currency="currency"),
    Column("credit", "ledger.credit", kind="money", currency="currency"),
)
_BOOK = Column("organization", "ledger.organization", draw=_book)

BALANCE = Table(
    "balance",
    "ledger.balance",
    columns=(
        Column("purpose", "ledger.purpose", row_header=True, draw=_purpose),
        Column("kind", "ledger.account_kind", draw=_account_kind),
        *_SIDES,
    ),
)
ENTRIES = Table(
    "entries",
    "ledger.entries",
    columns=(Column("purpose", "ledger.purpose", row_header=True, draw=_purpose), *_SIDES),
)
STATEMENT = Table(
    "statement",
    "ledger.statement",
    columns=(
        Column("happened_at", "ledger.happened_at", kind="datetime", href="href", row_header=True),
        Column("kind", "ledger.kind", draw=_kind),
        Column("cause_id", "ledger.cause", draw=_cause),
        Column("note", "ledger.note"),
        *_SIDES,
        Column("balance", "ledger.balance_minor", kind="money", currency="currency"),
    ),
)


def _journals(listing: Listing[Any], *more: Column) -> Table:
    return table_of(
        listing,
        "journals",
        Column("happened_at", "ledger.happened_at", kind="datetime", href="href", row_header=True),
        Column("kind", "ledger.kind", draw=_kind),
        *more,
        Column("cause_id", "ledger.cause", draw=_cause),
        # Amounts of each currency in words, at the end of the cell as all amounts are.
        Column("moved", "ledger.moved", kind="number", draw=lambda row: rx.fragment(row["moved"].to(str))),
        Column("note", "ledger.note"),
        texts="ledger",
        caption="ledger.journals",
    )


def _accounts(listing: Listing[Any], *more: Column) -> Table:
    return table_of(
        listing,
        "accounts",
        Column("purpose", "ledger.purpose", row_header=True, draw=_purpose),
        *more,
        Column("kind", "ledger.account_kind", draw=_account_kind),
        "balance_minor",
        texts="ledger",
        caption="ledger.accounts",
    )


JOURNALS = _journals(queries.JOURNALS)
STAFF_JOURNALS = _journals(queries.STAFF_JOURNALS, _BOOK)
ACCOUNTS = _accounts(queries.ACCOUNTS)
STAFF_ACCOUNTS = _accounts(queries.STAFF_ACCOUNTS, _BOOK)


def _organization(*, staff: bool) -> list[Filter]:
    return [Filter("organization_id", "ledger.organization_id", "search")] if staff else []


def ledger(state: State, place: Place, *, staff: bool) -> Drawn:
    """What the book adds up to, and the journals that made it so."""
    kinds = texts_under("ledger.kind")
    balance = section(
        t("ledger.balance"),
        rx.el.p(t("ledger.balance_staff_text" if staff else "ledger.balance_text"), class_name="small muted"),
        data_table(
            BALANCE,
            state.balance,
            status=state.status,
            empty=empty_state(
                t("ledger.no_balance"), t("ledger.no_balance_text"), icon_name="table", level=3
            ),
        ),
        actions=[button_link(t("ledger.accounts"), href=f"{place.home}/accounts", look="compact")],
    )
    content = lists.listing(
        state,
        STAFF_JOURNALS if staff else JOURNALS,
        [
            *_organization(staff=staff),
            Filter("kind", "ledger.kind", options=list(kinds.items())),
            Filter("cause_id", "ledger.cause", "search"),
            *days("happened_at"),
        ],
        empty=empty_state(t("ledger.none"), t("ledger.none_text"), icon_name="book-open"),
        names={"organization_id": t("ledger.organization")},
        values={f"kind:{name}": words for name, words in kinds.items()},
        between=balance,
    )
    return [
        page_header(t("ledger.title"), lists.export(state), text=t("ledger.text")),
        in_its_state(state, content, retry=state.load),
    ]


def accounts(state: State, place: Place, *, staff: bool) -> Drawn:
    """All accounts with what is on them."""
    purposes = texts_under("ledger.purpose")
    content = lists.listing(
        state,
        STAFF_ACCOUNTS if staff else ACCOUNTS,
        [
            *_organization(staff=staff),
            Filter("purpose", "ledger.purpose", options=list(purposes.items())),
            Filter("currency", "ledger.currency", "search"),
        ],
        empty=empty_state(t("ledger.no_accounts"), t("ledger.no_accounts_text"), icon_name="wallet"),
        names={"organization_id": t("ledger.organization"), "currency": t("ledger.currency")},
        values={f"purpose:{name}": words for name, words in purposes.items()},
    )
    return [
        rx.el.p(link(t("ledger.back"), href=place.home), class_name="back-link"),
        page_header(t("ledger.accounts"), lists.export(state), text=t("ledger.accounts_text")),
        in_its_state(state, content, retry=state.load),
    ]


def _leads(row: Row, name: str) -> rx.Component:
    led = fact(t(f"ledger.{name}"), link(row[name].to(str), href=row[f"{name}_href"].to(str)))
    return rx.cond(row[name], led, rx.fragment())


def _note(row: Row) -> rx.Component:
    return rx.cond(row["note"], fact(t("ledger.note"), row["note"].to(str)), rx.fragment())


def journal(state: State, place: Place, *, staff: bool) -> Drawn:
    """One journal: what for, when, and what it moved from where to where."""
    row = state.journal
    book = [(t("ledger.organization"), _book(row))] if staff else []
    known = card(
        facts(
            (t("ledger.journal_id"), copyable(row["id"].to(str), label=t("ledger.journal_id"))),
            *book,
            (t("ledger.kind"), _kind(row)),
            (t("ledger.cause"), _cause(row)),
            (t("ledger.cause_id"), copyable(row["cause_id"].to(str), label=t("ledger.cause_id"))),
            (t("ledger.happened_at"), when(row["happened_at"], zone=SessionState.zone)),
            (t("ledger.recorded_at"), when(row["recorded_at"], zone=SessionState.zone)),
            (t("ledger.key"), rx.el.code(row["key"].to(str))),
            _leads(row, "reverses"),
            _leads(row, "reversed_by"),
            _note(row),
        )
    )
    entries = section(t("ledger.entries"), data_table(ENTRIES, state.lines, status=state.status))
    reversed_ = rx.cond(row["reversed_by"], banner("warn", t("ledger.reversed")), rx.fragment())
    return [
        rx.el.p(link(t("ledger.back"), href=place.home), class_name="back-link"),
        page_header(t("ledger.journal")),
        in_its_state(
            state,
            rx.fragment(reversed_, known, entries),
            loading=skeleton(lines=10, label=t("ledger.journal_loading")),
            retry=state.load,
        ),
    ]


def statement(state: State, place: Place, *, staff: bool) -> Drawn:
    """What moved on one account, with the balance after each entry."""
    row = state.account
    book = [(t("ledger.organization"), _book(row))] if staff else []
    known = card(
        facts(
            (t("ledger.account_id"), copyable(row["id"].to(str), label=t("ledger.account_id"))),
            *book,
            (t("ledger.purpose"), rx.fragment(_words(row["purpose"], "purpose"))),
            (t("ledger.account_kind"), _account_kind(row)),
            (t("ledger.opening"), money(row["opening"], row["currency"].to(str))),
            (t("ledger.closing"), money(row["closing"], row["currency"].to(str))),
        )
    )
    days = date_range(
        t("ledger.days"),
        zone=SessionState.zone,
        start=state.from_day,
        end=state.until_day,
        on_change=state.choose_days,
    )
    everything = rx.cond(
        state.from_day + state.until_day,
        action_button(t("ledger.all_days"), on_press=state.all_days),
        rx.fragment(),
    )
    lines = data_table(
        STATEMENT,
        state.rows,
        status=state.status,
        empty=empty_state(t("ledger.no_lines"), t("ledger.no_lines_text"), icon_name="table", level=2),
        paging=Paging(~state.is_first, state.next_place != "", state.first_page, state.next_page),
        zone=SessionState.zone,
    )
    return [
        rx.el.p(link(t("ledger.accounts"), href=f"{place.home}/accounts"), class_name="back-link"),
        page_header(t("ledger.statement"), text=t("ledger.statement_text")),
        in_its_state(
            state,
            rx.fragment(known, rx.el.div(days, everything, class_name="filter-bar"), lines),
            loading=skeleton(lines=10, label=t("ledger.statement_loading")),
            retry=state.load,
        ),
    ]
