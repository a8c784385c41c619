"""What this process may spend of wallets and budgets: reserved before a call, settled to what it really used.

A process holds a share of a purse in the database, and reserves calls out of it in memory. What it holds nobody else
may spend, so no number of processes and callers spends the last cent twice. With plenty left a share serves many
calls; near the end each call asks the database for exactly what it may cost.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, Protocol

from sqlalchemy.exc import DBAPIError

from models.budgets import BudgetMeasure
from services.budgets import spending
from services.budgets.rules import Terms, Window
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.errors import MatrixError
from services.core.logs import get_logger
from services.core.work import UnitOfWork
from services.gateway.calls import Call
from services.gateway.leases import LEASES_WANTED
from services.gateway.refusals import IN_VAIN, Code, Refusal
from services.wallets import usage
from services.wallets.usage import Holding

log = get_logger(__name__)

CALLS_AHEAD = 31  # that a share is asked for, besides the call that needs one
IDLE_S = 5.0  # a share that nobody used for this long is given back
SWEEP_S = 600.0
ACQUIRE_S_MAX = 5.0
TRIES = 5
WAIT_S = 0.06  # as newcomers wait for shares of rates
BUDGET = "budget:"
_NOTHING = Decimal(0)

HeldOf = tuple[str, str]  # the name of a purse, and who holds a share of it


class Purse(Protocol):
    """Something that calls use up. Its name is that of its shares, in every process."""

    @property
    def name(self) -> str: ...

    async def hold(self, uow: UnitOfWork, holder: str, *, need: Decimal, more: Decimal) -> Holding: ...

    async def give_back(self, uow: UnitOfWork, holder: str, amount: Decimal) -> Holding: ...

    def refusal(self, amount: Decimal, free: Decimal) -> str:
        """Why a call that may use `amount` does not pass when `free` is left, and what helps."""
        ...


class Wallet(NamedTuple):
    """The wallet of an organisation in a currency. Amounts are major units of that."""

    organization_id: str
    currency: str

    @property
    def name(self) -> str:
        return wallet_name(self.organization_id, self.currency)

    async def hold(self, uow: UnitOfWork, holder: str, *, need: Decimal, more: Decimal) -> Holding:
        return await usage.hold(uow, *self, holder, need=need, more=more)

    async def give_back(self, uow: UnitOfWork, holder: str, amount: Decimal) -> Holding:
        return await usage.give_back(uow, *self, holder, amount)

    def refusal(self, amount: Decimal, free: Decimal) -> str:
        return (
            f"You exceeded your current quota: this request may cost up to {_shown(amount)} {self.currency}, and"
            f" {_shown(free)} {self.currency} of your prepaid balance is free. Top up the wallet, or send a smaller"
            " max_tokens."
        )


class Budget(NamedTuple):
    """A budget that stops, in the period that a call counts in. Amounts are tokens or major units."""

    terms: Terms
    window: Window

    @property
    def name(self) -> str:
        return budget_name(self.terms.id, self.window.starts_at)

    async def hold(self, uow: UnitOfWork, holder: str, *, need: Decimal, more: Decimal) -> Holding:
        return await spending.hold(uow, *self, holder, need=need, more=more)

    async def give_back(self, uow: UnitOfWork, holder: str, amount: Decimal) -> Holding:
        return await spending.give_back(uow, self.terms.id, self.window.starts_at, holder, amount)

    def refusal(self, amount: Decimal, free: Decimal) -> str:
        terms = self.terms
        unit = terms.currency if terms.measure is BudgetMeasure.COST else "tokens"
        return (
            f"You exceeded your current quota: this request may use up to {_shown(amount)} {unit}, and {_shown(free)}"
            f" {unit} of a budget of this {terms.period.value} is free. Have the budget raised, send a smaller"
            f" max_tokens, or wait until {self.window.ends_at.isoformat()}."
        )


Cap = tuple[Budget, Decimal]  # a budget, and what a call may use of it


def wallet_name(organization_id: str, currency: str) -> str:
    return f"wallet:{organization_id}:{currency}"


def budget_name(budget_id: str, starts_at: datetime) -> str:
    return f"{BUDGET}{budget_id}:{starts_at.isoformat()}"


def budget_place(name: str) -> tuple[str, datetime]:
    """The budget and the start of its period, of what `budget_name` made."""
    budget_id, _, starts_at = name.removeprefix(BUDGET).partition(":")
    return budget_id, datetime.fromisoformat(starts_at)


@dataclass(slots=True)
class Share:
    """What this process holds of one purse. `reserved` are the calls that are not settled yet."""

    purse: Purse
    amount: Decimal = _NOTHING
    version: int = 0
    returning: Decimal = _NOTHING  # on its way back
    in_use: Decimal = _NOTHING
    reserved: dict[str, Decimal] = field(default_factory=dict[str, Decimal])
    used_at: float = 0.0
    # One change of what is held at a time: else an answer might count what is on its way back.
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def free(self) -> Decimal:
        return self.amount - self.in_use - self.returning

    def reserve(self, call_id: str, amount: Decimal) -> bool:
        """Whether there was enough, and is now less."""
        if self.free < amount:
            return False
        self.reserved[call_id] = amount
        self.in_use += amount
        return True

    def drop(self, call_id: str) -> None:
        self.in_use -= self.reserved.pop(call_id, _NOTHING)

    def told(self, holding: Holding) -> None:
        """What the database said last counts, whatever arrives here when."""
        if holding.version > self.version:
            self.amount, self.version = holding.amount, holding.version


class Purses:
    """The shares of one process. `settle` brings calls that have ended into the database now."""

    def __init__(self, on: Database, holder: str, settle: Callable[[], Awaitable[None]]) -> None:
        self._on = on
        self.holder = holder
        self._settle = settle
        self._shares: dict[str, Share] = {}
        self._ended: set[str] = set()  # calls that wait to be settled

    async def reserve(self, call: Call, wallet: Wallet | None, cost: Decimal, caps: Sequence[Cap]) -> None:
        """Let a call through that may cost `cost` of a wallet, and use up what `caps` say of budgets.

        Raises Refusal: not enough is left, or nobody can tell. Whoever calls it cancels a call that is not made.
        """
        call.holder = self.holder
        if wallet is not None:
            call.reserved = f"{cost:f}"
            await self._reserve(call.id, wallet, cost)
        for budget, amount in caps:
            call.caps[budget.name] = f"{amount:f}"
            await self._reserve(call.id, budget, amount)

    async def _reserve(self, call_id: str, purse: Purse, amount: Decimal) -> None:
        share = self._shares.get(purse.name)
        if share is None:
            share = self._shares[purse.name] = Share(purse)
        share.purse, share.used_at = purse, time.monotonic()
        if not amount or share.reserve(call_id, amount):
            return
        try:
            async with asyncio.timeout(ACQUIRE_S_MAX):
                await self._reserve_slowly(call_id, share, amount)
        except (MatrixError, DBAPIError, TimeoutError) as error:
            raise Refusal(
                Code.NOT_AVAILABLE,
                "Your balance or budget cannot be checked at the moment. Try again shortly.",
                headers={"Retry-After": "2"},
            ) from error

    async def _reserve_slowly(self, call_id: str, share: Share, amount: Decimal) -> None:
        for attempt in range(TRIES):
            if share.reserved.keys() & self._ended:
                await self._settle()
                if share.reserve(call_id, amount):
                    return
            there = await self._hold(
                share, need=amount - max(share.free, _NOTHING), more=amount * CALLS_AHEAD
            )
            if share.reserve(call_id, amount):
                return
            if not there.others or attempt == TRIES - 1:
                raise Refusal(Code.QUOTA, share.purse.refusal(amount, there.free), headers=IN_VAIN)
            self._on.wakeups.poke(LEASES_WANTED, share.purse.name)
            await asyncio.sleep(WAIT_S)

    async def _hold(self, share: Share, *, need: Decimal, more: Decimal) -> Holding:
        async with share.changing:
            async with crossing(Reason.LEASES, on=self._on) as uow:
                there = await share.purse.hold(uow, self.holder, need=need, more=more)
            share.returning = _NOTHING  # what became of it is in the answer
            share.told(there)
        return there

    def ended(self, call: Call) -> None:
        """A call has its tokens and waits to be settled."""
        if call.holder == self.holder:
            self._ended.add(call.id)

    def cancel(self, call: Call) -> None:
        """A call was reserved for and never made."""
        if call.holder:
            for share in self._shares.values():
                share.drop(call.id)
            call.holder = call.reserved = ""
            call.caps.clear()

    def settled(self, calls: Sequence[Call], held: dict[HeldOf, Holding]) -> None:
        """The database has booked these calls, now or before, and this is what their processes hold since."""
        for (name, holder), holding in held.items():
            share = self._shares.get(name)
            if holder != self.holder or share is None:
                continue
            share.told(holding)
            for call in calls:
                share.drop(call.id)
        self._ended.difference_update([call.id for call in calls])

    async def give_back(self, names: frozenset[str] | None = None) -> None:
        """Give back what is free of these purses, or of those that were idle; settle first what has ended."""
        idle_since = time.monotonic() - IDLE_S
        for name, share in list(self._shares.items()):
            asked = name in names if names is not None else share.used_at < idle_since
            if asked:
                if share.reserved.keys() & self._ended:
                    await self._settle()
                await self._return(share)

    async def _return(self, share: Share) -> None:
        async with share.changing:
            amount = max(share.free + share.returning, _NOTHING)
            if not amount:
                return
            share.returning = (
                amount  # stays so if it fails: then nobody knows, until the database is asked again
            )
            async with crossing(Reason.LEASES, on=self._on) as uow:
                there = await share.purse.give_back(uow, self.holder, amount)
            share.returning = _NOTHING
            share.told(there)

    async def holding_slots(self, node: str) -> set[int]:
        """Slots of this folder whose processes, former ones or other ones, hold something."""
        async with crossing(Reason.LEASES, on=self._on) as uow:
            holders = {*await usage.holders(uow, f"{node}-"), *await spending.holders(uow, f"{node}-")}
        return {int(one[len(node) + 1 :].partition("/")[0]) for one in holders if one != self.holder}

    async def release(self, process: str) -> None:
        """End what former processes of this slot held: what they had promised is settled."""
        async with crossing(Reason.LEASES, on=self._on) as uow:
            await usage.release(uow, f"{process}/", but=self.holder)
            await spending.release(uow, f"{process}/", but=self.holder)

    async def keep(self) -> None:
        """Give back what is idle, until cancelled."""
        swept_at = time.monotonic()
        while True:
            await asyncio.sleep(IDLE_S)
            try:
                await self.give_back()
                if time.monotonic() - swept_at < SWEEP_S:
                    continue
                swept_at = time.monotonic()
                async with crossing(Reason.LEASES, on=self._on) as uow:
                    await usage.sweep(uow)
                    await spending.sweep(uow)
            except (MatrixError, DBAPIError) as error:
                log.warning("wallets_not_given_back", error=str(error))

    async def stop(self) -> None:
        """Give everything back, once all calls are settled."""
        self._shares.clear()
        async with crossing(Reason.LEASES, on=self._on) as uow:
            await usage.release(uow, self.holder)
            await spending.release(uow, self.holder)


def _shown(amount: Decimal) -> str:
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
