"""Reads of models and upstreams for pages and API."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.core import listing_sql
from services.core.errors import not_found
from services.core.listing import Column, Kind, Listing
from services.core.permissions import Capability
from services.core.work import UnitOfWork


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model that clients may name."""

    id: str
    slug: str
    name: str
    description: str
    endpoints: list[str]
    context_tokens: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class StaffModelRow:
    """A model as the operator's console shows it."""

    id: str
    slug: str
    name: str
    description: str
    endpoints: list[str]
    context_tokens: int
    created_at: datetime
    upstream_id: str
    upstream_name: str
    upstream_model: str
    enabled: bool
    version: int


@dataclass(frozen=True, slots=True)
class UpstreamRow:
    """An upstream as the operator's console shows it; of its key only whether there is one."""

    id: str
    name: str
    kind: str
    base_url: str
    has_api_key: bool
    connect_timeout_s: int
    read_timeout_s: int
    on_hangup: str
    enabled: bool
    created_at: datetime
    version: int
    models: int  # enabled ones that run there


OFFERED = Listing(
    "models",
    row=ModelRow,
    needs=Capability.MODELS_READ,
    source="model m join upstream u on u.id = m.upstream_id",
    where="m.enabled and u.enabled",
    columns=(
        Column("id", "m.id", Kind.ID, filterable=True),
        Column("slug", "m.slug", Kind.ID, sortable=True, filterable=True),
        Column("name", "m.name", sortable=True, filterable=True),
        Column("description", "m.description"),
        Column("endpoints", "m.endpoints", Kind.LIST),
        Column("context_tokens", "m.context_tokens", Kind.INTEGER, sortable=True, filterable=True),
        Column("created_at", "m.created_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True),
    ),
    sort="slug",
)
MODELS = Listing(
    "staff.models",
    row=StaffModelRow,
    needs=Capability.STAFF_UPSTREAMS_READ,
    source="model m join upstream u on u.id = m.upstream_id",
    columns=(
        Column("id", "m.id", Kind.ID, filterable=True),
        Column("slug", "m.slug", Kind.ID, sortable=True, filterable=True),
        Column("name", "m.name", sortable=True, filterable=True),
        Column("description", "m.description"),
        Column("endpoints", "m.endpoints", Kind.LIST),
        Column("context_tokens", "m.context_tokens", Kind.INTEGER, sortable=True, filterable=True),
        Column("created_at", "m.created_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True),
        Column("upstream_id", "m.upstream_id", Kind.ID, filterable=True),
        Column("upstream_name", "u.name"),
        Column("upstream_model", "m.upstream_model", filterable=True),
        Column("enabled", "m.enabled", Kind.FLAG, filterable=True),
        Column("version", "m.version", Kind.INTEGER, exported=False),
    ),
    sort="slug",
)
UPSTREAMS = Listing(
    "staff.upstreams",
    row=UpstreamRow,
    needs=Capability.STAFF_UPSTREAMS_READ,
    source="upstream u",
    columns=(
        Column("id", "u.id", Kind.ID, filterable=True),
        # The built-in one has its place before all others, whatever they are called.
        Column(
            "place",
            "case u.kind when 'builtin' then '0' else '1' end || lower(u.name)",
            sortable=True,
            shown=False,
        ),
        Column("name", "u.name", sortable=True, filterable=True),
        Column("kind", "u.kind", Kind.ENUM, values=("builtin", "openai"), filterable=True),
        Column("base_url", "u.base_url", filterable=True),
        Column("has_api_key", "u.api_key_sealed is not null", Kind.FLAG, filterable=True),
        Column("connect_timeout_s", "u.connect_timeout_s", Kind.INTEGER),
        Column("read_timeout_s", "u.read_timeout_s", Kind.INTEGER),
        Column("on_hangup", "u.on_hangup", Kind.ENUM, values=("drain", "cancel"), filterable=True),
        Column("enabled", "u.enabled", Kind.FLAG, filterable=True),
        Column("created_at", "u.created_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True),
        Column("version", "u.version", Kind.INTEGER, exported=False),
        Column(
            "models",
            "(select count(*) from model m where m.upstream_id = u.id and m.enabled)",
            Kind.INTEGER,
            sortable=True,
            filterable=True,
        ),
    ),
    sort="place",
)


async def models(uow: UnitOfWork) -> list[ModelRow]:
    """Models that clients may call, by slug: those that are in use, on an upstream that is."""
    return await listing_sql.select(uow, OFFERED, limit=listing_sql.PAGE_ROWS_MAX)


async def staff_models(uow: UnitOfWork) -> list[StaffModelRow]:
    """Models by slug, also those switched off. `uow` is `crossing(Reason.STAFF, actor=...)`."""
    return await listing_sql.select(uow, MODELS, limit=listing_sql.PAGE_ROWS_MAX)


async def staff_model(uow: UnitOfWork, model_id: str) -> StaffModelRow:
    """One model for staff. Raises NotFound."""
    row = await listing_sql.find(uow, MODELS, model_id)
    if row is None:
        raise not_found("model", model_id)
    return row


async def staff_upstream(uow: UnitOfWork, upstream_id: str) -> UpstreamRow:
    """One upstream for staff. Raises NotFound."""
    row = await listing_sql.find(uow, UPSTREAMS, upstream_id)
    if row is None:
        raise not_found("upstream", upstream_id)
    return row
