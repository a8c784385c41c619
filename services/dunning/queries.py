"""Reads of campaigns, of customers in dunning, and of the failures that a campaign can be tried on. For staff."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from models.dunning import CaseState, Outcome
from services.billing.due_dates import DAYS_OVERDUE, OVERDUE
from services.core import listing_sql
from services.core.errors import not_found
from services.core.listing import Column, Kind, Listing, Operator
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.dunning import policies
from services.dunning.segments import Segment

READ = Capability.STAFF_PAYMENTS_READ
_EXACTLY = (Operator.EQ, Operator.IN)
QUARTER = timedelta(days=92)
FAILURES_MAX = 20_000


@dataclass(frozen=True, slots=True)
class CampaignRow:
    """`recovered` and `lost` of that are minor units by currency. `open_cases` are those it is at work on. `by_step` is
    what each of its steps, also of those it had before, brought in by currency, and how often it was done."""

    id: str
    name: str
    rank: int
    enabled: bool
    plan_id: str | None
    currency: str | None
    country: str | None
    minimum_minor: int
    maximum_minor: int | None
    retry_days: list[int]
    learned_hours: bool
    steps: list[dict[str, Any]]
    open_cases: int
    recovered: dict[str, int]
    lost: dict[str, int]
    by_step: list[dict[str, Any]]
    created_at: datetime
    version: int

    def segment(self) -> Segment:
        return Segment(self.plan_id, self.currency, self.country, self.minimum_minor, self.maximum_minor)


def _summed(column: str) -> str:
    return (
        "(select coalesce(jsonb_object_agg(r.currency, r.minor), '{}')"
        f" from (select c.currency, sum(c.{column}) as minor from dunning_case c"
        f" where c.campaign_id = d.id and c.{column} > 0 group by c.currency) r)"
    )


_BY_STEP = """
(select coalesce(jsonb_agg(jsonb_build_object('position', r.position, 'action', r.action, 'currency', r.currency,
    'done', r.done, 'recovered_minor', r.minor) order by r.position, r.action, r.currency), '[]')
  from (select t.position, t.action, c.currency, count(*) as done, sum(t.recovered_minor)::bigint as minor
    from dunning_step t join dunning_case c on c.id = t.case_id
    where c.campaign_id = d.id group by t.position, t.action, c.currency) r)
"""
CAMPAIGNS: Listing[CampaignRow] = Listing(
    "staff.dunning_campaigns",
    row=CampaignRow,
    needs=READ,
    source="dunning_campaign d",
    alias="d",
    where="true",
    columns=(
        Column("id", "d.id", Kind.ID, filterable=True),
        Column("name", "d.name"),
        Column("rank", "d.rank", Kind.INTEGER),
        Column("enabled", "d.enabled", Kind.FLAG),
        Column("plan_id", "d.plan_id", Kind.ID, nullable=True),
        Column("currency", "d.currency", nullable=True),
        Column("country", "d.country", nullable=True),
        Column("minimum_minor", "d.minimum_minor", Kind.INTEGER),
        Column("maximum_minor", "d.maximum_minor", Kind.INTEGER, nullable=True),
        Column("retry_days", "d.retry_days", Kind.OBJECT),
        Column("learned_hours", "d.learned_hours", Kind.FLAG),
        Column("steps", "d.steps", Kind.OBJECT),
        Column(
            "open_cases",
            "(select count(*) from dunning_case c where c.campaign_id = d.id and c.state <> 'ended')",
            Kind.INTEGER,
        ),
        Column("recovered", _summed("recovered_minor"), Kind.OBJECT),
        Column("lost", _summed("lost_minor"), Kind.OBJECT),
        Column("by_step", _BY_STEP, Kind.OBJECT),
        Column("created_at", "d.created_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True),
        Column("version", "d.version", Kind.INTEGER),
    ),
    sort="-created_at",
)


async def campaign(uow: UnitOfWork, campaign_id: str) -> CampaignRow:
    """Raises Forbidden and NotFound."""
    await policies.campaign_for(uow, campaign_id, READ)
    row = await listing_sql.find(uow, CAMPAIGNS, campaign_id)
    if row is None:
        raise not_found("dunning campaign", campaign_id)
    return row


@dataclass(frozen=True, slots=True)
class CaseRow:
    """`done` of `steps` steps were taken; `next_action` comes at `next_at`, unless it is paused or has ended. One with
    `reopened_at` is history: another one is about the invoice since. `lifted`: it restricts nobody for now."""

    id: str
    organization_id: str
    organization_name: str
    invoice_id: str
    invoice_number: str | None
    campaign_id: str
    campaign: str
    state: str
    outcome: str | None
    done: int
    steps: int
    next_action: str | None
    next_at: datetime | None
    restricts: bool
    lifted: bool
    currency: str
    due_minor: int
    recovered_minor: int
    lost_minor: int
    created_at: datetime
    ended_at: datetime | None
    reopened_at: datetime | None
    version: int


CASES: Listing[CaseRow] = Listing(
    "staff.dunning",
    row=CaseRow,
    needs=READ,
    source="dunning_case c",
    alias="c",
    joins=(
        "join organization o on o.id = c.organization_id join invoice i on i.id = c.invoice_id"
        " join dunning_campaign d on d.id = c.campaign_id"
    ),
    where="true",
    columns=(
        Column("id", "c.id", Kind.ID, filterable=True),
        Column("organization_id", "c.organization_id", Kind.ID, operators=_EXACTLY),
        Column("organization_name", "o.name", joined=True),
        Column("invoice_id", "c.invoice_id", Kind.ID, operators=_EXACTLY),
        Column("invoice_number", "i.number", nullable=True, joined=True),
        Column("campaign_id", "c.campaign_id", Kind.ID, operators=_EXACTLY),
        Column("campaign", "d.name", joined=True),
        Column("state", "c.state", Kind.ENUM, values=tuple(CaseState), filterable=True),
        Column("outcome", "c.outcome", Kind.ENUM, values=tuple(Outcome), nullable=True, filterable=True),
        Column("done", "c.position", Kind.INTEGER),
        Column("steps", "jsonb_array_length(c.steps)", Kind.INTEGER),
        Column(
            "next_action",
            "case when c.state <> 'ended' then c.steps->c.position->>'action' end",
            nullable=True,
        ),
        Column("next_at", "c.next_at", Kind.INSTANT, nullable=True),
        Column("restricts", "c.restricts", Kind.FLAG),
        Column("lifted", "c.lifted", Kind.FLAG),
        Column("currency", "c.currency", operators=_EXACTLY),
        Column("due_minor", "i.due_minor", Kind.INTEGER, joined=True),
        Column("recovered_minor", "c.recovered_minor", Kind.INTEGER),
        Column("lost_minor", "c.lost_minor", Kind.INTEGER),
        Column("created_at", "c.created_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True),
        Column("ended_at", "c.ended_at", Kind.INSTANT, nullable=True),
        Column("reopened_at", "c.reopened_at", Kind.INSTANT, nullable=True),
        Column("version", "c.version", Kind.INTEGER),
    ),
    sort="-created_at",
)


async def case(uow: UnitOfWork, case_id: str) -> CaseRow:
    """Raises Forbidden and NotFound."""
    await policies.case_for(uow, case_id, READ)
    row = await listing_sql.find(uow, CASES, case_id)
    if row is None:
        raise not_found("dunning case", case_id)
    return row


@dataclass(frozen=True, slots=True)
class StepRow:
    """A step of a case: done at `done_at`, or yet to come. `recovered_minor` came after it and before the next one."""

    position: int
    after_days: int
    action: str
    done_at: datetime | None
    recovered_minor: int


_STEPS = """
select s.n - 1 as position, (s.step->>'after_days')::int as after_days, s.step->>'action' as action, t.done_at,
  coalesce(t.recovered_minor, 0) as recovered_minor
