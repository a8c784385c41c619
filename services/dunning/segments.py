"""Which campaign an invoice belongs to: the first by rank, of those that are switched on, whose segment it is in."""

from __future__ import annotations

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
