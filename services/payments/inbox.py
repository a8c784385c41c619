"""What providers tell us: stored as it came before anybody thinks about it (intake.py), then looked up at the provider.

An event is a hint. It comes late, twice, in any order or never; what counts is what the provider says when it is
asked again. So one that cannot be understood now is kept and tried again, and nothing of it is believed.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from services.core import clock as clocks
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.errors import Unavailable
from services.core.logs import get_logger
from services.payments.cashier import Cashier
from services.payments.following import Desk, Told, follow
from services.payments.providers.values import EventSubject

log = get_logger(__name__)

BATCH = 100
ATTEMPTS_MAX = 12  # after which it stays parked, to be looked at
KEPT_FOR = timedelta(days=180)
WAITS = tuple(timedelta(seconds=seconds) for seconds in (10, 60, 300, 1_800, 7_200))  # the last goes on
REASON_CHARACTERS_MAX = 500
_DUE = """
select e.id, e.provider_account_id, e.about, e.subject, e.reference, e.due_at, e.attempts, p.id as payment_id,
  p.organization_id from provider_event e
left join payment p on p.provider_account_id = e.provider_account_id
  and (p.provider_ref = e.subject or p.id = e.subject)
where e.due_at <= :now and (e.due_at, e.id) > (:after_at, :after_id) order by e.due_at, e.id limit :most
"""


class Inbox:
    """Follows events of the accounts that a cashier can open."""

    def __init__(
        self, cashier: Cashier, on: Database | None = None, clock: clocks.Clock | None = None
    ) -> None:
        self._cashier = cashier
        self._on = on
        self._clock = clock or clocks.SystemClock()
        self._desk = Desk(cashier, on, self._clock)

    async def follow_due(self) -> int:
        """Look up what events are about; returns how many were followed. Safe to run twice and from many workers."""
        followed, after = 0, (datetime.min.replace(tzinfo=self._clock.now().tzinfo), "")
        while batch := await self._batch(after):
            for due in batch:
                followed += await self._follow(due)
            after = (batch[-1].due_at, batch[-1].id)
        return followed

    async def _batch(self, after: tuple[datetime, str]) -> list[Told]:
        async with crossing(Reason.PAYMENTS, on=self._on, clock=self._clock) as uow:
            found = await uow.execute(
                _DUE, now=uow.wall_now, after_at=after[0], after_id=after[1], most=BATCH
            )
            return [
                Told(
                    row.id,
                    row.provider_account_id,
                    EventSubject(row.about),
                    row.subject,
                    row.reference,
                    row.due_at,
                    row.attempts,
                    row.payment_id,
                    row.organization_id,
                )
                for row in found
            ]

    async def _follow(self, due: Told) -> bool:
        reason = ""
        try:
            await follow(self._desk, due)
        except Unavailable as error:
            reason = error.message
        except Exception as error:
            log.error("provider_event_failed", event_id=due.id, exc_info=error)
            reason = "Something went wrong on our side; the log of the worker says what."
        async with crossing(Reason.PAYMENTS, on=self._on, clock=self._clock) as uow:
            await uow.execute(
                "update provider_event set handled_at = :handled_at, due_at = :due_at, attempts = :attempts,"
                " reason = :reason where id = :id and due_at is not null",
                id=due.id,
                handled_at=None if reason else uow.wall_now,
                due_at=_again(uow.wall_now, due.attempts) if reason else None,
                attempts=due.attempts + 1,
                reason=reason[:REASON_CHARACTERS_MAX] or None,
            )
        return not reason

    async def forget_old(self) -> int:
        """Delete what was followed long ago: the provider keeps its own."""
        async with crossing(Reason.RETENTION, on=self._on, clock=self._clock) as uow:
            gone = await uow.execute(
                "delete from provider_event where handled_at < :before", before=uow.wall_now - KEPT_FOR
            )
            return gone.rowcount


def _again(now: datetime, attempts: int) -> datetime | None:
    return None if attempts + 1 >= ATTEMPTS_MAX else now + WAITS[min(attempts, len(WAITS) - 1)]
