"""Why a line bears its tax, as plain JSON that is kept on it, and the same tax worked out again from that.

Pure, no I/O. Amounts are in minor units, rates and dates as text. Source: MONEY.md ("each line keeps rate, source,
version, date"), docs/decisions/0022-charges-discounts-tax.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from models.money import Money
from services.tax.rules import Category, CheckedNumber, Rate, TaxableLine, TaxedLine, Treatment


def evidence_of(line: TaxedLine) -> dict[str, Any]:
    """What the line keeps: category, rates with their source, reasons, the checked number, and what it was given."""
    how = line.treatment
    return {
        "key": line.key,
        "currency": line.net.currency,
        "amount": (line.gross if line.inclusive else line.net).minor,
        "inclusive": line.inclusive,
        "tax": line.tax.minor,
        "tax_given": line.tax_given,
        "category": how.category.value,
        "on": how.on.isoformat(),
        "reason_code": how.reason_code,
        "reason": how.reason,
        "evidence": how.evidence,
        "number": None if how.number is None else _number(how.number),
        "parts": [{**_rate(part.rate), "tax": part.tax.minor} for part in line.parts],
    }


def taxable_from(evidence: Mapping[str, Any]) -> TaxableLine:
    """The line as it went into `tax_lines`, which with the other lines of its document gives the same tax again.

    Its stored taxes are not read, but for one that was given. Raises Invalid for evidence that was tampered with.
    """
    currency, number = evidence["currency"], evidence["number"]
    how = Treatment(
        category=Category(evidence["category"]),
        on=date.fromisoformat(evidence["on"]),
        rates=tuple(_rate_from(part) for part in evidence["parts"]),
        reason_code=evidence["reason_code"],
        reason=evidence["reason"],
        number=None if number is None else _number_from(number),
        evidence=evidence["evidence"],
    )
    return TaxableLine(
        key=evidence["key"],
        amount=Money(evidence["amount"], currency),
        treatment=how,
        inclusive=evidence["inclusive"],
        tax=Money(evidence["tax"], currency) if evidence["tax_given"] else None,
    )


def _number(number: CheckedNumber) -> dict[str, Any]:
    return {
        "country": number.country,
        "number": number.number,
        "valid": number.valid,
        "checked_at": number.checked_at.isoformat(),
        "source": number.source,
        "reference": number.reference,
    }


def _number_from(kept: Mapping[str, Any]) -> CheckedNumber:
    return CheckedNumber(
        country=kept["country"],
        number=kept["number"],
        valid=kept["valid"],
        checked_at=datetime.fromisoformat(kept["checked_at"]),
        source=kept["source"],
        reference=kept["reference"],
    )


def _rate(rate: Rate) -> dict[str, Any]:
    return {
        "jurisdiction": rate.jurisdiction,
        "name": rate.name,
        "rate": f"{rate.rate:f}",
        "source": rate.source,
        "version": rate.version,
        "valid_from": rate.valid_from.isoformat(),
        "valid_until": None if rate.valid_until is None else rate.valid_until.isoformat(),
    }


def _rate_from(kept: Mapping[str, Any]) -> Rate:
    until = kept["valid_until"]
    return Rate(
        jurisdiction=kept["jurisdiction"],
        name=kept["name"],
        rate=Decimal(kept["rate"]),
        source=kept["source"],
        version=kept["version"],
        valid_from=date.fromisoformat(kept["valid_from"]),
        valid_until=None if until is None else date.fromisoformat(until),
    )
