"""Paid time in which a customer's calls were refused is credited, once they are answered again.

What was paid for it then is credited then, also of the invoice that the calls were refused for; what is paid later is
credited when it is paid. What of that time two cases blocked counts once. Each invoice is credited in a transaction of
its own, by what there is when it is looked at: doing it again credits nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from services.billing import blocked_rules, blocked_time
from services.billing import policies as of_billing
from services.billing.periods import Span
from services.core.actor import system
from services.core.clock import Clock
from services.core.database import Database
from services.core.errors import Busy, Unavailable
from services.core.logs import get_logger
from services.core.work import UnitOfWork, unit_of_work
from services.dunning import words

log = get_logger(__name__)

BLOCKS_MAX = 1_000  # of one customer
_ENDED = """
select started_at, ended_at from dunning_block
where organization_id = :organization_id and ended_at is not null order by ended_at desc limit :most
"""
_LOOKED = """
update dunning_block set due = false
where organization_id = :organization_id and due and ended_at = any (:ends)
"""


async def was_blocked(uow: UnitOfWork, organization_id: str) -> bool:
    found = await uow.execute(
        "select exists (select from dunning_block where organization_id = :id)", id=organization_id
    )
    return found.scalar_one()


async def credit_blocked(
    organization_id: str, on: Database | None = None, *, clock: Clock | None = None
) -> int:
    """What one customer paid for time in which calls were refused. Returns how many notes were issued. Where one could
    not be, all of it is looked at again with the next pass."""

    async with unit_of_work(system(organization_id), on=on, clock=clock) as uow:
        blocked, ends = await _blocked(uow)
        ids = await blocked_time.paid_for(uow, blocked) if blocked else []
    done, failed = 0, False
    for invoice_id in ids:
        try:
            async with unit_of_work(system(organization_id), on=on, clock=clock) as uow:
                done += await _credit(uow, invoice_id, blocked)
        except Unavailable:
            raise
        except Busy:
            failed = True  # somebody else is at it
        except Exception as error:
            failed = True
            log.error("blocked_time_not_credited", subject=invoice_id, exc_info=error)
    if ends and not failed:
        async with unit_of_work(system(organization_id), on=on, clock=clock) as uow:
            await uow.execute(_LOOKED, organization_id=organization_id, ends=ends)
    return done


async def _blocked(uow: UnitOfWork) -> tuple[tuple[Span, ...], list[datetime]]:
    found = await uow.execute(_ENDED, organization_id=uow.organization_id, most=BLOCKS_MAX)
    rows = found.all()
    spans = [Span(row.started_at, row.ended_at) for row in rows]
    return blocked_rules.merged(spans), [row.ended_at for row in rows]


async def _credit(uow: UnitOfWork, invoice_id: str, blocked: Sequence[Span]) -> bool:
    profile, organization = await of_billing.profile_of(uow), await of_billing.organization_of(uow)
    language = words.language_of(profile.language if profile is not None else "en")

    def reason(spans: Sequence[Span]) -> str:
        return words.blocked(language, spans, organization.timezone)

    return await blocked_time.credit(uow, invoice_id, blocked, reason=reason) is not None
