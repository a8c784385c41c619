"""Credits that a price includes: what each line of time gives or takes back of them, and what that leaves. Pure.

Credits follow the time that is paid for: a line that debits a period gives them for it, one that credits unused time
takes as much back, one that takes a credit back gives it again. So a change gives the difference for the rest of the
period, and up and straight down again gives nothing. What was used already cannot be taken back: it is given less of
what comes, and then asked for in money. Source: docs/decisions/0036-included-credits.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from models.money import Money
from services.billing.lines import Line, LineKind


@dataclass(frozen=True, slots=True)
class Given:
    """`minor` units that may be used until `until`."""

    until: datetime
    minor: int


@dataclass(frozen=True, slots=True)
class Settled:
    """What becomes of changes: `taken` goes back, `given` comes, and `ahead` was used and is not paid by any time."""

    taken: int
    given: tuple[Given, ...]
    ahead: int


def share(line: Line, included: Decimal) -> int:
    """What a line gives of the credits that one whole period of its price includes for each unit, in minor units;
    below zero for what it takes back. Rounded once, half away from zero."""
    whole = Fraction(included) * Fraction(line.terms.quantity)
    if line.kind is LineKind.CREDIT:
        # Of what it credits it is a part; of the period it is as many units.
        unused = Fraction(line.net.portion.numerator, line.ruler.whole)
        return -Money.of(whole * unused, line.terms.currency).minor
    return Money.of(whole * line.ruler.portion(line.span).fraction, line.terms.currency).minor


def changes(lines: Iterable[Line], included: Mapping[str, Decimal], *, now: datetime) -> dict[datetime, int]:
    """What lines change together, by when it ends, in order. What has ended by `now` is nothing any more."""
    sums: dict[datetime, int] = {}
    for line in lines:
        amount = included.get(line.terms.price_id)
        if amount and line.span.end > now:
            sums[line.span.end] = sums.get(line.span.end, 0) + share(line, amount)
    return {until: minor for until, minor in sorted(sums.items()) if minor}


def owed(changes_: Mapping[datetime, int]) -> int:
    """What is to be taken back, above zero."""
    return -sum(minor for minor in changes_.values() if minor < 0)


def settle(changes_: Mapping[datetime, int], *, taken: int) -> Settled:
    """What comes of changes when `taken` of what is `owed` could be taken back."""
    short = owed(changes_) - taken
    given: list[Given] = []
    for until, minor in changes_.items():
        if minor > 0:
            less = min(minor, short)
            short -= less
            if minor > less:
                given.append(Given(until, minor - less))
    return Settled(taken, tuple(given), short)
