"""Billing what was used by the price list, a month at a time. Called by the billing run, which holds the period.

When a month is over, what no plan metered and no wallet paid is put on a draft, a line for each model. The draft waits
for late usage as long as the legal entity gives it, is counted again, and becomes an invoice. What comes in later is
billed with the next one, by lines that name the month: it is counted again over all its events, and what was billed of
it before comes off. Source: docs/decisions/0034-who-pays-usage.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

from models.billing import Invoice, InvoiceLine, InvoiceState
from models.money import Money
from models.usage_billing import UsagePeriod, UsagePeriodState
from services.billing import credited_since, finalizing, invoices, policies, usage_rules
from services.billing.descriptions import LATE, USAGE_OF
from services.billing.events import UsageBilled
from services.billing.given_back import standing_after
from services.billing.new_lines import NewLine, priced_line
from services.billing.periods import Span
from services.billing.usage_pieces import LATE_MARK
from services.billing.usage_rules import Part
from services.catalog.rules import PRICEABLE
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.metering import billed as metered
from services.metering import calendar

LATE_MAX = timedelta(
    days=70
)  # after the end of a month its usage is still looked at: twice, with those that follow
BACKDATED_MAX = timedelta(days=3 * 366)  # a subscription that began in the past may take over what was billed
LOOKED_AT_MAX = 40  # months, at once
MODEL_IN_KEY_MAX = 64
NEEDS = Capability.STAFF_INVOICES_WRITE

_COVERED = """
select w.meter, w.starts_at, least(w.ends_at, :end) as ends_at from (
  select l.metric as meter, l.period_start as starts_at, l.period_end as ends_at
  from invoice i join invoice_line l on l.invoice_id = i.id
  where i.organization_id = :organization_id and i.subscription_id is not null and l.origin = 'usage'
  union all
  select c.meter, t.billed_until, cast('infinity' as timestamptz)
  from subscription s join subscription_item t on t.subscription_id = s.id join plan_charge c on c.id = t.price_id
  where s.organization_id = :organization_id and t.ended_at is null and t.billed_until is not null
  union all
  select f.meter, f.since, greatest(f.since, least(f.until, s.trial_end, s.ended_at))
  from subscription s cross join jsonb_to_recordset(s.tried) as f(meter text, since timestamptz, until timestamptz)
  where s.organization_id = :organization_id
) w
where w.meter = any(:meters) and w.ends_at > :start and w.starts_at < :end order by w.meter, w.starts_at, w.ends_at
"""
# Months that may have changed since: by late usage, or by a subscription that began before it was made.
_EARLIER = """
select id from usage_period p
where p.organization_id = :organization_id and p.state = 'closed' and p.starts_at < :before and (
  p.ends_at > :late or (p.ends_at > :backdated and exists (
    select from subscription s where s.organization_id = p.organization_id
      and s.started_at < p.ends_at and s.created_at >= p.ends_at)))
order by p.starts_at desc limit :most
"""
# By their keys: an invoice's begins with the period that it was made for, a line's with the one that it is about.
_BILLED = """
select l.key, l.description, l.amount_minor, l.facts, l.period_start, l.period_end, i.state = 'void' as void
from invoice i join invoice_line l on l.invoice_id = i.id
where i.organization_id = :organization_id and i.key >= 'uper_' and i.key < 'uper`' and i.state <> 'draft'
  and starts_with(l.key, :prefix)
