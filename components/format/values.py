"""Values on a page: figures, money, instants. Written out in the browser, in the page's language.

Amounts are decimal strings, instants ISO 8601 with an offset; an empty value is drawn as a dash.
"""

from __future__ import annotations

from typing import Any, Literal

import reflex as rx

from components.js import ClientComponent, library
from components.props import Text

ValueKind = Literal[
    "text", "number", "tokens", "compact", "percent", "money", "price", "per_million", "duration",
    "bytes", "ago", "date", "last_day", "time", "datetime", "second", "month", "day", "region", "language",
]  # fmt: skip

NUMBER_KINDS = frozenset(
    {"number", "tokens", "compact", "percent", "money", "price", "per_million", "duration", "bytes"}
)


class _Value(ClientComponent):
    library = library("value")
    tag = "Value"

    kind: rx.Var[str]
    value: rx.Var[Any]
    currency: rx.Var[str]
    zone: rx.Var[str]
    digits: rx.Var[int]
    exact: rx.Var[bool]


def value(
    shown: Any,
    kind: ValueKind | rx.Var[str] = "text",
    *,
    currency: Text | None = None,
    zone: Text | None = None,
    digits: int | None = None,
    exact: bool = False,
) -> rx.Component:
    """`shown` as `kind`: a <data> for figures, a <time> for instants in `zone` (IANA, UTC when not given).

    `percent` takes a share (0.19), `duration` milliseconds, `money` a decimal string and its `currency`;
    `exact` keeps all twelve places of an amount. `price` keeps four significant digits of any amount, `per_million`
    those of a million times what one unit costs. `region` and `language` take codes, and are named.
    """
    given = {"currency": currency, "zone": zone, "digits": digits}
    props = {name: prop for name, prop in given.items() if prop is not None}
    return _Value.create(value=shown, kind=kind, exact=exact, **props)


def money(amount: Any, currency: Text = "USD", *, exact: bool = False) -> rx.Component:
    """A decimal string as "12.50 USD"; amounts below one unit keep four significant digits."""
    return value(amount, "money", currency=currency, exact=exact)


def price(amount: Any, currency: Text = "USD", *, per_unit: bool = False) -> rx.Component:
    """A decimal string as "1.875 USD", with four digits that count; `per_unit` is the price of one of a million."""
    return value(amount, "per_million" if per_unit else "price", currency=currency)


def when(
    instant: Any,
    style: Literal["ago", "date", "time", "datetime", "second"] = "datetime",
    *,
    zone: Text = "UTC",
) -> rx.Component:
    """An ISO instant in the organisation's zone; "ago" keeps the full instant as its title."""
    return value(instant, style, zone=zone)


def span(start: Any, end: Any, *, zone: Text = "UTC") -> rx.Component:
    """A period [start, end) by its first and its last day, as documents say it."""
    return rx.el.span(when(start, "date", zone=zone), " \u2013 ", value(end, "last_day", zone=zone))
