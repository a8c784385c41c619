"""The audit log as pages show it: filters out of an address, entries as plain rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from services.audit.queries import AuditEntry, AuditFilter
from state import addresses
from state.days import midnight, midnight_after
from state.format import instant_text

FILTER_KEYS = ("type", "actor", "object", "from", "to")
DETAIL_CHARACTERS_MAX = 300


def audit_filter(chosen: Mapping[str, str], zone: ZoneInfo) -> AuditFilter:
    """The filters of an address; days are the organisation's, the last one included, and nonsense is no filter."""
    given = {key: "".join(filter(str.isprintable, value)).strip() for key, value in chosen.items()}
    return AuditFilter(
        actor=given.get("actor", ""),
        type=given.get("type", ""),
        object_id=given.get("object", ""),
        organization_id=given.get("organization", ""),
        start=midnight(given.get("from", ""), zone),
        end=midnight_after(given.get("to", ""), zone),
    )


def csv_address(url: str, where: AuditFilter) -> str:
    """Where the same entries are to be had as a file, from the API at `url`."""
    parameters = {
        "format": "csv",
        "actor": where.actor,
        "type": where.type,
        "object": where.object_id,
        "organization": where.organization_id,
        "from": instant_text(where.start),
        "to": instant_text(where.end),
    }
    return addresses.with_query(url, parameters)


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
        "object_href": addresses.with_query(page, {"object": entry.object_id}),
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
