"""Reads of API keys: the list people see, and the facts by which a call is let through."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.core.actor import Actor
from services.core.clock import Clock
from services.core.crossing import Reason, crossing
from services.core.crypto import vault
from services.core.database import Database
from services.core.errors import Forbidden, Unauthenticated, not_found
from services.core.permissions import Capability, capabilities_of_scopes
from services.core.work import UnitOfWork
from services.identity import policies
from services.identity.keys import KEY_STARTS_WITH, SECRET_CHARACTERS


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key as people see it. `status` is active, expiring (a replaced or dated key), expired, revoked, or disabled

    with its service account.
    """

    id: str
    name: str
    prefix: str
    scopes: list[str]
    models: list[str]
    requests_per_minute: int | None
    tokens_per_minute: int | None
    status: str
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    replaces_id: str | None
    created_by: str | None
    created_by_name: str
    project_id: str | None
    project_name: str
    service_account_id: str | None
    service_account_name: str
    created_at: datetime
    version: int


_KEY_ROWS = """
select k.id, k.name, k.prefix, k.scopes, k.models, k.requests_per_minute, k.tokens_per_minute,
  case when k.revoked_at is not null then 'revoked'
       when k.expires_at <= :now then 'expired'
       when s.disabled_at is not null then 'disabled'
       when k.expires_at is null then 'active'
       else 'expiring' end as status,
  k.expires_at, k.last_used_at, k.revoked_at, k.replaces_id, k.created_by,
  coalesce(nullif(a.name, ''), a.email, '') as created_by_name,
  k.project_id, coalesce(p.name, '') as project_name,
  k.service_account_id, coalesce(s.name, '') as service_account_name, k.created_at, k.version
from api_key k
left join account a on a.id = k.created_by
left join project p on p.id = k.project_id
left join service_account s on s.id = k.service_account_id
where k.organization_id = :organization_id
"""


async def list_keys(
    uow: UnitOfWork,
    *,
    include_ended: bool = True,
    project_id: str | None = None,
    service_account_id: str | None = None,
    before: str | None = None,
    limit: int = 50,
) -> list[KeyRow]:
    """The organisation's keys, newest first, from behind the key `before`. Needs keys.read."""
    uow.actor.require(Capability.KEYS_READ)
    rows = await uow.execute(
        _KEY_ROWS
        + " and (:include_ended or (k.revoked_at is null and (k.expires_at is null or k.expires_at > :now)))"
        " and (cast(:project_id as text) is null or k.project_id = :project_id)"
        " and (cast(:service_account_id as text) is null or k.service_account_id = :service_account_id)"
        " and (cast(:before as text) is null or k.id < :before) order by k.id desc limit :limit",
        now=uow.wall_now,
        organization_id=uow.organization_id,
        include_ended=include_ended,
        project_id=project_id,
        service_account_id=service_account_id,
        before=before,
        limit=limit,
    )
    return [KeyRow(**row) for row in rows.mappings()]


async def names_of(uow: UnitOfWork, ids: Iterable[str]) -> dict[str, str]:
    """Names of the organisation's keys by their ids; of none for who may not read keys."""
    wanted = sorted(set(ids))
    if not wanted or not uow.actor.may(Capability.KEYS_READ):
        return {}
    rows = await uow.execute(
        "select id, name from api_key where organization_id = :organization_id and id = any(:wanted)",
        organization_id=uow.organization_id,
        wanted=wanted,
    )
    return {row.id: row.name for row in rows}


async def get_key(uow: UnitOfWork, key_id: str) -> KeyRow:
    """One key. Raises NotFound, also for another organisation's."""
    uow.actor.require(Capability.KEYS_READ)
    found = await uow.execute(
        _KEY_ROWS + " and k.id = :id", now=uow.wall_now, organization_id=uow.organization_id, id=key_id
    )
    row = found.mappings().one_or_none()
    if row is None:
        raise not_found("key", key_id)
    return KeyRow(**row)


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """All that is needed to judge a call by its key, without another look at the database."""

    id: str
    organization_id: str
    organization_kind: str
    billing_mode: str
    suspended: bool
    currency: str
    scopes: frozenset[str]
    models: frozenset[str]  # slugs; empty means every model
    requests_per_minute: int | None
    tokens_per_minute: int | None
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    created_by: str | None
    service_account_role: str | None  # None for a key of no service account
    service_account_disabled: bool

    def actor(self) -> Actor:
        capabilities = capabilities_of_scopes(sorted(self.scopes))
        if self.service_account_role is not None:
            capabilities &= policies.capabilities_of(
                self.service_account_role, kind=self.organization_kind, suspended=False
            )
        if self.suspended:
            capabilities &= policies.READING
        return Actor(self.id, self.organization_id, capabilities)

    def require_usable(self, now: datetime) -> None:
        """Raises Unauthenticated for a key that has ended, Forbidden for a suspended organisation."""
        if self.revoked_at is not None:
            raise Unauthenticated(
                "This API key was revoked.", next_step="Use another key, or create one.", code="key_revoked"
            )
        if self.expires_at is not None and self.expires_at <= now:
            raise Unauthenticated(
                "This API key has expired.", next_step="Use another key, or create one.", code="key_expired"
            )
        if self.service_account_disabled:
            raise Unauthenticated(
                "The service account of this API key is disabled.",
                next_step="Have it enabled, or use another key.",
                code="service_account_disabled",
            )
        if self.suspended:
            raise Forbidden(
                "The organisation of this API key is suspended.",
                next_step="Write to whoever runs this installation.",
                code="organization_suspended",
            )


_FACTS = """
select k.id, k.organization_id, o.kind as organization_kind, o.billing_mode,
  o.suspended_at is not null as suspended, o.currency, k.scopes, k.models, k.requests_per_minute,
  k.tokens_per_minute, k.expires_at, k.revoked_at, k.last_used_at, k.created_by,
  s.role as service_account_role, s.disabled_at is not null as service_account_disabled
from api_key k join organization o on o.id = k.organization_id
left join service_account s on s.id = k.service_account_id
where k.secret_hash = :hash
"""


def looks_like_secret(text: str) -> bool:
    """Whether it is worth asking the database. Anything else is no key of this product."""
    return (
        len(text) == len(KEY_STARTS_WITH) + SECRET_CHARACTERS
        and text.startswith(KEY_STARTS_WITH)
        and text[len(KEY_STARTS_WITH) :].isalnum()
        and text.isascii()
    )


async def find_by_secret(
    secret: str, *, on: Database | None = None, clock: Clock | None = None
) -> KeyFacts | None:
    """The key with this secret, also one that has ended, or None. Opens its own unit of work."""
    if not looks_like_secret(secret):
        return None
    async with crossing(Reason.KEY_LOOKUP, on=on, clock=clock) as uow:
        row = (await uow.execute(_FACTS, hash=vault().lookup_hash(secret))).mappings().one_or_none()
    if row is None:
        return None
    sets: dict[str, Any] = {name: frozenset(row[name]) for name in ("scopes", "models")}
    return KeyFacts(**{**row, **sets})
