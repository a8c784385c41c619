"""What of a line was paid for time that could not be used. Pure, no I/O.

It is the line's gross amount as it was really debited, in proportion to the units of its own ruler: the parts of a
line that a pause, a change or an end credits begin where this stops, so that both together are never more than it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from fractions import Fraction

from models.money import Money
from services.billing.lines import Line
from services.billing.periods import Span


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same time in spans that lie apart from each other, in order: two that overlap block it once."""
    made: list[Span] = []
    for span in sorted(spans, key=lambda one: (one.start, one.end)):
        if made and span.start <= made[-1].end:
            made[-1] = Span(made[-1].start, max(made[-1].end, span.end))
        else:
            made.append(span)
    return tuple(made)


def worth(gross: Money, line: Line, blocked: Sequence[Span], *, until: datetime | None) -> Money:
    """What of `gross` is for `blocked` time, which is `merged`. From `until` on the line is credited already.

    Rounded once, half away from zero. All of the line's time is all of `gross`; a line whose time has no unit of its
    own has nothing to give.
    """
    paid = line.span
    end = paid.end if until is None else min(until, paid.end)
    units = sum(
        line.ruler.units(Span(max(one.start, paid.start), min(one.end, end)))
        for one in blocked
        if max(one.start, paid.start) < min(one.end, end)
    )
    whole = line.ruler.units(paid)
    return gross.times(Fraction(units, whole)) if whole else Money(0, gross.currency)
