"""The catalogue: plans and products as a list, and one plan with its versions, whose draft is edited here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import reflex as rx

from services.catalog import estimates, plan_queries, plan_rules, plans
from services.catalog.plan_queries import PlanRow, VersionDetail, VersionRow
from services.catalog.plan_rules import EntitlementFields
from services.catalog.plans import ADDON_TO_MAX, VersionFields
from services.core import listing_sql
from services.core.errors import Invalid, StaleVersion, not_found
from services.core.listing import Listing
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.metering.queries import platform_meters
from state import plan_view
from state.base import page_event
from state.edited import EditedState, version_over
from state.format import decimal_text, instant_text
from state.governance import plan_drafts
from state.listed import ListedState

PRODUCTS_OFFERED_MAX = 500
VERSIONS_SHOWN_MAX = 50
READ, WRITE = Capability.STAFF_PLANS_READ, Capability.STAFF_PLANS_WRITE


class PlansState(ListedState, rx.State):
    """One page of plans, and the products that a new one can be of."""

    _listing: ClassVar[Listing[Any]] = plan_queries.PLANS
    _file_url: ClassVar[str] = "/api/v1/staff/plans"
    _filter_keys: ClassVar[tuple[str, ...]] = ("product_id", "name[contains]")

    products: list[dict[str, str]] = []
    hosts: list[dict[str, str]] = []  # the plans that a new one could be added to
    product_rows: list[dict[str, Any]] = []
    open_dialog: str = ""
    renaming: dict[str, Any] = {}  # the product or the plan that is renamed, and where it is sent

    @page_event(READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, plan_queries.PLANS)
            products = await listing_sql.select(uow, plan_queries.PRODUCTS, limit=PRODUCTS_OFFERED_MAX)
            plans = await listing_sql.select(uow, plan_queries.PLANS, limit=ADDON_TO_MAX)
            hosts = await plan_queries.plan_names(uow, {one for row in found for one in row.addon_to})
        self.rows = [_plan_shown(row, hosts) for row in found]
        self.hosts = [{"id": row.id, "label": row.name} for row in plans if not row.addon_to]
        self.products = [{"id": row.id, "label": row.name} for row in products]
        self.product_rows = [
            {
                "id": row.id,
                "name": row.name,
                "slug": row.slug,
                "description": row.description,
                "plans": row.plans,
                "version": row.version,
            }
            for row in products
        ]

    @page_event(WRITE)
    async def turn(self, name: str, is_open: bool) -> None:
        """Open or close the dialog `name`."""
        self.open_dialog = name if is_open else ""

    @page_event(WRITE)
    async def ask_rename(self, kind: str, row_id: str) -> None:
        """Open the dialog that renames one of the products, or of the plans on screen."""
        rows = self.product_rows if kind == "product" else self.rows
        self.renaming = next((row for row in rows if row["id"] == row_id), dict[str, Any]())
        self.open_dialog = f"rename-{kind}" if self.renaming and kind in ("product", "plan") else ""

    @page_event(WRITE)
    async def changed(self, answer: dict[str, Any]) -> Any:
        """A product was created, or something renamed, through the API."""
        self.open_dialog = ""
        return PlansState.load

    @page_event(WRITE)
    async def take_theirs(self) -> Any:
        """Somebody else was faster: show what it is called now."""
        self.open_dialog = ""
        return PlansState.load

    @page_event(WRITE)
    async def planned(self, answer: dict[str, Any]) -> Any:
        """A plan was created through the API: its draft is what comes next."""
        self.open_dialog = ""
        return rx.redirect(f"/governance/plans/{answer.get('id', '')}")


@dataclass(frozen=True, slots=True)
class _Form:
    """What was typed into a form, and what a newer version says in its fields."""

    form_id: str
    values: Mapping[str, Any]
    theirs: Callable[[VersionDetail], Mapping[str, Any]]


class PlanState(EditedState, rx.State):
    """One plan, its versions, and of the chosen one all that it says. `missing` is why it cannot be published."""

    plan: dict[str, Any] = {}
    versions: list[dict[str, Any]] = []
    version: dict[str, Any] = {}
    charges: list[dict[str, Any]] = []
    entitlements: list[dict[str, Any]] = []
    missing: str = ""
    meters: list[dict[str, str]] = []
    open_dialog: str = ""
    chosen: str = ""  # the entitlement that a dialog is about
    price: list[str] = []  # the price that a dialog is about, by what tells it apart; empty for a new one
    form: dict[str, str] = {}
    errors: dict[str, str] = {}
    error: str = ""
    terms_errors: dict[str, str] = {}  # of the form that is there beside any dialog
    estimate: dict[str, str] = {}
    estimate_errors: dict[str, str] = {}
    steps: list[dict[str, Any]] = []
    priced: list[dict[str, str]] = []  # the prices to choose from for an estimate

    @page_event(READ, reads=True)
    async def load(self) -> None:
        plan_id = self._address_id
        async with self._staff_work() as uow:
            plan = await plan_queries.staff_plan(uow, plan_id)
            versions = await listing_sql.select(
                uow, plan_queries.VERSIONS, ("plan_id", plan_id), limit=VERSIONS_SHOWN_MAX
            )
            asked = [row for row in versions if str(row.number) == self._query.get("version", "")]
            shown = await plan_queries.version_detail(uow, (asked or versions)[0].id)
            meters = await platform_meters(uow)
            hosts = await plan_queries.plan_names(uow, plan.addon_to)
        self.plan = _plan_shown(plan, hosts)
        self.versions = [_version_shown(row) for row in versions]
        self.meters = [{"id": slug, "label": name} for slug, name in sorted(meters.items())]
        self._show(shown)

    def _show(self, shown: VersionDetail) -> None:
        self.version = {
            "id": shown.id,
            "number": shown.number,
            "state": shown.state,
            "version": shown.version,
            **_terms_shown(shown),
        }
        self.charges = [plan_view.charge_shown(row) for row in shown.charges]
        self.entitlements = plan_view.entitlements_shown(shown.entitlements)
        self.priced = [{"id": row.id, "label": plan_view.named(row)} for row in shown.charges]
        self.estimate, self.steps, self.estimate_errors = {}, [], {}
        try:
            plan_rules.offers_of([plan_queries.planned(row) for row in shown.charges])
            self.missing = ""
        except Invalid as reason:
            self.missing = f"{reason.message} {reason.next_step}".strip()

    # -- dialogs

    @page_event(WRITE)
    async def turn(self, name: str, is_open: bool) -> None:
        """Open or close the dialog `name`."""
        self._open(name if is_open else "")

    @page_event(WRITE)
    async def add_charge(self) -> None:
        """A new price, in the currency of the one before it."""
        before = [str(row["currency"]) for row in self.charges[-1:]]
        self.price, self.form = [], plan_drafts.BLANK | {"currency": "".join(before)}
        self._open("charge")

    @page_event(WRITE)
    async def ask_charge(self, charge_id: str, act: str) -> None:
        """Open a dialog for one price: edit, copy (for another currency or interval) or remove."""
        async with self._staff_work() as uow:
            shown = await plan_queries.version_detail(uow, str(self.version.get("id", "")))
        found = next((row for row in shown.charges if row.id == charge_id), None)
        if found is None:
            raise not_found("price", charge_id)
        self.form = plan_drafts.form_of(found)
        self.price = [] if act == "copy" else plan_drafts.apart(found)
        self._open("remove-charge" if act == "remove" else "charge")

    @page_event(WRITE)
    async def ask_entitlement(self, key: str) -> None:
        self.chosen = key
        self._open("remove-entitlement")

    @page_event(WRITE)
    async def choose_kind(self, kind: str) -> None:
        """Of another kind, what the charge can be is something else."""
        if kind in plan_drafts.MODELS:
            models = plan_drafts.MODELS[kind]
            model = self.form.get("model", "")
            model = model if model in models else models[0]
            self.form = self.form | {"kind": kind, "model": model}

    @page_event(WRITE)
    async def choose_model(self, model: str) -> None:
        if model in plan_drafts.MODELS.get(self.form.get("kind", ""), ()):
            self.form = self.form | {"model": model}

    def _open(self, name: str) -> None:
        self.open_dialog, self.errors, self.error, self.terms_errors = name, {}, "", {}

    @page_event(WRITE)
    async def take_theirs(self) -> Any:
        """Somebody else was faster: show what the draft says now."""
        self._open("")
        return PlanState.load

    # -- changes of the draft

    @page_event(WRITE)
    async def save_charge(self, values: dict[str, Any]) -> None:
        """Put a new price behind the others, or a changed one in its place."""
        typed = {name: str(values.get(name) or "") for name in plan_drafts.FIELDS if name in values}
        self.form = self.form | typed

        def changed(given: VersionFields) -> VersionFields:
            made = plan_drafts.charge_of(self.form)
            return replace(given, charges=plan_drafts.with_price(given.charges, made, of=self.price))

        def theirs(newer: VersionDetail) -> Mapping[str, Any]:
            same = [row for row in newer.charges if plan_drafts.apart(row) == self.price]
            return plan_drafts.form_of(same[0]) if same else {}

        await self._change(changed, _Form("charge", values, theirs))

    @page_event(WRITE)
    async def remove_charge(self) -> None:
        await self._change(
            lambda given: replace(
                given, charges=[one for one in given.charges if plan_drafts.apart(one) != self.price]
            )
        )

    @page_event(WRITE)
    async def save_terms(self, values: dict[str, Any]) -> None:
        days = values.get("trial_days")
        await self._change(
            lambda given: replace(
                given,
                trial_days=int(days) if isinstance(days, int | float) else 0,
                tax_code=str(values.get("tax_code") or ""),
                payment=str(values.get("payment") or given.payment),
            ),
            _Form("terms", values, _terms_shown),
        )

    @page_event(WRITE)
    async def save_entitlement(self, values: dict[str, Any]) -> None:
        """Add what the version gives, or say anew what it gives of the same key."""
        key, name, kind, value = (str(values.get(one) or "") for one in ("key", "name", "kind", "value"))
        made = EntitlementFields(key, name, kind, value)

        def changed(given: VersionFields) -> VersionFields:
            others = [one for one in given.entitlements if one.key != key]
            return replace(given, entitlements=[*others, made])

        def theirs(newer: VersionDetail) -> Mapping[str, Any]:
            same = [asdict(one) for one in newer.entitlements if one.key == key]
            return same[0] if same else {}

        await self._change(changed, _Form("entitlement", values, theirs))

    @page_event(WRITE)
    async def remove_entitlement(self) -> None:
        await self._change(
            lambda given: replace(
                given, entitlements=[one for one in given.entitlements if one.key != self.chosen]
            )
        )

    async def _change(
        self, change: Callable[[VersionFields], VersionFields], typed: _Form | None = None
    ) -> None:
        """Save the draft as `change` makes it of what is there, `typed` into a form or by one press. What is refused
        is told at its field."""
        version_id, at = str(self.version.get("id", "")), int(self.version.get("version", 0))
        at = version_over(typed.values, at) if typed else at
        try:
            async with self._staff_work() as uow:
                before = _given(await plan_queries.version_detail(uow, version_id))
                await plans.change_draft(uow, version_id, change(before), version=at)
                shown = await plan_queries.version_detail(uow, version_id)
        except Invalid as refused:
            said = f"{refused.message} {refused.next_step}".strip()
            field = plan_drafts.field_at(refused.field) or refused.field.rpartition(".")[2]
            if self.open_dialog:
                self.errors, self.error = ({field: said}, "") if field else ({}, said)
            else:
                self.terms_errors = {field: said}
            return
        except StaleVersion as stale:
            if typed is None:
                raise
            async with self._staff_work() as uow:
                newer = await plan_queries.version_detail(uow, version_id)
            self._meet(stale, typed.form_id, typed.theirs(newer), newer.version)
            return
        self._open("")
        self._show(shown)

    # -- its life

    @page_event(WRITE)
    async def draft(self) -> Any:
        """Begin the next version, or go to the one that was begun."""
        async with self._staff_work() as uow:
            await plans.draft_version(uow, str(self.plan.get("id", "")))
        return rx.redirect(f"/governance/plans/{self.plan.get('id', '')}")

    @page_event(WRITE)
    async def publish(self) -> Any:
        """Sell what is on screen: refused if somebody changed it meanwhile."""
        self._open("")
        await self._live(plans.publish_version)
        return PlanState.load

    @page_event(WRITE)
    async def retire(self) -> Any:
        self._open("")
        await self._live(plans.retire_version)
        return PlanState.load

    async def _live(self, verb: Callable[..., Any]) -> None:
        async with self._staff_work() as uow:
            at = int(self.version.get("version", 0))
            await verb(uow, str(self.version.get("id", "")), version=at)

    @page_event(READ)
    async def reckon(self, values: dict[str, Any]) -> None:
        """What a quantity of one price costs, step by step."""
        self.estimate_errors, self.estimate, self.steps = {}, {}, []
        try:
            async with self._staff_work() as uow:
                await self._reckon(uow, str(values.get("charge_id") or ""), str(values.get("quantity") or ""))
        except Invalid as refused:
            self.estimate_errors = {"quantity": f"{refused.message} {refused.next_step}".strip()}

    async def _reckon(self, uow: UnitOfWork, charge_id: str, quantity: str) -> None:
        shown = await plan_queries.version_detail(uow, str(self.version.get("id", "")))
        charge = next((row for row in shown.charges if row.id == charge_id), None)
        if charge is None:
            raise not_found("price", charge_id)
        made = estimates.estimate(plan_queries.planned(charge), plan_drafts.number(quantity, "quantity"))
        self.estimate = {
            "amount": decimal_text(made.rated.amount),
            "total": decimal_text(made.total.amount),
            "currency": charge.currency,
        }
        self.steps = [
            plan_view.step_shown(index, step, charge.currency) for index, step in enumerate(made.rated.steps)
        ]


def _terms_shown(shown: VersionDetail) -> dict[str, Any]:
    return {"trial_days": shown.trial_days, "tax_code": shown.tax_code, "payment": shown.payment}


def _given(shown: VersionDetail) -> VersionFields:
    return VersionFields(
        charges=[plan_queries.draftable(row) for row in shown.charges],
        entitlements=[EntitlementFields(**asdict(row)) for row in shown.entitlements],
        trial_days=shown.trial_days,
        tax_code=shown.tax_code,
        payment=shown.payment,
    )


def _plan_shown(row: PlanRow, hosts: Mapping[str, str]) -> dict[str, Any]:
    """`hosts` names the plans that it can be added to."""
    state = "published" if row.published else "draft" if row.draft else "retired"
    return asdict(row) | {
        "created_at": instant_text(row.created_at),
        "href": f"/governance/plans/{row.id}",
        "state": state,
        "published": row.published or "",
        "draft": row.draft or "",
        "retention_coupon": row.retention_coupon or "",
        "addon_to": ", ".join(hosts.get(one, one) for one in row.addon_to),
    }


def _version_shown(row: VersionRow) -> dict[str, Any]:
    return asdict(row) | {
        "created_at": instant_text(row.created_at),
        "published_at": instant_text(row.published_at),
        "retired_at": instant_text(row.retired_at),
        "href": f"/governance/plans/{row.plan_id}?version={row.number}",
    }
