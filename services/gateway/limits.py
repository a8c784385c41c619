"""Limits of requests and tokens a minute, judged in memory on leased shares.

Each call passes every subject it concerns: its key's limits, when it has any, and its organisation's. Tokens
are reserved by estimate (prompt and longest answer) and settled by what was really used.

While no lease can be had, because the database is away or refuses to write, postpaid callers go on: within the
share that was leased last, or within the whole limit where none was. What they took is counted against the
share they get when leases are to be had again. Prepaid callers stop when their lease ends.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from sqlalchemy.exc import DBAPIError

from services.core.errors import MatrixError
from services.core.logs import get_logger
from services.gateway import rules
from services.gateway.leases import LEASE_S, RENEW_S, Leases, Share, Wanted
from services.gateway.refusals import IN_VAIN, Code, Refusal

log = get_logger(__name__)

KEEP_S = 120.0  # a lease nobody used for this long is given back
ACQUIRE_S_MAX = 3.0
SWEEP_S = 600.0
NEWCOMER_TRIES = 5
NEWCOMER_WAIT_S = 0.06  # holders are woken by a notification and answer within a few milliseconds
RESET_S_MAX = 3_600.0
THROTTLES = "bud_"  # owners that are budgets

Headers = list[tuple[bytes, bytes]]
Kind = Literal["requests", "tokens"]


class Subject(NamedTuple):
    """Something that has a limit. `name` is its key in rate_lease."""

    name: str
    kind: Kind
    limit: int
    owner: str

    @classmethod
    def of(cls, owner: str, kind: Kind, limit: int) -> Subject:
        return cls(f"{owner}:{kind}", kind, limit, owner)


Subjects = tuple[Subject, ...]


@dataclass(slots=True)
class Hold:
    """This process's share of one subject, and how much of it is taken."""

    subject: Subject
    used_at: float
    share: int = 0
    lease_until: float = 0.0
    full_at: float = 0.0
    asked: float = 0.0  # units since `asked_at`
    asked_at: float = 0.0
    demand: float = 0.0  # units a minute, smoothed

    @property
    def leased(self) -> bool:
        """Whether the share was leased, now or before; else it is the whole limit, until one can be."""
        return self.lease_until > 0.0

    def wanted(self, now: float) -> Wanted:
        """What to ask for at this moment: half what was asked lately, half the history."""
        elapsed_s = max(now - self.asked_at, 0.5) if self.asked_at else rules.WINDOW_S
        self.demand = (self.demand + self.asked * rules.WINDOW_S / elapsed_s) / 2
        self.asked, self.asked_at = 0.0, now
        return Wanted(self.subject.name, self.subject.limit, math.ceil(self.demand))

    def renewed(self, share: Share, *, asked_at: float, now: float) -> None:
        self._take_share(share.per_minute, now)
        self.lease_until = asked_at + LEASE_S

    def limit_to(self, subject: Subject, now: float) -> None:
        """Its limit was changed: a lower one holds from now on, more of a higher one must be leased first."""
        self.subject = subject
        self._take_share(min(self.share, subject.limit), now)

    def _take_share(self, share: int, now: float) -> None:
        self.full_at = rules.rescale(self.full_at, now, share_before=self.share, share=share)
        self.share = share


@dataclass(slots=True)
class Admission:
    """A call that was let through. Settle it once, whatever becomes of it."""

    headers: Headers
    tokens: int
    _holds: list[Hold]
    _clock: Callable[[], float]

    def settle(self, tokens: int) -> None:
        """Replace the reservation by the `tokens` really used."""
        now = self._clock()
        for hold in self._holds:
            if hold.subject.kind == "tokens":
                hold.full_at = rules.take(hold.full_at, now, cost=tokens - self.tokens, share=hold.share)


