"""Who calls: bearer keys from memory, signed-in people from their cookie.

A key is looked up once and remembered by its hash. A notification makes it forgotten. As one may be missed, every key
is doubted each time the listener looks at everything (gateway.py, every 30 s and after reconnecting), and its next
call waits for a look-up. With the database away nothing is doubted and a remembered key goes on working: whether its
calls may still pass is then for the leased limits to say.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy.exc import DBAPIError

from models.types import BillingMode
from services.core.clock import Clock
from services.core.crypto import vault
from services.core.database import Database
from services.core.errors import Forbidden, MatrixError, Unauthenticated, Unavailable
from services.core.logs import get_logger
from services.core.permissions import Capability
from services.gateway.limits import Subject, Subjects
from services.gateway.purses import Wallet
from services.gateway.refusals import Code, Refusal
from services.identity.key_queries import KeyFacts, find_by_secret, looks_like_secret
from services.identity.queries import SignedIn

log = get_logger(__name__)

_T = TypeVar("_T")

KEYS_MAX = 50_000
STRANGERS_MAX = 20_000  # remembered secrets of no key, so that one wrong key cannot keep the database busy
FRESH_S = 30.0
STALE_S = 300.0  # after this long a look-up is waited for, if the database answers
STRANGER_S = 20.0
LOOKUP_S_MAX = 3.0
LOOKUPS_MAX = 4  # at once: a flood of wrong keys must leave connections for everybody else


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who may call, and within which limits."""

    organization_id: str
    key_id: str  # empty for a person in the playground
    account_id: str
    prepaid: bool
    models: frozenset[str]  # slugs; empty means every model
    subjects: Subjects
    capabilities: frozenset[Capability]
    facts: KeyFacts | None = None  # of a key
    wallet: Wallet | None = None  # that calls are paid out of, before they are made

    def require(self, capability: Capability) -> None:
        """Raises Refusal when the key's scopes or the person's role do not include `capability`."""
        if capability in self.capabilities:
            return
        if self.facts is None:
            raise Refusal(Code.SCOPE, "Your role does not allow you to use models. Ask an administrator.")
        raise Refusal(Code.SCOPE, f"This API key lacks the scope for {capability.value!r}.")


@dataclass(slots=True)
class _Known:
    caller: Caller
    looked_up_at: float


@dataclass(frozen=True, slots=True)
class OrganizationLimits:
    requests_per_minute: int
    tokens_per_minute: int

    def subjects(self, organization_id: str) -> list[Subject]:
        return [
            Subject.of(organization_id, "requests", self.requests_per_minute),
            Subject.of(organization_id, "tokens", self.tokens_per_minute),
        ]


