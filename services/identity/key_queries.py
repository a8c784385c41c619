"""Reads of API keys: the list people see, and the facts by which a call is let through."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.core import listing_sql
from services.core.actor import ADDRESS_CHARACTERS_MAX, Actor
from services.core.clock import Clock
from services.core.crossing import Reason, crossing
from services.core.crypto import vault
from services.core.database import Database
from services.core.errors import Forbidden, Unauthenticated, not_found
from services.core.listing import Column, Kind, Listing, Operator
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


KEYS = Listing(
    "keys",
    row=KeyRow,
    needs=Capability.KEYS_READ,
    source="api_key k left join account a on a.id = k.created_by left join project p on p.id = k.project_id"
    " left join service_account s on s.id = k.service_account_id",
    where="k.organization_id = :organization_id",
    columns=(
        Column("id", "k.id", Kind.ID, filterable=True),
        Column("name", "k.name", sortable=True, filterable=True),
        Column("prefix", "k.prefix", operators=(Operator.EQ,)),
        Column("scopes", "k.scopes", Kind.LIST),
        Column("models", "k.models", Kind.LIST),
        Column("requests_per_minute", "k.requests_per_minute", Kind.INTEGER),
        Column("tokens_per_minute", "k.tokens_per_minute", Kind.INTEGER),
        Column(
            "status",
            "case when k.revoked_at is not null then 'revoked' when k.expires_at <= :now then 'expired'"
            " when s.disabled_at is not null then 'disabled' when k.expires_at is null then 'active'"
            " else 'expiring' end",
            Kind.ENUM,
            values=("active", "expiring", "expired", "revoked", "disabled"),
            filterable=True,
        ),
        Column("expires_at", "k.expires_at", Kind.INSTANT, nullable=True, sortable=True, filterable=True),
        Column("last_used_at", "k.last_used_at", Kind.INSTANT, nullable=True, sortable=True, filterable=True),
        Column("revoked_at", "k.revoked_at", Kind.INSTANT, nullable=True),
        Column("replaces_id", "k.replaces_id", Kind.ID, nullable=True),
        Column("created_by", "k.created_by", Kind.ID, nullable=True, filterable=True),
        Column("created_by_name", "coalesce(nullif(a.name, ''), a.email, '')"),
        Column("project_id", "k.project_id", Kind.ID, nullable=True, filterable=True),
        Column("project_name", "coalesce(p.name, '')"),
        Column("service_account_id", "k.service_account_id", Kind.ID, nullable=True, filterable=True),
        Column("service_account_name", "coalesce(s.name, '')"),
        Column("created_at", "k.created_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True),
        Column("version", "k.version", Kind.INTEGER, exported=False),
    ),
    sort="-created_at",
)
USABLE = ("status[in]", "active,expiring,disabled")  # what could work, once its service account is enabled


async def list_keys(uow: UnitOfWork, *, include_ended: bool = True, limit: int = 50) -> list[KeyRow]:
    """The organisation's keys, newest first. Needs keys.read."""
    return await listing_sql.select(uow, KEYS, *([] if include_ended else [USABLE]), limit=limit)


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
    row = await listing_sql.find(uow, KEYS, key_id)
    if row is None:
        raise not_found("key", key_id)
    return row


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """All that is needed to judge a call by its key, without another look at the database."""

    id: str
    organization_id: str
    organization_kind: str
    billing_mode: str
    suspended: bool
    restricted: bool  # something is overdue for long: its calls are not answered
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

    def actor(self, address: str = "") -> Actor:
        """Whoever holds the key, at `address` where a door knows it."""
        capabilities = capabilities_of_scopes(self.scopes)
        if self.service_account_role is not None:
            capabilities &= policies.capabilities_of(
                self.service_account_role, kind=self.organization_kind, suspended=False
            )
        if self.suspended:
            capabilities &= policies.READING
        return Actor(self.id, self.organization_id, capabilities, address=address[:ADDRESS_CHARACTERS_MAX])

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
  o.suspended_at is not null as suspended,
  exists (select from dunning_case d where d.organization_id = o.id and d.restricts and not d.lifted) as restricted,
  o.currency, k.scopes, k.models, k.requests_per_minute,
  k.tokens_per_minute, k.expires_at, k.revoked_at, k.last_used_at, k.created_by,
  s.role as service_account_role, s.disabled_at is not null as service_account_disabled
from api_key k join organization o on o.id = k.organization_id
left join service_account s on s.id = k.service_account_id
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
        return await _facts(uow, "k.secret_hash = :hash", {"hash": vault().lookup_hash(secret)})


async def find_by_id(uow: UnitOfWork, key_id: str, organization_id: str) -> KeyFacts | None:
    """The same for the organisation's key of this id. `uow` crosses tenants."""
    named = {"id": key_id, "organization_id": organization_id}
    return await _facts(uow, "k.id = :id and k.organization_id = :organization_id", named)


async def _facts(uow: UnitOfWork, condition: str, named: dict[str, Any]) -> KeyFacts | None:
    row = (await uow.execute(f"{_FACTS} where {condition}", named)).mappings().one_or_none()
    if row is None:
        return None
    sets: dict[str, Any] = {name: frozenset(row[name]) for name in ("scopes", "models")}
    return KeyFacts(**{**row, **sets})
