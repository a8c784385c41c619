"""API keys. Their secrets never come here: the dialogs that show one talk to the REST API themselves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

import reflex as rx

from services.core.clock import SystemClock
from services.core.listing import Listing
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.gateway import queries as gateway
from services.identity import key_queries, projects, service_accounts
from services.identity.key_queries import KeyRow
from state.base import page_event
from state.dialogs import DialogsState
from state.format import instant_text
from state.listed import ListedState
from state.portal.snippets import first_call

EXPIRIES_DAYS = (30, 90, 365)


class KeysState(DialogsState, ListedState, rx.State):
    """The organisation's keys, what may be chosen for a new one, and which dialog is open for which key."""

    _listing: ClassVar[Listing[Any]] = key_queries.KEYS
    _file_url: ClassVar[str] = "/api/v1/keys"
    _filter_keys: ClassVar[tuple[str, ...]] = ("status[in]", "name[contains]", "project_id")
    _preset: ClassVar[dict[str, str]] = dict([key_queries.USABLE])
    _dialogs: ClassVar[Mapping[str, Capability]] = dict.fromkeys(("rotate", "revoke"), Capability.KEYS_WRITE)

    models: list[dict[str, str]] = []
    projects: list[dict[str, str]] = []
    service_accounts: list[dict[str, str]] = []
    expiries: list[str] = ["", "", ""]
    example: str = ""

    @page_event(Capability.KEYS_READ, reads=True)
    async def load(self) -> None:
        async with self._unit_of_work() as uow:
            rows = await self._read(uow, key_queries.KEYS)
            self.projects = await offered_projects(uow)
            self.service_accounts = await _offered_accounts(uow)
            offered = await gateway.models(uow)
        self.rows = [_shown(row) for row in rows]
        self.models = [{"id": model.slug, "label": model.name} for model in offered]
        self.expiries = expiries()
        self.example = first_call(offered)


async def offered_projects(uow: UnitOfWork) -> list[dict[str, str]]:
    """Projects to choose from; none for who may not see them."""
    if not uow.actor.may(Capability.PROJECTS_READ):
        return []
    rows = await projects.active_projects(uow)
    return [{"id": row.id, "label": row.name} for row in rows]


async def _offered_accounts(uow: UnitOfWork) -> list[dict[str, str]]:
    if not uow.actor.may(Capability.SERVICE_ACCOUNTS_READ):
        return []
    rows = await service_accounts.service_accounts(uow)
    return [{"id": row.id, "label": row.name} for row in rows if row.disabled_at is None]


def _shown(row: KeyRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "prefix": f"{row.prefix}\u2026",
        "scopes": row.scopes,
        "models": row.models,
        "requests_per_minute": row.requests_per_minute,
        "tokens_per_minute": row.tokens_per_minute,
        "status": row.status,
        "expires_at": instant_text(row.expires_at),
        "last_used_at": instant_text(row.last_used_at),
        "created_at": instant_text(row.created_at),
        "created_by": row.created_by_name,
        "project_name": row.project_name,
        "service_account_name": row.service_account_name,
        "ended": row.status in {"expired", "revoked"},
    }


def expiries() -> list[str]:
    """Validity of a key is security, so it counts from wall time."""
    now = SystemClock().now().replace(microsecond=0)
    return [(now + timedelta(days=days)).isoformat() for days in EXPIRIES_DAYS]
