"""One line of a bank statement as it is read from a file, and what every format of files has in common. Pure."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal, InvalidOperation

from models.money import Money, UnknownCurrency
from services.core.errors import Invalid
from services.files.rules import MB, Kind, Purpose

LINES_MAX = 5_000  # of one file
TEXT_CHARACTERS_MAX = 500  # of what a line says; banks send 140 at most in one piece
REFERENCE_CHARACTERS_MAX = 100
ERRORS_SHOWN_MAX = 20
MINOR_MAX = 10**12
FILE = Purpose("bank statement", frozenset({Kind.CSV, Kind.XML}), 10 * MB)


class StatementRefused(Invalid):
    """The file is no bank statement that can be read. Nothing of it is kept."""

    code = "bank_statement_refused"
    title = "This bank statement cannot be read"

    def __init__(self, message: str, *, next_step: str = "") -> None:
        super().__init__(
            message,
            field="file",
            next_step=next_step or "Export it from your bank again, as CAMT.053 or CSV.",
        )


class BadLine(ValueError):
    """What is wrong with one line, in words for whoever has sent it."""


@dataclass(frozen=True, slots=True)
class ParsedLine:
    """`money` is above zero for what came in. `bank_ref` is empty until `named` has given one."""

    account: str
    bank_ref: str
    booked_on: date
    money: Money
    counterparty: str = ""
    remittance: str = ""


def amount(text: str, currency: str) -> Money:
    """Written with a point, in major units. Raises BadLine."""
    try:
        value = Decimal(text)
        money = Money.of(value, currency) if value.is_finite() else None
    except InvalidOperation:
        raise BadLine(f"{text[:40]!r} is no amount") from None
    except UnknownCurrency as error:
        raise BadLine(str(error)) from error
    if money is None or money.amount != value or abs(money.minor) > MINOR_MAX:
        raise BadLine(f"{text[:40]!r} is no amount of {currency}")
    return money


def shortened(text: str) -> str:
    """On one line, without what no database takes."""
    return " ".join(text.replace("\0", "").split())[:TEXT_CHARACTERS_MAX]


def named(lines: Iterable[ParsedLine]) -> list[ParsedLine]:
    """Each with a name that is the same in every file that has the line: the bank's, or one made of what it says.

    Lines that say the same on one day are told apart by their number.
    """
    seen, made = Counter[str](), list[ParsedLine]()
    for one in lines:
        name = _visible(one.bank_ref) or _hash(one)
        seen[name] += 1
        made.append(replace(one, bank_ref=name if seen[name] == 1 else f"{name}/{seen[name]}"))
    return made


def _visible(text: str) -> str:
    """As a key may be written: it becomes that of the transfer."""
    return "".join(one if one.isascii() and one.isprintable() and one != " " else "_" for one in text)[
        :REFERENCE_CHARACTERS_MAX
    ]


def _hash(one: ParsedLine) -> str:
    said = [one.account, one.booked_on.isoformat(), one.money.text(), one.counterparty, one.remittance]
    return f"sha256:{hashlib.sha256(chr(10).join(said).encode()).hexdigest()[:40]}"
