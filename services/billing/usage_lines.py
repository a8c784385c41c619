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
from services.billing import credited_since
from services.billing.descriptions import LATE
from services.billing.given_back import standing_after, standing_before
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
    line = await _line(
        uow,
        name,
        pieces.charge(price.charge.charge),
        price.charge.currency,
        spans=pieces.spans,
        facts={"pieces": pieces.to_json()},
        period=(span.start, span.end),
        metric=meter,
        **more,
    )
    if before is None:
        return line
    standing = standing_after(before.facts, before.amount_minor)
    if before.open:  # on one draft they are counted together, when it is finalised
        return replace(line, billed_before=Money(standing, price.charge.currency))
    whole = part_of(line.facts, line.key)
    return await credited_since.against(uow, line, standing, whole=whole, subscription_id=subscription_id)


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


async def count_again(uow: UnitOfWork, subscription_id: str, lines: Sequence[InvoiceLine]) -> None:
    """Have lines of usage on a draft say what is known by now: late events were let in until this moment. A later piece
    of a period takes off what an earlier one comes to."""
    pieces: dict[tuple[str, ...], list[InvoiceLine]] = {}
    for line in lines:
        if line.origin == LineOrigin.USAGE and line.metric is not None and line.period_start:
            pieces.setdefault(part_of(line.facts, line.key), []).append(line)
    for whole, rows in pieces.items():
        made = await _together(uow, subscription_id, whole, rows)
        for row, line in zip(rows, made, strict=True):
            _say(uow, row, line)
    await uow.session.flush()


async def _together(
    uow: UnitOfWork, subscription_id: str, whole: tuple[str, ...], rows: Sequence[InvoiceLine]
) -> list[NewLine]:
    """What the pieces of a period that are on one draft come to by now."""
    fresh = [await _again(uow, row) for row in rows]
    standing = standing_before(rows[0].facts, rows[0].billed_before_minor)
    if fresh[-1].amount.minor < standing:  # earlier documents give back, which the last line says once
        last = await credited_since.against(
            uow, fresh[-1], standing, whole=whole, subscription_id=subscription_id, locks=True
        )
        return [*(replace(line, billed_before=line.amount) for line in fresh[:-1]), last]
    made: list[NewLine] = []
    for line in fresh:
        made.append(replace(line, billed_before=Money(standing, line.amount.currency)))
        standing = line.amount.minor
    return made


def _say(uow: UnitOfWork, row: InvoiceLine, line: NewLine) -> None:
    before = line.billed_before.minor if line.billed_before is not None else 0
    if (line.facts, before) == (row.facts, row.billed_before_minor):
        return
    row.quantity, row.amount_minor, row.facts = line.quantity, line.amount.minor, line.facts
    row.billed_before_minor, row.discountable, row.treatment = before, line.discountable, line.treatment
    row.given_tax_minor = line.tax.minor if line.tax is not None else None
    uow.add(row)


async def _again(uow: UnitOfWork, row: InvoiceLine) -> NewLine:
    """What a line comes to by now."""
    start = row.period_start or row.created_at
    return await _line(
        uow,
        row.description,
        charge_from_json(row.facts["charge"]),
        row.facts["currency"],
        spans=spans_of(row.facts, Span(start, row.period_end or start)),
        facts=_kept(row.facts),
        metric=row.metric or "",
        key=row.key,
        inclusive=row.inclusive,
    )


async def late_lines(uow: UnitOfWork, row: Subscription, *, since: datetime | None = None) -> list[NewLine]:
    """What changed of periods that were billed and ended after `since`, or within LATE_MAX. A difference is billed
    once: the line says the whole again, and the next look compares with it. What is on a draft still is counted there,
    and what was forgiven is not asked for again."""
    rows: dict[tuple[str, ...], list[Any]] = {}
    for one in await _rows(uow, row.id, since=since or uow.now - LATE_MAX):
        rows.setdefault(part_of(one.facts, one.key), []).append(one)
    made: list[NewLine] = []
    for whole, lines in rows.items():
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
            key=f"{base}{LATE_MARK}{len(lines)}",
        )
        if fresh.amount.minor != last.amount_minor:
            standing = standing_after(last.facts, last.amount_minor)
            made.append(
                await credited_since.against(
                    uow, fresh, standing, whole=whole, subscription_id=row.id, locks=True
                )
            )
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
