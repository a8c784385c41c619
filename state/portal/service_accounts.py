"""Service accounts of the organisation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import reflex as rx

from services.core.listing import Listing
from services.core.permissions import Capability
from services.identity import service_accounts
from services.identity.service_accounts import ServiceAccountRow
from state.base import page_event
from state.dialogs import DialogsState
from state.format import instant_text
from state.listed import ListedState


class ServiceAccountsState(DialogsState, ListedState, rx.State):
    """One page of service accounts, and which dialog is open for which."""

    _listing: ClassVar[Listing[Any]] = service_accounts.SERVICE_ACCOUNTS
    _file_url: ClassVar[str] = "/api/v1/service-accounts"
    _filter_keys: ClassVar[tuple[str, ...]] = ("name[contains]", "role", "status")
    _dialogs: ClassVar[Mapping[str, Capability]] = dict.fromkeys(
        ("new", "edit", "disable", "enable"), Capability.SERVICE_ACCOUNTS_WRITE
    )

    @page_event(Capability.SERVICE_ACCOUNTS_READ, reads=True)
    async def load(self) -> None:
        async with self._unit_of_work() as uow:
            found = await self._read(uow, service_accounts.SERVICE_ACCOUNTS)
        self.rows = [_shown(row) for row in found]


def _shown(row: ServiceAccountRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "role": row.role,
        "active_keys": row.active_keys,
        "status": row.status,
        "last_used_at": instant_text(row.last_used_at),
        "created_at": instant_text(row.created_at),
        "created_by": row.created_by_name,
        "version": row.version,
    }
