"""Campaigns as staff makes them. A change counts for invoices that become overdue after it: a case keeps its steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from models.dunning import DunningCampaign
from services.billing.entities import require_country
from services.catalog import plan_queries
from services.collection.retry_rules import RETRIES_MAX, RETRY_DAY_MAX, RETRY_DAYS
from services.core.errors import Conflict, Invalid, not_found
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.dunning import policies, rules
from services.dunning.events import DunningCampaignChanged, DunningCampaignCreated
from services.dunning.rules import Step
from services.dunning.segments import EVERYBODY, Segment
from services.identity.queries import changed_meanwhile
from services.identity.rules import clean_text, require_currency

WRITE = Capability.STAFF_PAYMENTS_WRITE
NAME_CHARACTERS_MAX = 100
RANK_MAX = 1_000
AMOUNT_MINOR_MAX = 10**15


class CampaignNamed(Conflict):
    code = "dunning_campaign_named"
    title = "A campaign has this name already"


@dataclass(frozen=True, slots=True)
class CampaignFields:
    name: str
    steps: tuple[Step, ...]
    rank: int = 0
    enabled: bool = False
    segment: Segment = EVERYBODY
    retry_days: tuple[int, ...] = RETRY_DAYS
    learned_hours: bool = False


async def create(uow: UnitOfWork, given: CampaignFields) -> DunningCampaign:
    """In work across tenants. Raises Forbidden, Invalid, NotFound for a plan that is not there, CampaignNamed."""
    uow.actor.require(WRITE)
    fields = await _checked(uow, given)
    await _require_free(uow, fields.name, but="")
    row = DunningCampaign(id=new_id("dcmp"), created_at=uow.wall_now, **_columns(fields))
    uow.add(row)
    await uow.session.flush()
    uow.record(DunningCampaignCreated(aggregate_id=row.id, organization_id=None, name=row.name))
    return row


async def change(
    uow: UnitOfWork, campaign_id: str, given: CampaignFields, *, version: int | None = None
) -> DunningCampaign:
    """Say it anew. Raises as `create`, NotFound and StaleVersion."""
    row = await policies.campaign_for(uow, campaign_id, WRITE, lock=True)
    if version is not None and version != row.version:
        raise await changed_meanwhile(uow, row.id, DunningCampaignChanged.type, what="campaign")
    columns = _columns(await _checked(uow, given))
    await _require_free(uow, given.name.strip(), but=row.id)
    changed = sorted(name for name, value in columns.items() if getattr(row, name) != value)
    if changed:
        for name in changed:
            setattr(row, name, columns[name])
        row.version += 1
        uow.add(row)
        await uow.session.flush()
        uow.record(DunningCampaignChanged(aggregate_id=row.id, organization_id=None, changed=changed))
    return row


async def _checked(uow: UnitOfWork, given: CampaignFields) -> CampaignFields:
    name = clean_text(given.name, field="name", what="The name", characters_max=NAME_CHARACTERS_MAX)
    rules.require_steps(given.steps)
    require_retry_days(given.retry_days)
    if not 0 <= given.rank <= RANK_MAX:
        raise Invalid(f"A rank is 0 to {RANK_MAX:,}.", field="rank")
    return replace(given, name=name, segment=await checked_segment(uow, given.segment))


async def checked_segment(uow: UnitOfWork, given: Segment) -> Segment:
    """As it is kept. Raises NotFound for a plan that is not there, and Invalid."""
    if given.plan_id is not None and not await plan_queries.known_plans(uow, [given.plan_id]):
        raise not_found("plan", given.plan_id)
    if given.currency is None and (given.minimum_minor or given.maximum_minor is not None):
        raise Invalid("Say in which currency the amounts are.", field="currency")
    if not 0 <= given.minimum_minor <= AMOUNT_MINOR_MAX:
        raise Invalid("The least amount is zero or more.", field="minimum")
    if given.maximum_minor is not None and not given.minimum_minor <= given.maximum_minor <= AMOUNT_MINOR_MAX:
        raise Invalid("The most is not less than the least.", field="maximum")
    return replace(
        given,
        currency=require_currency(given.currency, on=uow.wall_now.date()) if given.currency else None,
        country=require_country(given.country) if given.country else None,
    )


def require_retry_days(days: Sequence[int]) -> None:
    """Raises Invalid for days that do not go up, or are too many or too late. None at all is fine."""
    if len(days) > RETRIES_MAX:
        raise Invalid(f"A schedule has at most {RETRIES_MAX} retries.", field="retry_days")
    before = 0
    for day in days:
        if not before < day <= RETRY_DAY_MAX:
            raise Invalid(f"Retries come on days that go up, 1 to {RETRY_DAY_MAX}.", field="retry_days")
        before = day


def _columns(fields: CampaignFields) -> dict[str, Any]:
    return {
        "name": fields.name,
        "rank": fields.rank,
        "enabled": fields.enabled,
        **asdict(fields.segment),
        "retry_days": list(fields.retry_days),
        "learned_hours": fields.learned_hours,
        "steps": [step.to_json() for step in fields.steps],
    }


async def _require_free(uow: UnitOfWork, name: str, *, but: str) -> None:
    found = await uow.execute(
        "select exists (select from dunning_campaign where name = :name and id <> :but)", name=name, but=but
    )
    if found.scalar_one():
        raise CampaignNamed(f"A campaign is called {name!r} already.", next_step="Choose another name.")
