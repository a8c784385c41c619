"""What the things are called that events name by their ids: names of today, of what the reader may see."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from services.core.ids import prefix_of
from services.core.work import UnitOfWork

_NAMED = {
    "acc": ("account", "coalesce(nullif(name, ''), email)"),
    "apikey": ("api_key", "name"),
    "brnd": ("brand", "name"),
    "bud": ("budget", "name"),
    "clk": ("test_clock", "name"),
    "cpn": ("coupon", "name"),
    "crn": ("credit_note", "number"),
    "dcmp": ("dunning_campaign", "name"),
    "ent": ("legal_entity", "name"),
    "inv": ("invoice", "number"),
    "invite": ("invitation", "email"),
    "model": ("model", "name"),
    "mtr": ("meter", "name"),
    "org": ("organization", "name"),
    "pacc": ("provider_account", "name"),
    "plan": ("plan", "name"),
    "prod": ("product", "name"),
    "proj": ("project", "name"),
    "svc": ("service_account", "name"),
    "ups": ("upstream", "name"),
}


async def names_of(uow: UnitOfWork, ids: Iterable[str]) -> dict[str, str]:
    """The names of those of `ids` that have one and may be seen by the reader, in one statement at most.

    Row-level security keeps what is of others nameless: an id in an event is no right to what it names.
    """
    asked: dict[str, Any] = {}
    for one in set(ids):
        if (prefix := prefix_of(one)) in _NAMED:
            asked.setdefault(prefix, []).append(one)
    if not asked:
        return {}
    parts = [
        f"select id, {name} as name from {table} where id = any(:{prefix})"
        for prefix, (table, name) in _NAMED.items()
        if prefix in asked
    ]
    found = await uow.execute(" union all ".join(parts), **asked)
    return {row.id: row.name for row in found if row.name}