order by i.created_at, i.id, l.position
"""
_KNOWN = "select key from invoice where organization_id = :organization_id and starts_with(key, :prefix)"


@dataclass(frozen=True, slots=True)
class _Standing:
    """What a model came to in a month when it was billed last, what counts as billed of it, and how often it was. Of
    what is `void` nothing is asked for again."""

    amount: Money
    billed_minor: int
    times: int
    void: bool


async def act(uow: UnitOfWork, row: UsagePeriod) -> None:
    """Do what is due of a period that is locked. Raises what invoices raise: the caller parks it then."""
    if row.state == UsagePeriodState.OPEN:
        await _end(uow, row)
    else:
        await _finish(uow, row)
    uow.add(row)
    await uow.session.flush()


def next_period(row: UsagePeriod, zone: str) -> UsagePeriod:
    """The month that follows."""
    ends_at = usage_rules.next_month_end(row.ends_at, zone)
    return UsagePeriod(
        id=new_id("uper"),
        organization_id=row.organization_id,
        starts_at=row.ends_at,
        ends_at=ends_at,
        next_at=ends_at,
    )


async def _end(uow: UnitOfWork, row: UsagePeriod) -> None:
    """The month is over: the next one begins, and a draft of it gathers late usage."""
    organization = await policies.organization_of(uow)
    uow.add(next_period(row, organization.timezone))
    waits: list[datetime] = []
    for currency, lines in sorted((await lines_of(uow, row)).items()):
        draft = await invoices.create_draft(uow, key=f"{row.id}.{currency}", currency=currency, needs=NEEDS)
        await invoices.add_lines(uow, draft.id, list(lines.values()), needs=NEEDS)
        waits.append(draft.collect_until)
    if not waits and await late_lines(uow, row):
        waits.append(uow.now)
    row.state = (UsagePeriodState.COLLECTING if waits else UsagePeriodState.CLOSED).value
    row.next_at = max(waits, default=None)


async def _finish(uow: UnitOfWork, row: UsagePeriod) -> None:
    """Count again what is on the drafts, add what came late of earlier months, and make invoices of them. A draft that
    staff finalised or gave up meanwhile stays what it is."""
    own, late = await lines_of(uow, row), await late_lines(uow, row, locks=True)
    known = await uow.execute(_KNOWN, organization_id=row.organization_id, prefix=f"{row.id}.")
    made = set(known.scalars())
    for currency in sorted({*own, *late, *(key.rpartition(".")[2] for key in made)}):
        fresh = own.get(currency, {})
        added = late.get(currency, [])
        key = f"{row.id}.{currency}"
        if key not in made and not fresh and not added:
            continue
        if key in made and not await _is_draft(uow, key):
            continue
        draft = await invoices.create_draft(uow, key=key, currency=currency, needs=NEEDS)
        await _count_again(uow, row, draft, fresh)
        await invoices.add_lines(uow, draft.id, [*fresh.values(), *added], needs=NEEDS)
        lines = draft.lines
        done = await finalizing.finalize(uow, draft.id, needs=NEEDS)
        uow.record(
            UsageBilled(
                aggregate_id=row.id,
                organization_id=row.organization_id,
                invoice_id=done.id,
                lines=lines,
                period_start=row.starts_at,
                period_end=row.ends_at,
            )
        )
    row.state, row.next_at = UsagePeriodState.CLOSED.value, None


async def _is_draft(uow: UnitOfWork, key: str) -> bool:
    found = await uow.execute(
        "select state from invoice where organization_id = :organization_id and key = :key",
        organization_id=uow.organization_id,
        key=key,
    )
    return found.scalar_one() == InvoiceState.DRAFT


async def _count_again(uow: UnitOfWork, row: UsagePeriod, draft: Invoice, fresh: dict[str, NewLine]) -> None:
    """Have the lines of a draft say what is known by now. Those that are brought up to date leave `fresh`."""
    for line in await finalizing.lines_of(uow, draft):
        if line.facts["made_by"] != "price_list" or not line.key.startswith(f"{row.id}."):
            continue  # staff's own
        now = fresh.pop(line.key, None) or _nothing_left(row, line, draft.currency)
        if now.facts != line.facts:
            line.quantity, line.amount_minor, line.facts = now.quantity, now.amount.minor, now.facts
            uow.add(line)
    await uow.session.flush()


def _nothing_left(row: UsagePeriod, line: InvoiceLine, currency: str) -> NewLine:
    """A plan has taken over all that this line was about."""
    return _line(row, line.facts["model"], currency, (), {})


# -- lines


async def lines_of(uow: UnitOfWork, row: UsagePeriod) -> dict[str, dict[str, NewLine]]:
    """What was used in a period by the price list, by currency and key: a line for each model."""
    spans = await spans_of(uow, row)
    parts: dict[tuple[str, str], list[Part]] = {}
    for meter in PRICEABLE:
        for one in await metered.priced(uow, meter, [(span.start, span.end) for span in spans[meter]]):
            parts.setdefault((one.currency, one.model), []).append(
                Part(meter, one.price_id, one.quantity, one.unit_amount, one.per_units)
            )
    made: dict[str, dict[str, NewLine]] = {}
    for (currency, model), found in sorted(parts.items()):
        if any(part.exact for part in found):
            line = _line(row, model, currency, tuple(found), spans)
            made.setdefault(currency, {})[line.key] = line
    return made


async def spans_of(uow: UnitOfWork, row: UsagePeriod) -> dict[str, tuple[Span, ...]]:
    """The times of a period in which no plan metered it, for each meter: whole minutes, as plans are billed by."""
    covered: dict[str, list[Span]] = {meter: [] for meter in PRICEABLE}
    found = await uow.execute(
        _COVERED,
        organization_id=row.organization_id,
        meters=list(PRICEABLE),
        start=row.starts_at,
        end=row.ends_at,
    )
    for one in found:
        covered[one.meter].append(
            Span(calendar.minute_floor(one.starts_at), calendar.minute_floor(one.ends_at))
        )
    whole = Span(calendar.minute_floor(row.starts_at), calendar.minute_floor(row.ends_at))
    return {meter: usage_rules.uncovered(whole, covered[meter]) for meter in PRICEABLE}


def _line(
    row: UsagePeriod,
    model: str,
    currency: str,
    parts: tuple[Part, ...],
    spans: Mapping[str, tuple[Span, ...]],
    *,
    late: int | None = None,
) -> NewLine:
    # A name may be longer than a key.
    named = model if len(model) <= MODEL_IN_KEY_MAX else blake2b(model.encode(), digest_size=16).hexdigest()
    key, name = f"{row.id}.{currency}.{named}", USAGE_OF + model
    more: dict[str, Any] = {"period": (row.starts_at, row.ends_at), "key": key}
    if late is not None:
        name = LATE + name
        more |= {"key": f"{key}{LATE_MARK}{late}"}
    return priced_line(name, model, parts, currency, spans=spans, **more)


async def late_lines(
    uow: UnitOfWork, row: UsagePeriod, *, needs: Capability = NEEDS, locks: bool = False
) -> dict[str, list[NewLine]]:
    """What has changed of earlier months since they were billed, by currency. Each difference is billed once: a line
    says the whole of its month again, and the next look compares with it. `locks` what they give back of."""
    found = await uow.execute(
        _EARLIER,
        organization_id=row.organization_id,
        before=row.starts_at,
        late=row.ends_at - LATE_MAX,
        backdated=row.ends_at - BACKDATED_MAX,
        most=LOOKED_AT_MAX,
    )
    made: dict[str, list[NewLine]] = {}
    for period_id in reversed(list(found.scalars())):
        earlier = await policies.usage_period_for(uow, period_id, needs)
        for line in await _late_of(uow, earlier, locks=locks):
            made.setdefault(line.amount.currency, []).append(line)
    return made


async def _late_of(uow: UnitOfWork, row: UsagePeriod, *, locks: bool) -> list[NewLine]:
    """Of one month, for each model."""
    standing = await _standing(uow, row)
    fresh = {
        (currency, line.facts["model"]): line
        for currency, lines in (await lines_of(uow, row)).items()
        for line in lines.values()
    }
    made: list[NewLine] = []
    for currency, model in sorted({*standing, *fresh}):
        before = standing.get((currency, model)) or _Standing(Money(0, currency), 0, 0, void=False)
        line = fresh.get((currency, model))
        parts = usage_rules.parts_from(line.facts) if line is not None else ()
        if not before.void and usage_rules.amount_of(parts, currency) != before.amount:
            fresh_line = _line(row, model, currency, parts, await spans_of(uow, row), late=before.times)
            whole = (fresh_line.key.partition(LATE_MARK)[0],)
            made.append(
                await credited_since.against(
                    uow, fresh_line, before.billed_minor, whole=whole, subscription_id=None, locks=locks
                )
            )
    return made


async def _standing(uow: UnitOfWork, row: UsagePeriod) -> dict[tuple[str, str], _Standing]:
    """What was billed of a month so far, by currency and model."""
    found = await uow.execute(_BILLED, organization_id=row.organization_id, prefix=f"{row.id}.")
    made: dict[tuple[str, str], _Standing] = {}
    for one in found:
        key = (one.facts["currency"], one.facts["model"])
        times = made[key].times + 1 if key in made else 1
        void = one.void and one.amount_minor != 0  # one of nothing was dropped for asking nothing
        amount = Money(one.amount_minor, one.facts["currency"])
        made[key] = _Standing(amount, standing_after(one.facts, amount.minor), times, void)
    return made
