"""What the schedule goes by: the methods an organisation keeps, what was tried of an invoice, and how retries of all
went. Reads, for rules that are pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from models.payments import Initiator, PaymentState
from services.collection import retry_rules
from services.collection.learned_hours import Judged, Retry, judge
from services.collection.retry_rules import Method, Tried
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.disputes import disputed
from services.payments.providers.values import Advice, DeclineKind

METHODS_MAX = 20  # of one organisation, the default first
TRIED_MAX = 500
HABITS_MAX = 100_000  # retries that are learned from
HABITS_OF = timedelta(days=365)
JUDGED_MAX = 20_000  # while a person waits

_METHODS = f"""
select m.id, m.brand, m.provider_account_id, {disputed.METHOD} as is_disputed from payment_method m
join provider_account a on a.id = m.provider_account_id
where m.organization_id = :organization_id and m.removed_at is null and a.enabled
order by m.is_default desc, m.created_at desc, m.id limit :most
"""
_DECLINED = """
select p.method_id, p.created_at,
  p.decline_hard and p.created_at > coalesce(m.renewed_at, '-infinity') as decline_hard
from payment p join payment_method m on m.id = p.method_id
where p.organization_id = :organization_id and p.method_id = any(:ids) and p.state = 'failed'
  and p.decline_code <> all(:not_tried) and (p.decline_hard or p.created_at > :since)
order by p.created_at desc limit :most
"""
# What was declined before a card got another number or date says nothing of it.
_TRIED = """
select p.method_id, p.created_at, p.decline_code, p.decline_hard, p.decline_kind, p.decline_advice, p.initiator
from payment p join payment_method m on m.id = p.method_id
where p.invoice_id = :id and p.state = 'failed' and p.decline_code is not null
  and p.created_at > coalesce(m.renewed_at, '-infinity')
order by p.created_at, p.id limit :most
"""
_HABITS = """
select code, kind, advice, at, state from (
  select lag(decline_code) over before as code, lag(decline_kind) over before as kind,
    lag(decline_advice) over before as advice, created_at as at, state
  from payment where initiator = 'schedule' and created_at > :since and state in ('failed', 'succeeded')
  window before as (partition by invoice_id order by created_at, id)
) one where code is not null order by at desc limit :most
"""


async def retries_made(uow: UnitOfWork, *, since: datetime, most: int = HABITS_MAX) -> list[Retry]:
    """Retries of the schedule, the newest first, in work across tenants."""
    found = await uow.execute(_HABITS, since=since, most=most)
    return [
        Retry(
            retry_rules.kind_of(
                Tried(None, row.at, row.code, hard=False, kind=kind(row.kind), advice=advice(row.advice))
            ),
            row.at,
            row.state == PaymentState.SUCCEEDED.value,
        )
        for row in found
    ]


async def learned_hours_judged(uow: UnitOfWork) -> Judged:
    """What learned hours would have been worth against the fixed schedule, in work across tenants. Raises Forbidden."""
    uow.actor.require(Capability.STAFF_PAYMENTS_READ)
    return judge(await retries_made(uow, since=uow.wall_now - HABITS_OF, most=JUDGED_MAX))


async def methods_of(uow: UnitOfWork) -> tuple[list[Method], dict[str, str]]:
    """What the organisation keeps, the default first, and with which account each is kept."""
    kept = (await uow.execute(_METHODS, organization_id=uow.organization_id, most=METHODS_MAX)).all()
    declined = await uow.execute(
        _DECLINED,
        organization_id=uow.organization_id,
        ids=[one.id for one in kept],
        not_tried=sorted(retry_rules.NOT_TRIED),
        since=uow.now - 30 * retry_rules.DAY,
        most=TRIED_MAX,
    )
    rows = declined.all()
    methods = [
        Method(
            one.id,
            one.brand,
            tuple(row.created_at for row in rows if row.method_id == one.id),
            hard=one.is_disputed or any(row.decline_hard for row in rows if row.method_id == one.id),
        )
        for one in kept
    ]
    return methods, {one.id: one.provider_account_id for one in kept}


async def tried_of(uow: UnitOfWork, invoice_id: str) -> list[Tried]:
    found = await uow.execute(_TRIED, id=invoice_id, most=TRIED_MAX)
    return [
        Tried(
            row.method_id,
            row.created_at,
            row.decline_code,
            bool(row.decline_hard),
            row.initiator == Initiator.SCHEDULE,
            kind(row.decline_kind),
            advice(row.decline_advice),
        )
        for row in found
    ]


def kind(written: str | None) -> DeclineKind | None:
    """As it stands in a row."""
    return DeclineKind(written) if written else None


def advice(written: str | None) -> Advice | None:
    """As it stands in a row."""
    return Advice(written) if written else None
