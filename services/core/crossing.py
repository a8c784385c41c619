"""Reads and writes across tenants: every reason is listed here, counted and logged.

Row-level security binds the application role to one organisation. Work that by its nature looks across
them changes to the role `matrix_crossing` for one transaction, under a name from this table.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from enum import StrEnum

from services.core import clock as clocks
from services.core import metrics
from services.core.actor import Actor, system
from services.core.database import Database
from services.core.work import UnitOfWork, crossing_work


class Reason(StrEnum):
    SIGN_IN = "sign_in"  # an address or a cookie is looked up before its organisation is known
    KEY_LOOKUP = "key_lookup"  # a bearer key names its organisation, not the other way round
    GATEWAY_SETTLEMENT = "gateway_settlement"  # one batch holds calls of many organisations
    LEASES = "leases"  # shares of limits are split between processes
    ROLLUP = "rollup"  # deltas of all organisations are folded
    SUBSCRIBER = "subscriber"  # the event log has one order for all
    STAFF = "staff"  # governance console, after a staff capability was required
    CATALOG = "catalog"  # models, upstreams and prices belong to nobody
    MAIL = "mail"
    RETENTION = "retention"  # what has expired is deleted, whoever it belonged to
    DEMO = "demo"
    LIVE = "live"
    HEALTH = "health"  # the keys and the heartbeats of the installation belong to nobody
    INVARIANTS = "invariants"


@asynccontextmanager
async def crossing(
    reason: Reason,
    *,
    actor: Actor | None = None,
    on: Database | None = None,
    clock: clocks.Clock | None = None,
) -> AsyncGenerator[UnitOfWork, None]:
    """A unit of work that sees every tenant. A staff reason needs the staff member as `actor`."""
    if reason is Reason.STAFF and actor is None:
        raise ValueError("Staff work across tenants must name who does it.")
    metrics.CROSSINGS.labels(reason=reason.value).inc()
    async with crossing_work(actor or system(), on=on, clock=clock) as uow:
        yield uow
