"""Moving all who have a version of a plan to a newer one: looked at, had done, and followed."""

from __future__ import annotations

from typing import Any, ClassVar

import reflex as rx

from models.money import Money
from models.plans import VersionState
from models.types import BillingInterval, ProrationBehaviour
from services.catalog import plan_queries
from services.core import listing_sql
from services.core.errors import Invalid, NotFound
from services.core.listing import Listing
from services.core.listing_grammar import Query, understood
from services.core.permissions import Capability
from services.plan_migrations import migrations as plan_migrations
from services.plan_migrations import queries as plan_migration_queries
from services.plan_migrations.moves import WaitingChanges
from services.plan_migrations.queries import MigrationOutlook, MoveOutlook, Plans
from services.plan_migrations.records import MIGRATIONS, MOVE_ROWS, MigrationRow, MoveRow
from state.base import PageState, page_event
from state.format import decimal_text, instant_text
from state.listed import ListedState

READ, WRITE = Capability.STAFF_SUBSCRIPTIONS_READ, Capability.STAFF_SUBSCRIPTIONS_WRITE
SUBSCRIPTIONS = "/governance/subscriptions"
HOME = "/governance/plan-migrations"
VERSIONS_OFFERED_MAX = 50
MIGRATIONS_SHOWN_MAX = 20
FIELDS = ("from_version_id", "behaviour", "waiting_changes", "currency", "interval", "notice_days")


class PlanMoveState(PageState, rx.State):
    """The versions of a plan to move from, what was asked for, and what it would come to."""

    plan: dict[str, Any] = {}
    versions: list[dict[str, str]] = []
    to: dict[str, Any] = {}  # the version on sale; empty where there is none
    migrations: list[dict[str, Any]] = []
    asked: dict[str, Any] = {}
    outlook: dict[str, Any] = {}
    currencies: list[dict[str, Any]] = []
    refused: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    after: str = ""
    next_after: str = ""
    errors: dict[str, str] = {}
    confirming: bool = False

    @page_event(READ, reads=True)
    async def load(self) -> None:
        self._forget()
        plan_id = self._plan_id()
        async with self._staff_work() as uow:
            plan = await plan_queries.staff_plan(uow, plan_id)
            versions = await listing_sql.select(
                uow, plan_queries.VERSIONS, ("plan_id", plan_id), limit=VERSIONS_OFFERED_MAX
            )
            before = await listing_sql.select(
                uow, MIGRATIONS, ("plan_id", plan_id), limit=MIGRATIONS_SHOWN_MAX
            )
        self.plan = {"id": plan.id, "name": plan.name}
        on_sale = next((row for row in versions if row.state == VersionState.PUBLISHED), None)
        self.to = {"id": on_sale.id, "number": on_sale.number} if on_sale is not None else {}
        self.versions = [
            {"id": row.id, "label": str(row.number)}
            for row in versions
            if on_sale is not None and row.number < on_sale.number and row.state != VersionState.DRAFT
        ]
        self.migrations = [migration_shown(row) for row in before]

    @page_event(READ)
    async def look(self, values: dict[str, Any]) -> None:
        """What would come of it; nothing is done."""
        self.asked = {name: str(values.get(name) or "")[:64] for name in FIELDS} | {
            "to_version_id": str(self.to.get("id", ""))
        }
        await self._look("")

    @page_event(READ)
    async def further(self) -> None:
        """The next subscriptions of the preview."""
        await self._look(self.next_after)

    @page_event(READ)
    async def from_the_first(self) -> None:
        await self._look("")

    @page_event(WRITE)
    async def confirm(self, is_open: bool) -> None:
        self.confirming = bool(is_open)

    @page_event(WRITE)
    async def started(self, answer: dict[str, Any]) -> Any:
        """It was begun through the API."""
        self.confirming = False
        return rx.redirect(f"{HOME}/{answer.get('id', '')}")

    async def _look(self, after: str) -> None:
        self.errors = {}
        try:
            async with self._staff_work() as uow:
                found = await plan_migration_queries.outlook(uow, _plans(self.asked), after=after)
        except (Invalid, NotFound) as refused:
            self.outlook, self.rows = {}, []
            field = refused.field if isinstance(refused, Invalid) else "from_version_id"
            shown = field if field in FIELDS else "from_version_id"
            self.errors = {shown: f"{refused.message} {refused.next_step}".strip()}
            return
        self.after = after
        self._show(found)

    def _show(self, found: MigrationOutlook) -> None:
        self.outlook = {
            "subscriptions": found.subscriptions,
            "movable": found.movable,
            "from_number": found.from_number,
            "to_number": found.to_number,
        }
        self.currencies = [
            {
                "id": one.currency,
                "currency": one.currency,
                "subscriptions": one.subscriptions,
                "before": _amount(one.old_minor, one.currency),
                "after": _amount(one.new_minor, one.currency),
                "rises": one.rises,
                "falls": one.falls,
                "stays": one.stays,
            }
            for one in found.currencies
        ]
        self.refused = [
            {"id": str(number), "reason": one.reason, "subscriptions": one.subscriptions}
            for number, one in enumerate(found.refused)
        ]
        self.rows = [_outlook_shown(row) for row in found.rows]
        self.next_after = found.next_after or ""

    def _forget(self) -> None:
        self.asked, self.outlook, self.errors = {}, {}, {}
        self.currencies, self.refused, self.rows = [], [], []
        self.after = self.next_after = ""
        self.confirming = False

    def _plan_id(self) -> str:
        return self.router.url.path.removesuffix("/").removesuffix("/move").rpartition("/")[2]


