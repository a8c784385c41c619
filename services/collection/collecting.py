"""Invoices that are due are charged by themselves, if their organisation keeps a method, and again when that failed.

Each invoice is worked on alone, in transactions of its own: what fails for one waits, and holds up no other. When and
with what is retry_rules.py's; who asks the provider is the cashier. Times are those of the organisation's clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from models.billing import Invoice, InvoiceState
from models.dunning import InvoiceCollection
from models.money import Money
from models.payments import Initiator, Payment, PaymentState
from services.billing import policies as of_billing
from services.billing.numbering import label_date
from services.billing.periods import day_begins
from services.billing_runs import due_rows, running
from services.collection import history, retry_rules
from services.collection.learned_hours import Habits, learn
from services.collection.retry_rules import Next
from services.core.actor import system
from services.core.clock import Clock
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.errors import Busy, Invalid, Unavailable
from services.core.logs import get_logger
from services.core.permissions import Capability
from services.core.settings import settings
from services.core.work import UnitOfWork, unit_of_work
from services.disputes import disputed
from services.dunning import holding, segments
from services.payments import cashier as cashiers
from services.payments import charging, policies, transfers
from services.payments.cashier import Cashier
from services.payments.charging import Wanted

log = get_logger(__name__)

EVERY_S = 30
BATCH = 200  # invoices that are looked up at once
LOOK_AGAIN = timedelta(hours=1)  # at one whose payment is under way, or which could not be worked on
CONTESTED_WAIT = timedelta(days=1)
_AHEAD = timedelta(hours=14)  # somewhere on earth it is a day later already
_WRITE = Capability.PAYMENTS_WRITE

# What is sent to be paid is charged by nobody.
_SENT = "exists (select from subscription b where b.id = s.subscription_id and b.collection = 'send')"
_OWED = f"s.state = 'finalized' and s.due_minor > 0 and not {disputed.INVOICE} and not {_SENT}"
_KEEPS = """
exists (select from payment_method m where m.organization_id = s.organization_id and m.is_default)
"""
_NEWER = """
exists (select from payment_method m where m.organization_id = s.organization_id and m.removed_at is null
  and coalesce(m.renewed_at, m.created_at) > c.decided_at)
"""
_DUE = f"""
select s.id, s.organization_id, s.due_date from invoice s left join invoice_collection c on c.invoice_id = s.id
where {_OWED} and s.due_date <= :until and (s.due_date, s.id) > (:after_date, :after_id) and {_KEEPS}
  and (c.invoice_id is null or c.next_at <= :now or {_NEWER}) and not {holding.held("s")} and {{whose}}
order by s.due_date, s.id limit :most
"""
_LATER = """
insert into invoice_collection (invoice_id, organization_id, attempts, next_at, reason, decided_at)
values (:id, :organization_id, 0, :at, 'failed', :now)
on conflict (invoice_id) do update set next_at = :at, reason = 'failed', decided_at = :now
"""
_LEARNS = "select exists (select from dunning_campaign where enabled and learned_hours)"
_FIRST = f"""
select min(s.due_date) as due_date, s.policy->>'timezone' as zone from invoice s
left join invoice_collection c on c.invoice_id = s.id
where {_OWED} and c.invoice_id is null and {_KEEPS} and not {holding.held("s")} and {running.ON_A_CLOCK}
group by zone
"""
_AGAIN = f"""
select min(case when {_NEWER} then c.decided_at else c.next_at end)
from invoice s join invoice_collection c on c.invoice_id = s.id
where {_OWED} and {_KEEPS} and (c.next_at is not null or {_NEWER}) and not {holding.held("s")}
  and {running.ON_A_CLOCK}
