"""Number patterns of documents: what one may look like, the number it makes, and the counter that a date belongs to.

Pure, no I/O: counters are drawn in the database, in the transaction that finalises. A pattern is text with fields in
braces: `{entity}-{brand}-{year}-{seq:6}`. Source: MONEY.md's row "invoice number",
docs/decisions/0022-charges-discounts-tax.md.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from services.core.errors import Invalid

PATTERN_CHARS_MAX = 80
# With codes and a sequence of the greatest length: all fields, what keeps them apart and a word such as CN. Below the
# 60 and 70 that audit files of tax offices take, and it fits beside other words into the 140 of a transfer.
NUMBER_CHARS_MAX = 50
CODE_CHARS_MAX = 10
SEQ_DIGITS_MAX = 12
SEQ_MAX = 10**SEQ_DIGITS_MAX - 1
_CODE = re.compile(r"[A-Z0-9]{1,10}")
_FIELD = re.compile(r"\{([^{}]*)\}")
_LITERAL = re.compile(r"[A-Za-z0-9/._-]*")  # safe in file names, bank references and XML
_WIDTHS = {"entity": CODE_CHARS_MAX, "brand": CODE_CHARS_MAX, "year": 4, "month": 2, "seq": SEQ_DIGITS_MAX}


class Reset(StrEnum):
    """When a sequence begins again at 1."""

    NEVER = "never"
    YEARLY = "yearly"
    MONTHLY = "monthly"


class Series(StrEnum):
    """Kinds of documents that count on their own."""

    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"


@dataclass(frozen=True, slots=True)
class CounterKey:
    """Which counter a number is drawn from. `brand` is empty where all brands count together; `period` is "", "2026"
    or "2026-03"."""

    entity: str
    series: Series
    brand: str
    period: str


@dataclass(frozen=True, slots=True)
class _Part:
    """A field, or with an empty `field` the text itself."""

    field: str
    text: str = ""
    digits: int = 0


@dataclass(frozen=True, slots=True)
class NumberPattern:
    """A checked pattern. Within one entity and series, two documents of different counters or sequence never get one
    number. Make it with `parse_pattern`."""

    text: str
    reset: Reset
    parts: tuple[_Part, ...]

    def _has(self, field: str) -> bool:
        return any(part.field == field for part in self.parts)

    def counter_key(self, *, entity: str, brand: str, series: Series, on: date) -> CounterKey:
        """The counter of a document labelled `on`. Brands share one unless the pattern tells them apart."""
        require_code(entity, "entity")
        require_code(brand, "brand")
        periods = {
            Reset.NEVER: "",
            Reset.YEARLY: f"{on.year:04d}",
            Reset.MONTHLY: f"{on.year:04d}-{on.month:02d}",
        }
        return CounterKey(entity, series, brand if self._has("brand") else "", periods[self.reset])

    def format(self, *, entity: str, brand: str, on: date, seq: int) -> str:
        """The number of the `seq`-th document (from 1) of its counter, labelled `on`.

        A sequence that outgrows its digits is written in full, never cut. Raises Invalid.
        """
        require_code(entity, "entity")
        require_code(brand, "brand")
        if type(seq) is not int or not 1 <= seq <= SEQ_MAX:
            raise Invalid(f"A sequence number is from 1 to {SEQ_MAX:,}.", field="seq")
        values = {"entity": entity, "brand": brand, "year": f"{on.year:04d}", "month": f"{on.month:02d}"}
        return "".join(
            f"{seq:0{part.digits}d}" if part.field == "seq" else values.get(part.field, part.text)
            for part in self.parts
        )


def parse_pattern(text: str, reset: Reset) -> NumberPattern:
    """The pattern `text`. Raises Invalid with field `pattern` or `reset` for one that could not keep numbers apart.

    Fields are entity, brand, year, month (of the label date) and seq, with the least number of digits after a colon.
    """
    if not 1 <= len(text) <= PATTERN_CHARS_MAX:
        raise _refused(f"A pattern has 1 to {PATTERN_CHARS_MAX} characters.")
    parts: list[_Part] = []
    end = 0
    for found in _FIELD.finditer(text):
        parts += _literal(text[end : found.start()])
        parts.append(_field(found[1]))
        end = found.end()
    parts += _literal(text[end:])
    _check_parts(parts, reset)
    return NumberPattern(text, reset, tuple(parts))


def require_apart(first: NumberPattern, second: NumberPattern) -> None:
    """Raise Invalid when the patterns of two series differ in digits only, so that they could make one number."""
    if [(p.field, p.text) for p in first.parts] == [(p.field, p.text) for p in second.parts]:
        raise _refused(
            f"{second.text} makes the same numbers as {first.text}.",
            next_step="Give credit notes a text of their own, such as CN-.",
        )


def label_date(at: datetime, timezone: str) -> date:
    """The date that stands on a document finalised at `at` (aware): the day it then is in the entity's timezone."""
    if at.tzinfo is None:
        raise Invalid("Say in which timezone the moment is.", field="at")
    try:
        zone = ZoneInfo(timezone)
    except (KeyError, ValueError, OSError):
        raise Invalid(f"{timezone!r} is no timezone.", field="timezone") from None
    return at.astimezone(zone).date()


