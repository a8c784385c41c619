"""Months of usage by the price list, as their organisation sees them: the list, and what one that is not billed yet
comes to so far. It is counted by the very reading that bills it, so that the page and the invoice say the same."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from models.money import Money
from models.usage_billing import UsagePeriod, UsagePeriodState
from services.billing import explaining, policies, usage_billing, usage_rules
from services.billing.explaining import Step
from services.billing.issuers import LegalEntityMissing, billing_entity
from services.billing.new_lines import NewLine
from services.billing.periods import Span
from services.catalog.rules import PRICEABLE
from services.core.errors import Invalid, NotFound
from services.core.listing import Column, Kind, Listing
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.metering import billed as metered
from services.metering import calendar
from services.metering.billed import PaidAhead

READ = Capability.COST_READ
STATE = "case when p.parked_at is not null then 'parked' else p.state end"
STATES = (*(one.value for one in UsagePeriodState), "parked")
# The documents of a month: their keys begin with its id and a point, which a slash comes after.
_INVOICES = """
(select coalesce(jsonb_agg(jsonb_build_object(
    'id', i.id, 'number', i.number, 'state', i.state, 'currency', i.currency, 'total_minor', i.total_minor
  ) order by i.currency), '[]')
from invoice i where i.organization_id = p.organization_id and i.key >= p.id || '.' and i.key < p.id || '/'
  and i.number is not null)
"""
_OPEN = """
select id from usage_period where organization_id = :organization_id and state = 'open'
"""
_DECIDED = """
select currency from invoice where organization_id = :organization_id and state <> 'draft'
  and key >= cast(:id as text) || '.' and key < cast(:id as text) || '/'
"""
# What came late goes on the first document that is made: on that of a month before, while one waits for it.
_WAITS = """
select exists(select from usage_period where organization_id = :organization_id and state <> 'closed'
  and starts_at < :starts_at)
"""


@dataclass(frozen=True, slots=True)
class MonthRow:
    """[starts_at, ends_at). `next_at` is when it is billed or looked at next. `invoices` are what it was billed by;
    None for whoever may not see invoices."""

    id: str
    starts_at: datetime
    ends_at: datetime
    state: str
    next_at: datetime | None
    parked_reason: str | None
    invoices: list[dict[str, Any]] | None


MONTHS: Listing[MonthRow] = Listing(
    "usage_periods",
    row=MonthRow,
    needs=READ,
    source="usage_period p",
    where="p.organization_id = :organization_id",
    columns=(
        Column("id", "p.id", Kind.ID, filterable=True),
        Column("starts_at", "p.starts_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True),
        Column("ends_at", "p.ends_at", Kind.INSTANT),
        Column("state", STATE, Kind.ENUM, values=STATES, filterable=True),
        Column("next_at", "p.next_at", Kind.INSTANT, nullable=True),
        Column("parked_reason", "p.parked_reason", nullable=True),
        Column("invoices", _INVOICES, Kind.LIST, nullable=True, needs=Capability.INVOICES_READ),
    ),
    sort="-starts_at",
)


@dataclass(frozen=True, slots=True)
class PartSoFar:
    """Of a meter at one price: quantity * unit_amount / per_units, exact, in major units of the line's currency."""

    meter: str
    price_id: str
    quantity: Decimal
    unit_amount: Decimal
    per_units: int


@dataclass(frozen=True, slots=True)
class LineSoFar:
    """A line as it would be billed. `amount_minor` is rounded once; of late usage of an earlier month, which `period`
    names, `billed_before_minor` comes off it. `steps` give `amount_minor`."""

    key: str
    description: str
    model: str
    currency: str
    late: bool
    period_start: datetime
    period_end: datetime
    parts: tuple[PartSoFar, ...]
    amount_minor: int
    billed_before_minor: int
    steps: tuple[Step, ...]

    @property
    def asked_minor(self) -> int:
        return self.amount_minor - self.billed_before_minor


@dataclass(frozen=True, slots=True)
class Metered:
    """What plans counted of a meter, and bill themselves."""

    meter: str
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class MonthSoFar:
    """What a month comes to by `counted_until`, before discounts, credits and tax. `bills_at` is when its invoice is
    made: None while nobody could issue it, and for one that is closed."""

    id: str
    starts_at: datetime
    ends_at: datetime
    state: str
    counted_until: datetime
    bills_at: datetime | None
    parked_reason: str | None
    lines: tuple[LineSoFar, ...]
    totals: tuple[Money, ...]
    paid_ahead: tuple[PaidAhead, ...]
    by_plans: tuple[Metered, ...]


