"""The billing run's part for usage by the price list: which months are due, each billed by itself, or parked.

How they are found, taken and parked is in due_rows.py, as of subscriptions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from models.types import OrganizationKind
from models.usage_billing import UsagePeriod
from services.billing import policies, usage_billing, usage_months, usage_unused
from services.billing.events import UsageParked, UsageRetryAsked
from services.billing.usage_rules import month_end
from services.billing_runs import due_rows
from services.billing_runs.due_rows import Done, DueRows
from services.core.clock import Clock
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.listing import Column, Kind, Listing, Operator
from services.core.permissions import Capability
from services.core.work import UnitOfWork

BATCH = 200  # periods that are looked up at once
NEWCOMERS_MAX = 1_000  # organisations whose first period is begun at once

_NEWCOMERS = """
select n.id, least(n.created_at, cast(:now as timestamptz)) as starts_at, n.timezone from organization n
where n.kind <> :operator and not exists (select from usage_period p where p.organization_id = n.id)
  and {whose} order by n.id limit :most
"""
_AHEAD = f"""
select p.id, o.timezone from usage_period p join organization o on o.id = p.organization_id
where {due_rows.on_a_clock("p.organization_id")} and p.state = 'open' and p.starts_at > :now and not exists (
  select from usage_period e where e.organization_id = p.organization_id and e.id <> p.id)
"""


async def bill_due(
    on: Database | None = None, *, clock: Clock | None = None, clock_id: str | None = None
) -> int:
    """Bill what is due by now of all organisations whose time is the wall's, or of those on a test clock. Safe from
    many workers, to run twice and to be cut off. Returns how many months were looked at."""
    looked_at = 0
    async with crossing(Reason.BILLING, on=on, clock=clock) as uow:
        await begin_all(uow, clock_id)
    ended = usage_unused.BATCH
    while ended == usage_unused.BATCH:
        async with crossing(Reason.BILLING, on=on, clock=clock) as uow:
            whose, named = await due_rows.whose(uow, clock_id, "p.organization_id")
            ended = await usage_unused.end(uow, whose, named)
        looked_at += ended
    going = True
    while going:  # what is billed may be due again at once: months that nobody billed in time
        going = False
        for moment in due_rows.MOMENTS:
            async for batch in due_rows.batches(MONTHS, on, clock, moment=moment, clock_id=clock_id):
                looked_at += len(batch)
                for due in batch:
                    going |= await due_rows.bill_one(MONTHS, due, on, clock) is Done.BILLED
    return looked_at


async def begin(uow: UnitOfWork, organization_id: str, *, at: datetime, zone: str) -> None:
    """Bill an organisation for what it uses from `at` on, unless that has begun before. In work that may write it."""
    await usage_unused.begin(uow, [(organization_id, at, zone)])


async def begin_all(uow: UnitOfWork, clock_id: str | None) -> None:
    """Begin for organisations that were founded since, and earlier for those whose clock was set back since."""
    whose, named = await due_rows.whose(uow, clock_id, "n.id")
    if clock_id is not None:
        await _set_back(uow, named)
    found = await uow.execute(
        _NEWCOMERS.format(whose=whose),
        {**named, "operator": OrganizationKind.OPERATOR.value, "most": NEWCOMERS_MAX},
    )
    await usage_unused.begin(uow, [(row.id, row.starts_at, row.timezone) for row in found])


async def _set_back(uow: UnitOfWork, named: dict[str, Any]) -> None:
    """Whoever is put on a clock has used nothing yet: what they use by it counts from what it shows on."""
    found = await uow.execute(_AHEAD, named)
    for row in found.all():
        starts_at = named["now"].replace(second=0, microsecond=0)
        await uow.execute(
            "update usage_period set starts_at = :starts_at, ends_at = :ends_at, next_at = :ends_at where id = :id",
            id=row.id,
            starts_at=starts_at,
            ends_at=month_end(starts_at, row.timezone),
        )


async def _act(uow: UnitOfWork, row: UsagePeriod) -> bool:
    await usage_billing.act(uow, row)
    return True


MONTHS = DueRows(
    UsagePeriod,
    "month of usage",
    act=_act,
    find=policies.any_usage_period,
    parked=UsageParked,
    retry_asked=UsageRetryAsked,
    batch=BATCH,
)


async def try_again(uow: UnitOfWork, usage_period_id: str) -> UsagePeriod:
    """Have one that is parked tried by the next run. Raises Forbidden, NotFound and Conflict."""
    return await due_rows.try_again(MONTHS, uow, usage_period_id)


async def moments_on(uow: UnitOfWork, clock_id: str) -> Sequence[datetime | None]:
    """When the next month on a test clock is due, and the next that is parked."""
    await begin_all(uow, clock_id)
    return await due_rows.moments_on(MONTHS, uow, clock_id)


# -- what staff sees


@dataclass(frozen=True, slots=True)
class PeriodRow:
    """A month of an organisation's usage by the price list, and what keeps it from being billed."""

    id: str
    organization_id: str
    organization_name: str
    starts_at: datetime
    ends_at: datetime
    state: str
    parked_reason: str | None
    attempts: int
    parked_at: datetime | None
    retry_at: datetime | None


PERIODS: Listing[PeriodRow] = Listing(
    "staff.usage_periods",
    row=PeriodRow,
    needs=Capability.STAFF_SUBSCRIPTIONS_READ,
    source="usage_period p",
    alias="p",
    joins="join organization o on o.id = p.organization_id",
    columns=(
        Column("id", "p.id", Kind.ID, filterable=True),
        Column("organization_id", "p.organization_id", Kind.ID, operators=(Operator.EQ, Operator.IN)),
        Column("organization_name", "o.name", joined=True),
        Column("starts_at", "p.starts_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True),
        Column("ends_at", "p.ends_at", Kind.INSTANT),
        Column("state", usage_months.STATE, Kind.ENUM, values=usage_months.STATES, filterable=True),
        Column("parked_reason", "p.parked_reason", nullable=True),
        Column("attempts", "p.attempts", Kind.INTEGER),
        Column("parked_at", "p.parked_at", Kind.INSTANT, nullable=True),
        Column("retry_at", "p.retry_at", Kind.INSTANT, nullable=True),
    ),
    sort="-starts_at",
)