def _literal(text: str) -> list[_Part]:
    if not _LITERAL.fullmatch(text):
        raise _refused(f"{text!r} has characters other than letters, digits, - / . and _ between the fields.")
    return [_Part("", text)] if text else []


def _field(inner: str) -> _Part:
    name, colon, digits = inner.partition(":")
    if name not in _WIDTHS:
        raise _refused(f"There is no field {name!r}. There are {', '.join(_WIDTHS)}.")
    if not colon:
        return _Part(name, digits=1)
    if name != "seq" or not re.fullmatch(r"[0-9]{1,2}", digits) or not 1 <= int(digits) <= SEQ_DIGITS_MAX:
        raise _refused(f"{{{inner}}}: only seq takes digits, from 1 to {SEQ_DIGITS_MAX}.")
    return _Part(name, digits=int(digits))


def _check_parts(parts: list[_Part], reset: Reset) -> None:
    names = [part.field for part in parts if part.field]
    if "seq" not in names:
        raise _refused("A pattern needs {seq}: without it two documents get one number.")
    if len(set(names)) < len(names):
        raise _refused("A field is there twice.")
    needed = {Reset.NEVER: set[str](), Reset.YEARLY: {"year"}, Reset.MONTHLY: {"year", "month"}}[reset]
    if missing := sorted(needed - set(names)):
        raise Invalid(
            f"A sequence that begins again {reset.value} needs {{{missing[0]}}} in its pattern,"
            " or its numbers would repeat.",
            field="reset",
        )
    longest = sum(_WIDTHS[part.field] if part.field else len(part.text) for part in parts)
    if longest > NUMBER_CHARS_MAX:
        text = sum(len(part.text) for part in parts)
        raise _refused(
            f"A number could have {longest} characters, and the most is {NUMBER_CHARS_MAX}: {text} stand between the"
            f" fields, a code may have {CODE_CHARS_MAX} and a sequence {SEQ_DIGITS_MAX}.",
            next_step=f"Take away {longest - NUMBER_CHARS_MAX} characters of the text, or a field.",
        )
    _check_borders(parts)


def _check_borders(parts: list[_Part]) -> None:
    """A code next to digits or letters could be read in two ways: A1 and 0000002 as A and 10000002."""
    for before, after in itertools.pairwise(parts):
        for part, edge in ((before, after.text[:1]), (after, before.text[-1:])):
            if part.field in ("entity", "brand") and (not edge or edge.isalnum()):
                raise _refused(f"{{{part.field}}} needs one of - / . _ between it and what is next to it.")


def require_code(code: str, field: str) -> None:
    """Raises Invalid for what is no code of an entity or a brand."""
    if not _CODE.fullmatch(code):
        raise Invalid(f"{code!r} is no code: 1 to {CODE_CHARS_MAX} of A-Z and 0-9.", field=field)


def _refused(message: str, *, next_step: str = "") -> Invalid:
    return Invalid(message, field="pattern", next_step=next_step)
