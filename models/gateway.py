"""What the AI gateway needs: where models run, who may call them, and what was called."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlmodel import Field

from models.base import Table, id_field, instant, partitioned_by_organization, personal, reference, sealed
from models.types import AMOUNT, BYTES, ID, TEXT

TEXTS: Any = postgresql.ARRAY(sa.Text())


class Upstream(Table, table=True):
    """A server that speaks the OpenAI API. `kind` is `builtin` for the one this installation runs itself."""

    __tablename__ = "upstream"
    __table_args__ = (
        sa.CheckConstraint("kind in ('builtin','openai')", name="kind"),
        sa.CheckConstraint("on_hangup in ('cancel','drain')", name="on_hangup"),
    )

    id: str = id_field()
    name: str = Field(unique=True)
    kind: str = "openai"
    base_url: str = ""  # empty for the built-in one, whose address the process is told at start
    api_key_sealed: bytes | None = sealed(tenant=None, row="id", nullable=True)
    connect_timeout_s: int = 5
    read_timeout_s: int = 120
    # What to do when our caller leaves in the middle: stop the upstream and count what was sent, or read
    # to the end so that the upstream's own count can be taken.
    on_hangup: str = "drain"
    enabled: bool = True
    created_at: datetime = instant()
    version: int = 1


class AiModel(Table, table=True):
    """A model as clients name it, and the upstream that answers for it."""

    __tablename__ = "model"

    id: str = id_field()
    slug: str = Field(unique=True, sa_type=ID)
    name: str
    description: str = ""
    upstream_id: str = reference("upstream.id", index=True)
    upstream_model: str
    endpoints: list[str] = Field(sa_type=TEXTS, default=[])  # of chat, completions, embeddings
    context_tokens: int
    enabled: bool = True
    created_at: datetime = instant()
    version: int = 1


class ApiKey(Table, table=True):
    """A bearer key. The secret itself is shown once and never stored; `prefix` lets people recognise it."""

    __tablename__ = "api_key"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        sa.Index("ix_api_key_organization_id", "organization_id", "id"),
        sa.Index("ix_api_key_created_at", "organization_id", "created_at", "id"),
    )

    id: str = id_field()
    organization_id: str = reference("organization.id")
    name: str
    prefix: str
    secret_hash: bytes = Field(sa_type=BYTES, unique=True)
    scopes: list[str] = Field(sa_type=TEXTS, default=[])
    models: list[str] = Field(sa_type=TEXTS, default=[])  # slugs; empty means every model
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    expires_at: datetime | None = instant(nullable=True)
    last_used_at: datetime | None = instant(nullable=True)
    revoked_at: datetime | None = instant(nullable=True)
    replaces_id: str | None = reference("api_key.id", nullable=True)
    created_by: str | None = reference("account.id", nullable=True)
    project_id: str | None = reference("project.id", nullable=True, index=True)  # for the key's whole life
    service_account_id: str | None = reference("service_account.id", nullable=True, index=True)
    created_at: datetime = instant()
    version: int = 1


def cost_order(cost: str) -> str:
    """A cost in units of its last place, for lists by cost: PostgreSQL begins in the middle of an index only where
    comparing reveals nothing (is leakproof), which it vouches for with integers and not with `numeric`."""
    return f"least(trunc({cost} * 1000000000000), 9223372036854775807)::bigint"


def _cost_order() -> sa.Column[int]:
    return sa.Column(sa.BigInteger, sa.Computed(cost_order("cost"), persisted=True), nullable=True)


class GatewayRequest(Table, table=True):
    """One call of the gateway, whatever its outcome. Tokens are the upstream's count unless
    `tokens_source` says `counted` (a stream that broke off). `cost` is exact and null when unpriced."""

    __tablename__ = "request"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        sa.Index("ix_request_organization_id_started_at", "organization_id", "started_at", "id"),
        sa.Index("ix_request_organization_id_key_id", "organization_id", "key_id", "started_at", "id"),
        sa.Index("ix_request_organization_id_latency_ms", "organization_id", "latency_ms", "id"),
        sa.Index("ix_request_organization_id_cost_order", "organization_id", "cost_order", "id"),
        partitioned_by_organization(),
    )

    organization_id: str = Field(primary_key=True, sa_type=ID)
    id: str = id_field()
    key_id: str = Field(default="", sa_type=ID)  # empty for the playground, which signs in by cookie
    account_id: str = Field(default="", sa_type=ID)
    model: str = Field(sa_type=ID)
    upstream_id: str = Field(default="", sa_type=ID)
    endpoint: str
    streamed: bool = False
    status: int
    error_code: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    tokens_source: str = "upstream"
    started_at: datetime = instant()
    latency_ms: int = 0
    first_token_ms: int | None = None
    attempts: int = 1
    cost: Decimal | None = Field(default=None, sa_type=AMOUNT, nullable=True)
    cost_order: int | None = Field(default=None, sa_column=_cost_order())
    currency: str = ""
    address: str = personal(default="", sa_type=TEXT)
    trace_id: str = ""


class RateLease(Table, table=True):
    """The share of one subject's limit that one process may spend until `expires_at`.

    The unexpired shares of a subject never add up to more than its limit.
    """

    __tablename__ = "rate_lease"

    subject: str = Field(primary_key=True, sa_type=ID)  # "<key id>:requests" or "<key id>:tokens"
    process: str = Field(primary_key=True, sa_type=ID)
    share_per_minute: int
    demand_per_minute: int = 0
    expires_at: datetime = instant()
