"""Amounts as PayPal writes them, in text: developer.paypal.com/api/rest/reference/currency-codes."""

from __future__ import annotations

import re
from typing import Any

from tests.fakes.paypal.errors import Issue

WITHOUT_DECIMALS = {"HUF", "JPY", "TWD"}
CURRENCIES = WITHOUT_DECIMALS | set(
    "AUD BRL CAD CNY CZK DKK EUR HKD ILS MYR MXN NZD NOK PHP PLN GBP SGD SEK CHF THB USD".split()  # noqa: SIM905
)
_VALUE = re.compile(r"-?[0-9]{1,11}(?:\.([0-9]{1,3}))?")


def units(told: Any, where: str) -> tuple[int, str]:
    """The smallest units PayPal counts in, above zero, and the currency."""
    if not isinstance(told, dict) or "value" not in told or "currency_code" not in told:
        raise Issue("MISSING_REQUIRED_PARAMETER", status=400, field=where)
    code, value = str(told["currency_code"]), str(told["value"])
    if code not in CURRENCIES:
        raise Issue("CURRENCY_NOT_SUPPORTED", field=f"{where}/currency_code")
    found = _VALUE.fullmatch(value)
    if not isinstance(told["value"], str) or found is None:
        raise Issue("INVALID_PARAMETER_SYNTAX", status=400, field=f"{where}/value")
    decimals = len(found[1] or "")
    if decimals > (0 if code in WITHOUT_DECIMALS else 2):
        raise Issue("DECIMAL_PRECISION", field=f"{where}/value")
    whole = int(value.replace(".", "")) * (1 if code in WITHOUT_DECIMALS else 10 ** (2 - decimals))
    if whole < 1:
        raise Issue("CANNOT_BE_ZERO_OR_NEGATIVE", field=f"{where}/value")
    return whole, code


def money(amount: int, code: str) -> dict[str, str]:
    if code in WITHOUT_DECIMALS:
        return {"currency_code": code, "value": str(amount)}
    sign, rest = ("-", -amount) if amount < 0 else ("", amount)
    return {"currency_code": code, "value": f"{sign}{rest // 100}.{rest % 100:02}"}