@dataclass(slots=True)
class Limiter:
    """The shares of one process."""

    leases: Leases
    clock: Callable[[], float] = time.monotonic
    _holds: dict[str, Hold] = field(default_factory=dict)
    _acquiring: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def admit(self, subjects: Subjects, *, prepaid: bool, tokens: int) -> Admission:
        """Let a call through that may use `tokens`. Raises Refusal: over a limit, or no lease to be had."""
        now = self.clock()
        holds: list[Hold] = []
        for subject in subjects:
            hold = self._holds.get(subject.name)
            if hold is None or hold.subject.limit != subject.limit or (prepaid and hold.lease_until <= now):
                await self._acquire(subjects, prepaid=prepaid)
                return self._judge([self._holds[one.name] for one in subjects], self.clock(), tokens)
            holds.append(hold)
        return self._judge(holds, now, tokens)

    def _judge(self, holds: list[Hold], now: float, tokens: int) -> Admission:
        verdicts: list[rules.Verdict] = []
        refused: tuple[Hold, rules.Verdict] | None = None
        for hold in holds:
            cost = 1 if hold.subject.kind == "requests" else tokens
            hold.asked += cost
            hold.used_at = now
            verdict = rules.judge(hold.full_at, now, cost=cost, share=hold.share, limit=hold.subject.limit)
            verdicts.append(verdict)
            if not verdict.allowed and (refused is None or verdict.retry_after_s > refused[1].retry_after_s):
                refused = (hold, verdict)
        if refused is not None:
            raise _over_limit(*refused, tokens, limit_headers(holds, verdicts, 0))
        for hold in holds:
            cost = 1 if hold.subject.kind == "requests" else tokens
            hold.full_at = rules.take(hold.full_at, now, cost=cost, share=hold.share)
        return Admission(limit_headers(holds, verdicts, tokens), tokens, holds, self.clock)

    async def _acquire(self, subjects: Subjects, *, prepaid: bool) -> None:
        """Get leases for these subjects now, because a call waits for them."""
        try:
            async with asyncio.timeout(ACQUIRE_S_MAX), self._acquiring:
                await self._acquire_missing(subjects, prepaid=prepaid)
        except (MatrixError, DBAPIError, TimeoutError) as error:
            if prepaid:
                raise Refusal(
                    Code.NOT_AVAILABLE,
                    "Your limits cannot be checked at the moment. Try again shortly.",
                    headers={"Retry-After": "2"},
                ) from error
            log.warning("limits_not_renewed", error=str(error))
            self._go_on_unleased(subjects)

    def _go_on_unleased(self, subjects: Subjects) -> None:
        """Have a hold for each, leased or not. Those in use are renewed before long, and these with them."""
        now = self.clock()
        for subject in subjects:
            hold = self._holds.get(subject.name)
            if hold is None:
                self._holds[subject.name] = Hold(subject, now, share=subject.limit)
            elif hold.subject.limit != subject.limit:
                hold.limit_to(subject, now)

    async def _acquire_missing(self, subjects: Subjects, *, prepaid: bool) -> None:
        now = self.clock()
        missing = [subject for subject in subjects if not self._holds_well(subject, now, prepaid=prepaid)]
        holds = {subject: self._holds.get(subject.name) or Hold(subject, now) for subject in missing}
        for subject, hold in holds.items():
            hold.limit_to(subject, now)
        empty = list(holds.values())
        for attempt in range(NEWCOMER_TRIES):
            await self._renew(empty)
            empty = [hold for hold in empty if hold.share == 0]
            if not empty:
                break
            self.leases.ask_holders([hold.subject.name for hold in empty])
            if attempt < NEWCOMER_TRIES - 1:
                await asyncio.sleep(NEWCOMER_WAIT_S)
        # Only now may other calls find them: a hold without a share refuses them for no reason.
        self._holds.update((hold.subject.name, hold) for hold in holds.values())

    def _holds_well(self, subject: Subject, now: float, *, prepaid: bool) -> bool:
        hold = self._holds.get(subject.name)
        if hold is None or hold.subject.limit != subject.limit:
            return False
        return not prepaid or hold.lease_until > now

    async def _renew(self, holds: Sequence[Hold]) -> None:
        asked_at = self.clock()
        shares = await self.leases.renew([hold.wanted(asked_at) for hold in holds])
        now = self.clock()
        for hold in holds:
            hold.renewed(shares[hold.subject.name], asked_at=asked_at, now=now)

    async def renew_wanted(self, names: frozenset[str]) -> None:
        """Renew at once what a newcomer in another process asked for."""
        holds = [hold for name, hold in self._holds.items() if name in names]
        if holds:
            await self._renew(holds)

    async def keep(self) -> None:
        """Renew leases in use and give back the others, until cancelled."""
        swept_at = self.clock()
        while True:
            await asyncio.sleep(RENEW_S)
            try:
                await self.renew_all()
                if self.clock() - swept_at > SWEEP_S:
                    swept_at = self.clock()
                    await self.leases.sweep()
            except (MatrixError, DBAPIError) as error:
                # Prepaid callers stop when their leases end; the others go on with the shares they had.
                log.warning("leases_not_renewed", error=str(error))

    async def renew_all(self) -> None:
        """Give back what nobody used for long, and renew the rest. What cannot be given back is kept."""
        unused_since = self.clock() - KEEP_S
        idle = [hold for hold in self._holds.values() if hold.used_at < unused_since]
        await self.leases.give_back([hold.subject.name for hold in idle])
        for hold in idle:
            if hold.used_at < unused_since:  # nobody came meanwhile
                del self._holds[hold.subject.name]
        if self._holds:
            await self._renew(list(self._holds.values()))

    async def stop(self) -> None:
        names = list(self._holds)
        self._holds.clear()
        await self.leases.give_back(names)


