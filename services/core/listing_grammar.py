"""The grammar in which lists are asked for, the same in the API and in the address of a page.

`status=active`, `status[in]=a,b` (or `status=a&status=b`), `created_at[gte]=2026-01-01T00:00:00Z`,
`name[contains]=lap`, `expires_at[is_null]=true`, `sort=-created_at`. All conditions hold together.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from typing import Any, Generic, TypeVar

from services.core.errors import InvalidFilter
from services.core.listing import Column, Kind, Listing, Operator, parameter

R = TypeVar("R")

SORT = "sort"
CONDITIONS_MAX = 20
VALUES_MAX = 100  # of one `in`
VALUE_CHARACTERS_MAX = 254  # as long as an address may be
PARAMETERS_MAX = 200  # repeated ones among them

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,12})?")
_EXAMPLES = {
    Kind.TEXT: "laptop",
    Kind.ID: "an id such as org_01k...",
    Kind.INSTANT: "2026-01-31T09:30:00Z",
    Kind.INTEGER: "100",
    Kind.DECIMAL: "0.15",
    Kind.FLAG: "true",
}


@dataclass(frozen=True, slots=True)
class Condition:
    """`text` is the value as it is written in an address, by which it can be asked for again."""

    column: Column
    operator: Operator
    value: Any  # a list for IN
    text: str

    @property
    def parameter(self) -> str:
        return parameter(self.column.name, self.operator)


@dataclass(frozen=True, slots=True)
class Query(Generic[R]):
    """A list as somebody asks for it. Two that ask for the same are equal in `parameters`."""

    listing: Listing[R]
    conditions: tuple[Condition, ...]
    sort: Column
    descending: bool

    @property
    def sorted_by(self) -> str:
        return f"{'-' if self.descending else ''}{self.sort.name}"

    @property
    def lasting(self) -> Query[R]:
        """The same rows in an order in which none of them moves while they are read: this one if it is such, else the
        list's usual one, else by its key."""
        usual = self.listing.column(self.listing.sort.removeprefix("-"))
        key = self.listing.column(self.listing.key)
        if self.sort.unchanging or self.sort is key:
            return self
        if usual.unchanging:
            return replace(self, sort=usual, descending=self.listing.sort.startswith("-"))
        return replace(self, sort=key)

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """The query as parameters of an address, sorting included."""
        return [*self.chosen.items(), (SORT, self.sorted_by)]

    @property
    def chosen(self) -> dict[str, str]:
        """The conditions by their names in an address."""
        return {one.parameter: one.text for one in self.conditions}


def read(listing: Listing[R], parameters: Iterable[tuple[str, str]]) -> Query[R]:
    """Raises InvalidFilter for a name that is not declared and for a value that is not of its kind."""
    given = _gathered(listing, parameters)
    sort = given.pop(SORT, [listing.sort])
    if len(sort) != 1 or sort[0] not in listing.sorts:
        raise _refused(
            SORT,
            f"{SORT} is one of the sorts of this list, not {_shown(','.join(sort))}",
            listing.sorts,
            sort[0],
        )
    conditions = [_condition(listing, name, values) for name, values in given.items()]
    if len(conditions) > CONDITIONS_MAX:
        raise InvalidFilter(f"A list takes at most {CONDITIONS_MAX} filters.", field=conditions[-1].parameter)
    order = list(listing.filters)
    conditions.sort(key=lambda one: order.index(one.parameter))
    column = listing.column(sort[0].removeprefix("-"))
    return Query(listing, tuple(conditions), column, sort[0].startswith("-"))


def understood(listing: Listing[R], parameters: Iterable[tuple[str, str]]) -> Query[R]:
    """The part of `parameters` that asks for something; the rest, which anyone may have typed, is passed over.

    No more than PARAMETERS_MAX of those with a known name are looked at.
    """
    known = {SORT, *listing.filters}
    kept: list[tuple[str, str]] = []
    for pair in islice((pair for pair in parameters if pair[0] in known), PARAMETERS_MAX):
        try:
            read(listing, [*kept, pair])
        except InvalidFilter:
            continue
        kept.append(pair)
    return read(listing, kept)


