"""Reading what moved our balance at providers, page by page, into tables of ours.

A page and how far it brought us are written together, so that a pull that is cut off goes on where it was. Pulls read
again what they overlap with, since providers list some movements late; a movement that is known stays as it is. Two
workers do no harm: who comes second finds the account taken, or writes the same again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from models.payments import ProviderAccount
from services.core import clock as clocks
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.errors import Unavailable
from services.core.ids import new_id
from services.core.logs import get_logger
from services.core.work import UnitOfWork
from services.payments import policies as of_payments
from services.payments.cashier import Cashier
from services.payments.providers.base import PaymentProvider, RefusedByProvider
from services.payments.providers.values import Movement, Page, Payout
from services.reconciliation import asking, matching

log = get_logger(__name__)

EVERY = timedelta(days=1)
OVERLAP = timedelta(days=2)  # PayPal lists what moved hours later
PAYOUTS_BACK = timedelta(days=30)  # a payout may fail weeks after it was made
TAKEN_FOR = timedelta(minutes=15)  # by the worker that pulls; longer than a page takes
TRY_AGAIN_AFTER = timedelta(minutes=15)
PAGES_MAX = 5_000  # of movements in one pull; the next goes on
REASON_CHARACTERS_MAX = 500

_KNOW_ACCOUNTS = """
insert into provider_pull (provider_account_id, since, read_until, cursor, due_at)
select id, created_at - cast(:overlap as interval), created_at, '', :now from provider_account
where enabled
on conflict (provider_account_id) do nothing
"""
_TAKE = """
update provider_pull set due_at = :until where provider_account_id = (
  select p.provider_account_id from provider_pull p join provider_account a on a.id = p.provider_account_id
  where p.due_at <= :now and a.enabled and (:only = '' or a.id = :only) order by p.due_at, p.provider_account_id limit 1
  for update of p skip locked)
returning provider_account_id, since, read_until, page_since, page_until, cursor
"""
_BEGIN_ANEW = """
update provider_pull set page_since = null, page_until = null, cursor = '' where provider_account_id = :account_id
"""
_STORE_MOVEMENTS = """
insert into provider_movement (id, provider_account_id, provider_ref, kind, category, currency, gross_minor, fee_minor,
  net_minor, source, payment_ref, key, payout_id, match, happened_at, available_at, stored_at)
select id, :account_id, provider_ref, kind, category, currency, gross_minor, fee_minor, net_minor, source, payment_ref,
  key, cast(:payout_id as text), 'waiting', happened_at, available_at, :now
from jsonb_populate_recordset(cast(null as provider_movement), cast(:rows as jsonb))
on conflict (provider_account_id, provider_ref)
  do update set payout_id = coalesce(excluded.payout_id, provider_movement.payout_id)
  where provider_movement.payout_id is distinct from coalesce(excluded.payout_id, provider_movement.payout_id)
"""
_STORE_PAYOUTS = """
insert into provider_payout (id, provider_account_id, provider_ref, state, currency, minor, traced, failure,
  happened_at, arrives_at)
select id, :account_id, provider_ref, state, currency, minor, traced, failure, happened_at, arrives_at
from jsonb_populate_recordset(cast(null as provider_payout), cast(:rows as jsonb))
on conflict (provider_account_id, provider_ref) do update
  set state = excluded.state, failure = excluded.failure, arrives_at = excluded.arrives_at
"""
_TO_TRACE = """
select id, provider_ref from provider_payout
where provider_account_id = :account_id and traced and read_at is null order by happened_at, id limit :most
"""
# Where a provider lists no payouts, what went to our bank is one.
_FROM_MOVEMENTS = """
insert into provider_payout (id, provider_account_id, provider_ref, state, currency, minor, traced, failure,
  happened_at, arrives_at)
select 'ppo_' || substr(m.id, 5), m.provider_account_id, m.provider_ref, 'paid', m.currency, -m.gross_minor, false, '',
  m.happened_at, m.happened_at
