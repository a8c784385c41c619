"""The audit log as pages show it: entries as plain rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.audit.queries import AuditEntry
from state import addresses
from state.format import instant_text

FILTER_KEYS = ("type", "actor", "object_id", "address", "recorded_at[gte]", "recorded_at[lt]")
DETAIL_CHARACTERS_MAX = 300


def entry_shown(entry: AuditEntry, page: str) -> dict[str, Any]:
    """A row of the table on `page`; the object leads to all that happened to it."""
    return {
        "id": str(entry.id),
        "recorded_at": instant_text(entry.recorded_at),
        "type": entry.type,
        "actor": entry.actor_name or entry.actor_id,
        "actor_kind": entry.actor_kind,
        "actor_id": entry.actor_id,
        "actor_href": addresses.with_query(page, {"actor": entry.actor_id}),
        "object": entry.object_id,
        "object_href": addresses.with_query(page, {"object_id": entry.object_id}),
        "organization": entry.organization_name or (entry.organization_id or ""),
        "address": entry.address,
        "detail": _detail(entry.details),
    }


def _detail(facts: Mapping[str, Any]) -> str:
    """What an event says beside its type, as `name: value` pairs, cut where it gets long."""
    pairs = [f"{name}: {_words(value)}" for name, value in facts.items() if value not in (None, "", [])]
    text = ", ".join(pairs)
    return text if len(text) <= DETAIL_CHARACTERS_MAX else text[: DETAIL_CHARACTERS_MAX - 1] + "\u2026"


def _words(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
