"""Why a line bears its tax, as plain JSON that is kept on it, and the same tax worked out again from that.

Pure, no I/O. Amounts are in minor units, rates and dates as text. Source: MONEY.md ("each line keeps rate, source,
version, date"), docs/decisions/0022-charges-discounts-tax.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from models.money import Money
from services.tax.rules import Category, CheckedNumber, NumberState, Rate, TaxableLine, TaxedLine, Treatment

RATES_KEPT = 1_000  # that lines were taxed by lately


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
        "number": None if how.number is None else number_to_json(how.number),
        "parts": [{**_rate(part.rate), "tax": part.tax.minor} for part in line.parts],
    }


def taxable_from(evidence: Mapping[str, Any]) -> TaxableLine:
    """The line as it went into `tax_lines`, which with the other lines of its document gives the same tax again.

    Its stored taxes are not read, but for one that was given. Raises Invalid for evidence that was tampered with.
    """
    currency = evidence["currency"]
    return TaxableLine(
        key=evidence["key"],
        amount=Money(evidence["amount"], currency),
        treatment=treatment_from(evidence),
        inclusive=evidence["inclusive"],
        tax=Money(evidence["tax"], currency) if evidence["tax_given"] else None,
    )


def treatment_from(evidence: Mapping[str, Any]) -> Treatment:
    """How the line was taxed, and why. Raises Invalid for evidence that was tampered with."""
    number = evidence["number"]
    return Treatment(
        category=Category(evidence["category"]),
        on=date.fromisoformat(evidence["on"]),
        rates=tuple(_rate_from(part) for part in evidence["parts"]),
        reason_code=evidence["reason_code"],
        reason=evidence["reason"],
        number=None if number is None else number_from_json(number),
        evidence=evidence["evidence"],
    )


def number_to_json(number: CheckedNumber) -> dict[str, Any]:
    """A checked number as plain JSON; `number_from_json` reads it."""
    return {
        "country": number.country,
        "number": number.number,
        "state": number.state.value,
        "checked_at": None if number.checked_at is None else number.checked_at.isoformat(),
        "source": number.source,
        "reference": number.reference,
        "reason": number.reason,
    }


def number_from_json(kept: Mapping[str, Any]) -> CheckedNumber:
    """Lines that were taxed before numbers had a state keep whether theirs was valid."""
    state = kept.get("state") or (NumberState.VALID if kept["valid"] else NumberState.INVALID)
    at = kept["checked_at"]
    return CheckedNumber(
        country=kept["country"],
        number=kept["number"],
        state=NumberState(state),
        checked_at=None if at is None else datetime.fromisoformat(at),
        source=kept["source"],
        reference=kept["reference"],
        reason=kept.get("reason", ""),
    )


@lru_cache(maxsize=RATES_KEPT)
def _rate(rate: Rate) -> Mapping[str, Any]:
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