from provider_movement m where m.provider_account_id = :account_id and m.kind = 'payout' and m.match = 'waiting'
on conflict (provider_account_id, provider_ref) do nothing
"""
# It consists of all that moved since the one before, where that adds up.
_UNTRACED = """
select p.id, p.minor, p.currency, p.happened_at from provider_payout p
where p.provider_account_id = :account_id and not p.traced and p.read_at is null
order by p.happened_at, p.id limit :most
"""
_TRACE_BY_TIME = """
with parts as (
  select id, net_minor from provider_movement where provider_account_id = :account_id and currency = :currency
    and happened_at <= :at and payout_id is null and kind <> 'payout'
)
update provider_movement m set payout_id = :payout_id from parts
where m.id = parts.id and (select sum(net_minor) from parts) = :minor
"""
PAYOUTS_TRACED_MAX = 500  # in one pull


@dataclass(frozen=True, slots=True)
class Pull:
    """An account that is being read, and from where to where. `cursor` is empty at the first page; what was before
    `begin` is none of ours."""

    account: ProviderAccount
    provider: PaymentProvider
    begin: datetime
    since: datetime
    until: datetime
    cursor: str


class Puller:
    """Reads the accounts that a cashier can open, and has what is new matched."""

    def __init__(
        self, cashier: Cashier, on: Database | None = None, clock: clocks.Clock | None = None
    ) -> None:
        self._cashier = cashier
        self._on = on
        self._clock = clock or clocks.SystemClock()

    async def pull_due(self) -> int:
        """Read all accounts whose time has come, and match; returns how many came to their end. Safe to run twice,
        from many workers, and to be cut off anywhere."""
        return await self._pull()

    async def pull(self, account_id: str) -> None:
        """Read one account up to now, and match; a pull that was cut off, or is under way, is begun anew."""
        async with self._work() as uow:
            await _due_now(uow, await of_payments.any_account(uow, account_id))
            await uow.execute(_BEGIN_ANEW, account_id=account_id)
        await self._pull(account_id)

    async def _pull(self, only: str = "") -> int:
        done = 0
        async with self._work() as uow:
            await uow.execute(_KNOW_ACCOUNTS, now=uow.wall_now, overlap=OVERLAP)
        while (taken := await self._take(only)) is not None:
            done += await self._pull_one(taken)
        if done:
            await asking.ask_again(self._cashier, self._on, self._clock)
            await matching.Matcher(self._on, self._clock).match_all()
        return done

    async def _pull_one(self, taken: Any) -> bool:
        """An account that cannot be read now is read later, and holds up no other."""
        account_id, reason, restart = taken.provider_account_id, "", False
        try:
            pull = await self._opened(taken)
            is_whole = await self._movements(pull)
            await self._payouts(pull)
        except RefusedByProvider as error:
            reason, restart = error.message, True  # a cursor may be too old to go on from
        except Unavailable as error:
            reason = error.message
        except Exception as error:
            log.error("provider_pull_failed", account_id=account_id, exc_info=error)
            reason = "Something went wrong on our side; the log of the worker says what."
        else:
            await self._end(account_id, due_in=EVERY if is_whole else timedelta(0))
            return True
        log.warning("provider_pull_waits", account_id=account_id, reason=reason)
        async with self._work() as uow:
            await uow.execute(
                "update provider_pull set due_at = :due_at, reason = :reason,"
                " cursor = case when :restart then '' else cursor end where provider_account_id = :account_id",
                account_id=account_id,
                due_at=uow.wall_now + TRY_AGAIN_AFTER,
                reason=reason[:REASON_CHARACTERS_MAX],
                restart=restart,
            )
        return False

    async def _take(self, only: str) -> Any:
        async with self._work() as uow:
            taken = await uow.execute(_TAKE, now=uow.wall_now, until=uow.wall_now + TAKEN_FOR, only=only)
            return taken.one_or_none()

    async def _opened(self, taken: Any) -> Pull:
        async with self._work() as uow:
            account = await of_payments.any_account(uow, taken.provider_account_id)
        provider = await self._cashier.provider_of(account)  # which takes a transaction of its own
        async with self._work() as uow:
            if taken.page_until is not None:
                return Pull(account, provider, taken.since, taken.page_since, taken.page_until, taken.cursor)
            since = max(taken.since, taken.read_until - OVERLAP)
            pull = Pull(account, provider, taken.since, since, uow.wall_now, "")
            await uow.execute(
                "update provider_pull set page_since = :since, page_until = :until, cursor = ''"
                " where provider_account_id = :account_id",
                since=pull.since,
                until=pull.until,
                account_id=account.id,
            )
            return pull

    async def _movements(self, pull: Pull) -> bool:
        """Returns whether all of the time is read."""
        cursor = pull.cursor
        for _ in range(PAGES_MAX):
            page = await pull.provider.movements(since=pull.since, until=pull.until, cursor=cursor)
            cursor = page.cursor
            async with self._work() as uow:
                await _store_movements(uow, pull.account.id, page)
                await uow.execute(
                    "update provider_pull set cursor = :cursor, due_at = :due_at"
                    " where provider_account_id = :account_id and page_until = :until",
                    cursor=cursor,
                    due_at=uow.wall_now + TAKEN_FOR,
                    account_id=pull.account.id,
                    until=pull.until,
                )
            if not cursor:
                return True
        return False

    async def _payouts(self, pull: Pull) -> None:
        account_id = pull.account.id
        if pull.provider.capabilities.lists_payouts:
            await self._listed_payouts(pull)
        else:
            async with self._work() as uow:
                await uow.execute(_FROM_MOVEMENTS, account_id=account_id)
        async with self._work() as uow:
            found = await uow.execute(_TO_TRACE, account_id=account_id, most=PAYOUTS_TRACED_MAX)
            to_trace = found.all()
        for payout in to_trace:
            await self._parts(pull, payout.id, payout.provider_ref)
        async with self._work() as uow:
            untraced = await uow.execute(_UNTRACED, account_id=account_id, most=PAYOUTS_TRACED_MAX)
            for payout in untraced.all():
                traced = await uow.execute(
                    _TRACE_BY_TIME,
                    account_id=account_id,
                    currency=payout.currency,
                    at=payout.happened_at,
                    payout_id=payout.id,
                    minor=payout.minor,
                )
                if traced.rowcount or payout.happened_at < uow.wall_now - OVERLAP:
                    await _read(uow, payout.id)

    async def _listed_payouts(self, pull: Pull) -> None:
        cursor = ""
        for _ in range(PAGES_MAX):
            page = await pull.provider.payouts(
                since=max(pull.begin, pull.since - PAYOUTS_BACK), cursor=cursor
            )
            async with self._work() as uow:
                await uow.execute(
                    _STORE_PAYOUTS,
                    account_id=pull.account.id,
                    rows=_as_json([_payout(one) for one in page.items]),
                )
            if not (cursor := page.cursor):
                return

    async def _parts(self, pull: Pull, payout_id: str, reference: str) -> None:
        """What a payout consists of. Cut off, all of it is read again."""
        cursor = ""
        for _ in range(PAGES_MAX):
            page = await pull.provider.payout_movements(reference, cursor=cursor)
            async with self._work() as uow:
                await _store_movements(uow, pull.account.id, page, payout_id=payout_id)
                if not page.cursor:
                    await _read(uow, payout_id)
            if not (cursor := page.cursor):
                return

    async def _end(self, account_id: str, *, due_in: timedelta) -> None:
        async with self._work() as uow:
            await uow.execute(
                "update provider_pull set read_until = case when cursor = '' then page_until else read_until end,"
                " page_since = case when cursor = '' then null else page_since end,"
                " page_until = case when cursor = '' then null else page_until end,"
                " due_at = :due_at, pulled_at = :now, reason = null"
                " where provider_account_id = :account_id and page_until is not null",
                account_id=account_id,
                due_at=uow.wall_now + due_in,
                now=uow.wall_now,
            )

    def _work(self) -> Any:
        return crossing(Reason.PAYMENTS, on=self._on, clock=self._clock)


async def _store_movements(
    uow: UnitOfWork, account_id: str, page: Page[Movement], *, payout_id: str | None = None
) -> None:
    # In one order, so that two who write the same rows wait for each other only.
    rows = sorted((_movement(one) for one in page.items), key=lambda row: str(row["provider_ref"]))
    await uow.execute(
        _STORE_MOVEMENTS, account_id=account_id, payout_id=payout_id, rows=_as_json(rows), now=uow.wall_now
    )


async def _read(uow: UnitOfWork, payout_id: str) -> None:
    await uow.execute(
        "update provider_payout set read_at = :now where id = :id", now=uow.wall_now, id=payout_id
    )


def _movement(one: Movement) -> dict[str, Any]:
    return {
        "id": new_id("mvt"),
        "provider_ref": one.reference,
        "kind": one.kind.value,
        "category": one.category,
        "currency": one.gross.currency,
        "gross_minor": one.gross.minor,
        "fee_minor": one.fee.minor,
        "net_minor": one.net.minor,
        "source": one.source,
        "payment_ref": one.payment,
        "key": one.key,
        "happened_at": one.created,
        "available_at": one.available,
    }


def _payout(one: Payout) -> dict[str, Any]:
    return {
        "id": new_id("ppo"),
        "provider_ref": one.reference,
        "state": one.state.value,
        "currency": one.amount.currency,
        "minor": one.amount.minor,
        "traced": one.traced,
        "failure": one.failure,
        "happened_at": one.created,
        "arrives_at": one.arrives,
    }


def _as_json(rows: Sequence[dict[str, Any]]) -> str:
    return orjson.dumps(list(rows)).decode()


async def ask(uow: UnitOfWork, account_id: str) -> None:
    """Have an account read by the next turn of a worker.

    Raises Forbidden and NotFound.
    """
    await _due_now(uow, await of_payments.account_for(uow, account_id, matching.WRITE))


async def _due_now(uow: UnitOfWork, account: ProviderAccount) -> None:
    await uow.execute(
        "insert into provider_pull (provider_account_id, since, read_until, cursor, due_at)"
        " values (:id, :since, :read_until, '', :now)"
        " on conflict (provider_account_id) do update set due_at = least(provider_pull.due_at, excluded.due_at)",
        id=account.id,
        since=account.created_at - OVERLAP,
        read_until=account.created_at,
        now=uow.wall_now,
    )
