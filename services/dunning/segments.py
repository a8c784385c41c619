"""Which campaign an invoice belongs to: the first by rank, of those that are switched on, whose segment it is in."""

from __future__ import annotations

from dataclasses import dataclass

from models.billing import Invoice
from models.dunning import DunningCampaign
from services.core.work import UnitOfWork

_FITS = """
select * from dunning_campaign
where enabled and (currency is null or currency = :currency) and (country is null or country = :country)
  and (plan_id is null or plan_id = (select plan_id from subscription where id = :subscription_id))
  and minimum_minor <= :minor and (maximum_minor is null or maximum_minor >= :minor)
order by rank, id limit 1
"""


@dataclass(frozen=True, slots=True)
class Segment:
    """For whom a campaign is. What is left out fits all; amounts are minor units of `currency`."""

    plan_id: str | None = None
    currency: str | None = None
    country: str | None = None
    minimum_minor: int = 0
    maximum_minor: int | None = None


EVERYBODY = Segment()

# Whether the segment that is named by its fields has the invoice `i` in it.
FITS_SEGMENT = """
((cast(:currency as text) is null or i.currency = :currency)
  and (cast(:country as text) is null or i.buyer->>'country' = :country)
  and (cast(:plan_id as text) is null
    or exists (select from subscription b where b.id = i.subscription_id and b.plan_id = :plan_id))
  and i.total_minor >= :minimum_minor
  and (cast(:maximum_minor as bigint) is null or i.total_minor <= :maximum_minor))
"""

# Whether a campaign would take up the invoice `s`.
FITS_ONE = """
exists (select from dunning_campaign d where d.enabled and (d.currency is null or d.currency = s.currency)
  and (d.country is null or d.country = s.buyer->>'country')
  and (d.plan_id is null or d.plan_id = (select b.plan_id from subscription b where b.id = s.subscription_id))
  and d.minimum_minor <= s.total_minor and (d.maximum_minor is null or d.maximum_minor >= s.total_minor))
"""


async def campaign_of(uow: UnitOfWork, invoice: Invoice) -> DunningCampaign | None:
    """By what the invoice came to, not by what is left of it. For work that was allowed what it does."""
    found = await uow.execute(
        _FITS,
        currency=invoice.currency,
        country=(invoice.buyer or {}).get("country", ""),
        subscription_id=invoice.subscription_id,
        minor=max(invoice.total_minor, 0),
    )
    row = found.mappings().one_or_none()
    return None if row is None else DunningCampaign(**row)