class PlanMigrationState(ListedState, rx.State):
    """One migration with how far it is, and a page of what became of each subscription."""

    _listing: ClassVar[Listing[Any]] = MOVE_ROWS
    _file_url: ClassVar[str] = "/api/v1/staff/plan-migration-moves"
    _filter_keys: ClassVar[tuple[str, ...]] = ("state",)

    migration: dict[str, Any] = {}

    @page_event(READ, reads=True)
    async def load(self) -> None:
        self.migration = {}
        async with self._staff_work() as uow:
            migration = await plan_migrations.shown(uow, self._address_id)
            found = await self._read(uow, MOVE_ROWS)
        self.migration = migration_shown(migration)
        self.rows = [_move_shown(row) for row in found]

    @page_event(WRITE)
    async def cancel(self) -> Any:
        """Move nobody else."""
        async with self._staff_work() as uow:
            await plan_migrations.cancel(uow, self._address_id)
        return PlanMigrationState.load

    @page_event(WRITE)
    async def retry(self) -> Any:
        """Go through those again who were not moved."""
        async with self._staff_work() as uow:
            await plan_migrations.retry(uow, self._address_id)
        return PlanMigrationState.load

    def _asked(self) -> Query[Any]:
        """Of the migration of the page, whatever the address says."""
        asked = super()._asked()
        said = [(name, value) for name, value in asked.parameters if not name.startswith("migration_id")]
        return understood(self._listing, [*said, ("migration_id", self._address_id)])


def _plans(asked: dict[str, Any]) -> Plans:
    """Raises Invalid for what no control of the page sends."""
    try:
        return Plans(
            asked.get("from_version_id", ""),
            asked.get("to_version_id", ""),
            ProrationBehaviour(asked.get("behaviour") or ProrationBehaviour.NEXT_PERIOD),
            WaitingChanges(asked.get("waiting_changes") or WaitingChanges.KEEP),
            (asked.get("currency") or "").upper() or None,
            BillingInterval(asked["interval"]) if asked.get("interval") else None,
            notice_days=int(asked.get("notice_days") or 0),
        )
    except ValueError:
        raise Invalid("This cannot be chosen.", field="from_version_id") from None


def _amount(minor: int | None, currency: str) -> str:
    return "" if minor is None else decimal_text(Money(minor, currency).amount)


def _outlook_shown(row: MoveOutlook) -> dict[str, Any]:
    return {
        "id": row.id,
        "organization": row.organization_name,
        "href": f"{SUBSCRIPTIONS}/{row.id}",
        "currency": row.currency,
        "before": _amount(row.old_minor, row.currency),
        "after": _amount(row.new_minor, row.currency),
        "way": row.way.value if row.way is not None else "",
        "reason": row.reason,
    }


def _move_shown(row: MoveRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "organization_name": row.organization_name,
        "href": f"{SUBSCRIPTIONS}/{row.subscription_id}",
        "currency": row.currency,
        "state": row.state,
        "before": _amount(row.old_minor, row.currency),
        "after": _amount(row.new_minor, row.currency),
        "effective_at": instant_text(row.effective_at),
        "reason": row.reason,
    }


def migration_shown(row: MigrationRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "href": f"{HOME}/{row.id}",
        "plan_id": row.plan_id,
        "name": row.plan_name,
        "from_number": row.from_number,
        "to_number": row.to_number,
        "versions": f"{row.from_number} → {row.to_number}",
        "currency": row.currency or "",
        "behaviour": row.behaviour,
        "state": row.state,
        "done": row.done,
        "total": row.total,
        "error": row.error,
        "cancelling": row.cancelling,
        "moved": row.moved,
        "scheduled": row.scheduled,
        "refused": row.refused,
        "failed": row.failed,
        "created_at": instant_text(row.created_at),
    }