"""


@dataclass(frozen=True, slots=True)
class Due:
    id: str
    organization_id: str
    due_date: date


@dataclass(frozen=True, slots=True)
class Collector:
    """Charges what is due through `cashier`, at most `concurrency` invoices at once."""

    cashier: Cashier
    concurrency: int
    on: Database | None = None
    clock: Clock | None = None

    async def collect_due(self) -> int:
        """Of all organisations whose time is the wall's. Returns how many invoices were charged. Safe to run twice,
        from many workers, and to be cut off."""
        return await self._collect(None)

    async def collect_clock(self, clock_id: str) -> int:
        """Of the organisations on a test clock, by what it shows."""
        return await self._collect(clock_id)

    async def _collect(self, clock_id: str | None) -> int:
        """As many hands as may be, which take the next as soon as they are free."""
        habits = await self._habits()
        waiting: asyncio.Queue[Due | None] = asyncio.Queue(maxsize=self.concurrency)
        charged = 0

        async def work() -> None:
            nonlocal charged
            while (due := await waiting.get()) is not None:
                was_charged = await self.collect_one(due, habits)
                charged += was_charged

        async with asyncio.TaskGroup() as hands:
            for _ in range(self.concurrency):
                hands.create_task(work())
            async for due in _found(clock_id, self.on, self.clock):
                await waiting.put(due)
            for _ in range(self.concurrency):
                await waiting.put(None)
        return charged

    async def collect_one(self, due: Due, habits: Habits | None = None) -> bool:
        """Charge one, with one method after the other where that is due. Returns whether anything was tried. Raises
        Unavailable: a database that is away says nothing about an invoice."""
        tried = False
        try:
            for _ in range(history.METHODS_MAX):
                async with self._work(due) as uow:
                    begun = await begin(uow, due.id, habits)
                    prepared = None if begun is None else await self.cashier.prepare(uow, begun)
                if prepared is None:
                    break
                tried = True
                payment = await self.cashier.send_prepared(prepared)
                if payment.state != PaymentState.FAILED:
                    break
                async with self._work(due) as uow:
                    await look_now(uow, due.id)
        except Busy:
            return tried  # somebody else is at it
        except Unavailable:
            raise
        except Exception as error:
            log.error("collection_failed", invoice_id=due.id, exc_info=error)
            async with self._work(due) as uow:
                named = {"id": due.id, "organization_id": due.organization_id}
                await uow.execute(_LATER, {**named, "at": uow.now + LOOK_AGAIN, "now": uow.now})
        return tried

    def _work(self, due: Due) -> Any:
        return unit_of_work(system(due.organization_id), on=self.on, clock=self.clock)

    async def _habits(self) -> Habits | None:
        """What was learned from the retries of all, if a campaign wants it."""
        async with crossing(Reason.PAYMENTS, on=self.on, clock=self.clock) as uow:
            if not (await uow.execute(_LEARNS)).scalar_one():
                return None
            return learn(await history.retries_made(uow, since=uow.wall_now - history.HABITS_OF))


async def _found(clock_id: str | None, on: Database | None, clock: Clock | None) -> AsyncIterator[Due]:
    whose = running.ON_THE_WALL if clock_id is None else running.ON_A_CLOCK
    after = (date.min, "")
    while True:
        async with crossing(Reason.PAYMENTS, on=on, clock=clock) as uow:
            now = uow.wall_now if clock_id is None else await due_rows.shown(uow, clock_id)
            named: dict[str, Any] = {} if clock_id is None else {"clock_id": clock_id}
            rows = await uow.execute(
                _DUE.format(whose=whose),
                {
                    **named,
                    "now": now,
                    "until": (now + _AHEAD).date(),
                    "after_date": after[0],
                    "after_id": after[1],
                    "most": BATCH,
                },
            )
            batch = [Due(row.id, row.organization_id, row.due_date) for row in rows]
        for due in batch:
            yield due
        if len(batch) < BATCH:
            return
        after = (batch[-1].due_date, batch[-1].id)


async def take_as_paid(clock_id: str, on: Database, *, clock: Clock | None = None) -> None:
    """Where a clock is turned to see what comes of it, nobody is charged: what would be is paid."""
    async for due in _found(clock_id, on, clock):
        async with unit_of_work(system(due.organization_id), on=on, clock=clock) as uow:
            invoice = await of_billing.invoice_for(uow, due.id, _WRITE)
            row = await policies.collection_of(uow, invoice)
            owed = (await charging.standing(uow, invoice)).collectable_minor
            if not _is_owed(invoice, uow.now) or not await _is_due(uow, row) or not owed:
                continue
            money = Money(owed, invoice.currency)
            await transfers.record(uow, money=money, key=f"rehearsed.{invoice.id}", invoice_id=invoice.id)


def collector(on: Database | None = None, clock: Clock | None = None) -> Collector | None:
    """That of this process, which charges through its cashier; None where it has none."""
    there = cashiers.installed()
    if there is None:
        return None
    return Collector(there, settings().collection_concurrency, on, clock)


async def begin(uow: UnitOfWork, invoice_id: str, habits: Habits | None = None) -> Payment | None:
    """Decide about one. Returns the payment that was written down, to be sent once this is committed; None where
    nothing is to be charged now, or somebody else has decided meanwhile."""
    invoice = await of_billing.invoice_for(uow, invoice_id, _WRITE)
    row = await policies.collection_of(uow, invoice)
    if not _is_owed(invoice, uow.now) or not await _is_due(uow, row) or await holding.is_held(uow, invoice):
        return None
    row = row or InvoiceCollection(
        invoice_id=invoice.id, organization_id=invoice.organization_id, attempts=0, decided_at=uow.now
    )
    payment, row.next_at, row.reason = await _decide(uow, invoice, row.attempts + 1, habits)
    row.attempts += payment is not None
    row.decided_at = uow.now
    uow.add(row)
    return payment


_Decision = tuple[Payment | None, datetime | None, str]  # what was begun, when to look again, and why


async def _decide(uow: UnitOfWork, invoice: Invoice, attempt: int, habits: Habits | None) -> _Decision:
    stands = await charging.standing(uow, invoice)
    if stands.under_way is not None:
        return None, uow.now + LOOK_AGAIN, "under_way"
    if not stands.collectable_minor:
        return None, uow.now + CONTESTED_WAIT, "contested"
    if await disputed.is_disputed(uow, invoice.id):  # since it was found
        return None, uow.now + CONTESTED_WAIT, "disputed"
    methods, accounts = await history.methods_of(uow)
    tried = await history.tried_of(uow, invoice.id)
    campaign = await segments.campaign_of(uow, invoice)
    days = campaign.retry_days if campaign is not None else retry_rules.RETRY_DAYS
    decided = retry_rules.next_attempt(methods, tried, days, now=uow.now)
    if not isinstance(decided, Next):
        return None, None, decided.value
    if decided.at > uow.now:
        at = decided.at
        if habits is not None and campaign is not None and campaign.learned_hours and tried:
            at = habits.best(retry_rules.kind_of(tried[-1]), at)
        return None, at, "retry"
    wanted = Wanted(
        invoice.id,
        accounts[decided.method_id],
        key=f"collect.{invoice.id}.{attempt}",
        method_id=decided.method_id,
        initiator=Initiator.SCHEDULE,
    )
    try:
        return await charging.start(uow, wanted, locked=invoice), uow.now + LOOK_AGAIN, "under_way"
    except (Invalid, charging.AccountDisabled) as error:
        return None, None, error.error_code


async def look_now(uow: UnitOfWork, invoice_id: str) -> None:
    """Have what comes next be decided again: the payment that it waited for has failed."""
    invoice = await of_billing.invoice_for(uow, invoice_id, _WRITE)
    row = await policies.collection_of(uow, invoice)
    if row is not None:
        row.next_at = uow.now
        uow.add(row)


def _is_owed(invoice: Invoice, now: datetime) -> bool:
    owed = invoice.state == InvoiceState.FINALIZED and invoice.due_minor > 0
    if not owed or invoice.due_date is None:
        return False
    return label_date(now, (invoice.policy or {}).get("timezone", "UTC")) >= invoice.due_date


async def _is_due(uow: UnitOfWork, row: InvoiceCollection | None) -> bool:
    if row is None or (row.next_at is not None and row.next_at <= uow.now):
        return True
    newer = await uow.execute(
        "select exists (select from payment_method where organization_id = :organization_id"
        " and removed_at is null and coalesce(renewed_at, created_at) > :since)",
        organization_id=uow.organization_id,
        since=row.decided_at,
    )
    return bool(newer.scalar_one())


async def next_on(uow: UnitOfWork, clock_id: str) -> datetime | None:
    """When the next invoice on a test clock is charged, in work across tenants."""
    named = {"clock_id": clock_id, "now": await due_rows.shown(uow, clock_id)}
    first = await uow.execute(_FIRST, named)
    moments: list[datetime | None] = [day_begins(row.due_date, row.zone) for row in first]
    moments.append((await uow.execute(_AGAIN, named)).scalar_one())
    return min((moment for moment in moments if moment is not None), default=None)
