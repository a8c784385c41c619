"""The failures of the last quarter that a campaign is tried on before it is switched on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta

from services.collection import history
from services.collection.learned_hours import learn
from services.collection.retry_rules import NOT_TRIED
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.dunning import segments
from services.dunning.campaigns import checked_segment, require_retry_days
from services.dunning.rules import Step, require_steps
from services.dunning.segments import Segment
from services.dunning.simulating import Failure, Simulated, simulate
from services.payments.ending import EXPIRED, PAID_IN_PART

QUARTER = timedelta(days=92)
FAILURES_MAX = 20_000

# The first time that somebody said no to paying an invoice of the segment. Nobody did where a provider was away, a page
# was left, or something came that was not enough.
_FAILURES = f"""
select distinct on (p.invoice_id) p.currency, p.minor, p.created_at, p.decline_code, p.decline_hard,
  p.decline_kind, p.decline_advice,
  case when i.state = 'paid' then greatest(0, extract(day from i.paid_at - p.created_at)::int) end as open_days
from payment p join invoice i on i.id = p.invoice_id
where p.state = 'failed' and p.created_at > :since and p.decline_code <> all(:not_declined) and {segments.FITS_SEGMENT}
order by p.invoice_id, p.created_at, p.id limit :most
"""
_NOT_DECLINED = sorted({*NOT_TRIED, EXPIRED, PAID_IN_PART})


async def tried_on_last_quarter(
    uow: UnitOfWork, steps: Sequence[Step], retry_days: Sequence[int], segment: Segment
) -> Simulated:
    """What a campaign of these steps and retries would have done about those in its segment, in work across tenants.
    Raises Forbidden, NotFound for a plan that is not there, and Invalid."""
    uow.actor.require(Capability.STAFF_PAYMENTS_READ)
    require_steps(steps)
    require_retry_days(retry_days)
    segment = await checked_segment(uow, segment)
    since = uow.wall_now - QUARTER
    found = await uow.execute(
        _FAILURES, {"since": since, "not_declined": _NOT_DECLINED, "most": FAILURES_MAX, **asdict(segment)}
    )
    failures = [
        Failure(
            row.currency,
            row.minor,
            row.created_at,
            row.decline_code,
            bool(row.decline_hard),
            row.open_days,
            history.kind(row.decline_kind),
            history.advice(row.decline_advice),
        )
        for row in found
    ]
    return simulate(failures, steps, retry_days, learn(await history.retries_made(uow, since=since)))