class Callers:
    """Finds callers. `signed_in_by` tells who holds a session token, or None."""

    def __init__(
        self,
        on: Database,
        clock: Clock,
        limits: OrganizationLimits,
        signed_in_by: Callable[[str], Awaitable[SignedIn | None]],
    ) -> None:
        self._on = on
        self._clock = clock
        self._limits = limits
        self._signed_in_by = signed_in_by
        self._known: dict[bytes, _Known] = {}
        self._strangers: dict[bytes, float] = {}
        self._underway: dict[bytes, asyncio.Task[Caller | None]] = {}
        self._lookups = asyncio.Semaphore(LOOKUPS_MAX)
        self._forgotten = 0

    async def by_key(self, secret: str) -> Caller:
        """The caller with this key. Raises Refusal."""
        if not looks_like_secret(secret):
            raise _unknown_key(secret)
        hashed = vault().lookup_hash(secret)
        known = self._known.get(hashed)
        if known is None:
            caller = await self._first_look(hashed, secret)
        else:
            caller = known.caller
            age_s = time.monotonic() - known.looked_up_at
            if age_s > FRESH_S:
                caller = await self._second_look(hashed, secret, known, wait=age_s > STALE_S)
        self._require_usable(caller)
        return caller

    async def facts_of(self, secret: str) -> KeyFacts | None:
        """What is remembered of this key for at most FRESH_S, else what the database says; None if it is no key.

        Whether it may still be used is for whoever asks to judge. Raises Unavailable.
        """
        if not looks_like_secret(secret):
            return None
        hashed = vault().lookup_hash(secret)
        known = self._known.get(hashed)
        if known is not None and time.monotonic() - known.looked_up_at <= FRESH_S:
            return known.caller.facts
        if known is None and self._strangers.get(hashed, 0.0) > time.monotonic():
            return None
        caller = await self._look_up(hashed, secret)
        return caller.facts if caller else None

    async def _first_look(self, hashed: bytes, secret: str) -> Caller:
        if self._strangers.get(hashed, 0.0) > time.monotonic():
            raise _unknown_key(secret)
        try:
            caller = await self._look_up(hashed, secret)
        except Unavailable as error:
            raise Refusal(
                Code.NOT_AVAILABLE, "Your API key cannot be checked at the moment. Try again shortly."
            ) from error
        if caller is None:
            raise _unknown_key(secret)
        return caller

    async def _second_look(self, hashed: bytes, secret: str, known: _Known, *, wait: bool) -> Caller:
        look = self._begin_look_up(hashed, secret)
        if not wait:
            look.add_done_callback(_heed)
            return known.caller
        try:
            caller = await asyncio.shield(look)
        except Unavailable:
            known.looked_up_at = time.monotonic() - FRESH_S  # the calls that follow ask behind their backs
            return known.caller
        if caller is None:
            raise _unknown_key(secret)
        return caller

    async def _look_up(self, hashed: bytes, secret: str) -> Caller | None:
        # Shielded: many callers wait for one look-up, and one of them leaving must not end it for the others.
        return await asyncio.shield(self._begin_look_up(hashed, secret))

    def _begin_look_up(self, hashed: bytes, secret: str) -> asyncio.Task[Caller | None]:
        task = self._underway.get(hashed)
        if task is None:
            task = asyncio.create_task(self._ask(hashed, secret), name="key look-up")
            self._underway[hashed] = task
            task.add_done_callback(lambda _: self._underway.pop(hashed, None))
        return task

    async def _ask(self, hashed: bytes, secret: str) -> Caller | None:
        forgotten, at = self._forgotten, time.monotonic()
        try:
            async with asyncio.timeout(LOOKUP_S_MAX), self._lookups:
                facts = await find_by_secret(secret, on=self._on)
        except TimeoutError as error:
            raise Unavailable("The database does not answer.") from error
        if facts is None:
            self._known.pop(hashed, None)
            _remember(self._strangers, hashed, time.monotonic() + STRANGER_S, STRANGERS_MAX)
            return None
        caller = self._caller(facts)
        if forgotten != self._forgotten:
            at -= STALE_S  # it may have been read before the change: have the next call look again
        _remember(self._known, hashed, _Known(caller, at), KEYS_MAX)
        self._strangers.pop(hashed, None)
        return caller

    def _caller(self, facts: KeyFacts) -> Caller:
        subjects = self._limits.subjects(facts.organization_id)
        if facts.requests_per_minute is not None:
            subjects.insert(0, Subject.of(facts.id, "requests", facts.requests_per_minute))
        if facts.tokens_per_minute is not None:
            subjects.insert(0, Subject.of(facts.id, "tokens", facts.tokens_per_minute))
        return Caller(
            organization_id=facts.organization_id,
            key_id=facts.id,
            account_id="",
            prepaid=facts.billing_mode == BillingMode.PREPAID,
            models=facts.models,
            subjects=tuple(subjects),
            capabilities=facts.actor().capabilities,
            facts=facts,
            wallet=_wallet(facts.organization_id, facts.billing_mode, facts.currency),
        )

    def _require_usable(self, caller: Caller) -> None:
        facts = caller.facts
        if facts is None:
            return
        plain = facts.expires_at is None and facts.revoked_at is None
        if not plain or facts.suspended or facts.service_account_disabled:
            try:
                facts.require_usable(self._clock.now())
            except Unauthenticated as error:
                code = Code.KEY_EXPIRED if error.error_code == "key_expired" else Code.INVALID_KEY
                raise Refusal(code, error.message) from error
            except Forbidden as error:
                raise Refusal(Code.SUSPENDED, error.message) from error
        if facts.restricted:  # which is told to nobody whose key does not work
            raise _overdue()

    async def by_session(self, token: str) -> Caller:
        """The signed-in person with this session token. Raises Refusal."""
        try:
            signed_in = await self._signed_in_by(token)
        except (Unavailable, DBAPIError) as error:
            raise Refusal(Code.NOT_AVAILABLE, "Your session cannot be checked at the moment.") from error
        except MatrixError as error:
            raise Refusal(Code.SIGN_IN, error.message) from error
        organization = signed_in.organization if signed_in else None
        if signed_in is None or organization is None:
            raise Refusal(Code.SIGN_IN, "Sign in first, or send an API key: 'Authorization: Bearer mx-...'.")
        if signed_in.actor.member_suspended:
            raise Refusal(
                Code.SCOPE, "Your membership in this organisation is suspended. Ask an owner of it."
            )
        if organization.restricted:
            raise _overdue()
        return Caller(
            organization_id=organization.id,
            key_id="",
            account_id=signed_in.account.id,
            prepaid=organization.billing_mode == BillingMode.PREPAID,
            models=frozenset(),
            subjects=tuple(self._limits.subjects(organization.id)),
            capabilities=signed_in.actor.capabilities,
            wallet=_wallet(organization.id, organization.billing_mode, organization.currency),
        )

    def forget(self, key_ids: frozenset[str]) -> None:
        """Look these keys up again before their next call."""
        self._forgotten += 1
        for hashed in [one for one, known in self._known.items() if known.caller.key_id in key_ids]:
            del self._known[hashed]

    def doubt(self) -> None:
        """Notifications may have been missed: have the next call of every key wait for a look-up."""
        self._forgotten += 1  # look-ups underway may have read what was there before
        for known in self._known.values():
            known.looked_up_at = min(known.looked_up_at, time.monotonic() - STALE_S - 1)


def _overdue() -> Refusal:
    return Refusal(
        Code.OVERDUE, "An invoice of this organisation is overdue. Pay it, and calls are answered again."
    )


def _wallet(organization_id: str, billing_mode: str, currency: str) -> Wallet | None:
    return Wallet(organization_id, currency) if billing_mode == BillingMode.PREPAID else None


def _remember(cache: dict[bytes, _T], key: bytes, value: _T, most: int) -> None:
    cache.pop(key, None)
    if len(cache) >= most:
        del cache[next(iter(cache))]
    cache[key] = value


def _heed(look: asyncio.Task[Caller | None]) -> None:
    if not look.cancelled() and (error := look.exception()) is not None:
        log.warning("key_not_refreshed", error=str(error))


def _unknown_key(secret: str) -> Refusal:
    shown = f"{secret[:6]}...{secret[-2:]}" if len(secret) > 16 else "(too short)"
    return Refusal(Code.INVALID_KEY, f"Incorrect API key provided: {shown}. Create a key in the console.")
