"""What usage gives back that came to less when it was counted again. Pure.

It comes off the lines that billed it, the last first: of what each was really debited, after coupons and with the tax
of then, and no more than notes left of it. What notes, coupons and voids took stays forgiven: it counts as billed.
Amounts are minor units of one currency. Source: docs/decisions/0060-usage-that-fell.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from math import floor
from typing import Any

from models.money import round_half_away


@dataclass(frozen=True, slots=True)
class Debited:
    """A line that asked for usage, above zero: `asked` before coupons, `net` and `tax` after them. `noted` is what
    notes took of it, `given` what of `asked` was given back since, by so much net and tax."""

    line: str
    key: str
    asked: int
    net: int
    tax: int
    noted: int = 0
    noted_tax: int = 0
    given: int = 0
    given_net: int = 0
    given_tax: int = 0


@dataclass(frozen=True, slots=True)
class Part:
    """Of a line that asked for `asked`, `minor` are given back, by so much net and tax. None is below zero."""

    line: str
    key: str
    asked: int
    minor: int
    net: int
    tax: int


def give_back(lines: Sequence[Debited], minor: int) -> tuple[Part, ...]:
    """So much, or what there is of it. However often a line gives back, the parts add up to what it was debited."""
    made: list[Part] = []
    for line in lines:
        part = _part(line, minor) if line.net > 0 else None
        if part is not None:
            made.append(part)
            minor -= part.minor
    return tuple(made)


def _part(line: Debited, minor: int) -> Part | None:
    most = floor(Fraction(line.asked * (line.net - line.noted), line.net)) - line.given
    minor = min(minor, most)
    if minor <= 0:
        return None
    left, left_tax = line.net - line.noted - line.given_net, line.tax - line.noted_tax - line.given_tax
    if minor < most:
        share = Fraction(line.given + minor, line.asked)
        left = min(left, round_half_away(line.net * share) - line.given_net)
        left_tax = min(left_tax, round_half_away(line.tax * share) - line.given_tax)
    net = max(left, 0)
    return Part(line.line, line.key, line.asked, minor, net, min(max(left_tax, 0), net))


def facts_of(standing: int, parts: Sequence[Part]) -> dict[str, Any]:
    """What a line keeps that came to less than the `standing` sum which was billed before it."""
    return {
        "before": standing,
        "standing": standing - sum(part.minor for part in parts),
        "lines": [asdict(part) for part in parts],
    }


def parts_from(facts: Mapping[str, Any]) -> tuple[Part, ...]:
    return tuple(Part(**one) for one in facts["back"]["lines"]) if "back" in facts else ()


def standing_before(facts: Mapping[str, Any], billed_before: int) -> int:
    """What was billed of a usage before a line, whatever of it the line could give back."""
    return facts["back"]["before"] if "back" in facts else billed_before


def standing_after(facts: Mapping[str, Any], amount: int) -> int:
    """What counts as billed once a line says that its usage comes to `amount`: what it could not give back does."""
    return facts["back"]["standing"] if "back" in facts else amount