def limit_headers(holds: Sequence[Hold], verdicts: Sequence[rules.Verdict], tokens: int) -> Headers:
    """What is left after this call, as OpenAI says it and as the IETF draft does, for the tightest limits."""
    headers: Headers = []
    policies: list[bytes] = []
    states: list[bytes] = []
    for kind, names in _NAMES.items():
        tightest: tuple[int, Hold, rules.Verdict] | None = None
        for hold, verdict in zip(holds, verdicts, strict=True):
            if hold.subject.kind == kind and (tightest is None or verdict.remaining < tightest[0]):
                tightest = verdict.remaining, hold, verdict
        if tightest is None:
            continue
        left, hold, verdict = tightest
        cost = 1 if kind == "requests" else tokens
        reset_s = verdict.reset_s
        if verdict.allowed:
            left = max(0, left - cost)
            reset_s = min(reset_s + cost * rules.WINDOW_S / hold.share, RESET_S_MAX)
        limit = hold.subject.limit
        headers.append((names.limit, b"%d" % limit))
        headers.append((names.remaining, b"%d" % left))
        headers.append((names.reset, _duration(reset_s)))
        policies.append(names.policy % limit)
        states.append(names.state % (left, math.ceil(reset_s)))
    headers.append((b"ratelimit-policy", b", ".join(policies)))
    headers.append((b"ratelimit", b", ".join(states)))
    return headers


class _Names(NamedTuple):
    limit: bytes
    remaining: bytes
    reset: bytes
    policy: bytes
    state: bytes


_NAMES: dict[Kind, _Names] = {
    "requests": _Names(
        b"x-ratelimit-limit-requests",
        b"x-ratelimit-remaining-requests",
        b"x-ratelimit-reset-requests",
        b'"requests";q=%d;w=60',
        b'"requests";r=%d;t=%d',
    ),
    "tokens": _Names(
        b"x-ratelimit-limit-tokens",
        b"x-ratelimit-remaining-tokens",
        b"x-ratelimit-reset-tokens",
        b'"tokens";q=%d;w=60',
        b'"tokens";r=%d;t=%d',
    ),
}


def _duration(seconds: float) -> bytes:
    """As OpenAI writes it: 12ms, 1.5s, 6m0s."""
    if seconds < 1:
        return b"%dms" % math.ceil(seconds * 1_000)
    if seconds < 60:
        return b"%.3gs" % seconds
    return b"%dm%ds" % divmod(math.ceil(seconds), 60)


def _over_limit(hold: Hold, verdict: rules.Verdict, tokens: int, headers: Headers) -> Refusal:
    subject = hold.subject
    whose = "your API key" if subject.owner.startswith("apikey_") else "your organization"
    shown = {name.decode(): value.decode() for name, value in headers}
    if math.isinf(verdict.retry_after_s):
        # Asking again cannot help, so there is no Retry-After; the status is the one OpenAI gives.
        return Refusal(
            Code.RATE_LIMIT,
            f"Request too large for {whose}: it may use {tokens} tokens and the limit is {subject.limit}"
            " tokens per minute. Send a shorter prompt or a smaller max_tokens.",
            headers=shown | IN_VAIN,
        )
    wait_s = max(1, math.ceil(verdict.retry_after_s))
    if subject.owner.startswith(THROTTLES):
        return Refusal(
            Code.THROTTLED,
            f"A budget is used up: calls are limited to {subject.limit} a minute until it begins anew. Try again in"
            f" {wait_s} s, or have the budget raised.",
            headers={**shown, "Retry-After": str(wait_s)},
        )
    return Refusal(
        Code.RATE_LIMIT,
        f"Rate limit reached for {whose}: {subject.limit} {subject.kind} per minute. Try again in {wait_s} s.",
        headers={**shown, "Retry-After": str(wait_s)},
    )
