"""Openings as pages show them: of one organisation in the portal, of all in the governance console."""

from __future__ import annotations

from typing import Any

from services.audit.queries import OpeningEntry
from state import addresses
from state.format import instant_text

FILTER_KEYS = ("purpose", "place", "actor", "opened_at[gte]", "opened_at[lt]")


def opening_shown(entry: OpeningEntry, page: str) -> dict[str, Any]:
    """A row of the table; who, whose and the row lead to all other openings of the same."""
    return {
        "id": entry.id,
        "opened_at": instant_text(entry.opened_at),
        "purpose": entry.purpose,
        "place": entry.place,
        "row_id": entry.row_id,
        "row_href": addresses.with_query(page, {"place": entry.place, "row_id": entry.row_id}),
        "tenant": entry.tenant_name or entry.tenant,
        "tenant_kind": entry.tenant_kind,
        "tenant_href": addresses.with_query(page, {"tenant": entry.tenant}),
        "actor": entry.actor_name or entry.actor_id,
        "actor_kind": entry.actor_kind,
        "actor_href": addresses.with_query(page, {"actor": entry.actor_id}),
    }