def _gathered(listing: Listing[R], parameters: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    given: dict[str, list[str]] = {}
    for place, (name, text) in enumerate(parameters):
        if name != SORT and name not in listing.filters:
            known = [SORT, *listing.filters]
            raise _refused(name, f"This list has no parameter {_shown(name)}", known, name)
        if place >= PARAMETERS_MAX:
            raise InvalidFilter(f"A list takes at most {PARAMETERS_MAX} parameters.", field=name)
        given.setdefault(name, []).append(text)
    for name, (column, operator) in listing.filters.items():
        # One name given several times asks for any of the values.
        several = parameter(column.name, Operator.IN)
        if operator is Operator.EQ and len(given.get(name, ())) > 1 and Operator.IN in column.filters:
            given.setdefault(several, []).extend(given.pop(name))
    return given


def _condition(listing: Listing[R], name: str, values: list[str]) -> Condition:
    column, operator = listing.filters[name]
    if operator is Operator.IN:
        if len(values) > 1 and any("," in value for value in values):
            raise InvalidFilter(f"{name} takes values without a comma.", field=name)
        texts = ",".join(values).split(",")
        if len(texts) > VALUES_MAX:
            raise InvalidFilter(f"{name} takes at most {VALUES_MAX} values.", field=name)
        several = sorted(
            {_text(value_of(column, text, name)): value_of(column, text, name) for text in texts}.items()
        )
        return Condition(
            column, operator, [value for _, value in several], ",".join(text for text, _ in several)
        )
    if len(values) > 1:
        raise InvalidFilter(f"{name} is given {len(values)} times; give it once.", field=name)
    is_flag = operator is Operator.IS_NULL
    value = _flag(values[0], name) if is_flag else value_of(column, values[0], name)
    return Condition(column, operator, value, _text(value))


def value_of(column: Column, text: str, name: str) -> Any:
    """`text` as a value of the column's kind. Raises InvalidFilter, which calls it `name` and gives an example."""
    if len(text) > VALUE_CHARACTERS_MAX or not text or not _can_be_stored(text):
        raise _not_a_value(column, text, name)
    match column.kind:
        case Kind.INSTANT:
            return _instant(column, text, name)
        case Kind.INTEGER if _INTEGER.fullmatch(text):
            return int(text)
        case Kind.DECIMAL if _DECIMAL.fullmatch(text):
            return Decimal(text)
        case Kind.FLAG:
            return _flag(text, name)
        case Kind.ENUM if text not in column.values:
            raise _refused(name, f"{name} is one of its values, not {_shown(text)}", column.values, text)
        case Kind.TEXT | Kind.ID | Kind.ENUM:
            return text
        case _:
            raise _not_a_value(column, text, name)


def _instant(column: Column, text: str, name: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is None or not 1970 < at.year < 2200:
            raise ValueError
        return at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _not_a_value(column, text, name) from None


def _flag(text: str, name: str) -> bool:
    if text not in {"true", "false"}:
        raise InvalidFilter(f"{name} is 'true' or 'false', not {_shown(text)}.", field=name)
    return text == "true"


def _can_be_stored(text: str) -> bool:
    """Neither a NUL byte nor half a surrogate pair, which PostgreSQL does not take."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else str(value)


def _not_a_value(column: Column, text: str, name: str) -> InvalidFilter:
    what = (
        f"at most {VALUE_CHARACTERS_MAX} characters"
        if len(text) > VALUE_CHARACTERS_MAX
        else f"no {column.kind}"
    )
    example = _EXAMPLES.get(column.kind) or " or ".join(column.values[:2])
    if len(text) > VALUE_CHARACTERS_MAX:
        return InvalidFilter(f"{name} takes {what}.", field=name)
    return InvalidFilter(
        f"{name} is {_shown(text)}, which is {what}.", field=name, next_step=f"Write it like this: {example}."
    )


def _refused(name: str, what: str, known: Iterable[str], meant: str) -> InvalidFilter:
    """Names what is nearest to what was written, and then all that there is."""
    known = list(known)
    near = difflib.get_close_matches(meant, known, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return InvalidFilter(
        f"{what}{hint}", field=name[:VALUE_CHARACTERS_MAX], next_step=f"It takes: {', '.join(known)}."
    )


def _shown(text: str) -> str:
    return repr(text[:40] + "\u2026" if len(text) > 40 else text)
