"""What staff knows of a customer's tax: a number that somebody checked, and why no tax is charged."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import date
from typing import Any

import reflex as rx

from models.billing import BillingProfile
from services.billing import policies, profiles, queries, tax_numbers
from services.core.errors import Invalid, NotFound, StaleVersion
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.tax.engine import Exemption
from services.tax.rules import NumberState
from state.base import page_event
from state.edited import EditedState, version_over
from state.governance.brands import brands_to_choose

READ, WRITE = Capability.STAFF_INVOICES_READ, Capability.STAFF_INVOICES_WRITE
DIALOGS = ("number", "exemption", "brand")
NUMBER_FORM, EXEMPTION_FORM, BRAND_FORM = "customer-tax-number", "customer-exemption", "customer-brand"


class CustomerTaxState(EditedState, rx.State):
    """To whom an organisation's documents go and how it is taxed; empty where nobody said it yet."""

    profile: dict[str, Any] = {}
    brands: list[dict[str, str]] = []
    open_dialog: str = ""
    errors: dict[str, str] = {}

    @page_event(READ, reads=True)
    async def load(self) -> None:
        self.profile = {}
        self._open("")
        async with self._staff_work(within=self._address_id) as uow:
            await policies.any_organization(uow, self._address_id)
            with suppress(NotFound):  # who has none yet
                self.profile = await _shown(uow, await queries.profile(uow))

    @page_event(WRITE)
    async def turn(self, name: str, is_open: bool) -> None:
        """Open or close a dialog."""
        self._open(name if is_open and name in DIALOGS else "")
        if self.open_dialog == "brand":
            async with self._staff_work() as uow:
                self.brands = [{"id": "", "label": ""}, *await brands_to_choose(uow)]

    @page_event(WRITE)
    async def save_brand(self, values: dict[str, Any]) -> None:
        """Bill the customer under the brand that was chosen, or under the default one."""

        async def save(uow: UnitOfWork) -> BillingProfile:
            chosen = _text(values, "brand_id") or None
            return await profiles.set_brand(uow, chosen, version=version_over(values, self._version()))

        await self._save(save, form_id=BRAND_FORM)

    @page_event(WRITE)
    async def save_number(self, values: dict[str, Any]) -> None:
        """Keep a tax number as it was found; without one there is none."""

        async def save(uow: UnitOfWork) -> BillingProfile:
            return await tax_numbers.set_tax_number(
                uow,
                _text(values, "number"),
                valid=_text(values, "valid") == "true",
                source=_text(values, "source"),
                reference=_text(values, "reference"),
                reason=_text(values, "override_reason"),
                version=version_over(values, self._version()),
            )

        await self._save(save, form_id=NUMBER_FORM)

    @page_event(WRITE)
    async def check_again(self) -> None:
        """Have the register asked once more."""
        await self._save(lambda uow: tax_numbers.check_again(uow, version=self._version()))

    @page_event(WRITE)
    async def save_exemption(self, values: dict[str, Any]) -> None:
        """Charge no tax on those days, for what is said."""

        async def save(uow: UnitOfWork) -> BillingProfile:
            begins = _day(values, "valid_from") or uow.now.date()
            given = Exemption(
                _text(values, "reason_code"),
                _text(values, "reason"),
                _text(values, "evidence"),
                begins,
                _day(values, "valid_until"),
            )
            return await profiles.set_exemption(uow, given, version=version_over(values, self._version()))

        await self._save(save, form_id=EXEMPTION_FORM)

    @page_event(WRITE)
    async def end_exemption(self) -> None:
        """Charge tax again, on the next document on."""
        await self._save(lambda uow: profiles.set_exemption(uow, None, version=self._version()))

    async def _save(
        self, verb: Callable[[UnitOfWork], Awaitable[BillingProfile]], *, form_id: str = ""
    ) -> None:
        try:
            async with self._staff_work(within=self._address_id) as uow:
                shown = await _shown(uow, await verb(uow))
        except Invalid as refused:
            if not form_id:  # an act, without a field to tell it at
                raise
            self.errors = {refused.field: f"{refused.message} {refused.next_step}".strip()}
            return
        except StaleVersion as stale:
            if not form_id:  # an act, with nothing to compare
                raise
            async with self._staff_work(within=self._address_id) as uow:
                shown = await _shown(uow, await queries.profile(uow))
            self._meet(stale, form_id, shown, int(shown["version"]))
            return
        self.profile = shown
        self._open("")

    def _version(self) -> int:
        """Of the profile as it is on screen."""
        return int(self.profile.get("version", 0))

    def _open(self, name: str) -> None:
        self.open_dialog, self.errors = name, {}


def _text(values: Mapping[str, Any], name: str) -> str:
    return str(values.get(name) or "").strip()


def _day(values: Mapping[str, Any], name: str) -> date | None:
    """Raises Invalid for what is no day."""
    text = _text(values, name)
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise Invalid(f"{text[:20]!r} is no day.", field=name, next_step="Choose one.") from None


async def _shown(uow: UnitOfWork, row: BillingProfile) -> dict[str, Any]:
    number, exemption = row.tax_number or {}, row.exemption or {}
    brand = await policies.brand_for(uow, row.brand_id, READ) if row.brand_id else None
    return {
        "brand_id": row.brand_id or "",
        "brand": f"{brand.code} – {brand.name}" if brand else "",
        "name": row.name,
        "address": row.address,
        "country": row.country,
        "language": row.language,
        "version": row.version,
        "number": number.get("number", ""),
        "state": number.get("state", ""),
        "valid": "false" if number.get("state") == NumberState.INVALID else "true",
        "checked_at": number.get("checked_at") or "",
        "found_by": number.get("source", ""),
        "found_reference": number.get("reference", ""),
        # What a register found is not put into the mouth of who says otherwise.
        "source": number.get("source", "") if number.get("reason") else "",
        "reference": number.get("reference", "") if number.get("reason") else "",
        "override_reason": number.get("reason", ""),
        **{
            name: exemption.get(name) or ""
            for name in ("reason_code", "reason", "evidence", "valid_from", "valid_until")
        },
        "is_exempt": bool(exemption),
    }
