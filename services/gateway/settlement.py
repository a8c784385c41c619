"""Bringing closed calls from the journal into the database: usage events and request rows, in batches.

Everything here may happen twice: the keys of both tables make the second time do nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from services.budgets.spending import Counted, count
from services.core import metrics
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.errors import Conflict, MatrixError, Unavailable
from services.core.logs import get_logger
from services.core.work import UnitOfWork
from services.gateway import journal, rules
from services.gateway.calls import Call
from services.gateway.journal import Entry, Journal, Segment
from services.gateway.purses import HeldOf, Purses, budget_name, budget_place, wallet_name
from services.identity.keys import touch_last_used
from services.metering.recording import Outcome, Status
from services.metering.rules import gateway_event
from services.metering.service import record
from services.wallets.usage import Holding, Used, charge

log = get_logger(__name__)

BATCH_CALLS_MAX = 500
BATCH_EVERY_S = 0.2
MEMORY_CALLS_MAX = 20_000  # closed calls kept in memory; what is beyond is read from the journal again
RETRY_BASE_S = 0.2
RETRY_S_MAX = 5.0
LAST_USED_EVERY_S = 20.0

_INSERT = """
insert into request (organization_id, id, key_id, account_id, model, upstream_id, endpoint, streamed, status,
  error_code, prompt_tokens, completion_tokens, tokens_source, started_at, latency_ms, first_token_ms, attempts,
  cost, currency, address, trace_id)
select organization_id, id, key_id, account_id, model, upstream_id, endpoint, streamed, status,
  error_code, prompt_tokens, completion_tokens, tokens_source, started_at, latency_ms, first_token_ms, attempts,
  cost, currency, address, trace_id
from json_to_recordset(cast(:rows as json)) as r(
  organization_id text, id text, key_id text, account_id text, model text, upstream_id text, endpoint text,
  streamed boolean, status int, error_code text, prompt_tokens int, completion_tokens int, tokens_source text,
  started_at timestamptz, latency_ms int, first_token_ms int, attempts int, cost numeric, currency text,
  address text, trace_id text)
on conflict do nothing
"""


async def settle(uow: UnitOfWork, calls: Sequence[Call]) -> dict[HeldOf, Holding]:
    """Write usage and request rows of `calls` in the transaction of `uow`, which crosses tenants, debit wallets and
    count in budgets. Returns what processes hold of these from then on.
    """
    recorded = await record(
        uow,
        [
            gateway_event(
                organization_id=call.organization_id,
                request_id=call.id,
                time=call.started_at,
                model=call.model,
                key_id=call.key_id,
                prompt_tokens=call.prompt_tokens,
                completion_tokens=call.completion_tokens,
                endpoint=call.endpoint,
                status=call.status,
                paid_ahead=bool(call.reserved),
            )
            for call in calls
        ],
    )
    rows: list[dict[str, Any]] = []
    for call, outcome in zip(calls, recorded.outcomes, strict=True):
        cost = None if outcome.cost is None else str(outcome.cost)
        rows.append({**_fields(call), "cost": cost, "currency": outcome.currency})
    await uow.execute(_INSERT, rows=orjson.dumps(rows).decode())
    return await _charge(uow, calls, recorded.outcomes)


async def _charge(
    uow: UnitOfWork, calls: Sequence[Call], outcomes: Sequence[Outcome]
) -> dict[HeldOf, Holding]:
    settled = list(zip(calls, outcomes, strict=True))
    used = [
        Used(
            call.id,
            call.organization_id,
            outcome.currency,
            call.holder,
            Decimal(call.reserved),
            outcome.cost,
            is_new=outcome.status is Status.ACCEPTED,
        )
        for call, outcome in settled
        if call.reserved
    ]
    counted = [
        Counted(
            call.organization_id,
            call.key_id,
            call.model,
            call.started_at,
            outcome.cost,
            call.tokens,
            call.holder,
            {budget_place(name): Decimal(amount) for name, amount in call.caps.items()},
            is_new=outcome.status is Status.ACCEPTED,
        )
        for call, outcome in settled
    ]
    held = {
        (wallet_name(organization_id, currency), holder): holding
        for (organization_id, currency, holder), holding in (await charge(uow, used)).items()
    }
    for (budget_id, starts_at, holder), holding in (await count(uow, counted)).items():
        held[budget_name(budget_id, starts_at), holder] = holding
    return held


def _fields(call: Call) -> dict[str, Any]:
    return {name: getattr(call, name) for name in Call.__slots__}


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A closed call in memory. A refused call has no segment: it owes nothing, so the journal never saw it."""

    call: Call
    segment: Segment | None


