"""Bank statements as CSV: which column is what is guessed from the head, or said, and shown before it counts. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from services.core.errors import Invalid
from services.files.rules import Kind
from services.reconciliation.bank_lines import (
    ERRORS_SHOWN_MAX,
    LINES_MAX,
    BadLine,
    ParsedLine,
    StatementRefused,
    amount,
    shortened,
)

COLUMNS_MAX = 100
PREVIEW_LINES = 10
DATES = {
    "iso": "%Y-%m-%d",
    "day_first": "%d.%m.%Y",
    "day_first_slashes": "%d/%m/%Y",
    "month_first": "%m/%d/%Y",
}
DECIMALS = (".", ",")
# What banks call it in English, German and French, in lower case; the first that is there counts.
_NAMES = {
    "booked_on": ("date", "booking date", "booked on", "buchungstag", "buchungsdatum", "date comptable"),
    "amount": ("amount", "betrag", "umsatz", "montant"),
    "currency": ("currency", "währung", "waehrung", "devise"),
    "bank_ref": ("reference", "bank reference", "transaction id", "referenz", "kundenreferenz"),
    "counterparty": ("counterparty", "name", "payer", "auftraggeber", "beguenstigter/zahlungspflichtiger"),
    "remittance": ("remittance", "description", "details", "purpose", "verwendungszweck", "libellé"),
    "account": ("account", "iban", "own account", "auftragskonto", "compte"),
}
FIELDS = tuple(_NAMES)
REQUIRED = ("booked_on", "amount")


@dataclass(frozen=True, slots=True)
class Mapped:
    """Which column of the file is what, by its name in the head; the rest is said for all lines."""

    columns: Mapping[str, str] = field(default_factory=dict[str, str])
    account: str = ""
    currency: str = ""
    dates: str = "iso"
    decimal: str = "."


@dataclass(frozen=True, slots=True)
class Read:
    """What a file comes to by a mapping. `errors` name lines as a text editor counts them."""

    head: list[str]
    columns: dict[str, str]
    lines: list[ParsedLine]
    errors: list[str]


def read(content: bytes, mapped: Mapped) -> Read:
    """All lines and what is wrong with others. Raises StatementRefused for what is no table, Invalid for a mapping that
    does not fit it."""
    text = content.decode("utf-8-sig")
    rows = csv.reader(io.StringIO(text), delimiter=_delimiter(text), strict=True)
    try:
        head = [name.strip() for name in next(rows, list[str]())]
        columns = _columns(head, mapped)
        lines, errors = list[ParsedLine](), list[str]()
        for row in rows:
            if not any(row):
                continue
            try:
                if len(row) != len(head):
                    raise BadLine(f"it has {len(row)} fields, the head has {len(head)}")
                said = dict(zip(head, (one.strip() for one in row), strict=True))
                lines.append(_line(said, columns, mapped))
            except BadLine as error:
                errors.append(f"Line {rows.line_num:,}: {error}.")
            if len(lines) > LINES_MAX or len(errors) > LINES_MAX:
                raise StatementRefused(
                    f"A file has at most {LINES_MAX:,} lines.", next_step="Send a shorter time."
                )
    except csv.Error as error:
        raise StatementRefused(f"Line {rows.line_num:,} is no CSV: {error}.") from error
    return Read(head, columns, lines, errors)


def all_of(content: bytes, mapped: Mapped) -> list[ParsedLine]:
    """The lines of a file that has nothing wrong. Raises StatementRefused, naming what is, and Invalid."""
    found = read(content, mapped)
    if found.errors:
        shown = " ".join(found.errors[:ERRORS_SHOWN_MAX])
        more = len(found.errors) - ERRORS_SHOWN_MAX
        raise StatementRefused(
            f"{shown} And {more:,} more lines." if more > 0 else shown,
            next_step="Mend these lines, or say otherwise which column is what, and how days and amounts are written.",
        )
    return found.lines


def preview(content: bytes, kind: Kind, mapped: Mapped) -> Read:
    """What a file comes to before it counts. Raises as `read`, and StatementRefused for XML, which says itself what is
    what."""
    if kind is not Kind.CSV:
        raise StatementRefused(
            "Only a CSV file has columns to choose.", next_step="Import this one as it is."
        )
    return read(content, mapped)


def _delimiter(text: str) -> str:
    head = text.partition("\n")[0]
    return max(";,\t", key=head.count)


def _columns(head: list[str], mapped: Mapped) -> dict[str, str]:
    if not 2 <= len(head) <= COLUMNS_MAX or len(set(head)) != len(head):
        raise StatementRefused("The first line does not name the columns, each once.")
    lower = {name.lower(): name for name in head}
    columns: dict[str, str] = {}
    for what, names in _NAMES.items():
        if said := mapped.columns.get(what):
            if said not in head:
                raise Invalid(f"There is no column {said[:100]!r}.", field=what)
            columns[what] = said
        elif guessed := next((lower[name] for name in names if name in lower), ""):
            columns[what] = guessed
    for what in REQUIRED:
        if what not in columns:
            raise Invalid(
                "Say which column this is.", field=what, next_step=f"There are: {', '.join(head)[:300]}."
            )
    for what, said in (("account", mapped.account), ("currency", mapped.currency)):
        if what not in columns and not said:
            raise Invalid("No column says it: say it for the whole file.", field=what)
    if mapped.dates not in DATES:
        raise Invalid(f"Days are written in one of these ways: {', '.join(DATES)}.", field="dates")
    if mapped.decimal not in DECIMALS:
        raise Invalid("Amounts are written with a point or a comma.", field="decimal")
    return columns


def _line(said: dict[str, str], columns: dict[str, str], mapped: Mapped) -> ParsedLine:
    def of(what: str, otherwise: str = "") -> str:
        return said[columns[what]] if what in columns else otherwise

    money = amount(_plain(of("amount"), mapped.decimal), of("currency", mapped.currency).upper())
    if not money.minor:
        raise BadLine("it moves nothing")
    account = of("account", mapped.account) or mapped.account
    if not account:
        raise BadLine("it does not say of which account it is")
    return ParsedLine(
        account[:40],
        shortened(of("bank_ref")),
        _day(of("booked_on"), mapped.dates),
        money,
        shortened(of("counterparty")),
        shortened(of("remittance")),
    )


def _plain(text: str, decimal: str) -> str:
    """With a point and no groups: 1.234,56 and 1,234.56 by what the mapping says."""
    group = "," if decimal == "." else "."
    return (
        text.replace(" ", "").replace("\u00a0", "").replace("'", "").replace(group, "").replace(decimal, ".")
    )


def _day(text: str, dates: str) -> date:
    try:
        return datetime.strptime(text, DATES[dates]).date()  # noqa: DTZ007 - a day has no timezone
    except ValueError:
        raise BadLine(f"{text[:40]!r} is no day as the others are written") from None