async def running(uow: UnitOfWork) -> MonthSoFar | None:
    """The month that runs; None for an organisation that nobody began one for yet. Raises Forbidden."""
    uow.actor.require(READ)
    found = await uow.execute(_OPEN, organization_id=uow.organization_id)
    usage_period_id = found.scalar_one_or_none()
    return None if usage_period_id is None else await so_far(uow, usage_period_id)


async def so_far(uow: UnitOfWork, usage_period_id: str) -> MonthSoFar:
    """What a month comes to if it ended now, with what came late of earlier ones. One that is closed is on its
    invoices, and has no lines here. Raises Forbidden and NotFound."""
    row = await policies.usage_period_for(uow, usage_period_id, READ)
    until = max(min(calendar.minute_floor(uow.now), row.ends_at), row.starts_at)
    lines: list[LineSoFar] = []
    by_plans: list[Metered] = []
    if row.state != UsagePeriodState.CLOSED and row.starts_at < until:
        counted = _cut(row, until)
        lines = await _lines(uow, row, counted)
        by_plans = await _by_plans(uow, counted)
    return MonthSoFar(
        id=row.id,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        state="parked" if row.parked_at is not None else row.state,
        counted_until=until,
        bills_at=await _bills_at(uow, row),
        parked_reason=row.parked_reason,
        lines=tuple(lines),
        totals=_totals(lines),
        paid_ahead=tuple(await metered.paid_ahead(uow, row.starts_at, until)),
        by_plans=tuple(by_plans),
    )


def _cut(row: UsagePeriod, until: datetime) -> UsagePeriod:
    """The month as if it ended then, which nobody writes down."""
    return UsagePeriod(
        id=row.id,
        organization_id=row.organization_id,
        starts_at=row.starts_at,
        ends_at=until,
        state=row.state,
    )


async def _lines(uow: UnitOfWork, row: UsagePeriod, counted: UsagePeriod) -> list[LineSoFar]:
    """Without currencies whose document is made already: what comes after it is late."""
    found = await uow.execute(_DECIDED, organization_id=row.organization_id, id=row.id)
    decided = set(found.scalars())
    own = await usage_billing.lines_of(uow, counted)
    found = await uow.execute(_WAITS, organization_id=row.organization_id, starts_at=row.starts_at)
    late = {} if found.scalar_one() else await usage_billing.late_lines(uow, row, needs=READ)
    made = [
        *(_line(line, counted, late=False) for lines in own.values() for line in lines.values()),
        *(_line(line, counted, late=True) for lines in late.values() for line in lines),
    ]
    return sorted(
        (line for line in made if line.currency not in decided),
        key=lambda line: (line.currency, line.late, -line.asked_minor, line.key),
    )


def _line(line: NewLine, row: UsagePeriod, *, late: bool) -> LineSoFar:
    _, steps = explaining.replay_amount(line.facts)
    start, end = line.period or (row.starts_at, row.ends_at)
    return LineSoFar(
        key=line.key,
        description=line.description,
        model=line.facts["model"],
        currency=line.amount.currency,
        late=late,
        period_start=start,
        period_end=end,
        parts=tuple(
            PartSoFar(part.meter, part.price_id, part.quantity, part.unit_amount, part.per_units)
            for part in usage_rules.parts_from(line.facts)
        ),
        amount_minor=line.amount.minor,
        billed_before_minor=line.billed_before.minor if line.billed_before is not None else 0,
        steps=steps,
    )


def _totals(lines: list[LineSoFar]) -> tuple[Money, ...]:
    """By currency."""
    sums: dict[str, int] = {}
    for line in lines:
        sums[line.currency] = sums.get(line.currency, 0) + line.asked_minor
    return tuple(Money(minor, currency) for currency, minor in sorted(sums.items()))


async def _by_plans(uow: UnitOfWork, counted: UsagePeriod) -> list[Metered]:
    whole = Span(counted.starts_at, counted.ends_at)
    listed = await usage_billing.spans_of(uow, counted)
    made: list[Metered] = []
    for meter in PRICEABLE:
        spans = usage_rules.uncovered(whole, listed[meter])
        quantities = [await metered.quantity(uow, meter, span.start, span.end) for span in spans]
        if total := sum(quantities, Decimal(0)):
            made.append(Metered(meter, total))
    return made


async def _bills_at(uow: UnitOfWork, row: UsagePeriod) -> datetime | None:
    if row.state != UsagePeriodState.OPEN:
        return row.next_at
    try:
        entity = await billing_entity(uow, needs=READ)
    except (LegalEntityMissing, Invalid, NotFound):
        return None
    return row.ends_at + timedelta(hours=entity.grace_hours)
