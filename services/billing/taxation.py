"""Tax rates by their dates, and how the lines of one document are taxed by them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from models.billing import BillingProfile, InvoiceLine, LegalEntity, TaxRate
from services.billing import policies
from services.billing.entities import SHORT_TEXT_CHARACTERS_MAX, require_jurisdictions
from services.billing.events import TaxRateAdded, TaxRateEnded
from services.billing.profiles import exemption_from, tax_number_of
from services.core.errors import Conflict, Invalid, not_found
from services.core.ids import is_id, new_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.identity.rules import clean_text
from services.tax.engine import Buyer, RateTable, RegisteredRates, Seller
from services.tax.evidence import treatment_from
from services.tax.rules import Rate, Treatment


async def add_tax_rate(uow: UnitOfWork, given: Rate) -> TaxRate:
    """Have a rate of a tax known for the days it is valid on. An open one of that tax before it ends where it begins.

    Raises Forbidden, and Conflict where the days already have a rate: documents may have used it.
    """
    uow.actor.require(Capability.STAFF_INVOICES_WRITE)
    require_jurisdictions((given.jurisdiction,), "jurisdiction")
    for name in ("name", "source", "version"):
        clean_text(
            getattr(given, name), field=name, what=name.title(), characters_max=SHORT_TEXT_CHARACTERS_MAX
        )
    await policies.hold_issuers(uow)
    named = {"jurisdiction": given.jurisdiction, "name": given.name, "from": given.valid_from}
    await uow.execute(
        "update tax_rate set valid_until = :from where jurisdiction = :jurisdiction and name = :name"
        " and valid_until is null and valid_from < :from",
        named,
    )
    clash = await uow.execute(
        "select valid_from from tax_rate where jurisdiction = :jurisdiction and name = :name and"
        " daterange(valid_from, valid_until) && daterange(:from, cast(:until as date)) limit 1",
        named | {"until": given.valid_until},
    )
    if (found := clash.scalar_one_or_none()) is not None:
        raise Conflict(
            f"{given.name} of {given.jurisdiction} has a rate from {found} on that overlaps.",
            next_step="Begin after it, or end before it.",
            field="valid_from",
        )
    row = TaxRate(
        id=new_id("txr"),
        jurisdiction=given.jurisdiction,
        name=given.name,
        rate=given.rate,
        source=given.source,
        edition=given.version,
        valid_from=given.valid_from,
        valid_until=given.valid_until,
        created_at=uow.wall_now,
    )
    uow.add(row)
    await uow.session.flush()
    uow.record(
        TaxRateAdded(
            aggregate_id=row.id,
            organization_id=None,
            jurisdiction=row.jurisdiction,
            name=row.name,
            rate=f"{given.rate:f}",
        )
    )
    return row


async def end_tax_rate(uow: UnitOfWork, rate_id: str, *, on: date) -> TaxRate:
    """Have a rate valid no longer from the day `on`, today or later: documents of days before may have used it.

    Ending it on the day it ends anyway changes nothing and records nothing. Raises Forbidden, NotFound, Conflict for
    one that ends earlier, and Invalid for a day that is over or not after it begins.
    """
    uow.actor.require(Capability.STAFF_INVOICES_WRITE)
    await policies.hold_issuers(uow)
    row = await uow.get(TaxRate, rate_id, lock=True) if is_id(str(rate_id), "txr") else None
    if row is None:
        raise not_found("tax rate", rate_id)
    if row.valid_until == on:
        return row
    if row.valid_until is not None and row.valid_until < max(on, uow.wall_now.date()):
        raise Conflict(
            f"This rate ended on {row.valid_until}.", next_step="Enter the rate that holds after it."
        )
    if on <= row.valid_from or on < uow.wall_now.date():
        raise Invalid(
            "A rate ends today or later, and after it begins.",
            field="valid_until",
            next_step="Choose a later day.",
        )
    row.valid_until = on
    await uow.session.flush()
    uow.record(
        TaxRateEnded(
            aggregate_id=row.id,
            organization_id=None,
            jurisdiction=row.jurisdiction,
            name=row.name,
            valid_until=on.isoformat(),
        )
    )
    return row


async def treatments(
    uow: UnitOfWork, entity: LegalEntity, profile: BillingProfile, lines: Sequence[InvoiceLine], on: date
) -> list[Treatment]:
    """How each line is taxed on the day `on`; one whose tax was decided before keeps that.

    Raises Invalid when a rate that is needed is not known.
    """
    rates = await rates_of(uow, [profile.country], since=on, until=on)
    taxed = Taxed(entity, profile, rates, on)
    return [taxed.treat(line.tax_code, line.treatment) for line in lines]


async def rates_of(uow: UnitOfWork, jurisdictions: Sequence[str], *, since: date, until: date) -> list[Rate]:
    """The rates of these places that are valid on some day from `since` to `until`, both included."""
    rows = await uow.execute(
        "select jurisdiction, name, rate, source, edition, valid_from, valid_until from tax_rate"
        " where jurisdiction = any(:places) and valid_from <= :until and (valid_until is null or :since < valid_until)",
        places=list(jurisdictions),
        since=since,
        until=until,
    )
    return [
        Rate(
            row.jurisdiction,
            row.name,
            row.rate.normalize(),
            row.source,
            row.edition,
            row.valid_from,
            row.valid_until,
        )
        for row in rows
    ]


class Taxed:
    """How what an entity bills to a profile on the day `on` is taxed, by rates that were read before. Pure."""

    def __init__(self, entity: LegalEntity, profile: BillingProfile, rates: Sequence[Rate], on: date) -> None:
        self._engine = RegisteredRates(RateTable(rates))
        self._seller = Seller(
            entity.country,
            frozenset(entity.registrations),
            frozenset(entity.reverse_charge_in),
            entity.trusts_unanswered,
        )
        exemption = exemption_from(profile.exemption) if profile.exemption else None
        self._buyer = Buyer(profile.country, tax_number_of(profile), exemption)
        self._on = on
        self._known: dict[str, Treatment] = {}

    def treat(self, tax_code: str, decided: Mapping[str, Any] | None) -> Treatment:
        """Raises Invalid when a rate that is needed is not known."""
        if decided is not None:
            return treatment_from(decided)
        if tax_code not in self._known:
            self._known[tax_code] = self._engine.treat(
                tax_code=tax_code, seller=self._seller, buyer=self._buyer, on=self._on
            )
        return self._known[tax_code]
