"""Reads and writes across tenants: every reason is listed here and counted, and staff is written down.

Row-level security binds the application role to one organisation. Work that by its nature looks across
them changes to the role `matrix_crossing` for one transaction, under a name from this table. Where a person
looks into other people's data (Reason.STAFF), the log says who and whose. The other reasons, and commands on
the machine itself, are the product's own work, some of it many a second: they count only.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from enum import StrEnum

from services.core import clock as clocks
from services.core import metrics
from services.core.actor import Actor, system
from services.core.database import Database
from services.core.logs import get_logger
from services.core.work import UnitOfWork, crossing_work

log = get_logger(__name__)


class Reason(StrEnum):
    SIGN_IN = "sign_in"  # an address or a cookie is looked up before its organisation is known
    ACCOUNT = "account"  # a person's own account, which belongs to no organisation
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
    FILES = "files"  # a signed link names a file, not its organisation
    NOTICES = "notices"  # what a person is told is theirs, whatever organisation it came from
    LEDGER = "ledger"  # revenue of all organisations is earned by the same passing of time
    BILLING = "billing"  # who is billed when is looked up for all; each is billed in work of its own
    TASKS = "tasks"  # whoever has time takes the next one, whoever asked for it
    PAYMENTS = (
        "payments"  # what a provider tells is looked up first, then worked on for each organisation alone
    )
    KEYS = "keys"  # every sealed value is re-wrapped, whosever it is
    PAPERS = "papers"  # as with tasks: the next document, whosever it is


@asynccontextmanager
async def crossing(
    reason: Reason,
    *,
    actor: Actor | None = None,
    on: Database | None = None,
    clock: clocks.Clock | None = None,
    target: str | None = None,
) -> AsyncGenerator[UnitOfWork, None]:
    """A unit of work that sees every tenant. A staff reason needs the staff member as `actor`.

    `target` is the organisation whose data staff wants to see, where it is one. Those that staff changes are
    known from the events.
    """
    if reason is Reason.STAFF and actor is None:
        raise ValueError("Staff work across tenants must name who does it.")
    metrics.CROSSINGS.labels(reason=reason.value).inc()
    async with crossing_work(actor or system(), on=on, clock=clock) as uow:
        try:
            yield uow
        finally:  # also what was refused or failed
            if reason is Reason.STAFF and uow.actor.id != system().id:
                _write_down(uow, target)


def _write_down(uow: UnitOfWork, target: str | None) -> None:
    named = [target, *(event.organization_id for event in uow.recorded)]
    log.info(
        "staff_crossing",
        reason=Reason.STAFF.value,
        actor_id=uow.actor.id,
        organization_ids=sorted({organization_id for organization_id in named if organization_id}),
    )
