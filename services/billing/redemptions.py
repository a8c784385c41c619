"""Coupons that subscriptions take, and what they did on each invoice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

import orjson

from models.billing import Invoice, InvoiceLine
from models.money import Money, round_half_away
from models.plans import CouponOffer
from models.subscriptions import CouponRedemption, Subscription
from services.billing import discounts, given_back, policies
from services.billing.discounts import COUPONS_MAX, DiscountLine, Redemption
from services.billing.events import CouponRemoved, CouponTaken
from services.billing.lines import LineKind, read_line
from services.catalog import coupon_queries
from services.core.errors import Conflict, Invalid, not_found
from services.core.ids import new_id
from services.core.work import UnitOfWork

_TAKEN = """
select r.id, r.coupon_id, r.redeemed_at,
  (select count(distinct u.period_start) from coupon_use u
   where u.redemption_id = r.id and u.period_start <> :period) as periods_before,
  coalesce(p.base, 0) as base, coalesce(p.taken, 0) as taken
from coupon_redemption r left join lateral (
  select sum(u.base_minor) as base, sum(u.taken_minor) as taken from coupon_use u
  where u.redemption_id = r.id and u.period_start = :period
) p on true
where r.subscription_id = :id and r.removed_at is null order by r.redeemed_at, r.id limit :most
"""
# What coupons took off the lines that are credited here, when they were billed.
_DISCOUNTED = """
select l.key, l.id, i.coupons from invoice_line l join invoice i on i.id = l.invoice_id
where l.organization_id = :organization_id and i.subscription_id = :id and l.key = any(:keys) and i.coupons is not null
"""


_CREDITS = """
select l.facts from invoice_line l join invoice i on i.id = l.invoice_id
where l.organization_id = :organization_id and i.subscription_id = :id and l.key = any(:keys)
"""


class CouponTakenAlready(Conflict):
    """The subscription has the coupon."""

    code = "coupon_taken"
    title = "This coupon is taken already"


@dataclass(frozen=True, slots=True)
class Given:
    """What credits on a document give back of what a coupon saw and took, as amounts below zero."""

    base: Money
    taken: Money


async def take(uow: UnitOfWork, row: Subscription, code: str) -> CouponRedemption:
    """Have a coupon work on the subscription's invoices from now on; the caller was let to.

    Raises Invalid for a code that is unknown or ran out, or of another currency, and CouponTakenAlready.
    """
    offer = await coupon_queries.coupon_by_code(uow, code)
    if offer is None:
        raise Invalid(
            f"There is no coupon {code.strip()[:64]!r}.",
            field="coupon",
            code="coupon_unknown",
            next_step="Look at how it is written.",
        )
    held = await uow.execute(
        "select coupon_id, removed_at from coupon_redemption where subscription_id = :id", id=row.id
    )
    taken = list(held)
    if any(one.coupon_id == offer.id for one in taken):
        raise CouponTakenAlready(f"The coupon {offer.code} was taken already.", next_step="It works once.")
    if sum(one.removed_at is None for one in taken) >= COUPONS_MAX:
        raise Invalid(f"At most {COUPONS_MAX} coupons work on one subscription.", field="coupon")
    terms = coupon_queries.terms_of(offer)
    discounts.require_redeemable(terms, currency=row.currency, now=uow.now, redeemed=offer.redeemed)
    if offer.plans and row.plan_id not in offer.plans:
        raise Invalid(
            f"The coupon {offer.code} is for other plans.", field="coupon", code="coupon_other_plan"
        )
    offer.redeemed += 1
    made = CouponRedemption(
        id=new_id("rdm"),
        organization_id=row.organization_id,
        subscription_id=row.id,
        coupon_id=offer.id,
        redeemed_at=uow.now,
    )
    uow.session.add_all([offer, made])
    await uow.session.flush()
    uow.record(CouponTaken(aggregate_id=row.id, organization_id=row.organization_id, coupon=offer.code))
    return made


async def take_off(uow: UnitOfWork, row: Subscription, redemption_id: str) -> None:
    """Have it work no more; what it took stays taken. The caller was let to. Raises NotFound."""
    one = await policies.redemption_for(uow, row, redemption_id)
    one.removed_at = uow.now
    uow.add(one)
    await uow.session.flush()
    offer = await uow.get(CouponOffer, one.coupon_id)
    uow.record(
        CouponRemoved(
            aggregate_id=row.id, organization_id=row.organization_id, coupon=offer.code if offer else ""
        )
    )


async def let_go(uow: UnitOfWork, row: Subscription) -> None:
    """Take off all coupons of a subscription that never began: they count as not redeemed."""
    await uow.execute(
        "with gone as (update coupon_redemption set removed_at = :now"
        " where subscription_id = :id and removed_at is null returning coupon_id)"
        " update coupon set redeemed = redeemed - 1 where id in (select coupon_id from gone)",
        id=row.id,
        now=uow.now,
    )


async def working(
    uow: UnitOfWork, row: Subscription, lines: Sequence[InvoiceLine], period: datetime
) -> tuple[list[Redemption], dict[str, Given]]:
    """The coupons on a document of the billing period that begins at `period`, and what its credits give back."""
    found = list(await uow.execute(_TAKEN, id=row.id, period=period, most=COUPONS_MAX))
    if not found:
        return [], {}
    given = await _given_back(uow, row, lines)
    nothing = Given(Money(0, row.currency), Money(0, row.currency))
    made: list[Redemption] = []
    for one in found:
        offer = await uow.get(CouponOffer, one.coupon_id)
        if offer is None:
            raise not_found("coupon", one.coupon_id)
        back = given.get(one.id, nothing)
        made.append(
            Redemption(
                one.id,
                coupon_queries.terms_of(offer),
                one.redeemed_at,
                one.periods_before,
                Money(int(one.base), row.currency) + back.base,
                Money(int(one.taken), row.currency) + back.taken,
            )
        )
    return made, given


async def taken_off(
    uow: UnitOfWork, row: Subscription, lines: Sequence[InvoiceLine], period: datetime
) -> Money:
    """What the coupons take off these lines, were they all that a document of that period has."""
    found, _ = await working(uow, row, lines, period)
    seen = [
        DiscountLine(
            line.id,
            Money(line.amount_minor - line.billed_before_minor, row.currency),
            line.metric,
            line.plan,
            line.discountable and line.given_tax_minor is None,
        )
        for line in lines
    ]
    applied = discounts.apply_coupons(seen, found)
    return sum((one.discount for one in applied), Money(0, row.currency))


async def _given_back(uow: UnitOfWork, row: Subscription, lines: Sequence[InvoiceLine]) -> dict[str, Given]:
    """By redemption. A credit gives back the part of the discount that belongs to the time it credits, and what takes
    a credit back takes that, too."""
    parts = await _credited_parts(uow, row, lines)
    if not parts:
        return {}
    found = await uow.execute(
        _DISCOUNTED, organization_id=row.organization_id, id=row.id, keys=[key for key, _ in parts]
    )
    coupons = {one.key: (one.id, one.coupons) for one in found}
    sums: dict[str, tuple[Fraction, Fraction]] = {}
    for key, part in parts:
        line_id, applied = coupons.get(key, ("", []))
        for made in (discounts.replay(facts) for facts in applied):
            for share in (share for share in made.shares if share.key == line_id):
                base, taken = sums.get(made.redemption_id, (Fraction(0), Fraction(0)))
                sums[made.redemption_id] = base + share.base.minor * part, taken + share.discount.minor * part
    return {
        key: Given(*(Money(round_half_away(one), row.currency) for one in both)) for key, both in sums.items()
    }


async def _credited_parts(
    uow: UnitOfWork, row: Subscription, lines: Sequence[InvoiceLine]
) -> list[tuple[str, Fraction]]:
    """Keys of lines on earlier documents with the part of each that comes back here, below zero, or is taken again."""
    items = [
        read_line(line.facts) for line in lines if line.facts.get("made_by") == "item" and line.treatment
    ]
    parts = [(one.source, -one.net.portion.fraction) for one in items if one.kind is LineKind.CREDIT]
    fallen = [part for line in lines for part in given_back.parts_from(line.facts)]
    parts += [(part.key, Fraction(-part.minor, part.asked)) for part in fallen]
    restored = [one.source for one in items if one.kind is LineKind.RESTORE]
    if restored:
        found = await uow.execute(_CREDITS, organization_id=row.organization_id, id=row.id, keys=restored)
        taken_back = [read_line(facts) for facts in found.scalars()]
        parts += [(one.source, one.net.portion.fraction) for one in taken_back]
    return parts


async def keep_uses(uow: UnitOfWork, invoice: Invoice, period: datetime, given: Mapping[str, Given]) -> None:
    """Write down what coupons did on a document that was finalised."""
    rows = [
        {
            "redemption_id": made.redemption_id,
            "base": (made.base + given[made.redemption_id].base).minor
            if made.redemption_id in given
            else made.base.minor,
            "taken": (made.discount + given[made.redemption_id].taken).minor
            if made.redemption_id in given
            else made.discount.minor,
        }
        for made in (discounts.replay(facts) for facts in invoice.coupons or [])
    ]
    if rows:
        await uow.execute(
            "insert into coupon_use (redemption_id, invoice_id, organization_id, period_start, base_minor, taken_minor)"
            " select r.redemption_id, :invoice_id, :organization_id, :period, r.base, r.taken"
            " from jsonb_to_recordset(cast(:rows as jsonb)) as r(redemption_id text, base bigint, taken bigint)",
            invoice_id=invoice.id,
            organization_id=invoice.organization_id,
            period=period,
            rows=orjson.dumps(rows).decode(),
        )
