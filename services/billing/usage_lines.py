"""Lines of what meters counted: on a draft, counted again until it is finalised, and late after that.

What comes in after a document was finalised is billed by the next one, each period under its own name: the period is
counted again over all its events, and what was billed of it before comes off. So it may also be less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from models.billing import InvoiceLine, LineOrigin
from models.money import Money
from models.subscriptions import Subscription
from services.billing.descriptions import LATE
from services.billing.new_lines import NewLine, charged_line
from services.billing.periods import Span
from services.billing.usage_pieces import LATE_MARK, part_of, pieces_of, spans_of
from services.catalog.charge_json import charge_from_json
from services.catalog.charges import Charge
from services.catalog.rating import EventTally, tally
from services.core.errors import Invalid
from services.core.work import UnitOfWork
from services.metering import billed as metered
from services.subscriptions.subscribed import Made

LATE_MAX = timedelta(days=35)  # after the end of a period its usage is still looked at
DRAFT_AGE_MAX = timedelta(days=370)  # one may wait for a renewal for as long as a period is
WINDOWS_MAX = 5_000  # of one subscription that are looked at

# Of a subscription, in the order in which they were made. One that was dropped for asking nothing is as good as billed.
_LINES = """
select l.key, l.description, l.metric, l.plan, l.tax_code, l.inclusive, l.period_start, l.period_end, l.amount_minor,
  l.facts, i.state = 'draft' as open, i.state = 'void' and l.amount_minor <> l.billed_before_minor as void
from invoice i join invoice_line l on l.invoice_id = i.id
where i.subscription_id = :id and i.created_at > :drafted and l.origin = 'usage' and l.metric is not null
  and l.period_end > :since
order by l.period_end, i.created_at, i.id, l.position limit :most
"""


async def usage_line(
    uow: UnitOfWork, subscription_id: str, made: Made, name: str, more: dict[str, Any]
) -> NewLine:
    """What was used in the time that a moment made a line for, with what its price counted of the period before it.
    Raises Invalid for a price without a meter."""
    price, span, ruler = made.item.price, made.span, made.ruler
    meter = price.charge.meter
    if meter is None or span is None or ruler is None:
        raise Invalid(f"'{price.charge.key}' has no meter.", field="meter")
    before = await _before(uow, subscription_id, price.id, ruler.period.start, span.start)
    pieces = pieces_of(price.id, ruler, (*(spans_of(before.facts, span) if before else ()), span))
    return await _line(
        uow,
        name,
        pieces.charge(price.charge.charge),
        price.charge.currency,
        spans=pieces.spans,
        facts={"pieces": pieces.to_json()},
        period=(span.start, span.end),
        metric=meter,
        billed_before=Money(before.amount_minor, price.charge.currency) if before else None,
        **more,
    )


async def _before(
    uow: UnitOfWork, subscription_id: str, price_id: str, period_start: datetime, at: datetime
) -> Any:
    """The last line of a price in the period, before a piece that begins `at`. What it asked for is not asked for
    again, also where that was forgiven."""
    if at <= period_start:
        return None
    wanted = (price_id, period_start.isoformat())
    rows = await _rows(uow, subscription_id, since=period_start)
    return next((one for one in reversed(rows) if part_of(one.facts, one.key) == wanted), None)


async def _rows(uow: UnitOfWork, subscription_id: str, *, since: datetime) -> Sequence[Any]:
    """Lines of usage of periods, or pieces, that ended after `since`."""
    found = await uow.execute(
        _LINES, id=subscription_id, since=since, drafted=since - DRAFT_AGE_MAX, most=WINDOWS_MAX
    )
    return found.all()


async def count_again(uow: UnitOfWork, lines: Sequence[InvoiceLine]) -> None:
    """Have lines of usage on a draft say what is known by now: late events were let in until this moment. A later piece
    of a period takes off what an earlier one comes to."""
    counted: dict[tuple[str, ...], int] = {}
    for line in lines:
        if line.origin != LineOrigin.USAGE or line.metric is None or not line.period_start:
            continue
        period = Span(line.period_start, line.period_end or line.period_start)
        fresh = await _line(
            uow,
            line.description,
            charge_from_json(line.facts["charge"]),
            line.facts["currency"],
            spans=spans_of(line.facts, period),
            facts=_kept(line.facts),
            metric=line.metric,
        )
        whole = part_of(line.facts, line.key)
        before = counted.get(whole, line.billed_before_minor)
        counted[whole] = fresh.amount.minor
        if (fresh.facts, before) != (line.facts, line.billed_before_minor):
            line.quantity, line.amount_minor, line.facts = fresh.quantity, fresh.amount.minor, fresh.facts
            line.billed_before_minor = before
            uow.add(line)
    await uow.session.flush()


async def late_lines(uow: UnitOfWork, row: Subscription, *, since: datetime | None = None) -> list[NewLine]:
    """What changed of periods that were billed and ended after `since`, or within LATE_MAX. A difference is billed
    once: the line says the whole again, and the next look compares with it. What is on a draft still is counted there,
    and what was forgiven is not asked for again."""
    rows: dict[tuple[str, ...], list[Any]] = {}
    for one in await _rows(uow, row.id, since=since or uow.now - LATE_MAX):
        rows.setdefault(part_of(one.facts, one.key), []).append(one)
    made: list[NewLine] = []
    for lines in rows.values():
        last = lines[-1]
        if last.open or last.void:
            continue
        base = last.key.partition(LATE_MARK)[0]
        fresh = await _line(
            uow,
            LATE + last.description.removeprefix(LATE),
            charge_from_json(last.facts["charge"]),
            last.facts["currency"],
            spans=spans_of(last.facts, Span(last.period_start, last.period_end)),
            facts=_kept(last.facts),
            period=(last.period_start, last.period_end),
            metric=last.metric,
            plan=last.plan,
            tax_code=last.tax_code,
            inclusive=last.inclusive,
            billed_before=Money(last.amount_minor, row.currency),
            key=f"{base}{LATE_MARK}{len(lines)}",
        )
        if fresh.amount.minor != last.amount_minor:
            made.append(fresh)
    return made


def _kept(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of a line beside what it is rated from."""
    return {"pieces": facts["pieces"]} if "pieces" in facts else {}


async def _line(
    uow: UnitOfWork,
    description: str,
    charge: Charge,
    currency: str,
    *,
    spans: Sequence[Span],
    facts: Mapping[str, Any],
    metric: str,
    **more: Any,
) -> NewLine:
    quantity, events = await _counted(uow, charge, metric, spans)
    line = charged_line(
        LineOrigin.USAGE, description, charge, quantity, currency, events=events, metric=metric, **more
    )
    return replace(line, facts={**line.facts, **facts})


async def _counted(
    uow: UnitOfWork, charge: Charge, meter: str, spans: Sequence[Span]
) -> tuple[Decimal, EventTally | None]:
    if not charge.needs_events:
        counted = [await metered.quantity(uow, meter, span.start, span.end) for span in spans]
        return sum(counted, Decimal(0)), None
    events = EventTally()
    for span in spans:
        async for values in metered.values(uow, meter, span.start, span.end):
            events = tally(charge, values, onto=events)
    return events.base, events