class Settler:
    """Settles the calls of one process, in order of closing, as soon and as often as the database lets it."""

    def __init__(self, on: Database, journal: Journal) -> None:
        self._on = on
        self.booked: Callable[[Sequence[Call], dict[HeldOf, Holding]], None] = lambda calls, held: None
        self._journal = journal
        self._waiting: deque[_Waiting] = deque()
        self._parked: set[str] = set()
        self._used: dict[str, datetime] = {}
        self._used_written_at = time.monotonic()
        self._wake = asyncio.Event()
        self._settling = asyncio.Lock()

    @property
    def unsettled(self) -> int:
        """Calls in the journal that are closed and wait for the database."""
        on_disk = sum(one.closed - one.settled for one in self._journal.segments())
        return on_disk + sum(1 for one in self._waiting if one.segment is None)

    @property
    def parked(self) -> int:
        """Calls that the database refused since this process started: on disk only, for people to look at."""
        return len(self._parked)

    def take(self, entry: Entry) -> None:
        """Accept a closed call. What memory has no room for waits on disk."""
        if len(self._waiting) >= MEMORY_CALLS_MAX:
            entry.segment.spilled = True
            return
        self._accept(_Waiting(entry.call, entry.segment))

    def take_refused(self, call: Call) -> None:
        """Accept a call that was refused before any upstream was asked. Dropped when memory is full."""
        if len(self._waiting) < MEMORY_CALLS_MAX:
            self._accept(_Waiting(call, None))

    def _accept(self, waiting: _Waiting) -> None:
        self._waiting.append(waiting)
        if waiting.call.key_id:
            self._used[waiting.call.key_id] = waiting.call.started_at
        if len(self._waiting) >= BATCH_CALLS_MAX:
            self._wake.set()

    async def run(self) -> None:
        """Settle until cancelled."""
        # Counted when asked: a figure set once a round says nothing of a call that closed since.
        metrics.GATEWAY_UNSETTLED.set_function(lambda: self.unsettled)
        metrics.GATEWAY_PARKED.set_function(lambda: self.parked)
        failures = 0
        while True:
            await self._pause(
                rules.retry_delay_s(failures, base_s=RETRY_BASE_S, most_s=RETRY_S_MAX) if failures else 0
            )
            try:
                await self.settle_waiting()
                failures = 0
            except (Unavailable, Conflict, DBAPIError) as error:
                failures += 1
                log.warning("settlement_waits", error=str(error), unsettled=self.unsettled, failures=failures)

    async def _pause(self, delay_s: float) -> None:
        """Until a batch is full or due; after a failure for as long as the delay says, however much waits."""
        if delay_s:
            await asyncio.sleep(delay_s)
            return
        self._wake.clear()
        try:
            async with asyncio.timeout(BATCH_EVERY_S):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def settle_waiting(self) -> None:
        """Settle all that is closed now. Raises Unavailable or Conflict: then it stays where it is.

        What closes meanwhile waits for the next time: going on at once would make batches of one or two
        calls, and their transactions would cost the calls more than all the rest of the gateway.
        """
        async with self._settling:
            left = len(self._waiting)
            while left > 0:
                left -= await self._settle_batch(min(left, BATCH_CALLS_MAX))
            for segment in [one for one in self._journal.segments() if one.spilled]:
                await self._settle_spilled(segment)
            self._journal.tidy()
            await self._note_last_used()

    async def _settle_batch(self, size: int) -> int:
        batch = list(islice(self._waiting, size))
        refused = await self._settle_calls([one.call for one in batch])
        for one in batch:
            self._waiting.popleft()
            if one.segment is not None:
                one.segment.settled += 1
                one.segment.parked |= one.call.id in refused
        return size

    async def _settle_spilled(self, segment: Segment) -> None:
        """Read a segment again and settle all its closed calls: those already settled change nothing."""
        # Calls of this segment that also wait in memory are counted when their turn comes.
        closed = segment.closed - sum(1 for one in self._waiting if one.segment is segment)
        segment.spilled = False
        try:
            calls = await asyncio.to_thread(journal.read_closed, segment.path)
            for start in range(0, len(calls), BATCH_CALLS_MAX):
                segment.parked |= bool(await self._settle_calls(calls[start : start + BATCH_CALLS_MAX]))
        except BaseException:
            segment.spilled = True
            raise
        segment.settled = max(segment.settled, closed)

    async def settle_dead(self, path: Path) -> None:
        """Settle what a dead process left in this segment, and delete it unless it holds a parked call."""
        calls = await asyncio.to_thread(journal.read_dead, path)
        refused: set[str] = set()
        for start in range(0, len(calls), BATCH_CALLS_MAX):
            refused |= await self._settle_calls(calls[start : start + BATCH_CALLS_MAX])
        log.info("journal_recovered", segment=path.name, calls=len(calls), refused=len(refused))
        if not refused:
            await asyncio.to_thread(path.unlink, missing_ok=True)

    async def _settle_calls(self, calls: Sequence[Call]) -> set[str]:
        """Settle in one transaction; if the database refuses the batch, find the culprits and leave them out.

        Returns the ids of calls that cannot be settled. Their segment stays on disk for people to look at,
        and is tried again when the process starts next.
        """
        if not calls:
            return set()
        try:
            async with crossing(Reason.GATEWAY_SETTLEMENT, on=self._on) as uow:
                held = await settle(uow, calls)
        except (Unavailable, Conflict):
            raise
        # Any other error of the database is about all calls: it is read-only, or its tables are not ours yet.
        except (MatrixError, DataError, IntegrityError, ValueError) as error:
            if len(calls) == 1:
                log.error("call_cannot_be_settled", request_id=calls[0].id, error=str(error)[:500])
                self._parked.add(calls[0].id)
                return {calls[0].id}
            half = len(calls) // 2
            return await self._settle_calls(calls[:half]) | await self._settle_calls(calls[half:])
        self.booked(calls, held)
        if self._parked:
            self._parked.difference_update(call.id for call in calls)
        return set()

    async def _note_last_used(self) -> None:
        if self._used and time.monotonic() - self._used_written_at > LAST_USED_EVERY_S:
            used, self._used = self._used, {}
            self._used_written_at = time.monotonic()
            async with crossing(Reason.GATEWAY_SETTLEMENT, on=self._on) as uow:
                await touch_last_used(uow, used)


