"""What this process may spend of wallets: reserved before each call of a prepaid caller, settled to what it cost.

A process holds a share of a wallet in the database, and reserves calls out of it in memory. What it holds nobody else
may spend, so no number of processes and callers spends the last cent twice. With plenty left a share serves many
calls; near the end each call asks the database for exactly what it may cost.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy.exc import DBAPIError

from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.errors import MatrixError
from services.core.logs import get_logger
from services.gateway.calls import Call
from services.gateway.leases import LEASES_WANTED
from services.gateway.refusals import IN_VAIN, Code, Refusal
from services.wallets import usage
from services.wallets.usage import Holding, Place

log = get_logger(__name__)

CALLS_AHEAD = 31  # that a share is asked for, besides the call that needs one
IDLE_S = 5.0  # a share that nobody used for this long is given back
SWEEP_S = 600.0
ACQUIRE_S_MAX = 5.0
TRIES = 5
WAIT_S = 0.06  # as newcomers wait for shares of rates
_NOTHING = Decimal(0)


class Purse(NamedTuple):
    """The wallet of an organisation in a currency."""

    organization_id: str
    currency: str

    @property
    def name(self) -> str:
        return f"wallet:{self.organization_id}:{self.currency}"


@dataclass(slots=True)
class Share:
    """What this process holds of one purse. `reserved` are the calls that are not settled yet."""

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
        self._shares: dict[Purse, Share] = {}
        self._ended: set[str] = set()  # calls that wait to be settled

    async def reserve(self, call: Call, purse: Purse, amount: Decimal) -> None:
        """Let a call through that may cost `amount`. Raises Refusal: not enough is left, or nobody can tell."""
        share = self._shares.setdefault(purse, Share())
        share.used_at = time.monotonic()
        if amount and not share.reserve(call.id, amount):
            try:
                async with asyncio.timeout(ACQUIRE_S_MAX):
                    await self._reserve_slowly(call.id, purse, share, amount)
            except (MatrixError, DBAPIError, TimeoutError) as error:
                raise Refusal(
                    Code.NOT_AVAILABLE,
                    "Your balance cannot be checked at the moment. Try again shortly.",
                    headers={"Retry-After": "2"},
                ) from error
        call.holder, call.reserved = self.holder, f"{amount:f}"

    async def _reserve_slowly(self, call_id: str, purse: Purse, share: Share, amount: Decimal) -> None:
        for attempt in range(TRIES):
            if share.reserved.keys() & self._ended:
                await self._settle()
                if share.reserve(call_id, amount):
                    return
            there = await self._hold(
                purse, share, need=amount - max(share.free, _NOTHING), more=amount * CALLS_AHEAD
            )
            if share.reserve(call_id, amount):
                return
            if not there.others or attempt == TRIES - 1:
                raise _not_enough(amount, there.free, purse.currency)
            self._on.wakeups.poke(LEASES_WANTED, purse.name)
            await asyncio.sleep(WAIT_S)

    async def _hold(self, purse: Purse, share: Share, *, need: Decimal, more: Decimal) -> Holding:
        async with share.changing:
            async with crossing(Reason.LEASES, on=self._on) as uow:
                there = await usage.hold(uow, *purse, self.holder, need=need, more=more)
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

    def settled(self, calls: Sequence[Call], held: dict[Place, Holding]) -> None:
        """The database has booked these calls, now or before, and this is what their processes hold since."""
        for (organization_id, currency, holder), holding in held.items():
            share = self._shares.get(Purse(organization_id, currency))
            if holder != self.holder or share is None:
                continue
            share.told(holding)
            for call in calls:
                share.drop(call.id)
        self._ended.difference_update([call.id for call in calls])

    async def give_back(self, names: frozenset[str] | None = None) -> None:
        """Give back what is free of these purses, or of those that were idle; settle first what has ended."""
        idle_since = time.monotonic() - IDLE_S
        for purse, share in list(self._shares.items()):
            asked = purse.name in names if names is not None else share.used_at < idle_since
            if asked:
                if share.reserved.keys() & self._ended:
                    await self._settle()
                await self._return(purse, share)

    async def _return(self, purse: Purse, share: Share) -> None:
        async with share.changing:
            amount = max(share.free + share.returning, _NOTHING)
            if not amount:
                return
            share.returning = (
                amount  # stays so if it fails: then nobody knows, until the database is asked again
            )
            async with crossing(Reason.LEASES, on=self._on) as uow:
                there = await usage.give_back(uow, *purse, self.holder, amount)
            share.returning = _NOTHING
            share.told(there)

    async def holding_slots(self, node: str) -> set[int]:
        """Slots of this folder whose processes, former ones or other ones, hold something."""
        async with crossing(Reason.LEASES, on=self._on) as uow:
            holders = await usage.holders(uow, f"{node}-")
        return {int(one[len(node) + 1 :].partition("/")[0]) for one in holders if one != self.holder}

    async def release(self, process: str) -> None:
        """End what former processes of this slot held: what they had promised is settled."""
        async with crossing(Reason.LEASES, on=self._on) as uow:
            await usage.release(uow, f"{process}/", but=self.holder)

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
            except (MatrixError, DBAPIError) as error:
                log.warning("wallets_not_given_back", error=str(error))

    async def stop(self) -> None:
        """Give everything back, once all calls are settled."""
        self._shares.clear()
        async with crossing(Reason.LEASES, on=self._on) as uow:
            await usage.release(uow, self.holder)


def _not_enough(amount: Decimal, free: Decimal, currency: str) -> Refusal:
    return Refusal(
        Code.QUOTA,
        f"You exceeded your current quota: this request may cost up to {_shown(amount)} {currency}, and"
        f" {_shown(free)} {currency} of your prepaid balance is free. Top up the wallet, or send a smaller"
        " max_tokens.",
        headers=IN_VAIN,
    )


def _shown(amount: Decimal) -> str:
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
