"""What providers tell us: stored as it came before anybody thinks about it, then looked up at the provider.

An event is a hint. It comes late, twice, in any order or never; what counts is what the provider says when it is
asked again. So one that cannot be understood now is kept and tried again, and nothing of it is believed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from models.payments import ProviderAccount
from services.core import clock as clocks
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.errors import Invalid, Unavailable
from services.core.ids import new_id
from services.core.logs import get_logger
from services.core.work import UnitOfWork
from services.payments import policies
from services.payments.cashier import Cashier
from services.payments.following import Desk, Told, follow
from services.payments.providers.base import WebhookRefused
from services.payments.providers.values import EventSubject, ProviderEvent

log = get_logger(__name__)

RAW_BYTES_MAX = 1024 * 1024  # many times the longest that a provider sends
BATCH = 100
ATTEMPTS_MAX = 12  # after which it stays parked, to be looked at
KEPT_FOR = timedelta(days=180)
WAITS = tuple(timedelta(seconds=seconds) for seconds in (10, 60, 300, 1_800, 7_200))  # the last goes on
REASON_CHARACTERS_MAX = 500
NAME_CHARACTERS_MAX = 255  # several times the longest that a provider gives
_STORE = """
insert into provider_event
  (id, provider_account_id, event_id, kind, about, subject, reference, raw, received_at, due_at, attempts)
values (:id, :account_id, :event_id, :kind, :about, :subject, :reference, :raw, :now, :now, 0)
on conflict (provider_account_id, event_id) do nothing
"""
_DUE = """
select e.id, e.provider_account_id, e.about, e.subject, e.reference, e.due_at, e.attempts, p.id as payment_id,
  p.organization_id from provider_event e
left join payment p on p.provider_account_id = e.provider_account_id
  and (p.provider_ref = e.subject or p.id = e.subject)
where e.due_at <= :now and (e.due_at, e.id) > (:after_at, :after_id) order by e.due_at, e.id limit :most
"""


class EventTooLarge(Invalid):
    """Longer than any event of a provider."""

    status = 413
    code = "event_too_large"
    title = "This is longer than any event"


class Inbox:
    """Takes events for the accounts that a cashier can open."""

    def __init__(
        self, cashier: Cashier, on: Database | None = None, clock: clocks.Clock | None = None
    ) -> None:
        self._cashier = cashier
        self._on = on
        self._clock = clock or clocks.SystemClock()
        self._desk = Desk(cashier, on, self._clock)

    async def take(self, account_id: str, headers: Mapping[str, str], raw: bytes) -> bool:
        """Store an event that is the provider's own. Returns whether it is new.

        Raises NotFound for no account of ours, EventTooLarge, WebhookRefused for what is not from the provider, and
        ProviderUnavailable if that cannot be found out now.
        """
        if len(raw) > RAW_BYTES_MAX:
            raise EventTooLarge(f"An event has at most {RAW_BYTES_MAX // 1024:,} KB.")
        async with crossing(Reason.PAYMENTS, on=self._on, clock=self._clock) as uow:
            account = await policies.any_account(uow, account_id)
        provider = await self._cashier.provider_of(account)
        event = await provider.verify_webhook(headers, raw, now=self._clock.now())
        _require_named(event)
        async with crossing(Reason.PAYMENTS, on=self._on, clock=self._clock) as uow:
            return await _store(uow, account, event, raw)

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


def _require_named(event: ProviderEvent) -> None:
    """An event is known by its name: without one, the next without one would pass for the same."""
    names = (event.id, event.type, event.reference, event.payment, event.key)
    if not event.id or any(len(one) > NAME_CHARACTERS_MAX or not one.isprintable() for one in names):
        raise WebhookRefused("it names something as no provider does")


async def _store(uow: UnitOfWork, account: ProviderAccount, event: ProviderEvent, raw: bytes) -> bool:
    """`subject` is what the payment is found by: our key where the event says it, else the provider's name."""
    about = event.key or event.payment or event.reference
    stored = await uow.execute(
        _STORE,
        id=new_id("pevt"),
        account_id=account.id,
        event_id=event.id,
        kind=event.type if event.subject is not EventSubject.OTHER else f"other: {event.type}",
        about=event.subject.value,
        subject=about,
        reference=event.reference,
        raw=raw,
        now=uow.wall_now,
    )
    return stored.rowcount == 1
