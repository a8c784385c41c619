"""What providers send is checked, stored as it came, and answered once that is kept.

Events come in waves. Those that arrive while others are being written go together into the next transaction. An account
is opened from memory; who writes finds out whether it was changed meanwhile, and then the event is checked again, by
what the account is now.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextvars import Context
from dataclasses import dataclass

from services.core import clock as clocks
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.errors import Busy, Invalid, Unavailable
from services.core.ids import new_id
from services.payments import policies
from services.payments.cashier import Cashier, Opened
from services.payments.providers.base import WebhookRefused
from services.payments.providers.values import EventSubject, ProviderEvent

RAW_BYTES_MAX = 1024 * 1024  # many times the longest that a provider sends
TOGETHER_MAX = 64  # events of one transaction
NAME_CHARACTERS_MAX = 255  # several times the longest that a provider gives
CHECKS_MAX = 3  # of one event, while its account is being changed

# In one order, so that two processes which are sent the same events never wait for each other.
_STORE = """
with told as (
  select t.* from unnest(cast(:ids as text[]), cast(:accounts as text[]), cast(:versions as int[]),
    cast(:events as text[]), cast(:kinds as text[]), cast(:about as text[]), cast(:subjects as text[]),
    cast(:references as text[]), cast(:raws as bytea[]))
    as t(id, account_id, version, event_id, kind, about, subject, reference, raw)
  join provider_account a on a.id = t.account_id and a.version = t.version
), stored as (
  insert into provider_event
    (id, provider_account_id, event_id, kind, about, subject, reference, raw, received_at, due_at, attempts)
  select id, account_id, event_id, kind, about, subject, reference, raw, :now, :now, 0 from told
  order by account_id, event_id, id
  on conflict (provider_account_id, event_id) do nothing
  returning id
)
select t.id, s.id is not null as is_new from told t left join stored s on s.id = t.id
"""


class EventTooLarge(Invalid):
    """Longer than any event of a provider."""

    status = 413
    code = "event_too_large"
    title = "This is longer than any event"


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """An event that is to be written. The answer is whether it is new; None if its account is another by now."""

    account: Opened
    event: ProviderEvent
    raw: bytes
    id: str
    answer: asyncio.Future[bool | None]


class Intake:
    """Takes events for the accounts that a cashier can open. One for a process, so that events are written together."""

    def __init__(
        self, cashier: Cashier, on: Database | None = None, clock: clocks.Clock | None = None
    ) -> None:
        self._cashier = cashier
        self._on = on
        self._clock = clock or clocks.SystemClock()
        self._waiting: list[_Waiting] = []
        self._writing: asyncio.Task[None] | None = None

    async def take(self, account_id: str, headers: Mapping[str, str], raw: bytes) -> bool:
        """Store an event that is the provider's own. Returns whether it is new.

        Raises NotFound for no account of ours, EventTooLarge, WebhookRefused for what is not from the provider,
        ProviderUnavailable if that cannot be found out now, and Busy while its account is changed again and again.
        """
        if len(raw) > RAW_BYTES_MAX:
            raise EventTooLarge(f"An event has at most {RAW_BYTES_MAX // 1024:,} KB.")
        account = self._cashier.opened(account_id)
        for _ in range(CHECKS_MAX):
            is_remembered = account is not None
            account = account or await self._open(account_id)
            try:
                event = await account.provider.verify_webhook(headers, raw, now=self._clock.now())
            except WebhookRefused:
                if not is_remembered:
                    raise
            else:
                _require_named(event)
                is_new = await self._kept(account, event, raw)
                if is_new is not None:
                    return is_new
            account = None
        raise Busy("This account is being changed.", next_step="Send the event again.")

    async def _open(self, account_id: str) -> Opened:
        async with crossing(Reason.PAYMENTS, on=self._on, clock=self._clock) as uow:
            account = await policies.any_account(uow, account_id)
        return Opened(account.id, account.version, await self._cashier.provider_of(account))

    async def _kept(self, account: Opened, event: ProviderEvent, raw: bytes) -> bool | None:
        answer = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(account, event, raw, new_id("pevt"), answer))
        if self._writing is None:
            # In a context of its own: it goes on for others than who began it.
            self._writing = asyncio.create_task(self._write(), context=Context())
        return await answer

    async def _write(self) -> None:
        """Until nothing waits."""
        batch: list[_Waiting] = []
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:TOGETHER_MAX], self._waiting[TOGETHER_MAX:]
                await self._answer(batch)
        finally:
            self._writing = None
            for one in (*batch, *self._waiting):
                one.answer.cancel()  # where this was ended; otherwise all have their answers

    async def _answer(self, batch: list[_Waiting]) -> None:
        try:
            stored = await self._stored(batch)
        except Exception as error:
            if len(batch) > 1 and not isinstance(error, Unavailable):
                for one in batch:  # what cannot be written keeps no other from it
                    await self._answer([one])
                return
            for one in batch:
                if not one.answer.done():
                    one.answer.set_exception(error)
            return
        for one in batch:
            if not one.answer.done():  # who sent it may have hung up
                one.answer.set_result(stored.get(one.id))

    async def _stored(self, batch: list[_Waiting]) -> dict[str, bool]:
        """Which of them are new, by our id, without those whose account is another by now. `subject` is what the
        payment is found by: our key where the event says it, else the provider's name."""
        events = [one.event for one in batch]
        async with crossing(Reason.PAYMENTS, on=self._on, clock=self._clock) as uow:
            found = await uow.execute(
                _STORE,
                ids=[one.id for one in batch],
                accounts=[one.account.id for one in batch],
                versions=[one.account.version for one in batch],
                events=[one.id for one in events],
                kinds=[
                    one.type if one.subject is not EventSubject.OTHER else f"other: {one.type}"
                    for one in events
                ],
                about=[one.subject.value for one in events],
                subjects=[one.key or one.payment or one.reference for one in events],
                references=[one.reference for one in events],
                raws=[one.raw for one in batch],
                now=uow.wall_now,
            )
            return {row.id: row.is_new for row in found}


def _require_named(event: ProviderEvent) -> None:
    """An event is known by its name: without one, the next without one would pass for the same."""
    names = (event.id, event.type, event.reference, event.payment, event.key)
    if not event.id or any(len(one) > NAME_CHARACTERS_MAX or not one.isprintable() for one in names):
        raise WebhookRefused("it names something as no provider does")
