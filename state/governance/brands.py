"""Brands: the names under which legal entities issue documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import reflex as rx

from services.billing import brand_queries, queries
from services.billing.brand_queries import BrandRow
from services.core import listing_sql
from services.core.listing import Listing
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from state.base import page_event
from state.dialogs import DialogsState
from state.format import instant_text
from state.governance.issuers import ENTITIES_OFFERED_MAX
from state.governance.issuers import HOME as ENTITIES
from state.listed import ListedState

READ, WRITE = Capability.STAFF_INVOICES_READ, Capability.STAFF_INVOICES_WRITE


class BrandsState(DialogsState, ListedState, rx.State):
    """One page of brands, by legal entity, and which dialog is open for which."""

    _listing: ClassVar[Listing[Any]] = brand_queries.BRANDS
    _file_url: ClassVar[str] = "/api/v1/staff/brands"
    _filter_keys: ClassVar[tuple[str, ...]] = ("legal_entity_id", "status")
    _dialogs: ClassVar[Mapping[str, Capability]] = dict.fromkeys(
        ("new", "rename", "default", "archive", "restore"), WRITE
    )

    entities: list[dict[str, str]] = []

    @page_event(READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, brand_queries.BRANDS)
            issuers = await listing_sql.select(uow, queries.ENTITIES, limit=ENTITIES_OFFERED_MAX)
        self.rows = [_shown(row) for row in found]
        self.entities = [{"id": row.id, "label": f"{row.code} – {row.name}"} for row in issuers]


async def brands_to_choose(uow: UnitOfWork) -> list[dict[str, str]]:
    """Those that somebody can be billed under, as a form offers them."""
    return [
        {"id": row.id, "label": f"{row.legal_entity} {row.code} – {row.name}"}
        for row in await brand_queries.offered(uow)
    ]


def _shown(row: BrandRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "legal_entity": row.legal_entity,
        "href": f"{ENTITIES}/{row.legal_entity_id}",
        "code": row.code,
        "name": row.name,
        "use": "default" if row.is_default else row.status,
        "customers": row.customers,
        "created_at": instant_text(row.created_at),
        "version": row.version,
    }
