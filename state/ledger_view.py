"""The ledger as pages show it: journals, balances and statements as plain rows, of one book or of all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from models.money import Money
from services.billing import queries as billing
from services.core.listing_grammar import Query
from services.core.work import UnitOfWork
from services.ledger.queries import (
    AccountRow,
    EntryRow,
    JournalDetail,
    JournalRow,
    Statement,
    TrialBalanceRow,
)
from state import addresses
from state.format import decimal_text, instant_text
from state.places import place_in, place_text

UNTIL = "happened_at[lt]"  # the filter of journals by which balances are told, too
JOURNAL_FILTERS = ("kind", "cause_id", "happened_at[gte]", UNTIL)
ACCOUNT_FILTERS = ("purpose", "currency")
LINES_PER_PAGE = 50


@dataclass(frozen=True, slots=True)
class Place:
    """Where the pages of a console are, below `home`."""

    home: str

    def journal(self, journal_id: str | None) -> str:
        return f"{self.home}/journals/{journal_id}" if journal_id else ""

    def account(self, account_id: str | None) -> str:
        return f"{self.home}/accounts/{account_id}" if account_id else ""

    def cause(self, cause_id: str) -> str:
        """The page of what something was booked for; empty for what has none of its own in this console."""
        console, kind = self.home.removesuffix("/ledger"), cause_id.partition("_")[0]
        page = {"inv": "invoices", "pay": "payments"}.get(kind)
        if kind == "dsp" and console == "/governance":
            page = "disputes"
        return f"{console}/{page}/{cause_id}" if page else ""


def asked_for(query: Query[Any], parameter: str) -> Any:
    """The value of one filter in force; None where it is not."""
    return next((one.value for one in query.conditions if one.parameter == parameter), None)


async def names_of_causes(uow: UnitOfWork, cause_ids: Iterable[str]) -> dict[str, str]:
    """The numbers of the invoices among what was booked for."""
    return await billing.numbers_of(uow, sorted({one for one in cause_ids if one.startswith("inv_")}))


def journal_shown(row: JournalRow, place: Place, names: Mapping[str, str]) -> dict[str, Any]:
    """`names` are those of causes that have one."""
    return {
        "id": row.id,
        "href": place.journal(row.id),
        "organization": row.organization_name,
        "kind": row.kind,
        "key": row.key,
        **_cause_shown(row.cause_id, place, names),
        "moved": ", ".join(_figure(minor, currency) for currency, minor in sorted(row.moved.items())),
        "note": row.note,
        "reverses": row.reverses or "",
        "reverses_href": place.journal(row.reverses),
        "reversed_by": row.reversed_by or "",
        "reversed_by_href": place.journal(row.reversed_by),
        "happened_at": instant_text(row.happened_at),
        "recorded_at": instant_text(row.recorded_at),
    }


def lines_shown(journal: JournalDetail, place: Place) -> list[dict[str, Any]]:
    return [_line_shown(line, place) for line in journal.lines]


def _line_shown(line: EntryRow, place: Place) -> dict[str, Any]:
    return {
        "id": str(line.line),
        "purpose": line.purpose,
        "href": place.account(line.account_id),
        "currency": line.currency,
        "debit": _side(line.debit_minor, line.currency),
        "credit": _side(line.credit_minor, line.currency),
    }


def balance_shown(rows: Iterable[TrialBalanceRow], place: Place) -> list[dict[str, Any]]:
    """The rows of each currency, and under them what they add up to on both sides."""
    shown: list[dict[str, Any]] = []
    by_currency: dict[str, list[TrialBalanceRow]] = {}
    for row in rows:
        by_currency.setdefault(row.currency, []).append(row)
    for currency, some in by_currency.items():
        shown += [_balance(row, place) for row in some]
        debits, credits_ = sum(row.debit_minor for row in some), sum(row.credit_minor for row in some)
        shown.append(
            {
                "id": f"total {currency}",
                "purpose": "total",
                "href": "",
                "kind": "",
                "currency": currency,
                "debit": _amount(debits, currency),
                "credit": _amount(credits_, currency),
            }
        )
    return shown


def _balance(row: TrialBalanceRow, place: Place) -> dict[str, Any]:
    several = addresses.with_query(
        f"{place.home}/accounts", {"purpose": row.purpose, "currency": row.currency}
    )
    return {
        "id": f"{row.purpose} {row.currency}",
        "purpose": row.purpose,
        "href": place.account(row.account_id) or several,
        "kind": row.kind,
        "currency": row.currency,
        "debit": _side(row.debit_minor, row.currency),
        "credit": _side(row.credit_minor, row.currency),
    }


def account_shown(row: AccountRow, place: Place) -> dict[str, Any]:
    return {
        "id": row.id,
        "href": place.account(row.id),
        "organization": row.organization_name,
        "purpose": row.purpose,
        "kind": row.kind,
        "currency": row.currency,
        "balance_minor": _amount(row.balance_minor, row.currency),
    }


def statement_shown(found: Statement, place: Place) -> dict[str, Any]:
    """The facts of the account, beside its lines."""
    currency = found.account.currency
    return account_shown(found.account, place) | {
        "opening": _amount(found.opening_minor, currency),
        "closing": _amount(found.closing_minor, currency),
    }


def _cause_shown(cause_id: str, place: Place, names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "cause_id": cause_id,
        "cause": names.get(cause_id, cause_id),
        "cause_href": place.cause(cause_id),
    }


def statement_lines(found: Statement, place: Place, names: Mapping[str, str]) -> list[dict[str, Any]]:
    currency = found.account.currency
    return [
        {
            "id": str(line.id),
            "happened_at": instant_text(line.happened_at),
            "kind": line.kind,
            "href": place.journal(line.journal_id),
            **_cause_shown(line.cause_id, place, names),
            "note": line.note,
            "currency": currency,
            "debit": _side(line.debit_minor, currency),
            "credit": _side(line.credit_minor, currency),
            "balance": _amount(line.balance_minor, currency),
        }
        for line in found.lines
    ]


def place_of_statement(text: str) -> tuple[datetime, int] | None:
    """Where a page of a statement goes on; what says nothing of the kind begins at the beginning."""
    place = place_in(text)
    if place is None or not (place[1].isascii() and place[1].isdigit()) or len(place[1]) > 18:
        return None
    return place[0], int(place[1])


def next_of_statement(found: Statement) -> str:
    return place_text(found.next[0], str(found.next[1])) if found.next else ""


def _amount(minor: int, currency: str) -> str:
    return decimal_text(Money(minor, currency).amount)


def _side(minor: int, currency: str) -> str:
    """Of two sides one is empty."""
    return _amount(minor, currency) if minor else ""


def _figure(minor: int, currency: str) -> str:
    return Money(minor, currency).said()