from dunning_case c cross join jsonb_array_elements(c.steps) with ordinality as s (step, n)
left join dunning_step t on t.case_id = c.id and t.position = s.n - 1
where c.id = :id order by s.n
"""


async def steps_of(uow: UnitOfWork, case_id: str) -> list[StepRow]:
    """All steps of a case in their order, at most STEPS_MAX. Raises Forbidden and NotFound."""
    await policies.case_for(uow, case_id, READ)
    return [StepRow(*row) for row in await uow.execute(_STEPS, id=case_id)]


BLOCKS_SHOWN_MAX = 50


@dataclass(frozen=True, slots=True)
class BlockRow:
    """A stretch in which a case had calls refused; it lasts while it has no end."""

    started_at: datetime
    ended_at: datetime | None


async def blocks_of(uow: UnitOfWork, case_id: str) -> list[BlockRow]:
    """The last of a case, the latest first. Raises Forbidden and NotFound."""
    await policies.case_for(uow, case_id, READ)
    found = await uow.execute(
        "select started_at, ended_at from dunning_block where case_id = :id order by started_at desc limit :most",
        id=case_id,
        most=BLOCKS_SHOWN_MAX,
    )
    return [BlockRow(*row) for row in found]


_RESTRICTS = "coalesce(c.restricts and not c.lifted, false)"
_OVERDUE = f"""
select i.id, i.number, i.currency, i.due_minor, i.due_date, {DAYS_OVERDUE} as days, {_RESTRICTS},
  count(*) over ()
from invoice i left join dunning_case c on c.invoice_id = i.id and c.reopened_at is null
where i.organization_id = :organization_id and i.state = 'finalized' and i.due_minor > 0
  and ({OVERDUE} or {_RESTRICTS}) order by {_RESTRICTS} desc, i.due_date, i.id limit 1
"""


@dataclass(frozen=True, slots=True)
class Overdue:
    """The invoice that is to be paid first; `restricts` while calls are not answered because of it. `days` is None
    where it is contested by now. `invoices` are overdue, or restrict, in all."""

    invoice_id: str
    number: str
    currency: str
    due_minor: int
    due_date: date
    days: int | None
    restricts: bool
    invoices: int


async def overdue(uow: UnitOfWork) -> Overdue | None:
    """Of one's own organisation, whether or not a campaign is at work on it. Raises Forbidden."""
    uow.actor.require(Capability.PAYMENTS_READ)
    found = await uow.execute(_OVERDUE, organization_id=uow.organization_id, now=uow.wall_now)
    row = found.one_or_none()
    return None if row is None else Overdue(*row)