class Recoverer:
    """Finds segments of dead processes and has them settled, and then what these processes held of wallets ended.

    A segment that holds a parked call stays where it is. It is tried once by each process, at its start or when
    it is found: what was refused is refused again, and trying on would cost transactions for ever.
    """

    def __init__(self, settler: Settler, slot: journal.Slot, purses: Purses) -> None:
        self._settler = settler
        self._slot = slot
        self._purses = purses
        self._tried: dict[
            Path, int
        ] = {}  # segments that stay, by when they were written: names are used again

    async def recover(self, own: Sequence[Path]) -> None:
        """Settle `own` (what a former holder of our slot left) and whatever lies in free slots.

        Raises Unavailable or Conflict; what is not settled yet stays on disk for the next time.
        """
        await self._settle(own)
        holding = await self._purses.holding_slots(self._slot.node)
        if self._slot.number in holding:
            await self._purses.release(self._slot.process)
        for number in self._other_slots(holding):
            slot = journal.Slot.take(self._slot.directory, number)
            if slot is None:
                continue  # its process lives and settles for itself
            try:
                await self._settle(slot.files())
                if number in holding:
                    await self._purses.release(slot.process)
            finally:
                slot.release()
        self._tried = {path: written for path, written in self._tried.items() if path.exists()}

    async def _settle(self, segments: Sequence[Path]) -> None:
        for path in segments:
            if not path.exists():
                continue
            written = path.stat().st_mtime_ns
            if self._tried.get(path) != written:
                await self._settler.settle_dead(path)
                self._tried[path] = written

    def _other_slots(self, holding: set[int]) -> list[int]:
        numbers = {int(path.name.partition("-")[0]) for path in self._slot.directory.glob("*-*.calls")}
        return sorted((numbers | holding) - {self._slot.number})
