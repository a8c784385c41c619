"""What many subscriptions need to be billed together, read in a handful of statements across tenants."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

from sqlmodel import and_, col, or_, select

from models.billing import BillingProfile, LegalEntity
from models.brands import Brand
from services.billing import taxation
from services.catalog import sold_prices
from services.catalog.sold_prices import SoldPrice
from services.core.work import UnitOfWork
from services.tax.rules import Rate

_DAY = timedelta(days=1)  # by which the date of a place may differ from that of UTC
# Locked, so that nobody else bills or changes them. What is not plain is billed by itself, and so is all of its
# organisation: a document of one subscription may be paid by what another one's gave back. The lines of the day are
# compared as pairs, so that no plan goes through all that was made on that day: statistics know nothing of it yet.
_SUBSCRIPTIONS = """
select s.id, s.organization_id, s.state, s.plan_id, s.plan_version_id, s.currency, s.interval, s.interval_count,
  s.anchor, s.timezone, s.started_at, s.trial_end, s.scheduled, s.scheduled_at, s.cancel_at, s.cancel_reason,
  s.paused_at, s.resume_at, s.ended_at, s.pay_until, s.invoices, s.payment_days, o.timezone as zone,
  o.test_clock_id is null and s.scheduled is null and s.state not in ('scheduled','incomplete')
    and not exists (select from invoice i where i.subscription_id = s.id and i.state = 'draft')
    and not exists (select from subscription_item t join plan_charge p on p.id = t.price_id
      where t.subscription_id = s.id and p.meter is not null)
    and not exists (select from coupon_redemption r where r.subscription_id = s.id and r.removed_at is null)
    and not exists (select from wallet w where w.organization_id = s.organization_id and w.currency = s.currency)
    and not exists (select from customer_credit c
      where c.organization_id = s.organization_id and c.currency = s.currency and c.left_minor > 0)
    as is_plain,
  (select coalesce(sum(i.lines), 0) from invoice i
    where i.subscription_id = s.id and (i.subscription_id, i.created_at) > (s.id, :yesterday)) as lines_today
from subscription s join organization o on o.id = s.organization_id
where s.id = any(:ids) and s.parked_at is null and s.next_at <= :now
order by s.next_at, s.id for update of s skip locked
"""
_ITEMS = """
select * from subscription_item where subscription_id = any(:ids) and ended_at is null order by subscription_id, number
"""
_PROFILES = "select * from billing_profile where organization_id = any(:ids)"


@dataclass(frozen=True, slots=True)
class Read:
    """Subscriptions that are due and locked, in the order in which they came due, and what is known for them. Rows
    have the columns of their tables; a subscription also the timezone of its organisation (`zone`), `is_plain`, and
    `lines_today`, which were put on documents of it within a day."""

    subscriptions: Sequence[Any]
    items: Mapping[str, Sequence[Any]]  # that run, by subscription
    sold: Mapping[str, SoldPrice]
    profiles: Mapping[str, BillingProfile]
    entities: Mapping[str, LegalEntity]
    usual: LegalEntity | None
    brands: Mapping[str, Brand]  # those that profiles name
    default_brands: Mapping[str, Brand]  # by legal entity
    rates: Mapping[str, Sequence[Rate]]  # by jurisdiction


async def read(uow: UnitOfWork, ids: Sequence[str]) -> Read:
    """All that is needed for those of `ids` that are due still and that nobody else has, in work across tenants."""
    rows = await _subscriptions(uow, ids)
    plain = [row for row in rows if row.is_plain]
    items: dict[str, list[Any]] = {row.id: [] for row in plain}
    found = await uow.execute(_ITEMS, ids=list(items))
    for item in found:
        items[item.subscription_id].append(item)
    wanted = {item.price_id for of_one in items.values() for item in of_one}
    sold = {one.id: one for one in await sold_prices.prices(uow, ids=sorted(wanted))}
    profiles = await _profiles(uow, {row.organization_id for row in plain})
    entities = await _entities(uow, {one.legal_entity_id for one in profiles.values() if one.legal_entity_id})
    brands = await _brands(uow, {one.brand_id for one in profiles.values() if one.brand_id}, entities)
    rates: dict[str, list[Rate]] = {}
    places = sorted({one.country for one in profiles.values()})
    today = uow.now.date()
    for rate in await taxation.rates_of(uow, places, since=today - _DAY, until=today + _DAY):
        rates.setdefault(rate.jurisdiction, []).append(rate)
    usual = next((one for one in entities.values() if one.is_usual and not one.is_test), None)
    defaults = {one.legal_entity_id: one for one in brands.values() if one.is_default}
    return Read(rows, items, sold, profiles, entities, usual, brands, defaults, rates)


async def _subscriptions(uow: UnitOfWork, ids: Sequence[str]) -> Sequence[Any]:
    found = await uow.execute(
        _SUBSCRIPTIONS,
        ids=list(ids),
        now=uow.now,
        yesterday=uow.now - _DAY,
    )
    return found.all()


async def _profiles(uow: UnitOfWork, organizations: set[str]) -> dict[str, BillingProfile]:
    found = await uow.execute(_PROFILES, ids=sorted(organizations))
    return {one.organization_id: cast("BillingProfile", one) for one in found}


async def _entities(uow: UnitOfWork, named: set[str]) -> dict[str, LegalEntity]:
    """Those that are named, and the usual ones."""
    found = await uow.session.exec(
        select(LegalEntity).where(or_(col(LegalEntity.id).in_(sorted(named)), col(LegalEntity.is_usual)))
    )
    return {one.id: one for one in found}


async def _brands(uow: UnitOfWork, named: set[str], of: Collection[str]) -> dict[str, Brand]:
    """Those that are named, and the default ones of the legal entities `of`."""
    default = and_(col(Brand.is_default), col(Brand.legal_entity_id).in_(sorted(of)))
    found = await uow.session.exec(select(Brand).where(or_(col(Brand.id).in_(sorted(named)), default)))
    return {one.id: one for one in found}
