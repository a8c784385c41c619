"""What can be watched live: a name, the capability it takes, and how its figures are read.

A view's figures are read once per organisation and capability set and sent to everybody who looks, so a
view must return nothing that one holder of those capabilities may see and another may not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from services.billing import watching
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.crypto import requests as crypto
from services.metering import queries as metering
from services.notify import notices
from services.operations import held_jobs
from services.payments import watching as payments
from services.tasks import queries as tasks
from services.wallets import watching as wallets


@dataclass(frozen=True, slots=True)
class View:
    """`needs` is required to look; of `shapes`, those the viewer has change what is read."""

    name: str
    needs: Capability
    read: Callable[[UnitOfWork], Awaitable[object]]  # anything orjson can write
    shapes: frozenset[Capability] = frozenset()
    personal: bool = (
        False  # read for one account, in work that crosses tenants, when that account was told something
    )
    everywhere: bool = False  # for staff: read in work that crosses tenants, after any event of anybody


VIEWS: dict[str, View] = {
    view.name: view
    for view in (
        View(
            "overview",
            Capability.USAGE_READ,
            metering.overview,
            frozenset({Capability.COST_READ, Capability.KEYS_READ}),
        ),
        View("payments.chain", Capability.PAYMENTS_READ, crypto.deepened),
        View("payments", Capability.PAYMENTS_READ, payments.changed),
        View("wallets", Capability.WALLET_READ, wallets.changed),
        View("staff.wallets", Capability.STAFF_WALLETS_READ, wallets.any_changed, everywhere=True),
        View("tasks", Capability.TASKS_READ, tasks.latest),
        View("billing_profile", Capability.INVOICES_READ, watching.profile_changed),
        View("subscriptions", Capability.SUBSCRIPTIONS_READ, watching.subscriptions_changed),
        View(
            "staff.subscriptions",
            Capability.STAFF_SUBSCRIPTIONS_READ,
            watching.any_subscription_changed,
            everywhere=True,
        ),
        View("staff.invoices", Capability.STAFF_INVOICES_READ, watching.any_invoice_changed, everywhere=True),
        View("staff.clocks", Capability.STAFF_ORGANIZATIONS_READ, watching.clocks_turning, everywhere=True),
        View("staff.jobs", Capability.STAFF_HEALTH_READ, held_jobs.changed, everywhere=True),
        View(
            "staff.billing_runs", Capability.STAFF_SUBSCRIPTIONS_READ, watching.runs_at_work, everywhere=True
        ),
        View("notices", Capability.ORGANIZATION_READ, notices.live_unread, personal=True),
    )
}
