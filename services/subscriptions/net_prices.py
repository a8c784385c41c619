"""What is left of prices without the tax in them, where some have it and others do not: to compare like with like."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from services.billing import finalizing
from services.billing.issuers import billing_entity
from services.billing.numbering import label_date
from services.billing.taxation import Taxed, rates_of
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.subscriptions.changes import NetShares
from services.subscriptions.subscribed import Price, Selection, Subscribed


async def shares(uow: UnitOfWork, now: Subscribed, to: Selection) -> NetShares:
    """By what the customer would be taxed today. Nothing, where all prices have their tax alike.

    Raises BillingProfileMissing where nobody said where the customer is, and Invalid for a rate that is not known.
    """
    codes = mixed([item.price for item in now.running] + [choice.price for choice in to.choices])
    if not codes:
        return {}
    profile = await finalizing.required_profile(uow)
    entity = await billing_entity(uow, needs=Capability.SUBSCRIPTIONS_WRITE)
    on = label_date(uow.now, entity.timezone)
    taxed = Taxed(entity, profile, await rates_of(uow, [profile.country], since=on, until=on), on)
    return shares_by(taxed, codes)


def mixed(prices: Iterable[Price]) -> frozenset[str]:
    """The tax codes of prices that have their tax in them, where others have it not, or another one."""
    timed = [one for one in prices if one.for_time]
    with_tax = frozenset(one.tax_code for one in timed if one.charge.tax_inclusive)
    return with_tax if len({_kind(one) for one in timed}) > 1 else frozenset()


def shares_by(taxed: Taxed, codes: Iterable[str]) -> NetShares:
    """Raises Invalid for a rate that is not known."""
    return {
        code: 1 / (1 + sum((Fraction(one.rate) for one in taxed.treat(code, None).rates), Fraction(0)))
        for code in codes
    }


def _kind(price: Price) -> tuple[bool, str]:
    return price.charge.tax_inclusive, price.tax_code if price.charge.tax_inclusive else ""
