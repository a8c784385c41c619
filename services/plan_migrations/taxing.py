"""How those are taxed whose prices have their tax in them by one version and not by the other: a preview compares what
is left without it, as moving each does. Worked out once for all who are taxed alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import orjson
from sqlmodel import select

from models.billing import BillingProfile, LegalEntity
from services.billing.finalizing import BillingProfileMissing
from services.billing.issuers import LegalEntityMissing
from services.billing.numbering import label_date
from services.billing.taxation import Taxed, rates_of
from services.core.work import UnitOfWork
from services.subscriptions import net_prices
from services.subscriptions.changes import NetShares
from services.subscriptions.subscribed import Price
from services.tax.rules import Rate

# What says how a customer is taxed: nothing where there is no billing profile. On a clock that stands a test entity
# bills.
ALIKE = """
jsonb_build_object('profile', case when p.organization_id is not null then jsonb_build_object(
  'legal_entity_id', p.legal_entity_id, 'country', p.country, 'tax_number', p.tax_number, 'exemption', p.exemption) end,
  'on_trial', k.id is not null and not k.follows_wall)
"""
JOINED = """
join organization o on o.id = s.organization_id left join test_clock k on k.id = o.test_clock_id
left join billing_profile p on p.organization_id = s.organization_id
"""


@dataclass(frozen=True, slots=True)
class Taxing:
    """Entities by id, and the usual ones by whether they are for tests; rates by country."""

    entities: dict[str, LegalEntity]
    usual: dict[bool, LegalEntity]
    rates: dict[str, list[Rate]]
    days: dict[str, date]  # of each entity
    known: dict[bytes, Taxed]

    def shares(self, said: dict[str, Any] | None, prices: Sequence[Price]) -> NetShares:
        """What is left of these prices for a customer of whom ALIKE says this; nothing where all have their tax alike.

        Raises BillingProfileMissing, LegalEntityMissing, and Invalid for a rate that is not known.
        """
        codes = net_prices.mixed(prices)
        return net_prices.shares_by(self._taxed(said), codes) if codes and said is not None else {}

    def _taxed(self, said: dict[str, Any]) -> Taxed:
        key = orjson.dumps(said, option=orjson.OPT_SORT_KEYS)
        if key not in self.known:
            self.known[key] = self._found(said)
        return self.known[key]

    def _found(self, said: dict[str, Any]) -> Taxed:
        if said["profile"] is None:
            raise BillingProfileMissing("Nobody said where the customer is, and so how it is taxed.")
        profile = BillingProfile(organization_id="", name="", address="", language="", **said["profile"])
        named = profile.legal_entity_id
        entity = self.entities.get(named) if named else self.usual.get(said["on_trial"])
        if entity is None:
            raise LegalEntityMissing("There is no legal entity that bills this organisation.")
        return Taxed(entity, profile, self.rates.get(profile.country, ()), self.days[entity.id])


async def read(uow: UnitOfWork, said: Iterable[dict[str, Any]]) -> Taxing:
    """For customers of whom ALIKE says this, in work across tenants that was allowed to look at them."""
    entities = list(await uow.session.exec(select(LegalEntity)))
    days = {one.id: label_date(uow.wall_now, one.timezone) for one in entities}
    countries = {one["profile"]["country"] for one in said if one["profile"] is not None}
    rates: dict[str, list[Rate]] = {}
    if countries and days:
        since, until = min(days.values()), max(days.values())
        for rate in await rates_of(uow, sorted(countries), since=since, until=until):
            rates.setdefault(rate.jurisdiction, []).append(rate)
    usual = {one.is_test: one for one in entities if one.is_usual}
    return Taxing({one.id: one for one in entities}, usual, rates, days, {})
