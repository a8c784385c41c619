"""Dates, amounts and numbers as a document's locale writes them, with Western digits everywhere.

The number of decimals of an amount is the currency's in our own table, not in CLDR's.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from functools import cache
from typing import cast

import babel
from babel import dates, numbers

from models.money import EXACT, Money, currency
from services.documents.content import PLACES_MAX, Locale, Period

_WRITTEN = {Locale.AR: "ar_AE"}  # other Arabic regions of CLDR write Arabic digits
_DIRECTION_MARKS = "\u200e\u200f"
# A number with its sign is read from left to right in a line that runs from right to left.
_LEFT_TO_RIGHT, _BY_ITSELF, _END = "\u2066", "\u2068", "\u2069"
_MARK = "\u200e"
_SHARED_SYMBOLS = frozenset("$£¥")  # another country may mean its own money by it
_NO_BREAK = "\u00a0"


@cache
def _babel(locale: Locale) -> babel.Locale:
    return babel.Locale.parse(_WRITTEN.get(locale, locale.value.replace("-", "_")))


class Formats:
    """Writes values for one locale."""

    def __init__(self, locale: Locale) -> None:
        self._locale = _babel(locale)
        self.is_rtl = self._locale.text_direction == "rtl"
        self.is_largest_first = locale is Locale.JA  # in the addresses of its own country

    def day(self, day: date) -> str:
        return dates.format_date(day, "long", locale=self._locale)

    def days(self, period: Period) -> str:
        if period.first == period.last:
            return dates.format_date(period.first, "medium", locale=self._locale)
        return dates.format_interval(period.first, period.last, "yMMMd", locale=self._locale)

    def money(self, money: Money) -> str:
        return self.price(money.amount, money.currency)

    def told(self, money: Money) -> str:
        """As `money`, in words that a document keeps, which holds marks of direction and no isolates."""
        return self.money(money).replace(_LEFT_TO_RIGHT, _MARK).replace(_END, "")

    def coded(self, money: Money) -> str:
        """With the currency's code where its symbol may be another currency's, too."""
        text = self.money(money)
        shared = numbers.get_currency_symbol(money.currency, locale=self._locale) in _SHARED_SYMBOLS
        return f"{text}{_NO_BREAK}{money.currency}" if shared else text

    def own(self, text: str) -> str:
        """Words of somebody's own keep their direction in a page of the other one, line by line."""
        if not self.is_rtl or not text:
            return text
        return "\n".join(f"{_BY_ITSELF}{line}{_END}" if line else "" for line in text.split("\n"))

    def price(self, amount: Decimal, code: str) -> str:
        """An amount in major units, with the currency's decimals at least, and more where it has more."""
        symbol = (
            numbers.get_currency_symbol(code, locale=self._locale).strip(_DIRECTION_MARKS).replace("￥", "¥")
        )
        places = currency(code).exponent
        pattern = self._locale.currency_formats["standard"].pattern.partition(";")[0].strip(_DIRECTION_MARKS)
        number = self._number(abs(amount), places)
        is_before = pattern.startswith("¤")
        gap = _NO_BREAK if _NO_BREAK in pattern or (symbol[-1:].isalpha() and is_before) else ""
        sign = "-" if amount < 0 else ""
        if is_before:
            return self._isolated(f"{sign}{symbol}{gap}{number}")
        return f"{self._isolated(sign + number)}{gap}{symbol}"

    def number(self, number: Decimal) -> str:
        return self._isolated(("-" if number < 0 else "") + self._number(abs(number), 0))

    def rate(self, rate: Decimal) -> str:
        """0.19 as 19 %. Never rounded."""
        percent = self._number(rate.scaleb(2, context=EXACT), 0)
        pattern = self._locale.percent_formats[None].pattern
        return self._isolated(
            f"{percent}{_NO_BREAK}%" if _NO_BREAK in pattern or " " in pattern else f"{percent}%"
        )

    def country(self, code: str) -> str:
        names = cast("dict[str, str]", self._locale.territories)
        return names.get(code, code)

    def _number(self, number: Decimal, places: int) -> str:
        fraction = "0" * places + "#" * (PLACES_MAX - places)
        return numbers.format_decimal(
            number, f"#,##0.{fraction}", locale=self._locale, decimal_quantization=True
        )

    def _isolated(self, text: str) -> str:
        return f"{_LEFT_TO_RIGHT}{text}{_END}" if self.is_rtl else text
