"""Lines of what meters counted: on a draft, counted again until it is finalised, and late after that.

What comes in after a document was finalised is billed by the next one, each period under its own name: the period is
counted again over all its events, and what was billed of it before comes off. So it may also be less.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from models.billing import InvoiceLine, LineOrigin
from models.money import Money
from models.subscriptions import Subscription
from services.billing.descriptions import LATE
from services.billing.new_lines import NewLine, charged_line
from services.billing.periods import Span
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

# What of each period was billed, on documents that count; also nothing, on one that was dropped for asking nothing.
_BILLED = """
select l.key, l.description, l.metric, l.plan, l.tax_code, l.inclusive, l.period_start, l.period_end, l.amount_minor,
  l.facts
from invoice i join invoice_line l on l.invoice_id = i.id
where i.subscription_id = :id and i.created_at > :drafted and l.origin = 'usage' and l.metric is not null
  and l.period_end > :since and (
    (i.number is not null and i.state <> 'void') or (i.number is null and i.state = 'void' and l.amount_minor = 0))
order by i.created_at, i.id, l.position limit :most
"""


async def usage_line(uow: UnitOfWork, made: Made, name: str, more: dict[str, Any]) -> NewLine:
    """What was used in the time that a moment made a line for. Raises Invalid for a price without a meter."""
    charge, span = made.item.price.charge, made.span
    if charge.meter is None or span is None:
        raise Invalid(f"'{charge.key}' has no meter.", field="meter")
    return await _line(
        uow,
        name,
        charge.charge,
        charge.currency,
        period=(span.start, span.end),
        metric=charge.meter,
        **more,
    )


async def count_again(uow: UnitOfWork, lines: Sequence[InvoiceLine]) -> None:
    """Have lines of usage on a draft say what is known by now: late events were let in until this moment."""
    for line in lines:
        if line.origin != LineOrigin.USAGE or line.metric is None or not line.period_start:
            continue
        fresh = await _line(
            uow,
            line.description,
            charge_from_json(line.facts["charge"]),
            line.facts["currency"],
            period=(line.period_start, line.period_end or line.period_start),
            metric=line.metric,
        )
        if fresh.facts != line.facts:
            line.quantity, line.amount_minor, line.facts = fresh.quantity, fresh.amount.minor, fresh.facts
            uow.add(line)
    await uow.session.flush()


async def late_lines(uow: UnitOfWork, row: Subscription, *, since: datetime | None = None) -> list[NewLine]:
    """What changed of periods that were billed and ended after `since`, or within LATE_MAX. A difference is billed
    once: the line says the whole again, and the next look compares with it."""
    since = since or uow.now - LATE_MAX
    found = await uow.execute(
        _BILLED, id=row.id, since=since, drafted=since - DRAFT_AGE_MAX, most=WINDOWS_MAX
    )
    windows: dict[str, tuple[Any, int]] = {}
    for one in found:
        base, _, _ = one.key.partition(".late")
        windows[base] = (one, windows[base][1] + 1 if base in windows else 1)
    made: list[NewLine] = []
    for base, (last, times) in windows.items():
        fresh = await _line(
            uow,
            LATE + last.description.removeprefix(LATE),
            charge_from_json(last.facts["charge"]),
            last.facts["currency"],
            period=(last.period_start, last.period_end),
            metric=last.metric,
            plan=last.plan,
            tax_code=last.tax_code,
            inclusive=last.inclusive,
            billed_before=Money(last.amount_minor, row.currency),
            key=f"{base}.late{times}",
        )
        if fresh.amount.minor != last.amount_minor:
            made.append(fresh)
    return made


async def _line(
    uow: UnitOfWork,
    description: str,
    charge: Charge,
    currency: str,
    *,
    period: tuple[datetime, datetime],
    metric: str,
    **more: Any,
) -> NewLine:
    quantity, events = await _counted(uow, charge, metric, Span(*period))
    return charged_line(
        LineOrigin.USAGE,
        description,
        charge,
        quantity,
        currency,
        events=events,
        period=period,
        metric=metric,
        **more,
    )


async def _counted(
    uow: UnitOfWork, charge: Charge, meter: str, span: Span
) -> tuple[Decimal, EventTally | None]:
    if not charge.needs_events:
        return await metered.quantity(uow, meter, span.start, span.end), None
    events = EventTally()
    async for values in metered.values(uow, meter, span.start, span.end):
        events = tally(charge, values, onto=events)
    return events.base, events
