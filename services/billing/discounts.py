"""Coupons: who may redeem one, in which order they work on an invoice, and what each takes off each line.

Pure, no I/O. Amounts are Money in one currency; a coupon's reduction is rounded once, half away from zero, and
divided over the lines by largest remainder, so that neither the number of lines nor their cut changes it.
Source: MONEY.md's row "order on an invoice", docs/decisions/0022-charges-discounts-tax.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from math import floor
from typing import Any

from models.money import Money
from services.catalog.charges import check_number
from services.core.errors import Invalid

PERIODS_MAX = 1_200
REDEMPTIONS_MAX = 1_000_000_000  # of one coupon
LIMITED_TO_MAX = 100  # metrics or plans that a coupon names
COUPONS_MAX = 20  # on one invoice
AMOUNT_MINOR_MAX = 10**15
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_WHOLE = Decimal(1)


class Duration(StrEnum):
    ONCE = "once"
    PERIODS = "periods"
    FOREVER = "forever"


class Scope(StrEnum):
    METRIC = "metric"
    PLAN = "plan"
    GENERAL = "general"


_ORDER = {Scope.METRIC: 0, Scope.PLAN: 1, Scope.GENERAL: 2}


@dataclass(frozen=True, slots=True)
class Coupon:
    """Takes `rate` (0.25 is 25 %) of what it sees, or up to `amount` in each billing period, never both.

    Works in one period, in `periods` of them, or for ever, on lines of the named metrics or plans, or on all.
    Redeemable before `expires_at`; one redeemed in time works on after it. Raises Invalid naming the field.
    """

    code: str
    rate: Decimal | None = None
    amount: Money | None = None
    duration: Duration = Duration.ONCE
    periods: int | None = None
    metrics: frozenset[str] = frozenset()
    plans: frozenset[str] = frozenset()
    expires_at: datetime | None = None
    redemptions_max: int | None = None

    def __post_init__(self) -> None:
        if not _CODE.fullmatch(self.code):
            raise Invalid("A code has 1 to 64 letters, digits, - and _.", field="code")
        if (self.rate is None) == (self.amount is None):
            raise Invalid("A coupon takes off either a rate or an amount.", field="amount")
        if self.rate is not None:
            check_number(self.rate, "rate", noun="A coupon's rate", most=_WHOLE, above_zero=True)
        if self.amount is not None and not 0 < self.amount.minor <= AMOUNT_MINOR_MAX:
            raise Invalid(f"{self.amount.said()} cannot be taken off.", field="amount")
        _check_count(self.periods, PERIODS_MAX, "periods")
        if self.duration is Duration.PERIODS and self.periods is None:
            raise Invalid("Say for how many periods.", field="periods")
        if self.duration is not Duration.PERIODS and self.periods is not None:
            raise Invalid("Only a coupon for some periods has a number of them.", field="periods")
        if self.metrics and self.plans:
            raise Invalid("A coupon is limited to metrics or to plans, not to both.", field="plans")
        for field, names in (("metrics", self.metrics), ("plans", self.plans)):
            if len(names) > LIMITED_TO_MAX:
                raise Invalid(f"A coupon names at most {LIMITED_TO_MAX} {field}.", field=field)
        if self.expires_at is not None and self.expires_at.tzinfo is None:
            raise Invalid("Say in which timezone the coupon expires.", field="expires_at")
        _check_count(self.redemptions_max, REDEMPTIONS_MAX, "redemptions_max")

    @property
    def scope(self) -> Scope:
        if self.metrics:
            return Scope.METRIC
        return Scope.PLAN if self.plans else Scope.GENERAL

    def covers(self, line: DiscountLine) -> bool:
        if not line.discountable:
            return False
        if self.metrics:
            return line.metric in self.metrics
        return not self.plans or line.plan in self.plans


@dataclass(frozen=True, slots=True)
class Redemption:
    """A coupon as one organisation redeemed it.

    `periods_before` counts earlier billing periods in which it was applied. Where a period has several documents,
    `base_before` and `taken_before` are what those before this one gave it to see and what it took, so that together
    they take what one document would.
    """

    id: str
    coupon: Coupon
    redeemed_at: datetime
    periods_before: int = 0
    base_before: Money | None = None
    taken_before: Money | None = None

    @property
    def runs(self) -> bool:
        """Whether it still works in this period."""
        match self.coupon.duration:
            case Duration.ONCE:
                return self.periods_before < 1
            case Duration.PERIODS:
                return self.periods_before < (self.coupon.periods or 0)
            case Duration.FOREVER:
                return True


@dataclass(frozen=True, slots=True)
class DiscountLine:
    """What is left of a line after credits of earlier billing. Negative where a running bill has fallen.

    Not `discountable`: what has its discounts in it already, such as a credit for unused time.
    """

    key: str
    base: Money
    metric: str | None = None
    plan: str | None = None
    discountable: bool = True


@dataclass(frozen=True, slots=True)
class Share:
    """`discount` off `base` of the line `key`: between zero and the base, whichever sign that has."""

    key: str
    base: Money
    discount: Money


@dataclass(frozen=True, slots=True)
class Application:
    """What one coupon did on one document, with all that is needed to compute it again.

    `base` is the sum of what it saw; the shares add up to `discount`. `unused` is what of a fixed amount found
    nothing to reduce in this period: it is forfeited when the period ends.
    """

    redemption_id: str
    code: str
    scope: Scope
    rate: Decimal | None
    amount: Money | None
    base: Money
    base_before: Money
    taken_before: Money
    discount: Money
    shares: tuple[Share, ...]

    @property
    def unused(self) -> Money | None:
        return None if self.amount is None else self.amount - self.taken_before - self.discount


def require_redeemable(coupon: Coupon, *, currency: str, now: datetime, redeemed: int) -> None:
    """Raise Invalid unless an organisation that pays in `currency` may redeem it at `now` (business time).

    `redeemed` is how often it was redeemed so far. A rate works in any currency, an amount in its own.
    """
    if coupon.expires_at is not None and now >= coupon.expires_at:
        raise Invalid(
            f"The coupon {coupon.code} expired on {coupon.expires_at.isoformat()}.",
            field="coupon",
            code="coupon_expired",
        )
    if coupon.redemptions_max is not None and redeemed >= coupon.redemptions_max:
        raise Invalid(
            f"The coupon {coupon.code} was for {coupon.redemptions_max:,} redemptions, and all are taken.",
            field="coupon",
            code="coupon_used_up",
        )
    _require_currency(coupon, currency)


def apply_coupons(
    lines: Sequence[DiscountLine], redemptions: Sequence[Redemption]
) -> tuple[Application, ...]:
    """What each coupon takes off, in the order in which they work; those that have run out are left out.

    Limited to metrics first, then to plans, then general; of one kind the one redeemed first. A later one sees what
    the earlier ones left. The order of the arguments does not matter, except that of equal remainders the earlier
    line takes the unit. Raises Invalid for a coupon of another currency, and for more than COUPONS_MAX of them.
    """
    if not lines:
        return ()
    if len(redemptions) > COUPONS_MAX:
        raise Invalid(f"At most {COUPONS_MAX} coupons work on one invoice.", field="coupons")
    if len({one.id for one in redemptions}) < len(redemptions):
        raise Invalid("A redemption is there twice.", field="coupons")
    left = {line.key: line.base for line in lines}
    if len(left) < len(lines):
        raise Invalid("Two lines have the same key.", field="lines")
    made: list[Application] = []
    for one in sorted(redemptions, key=lambda r: (_ORDER[r.coupon.scope], r.redeemed_at, r.id)):
        if one.runs:
            _require_currency(one.coupon, lines[0].base.currency)
            seen = {line.key: left[line.key] for line in lines if one.coupon.covers(line)}
            made.append(_apply(one, seen, lines[0].base.currency))
            for share in made[-1].shares:
                left[share.key] = share.base - share.discount
    return tuple(made)


def facts_of(made: Application) -> dict[str, Any]:
    """What a document keeps of an application, as plain JSON: amounts in minor units, the rate as text."""
    return {
        "redemption": made.redemption_id,
        "code": made.code,
        "scope": made.scope.value,
        "currency": made.base.currency,
        "rate": None if made.rate is None else f"{made.rate:f}",
        "amount": None if made.amount is None else made.amount.minor,
        "base_before": made.base_before.minor,
        "taken_before": made.taken_before.minor,
        "discount": made.discount.minor,
        "shares": [{"key": s.key, "base": s.base.minor, "discount": s.discount.minor} for s in made.shares],
    }


def replay(facts: Mapping[str, Any]) -> Application:
    """The same application computed again from the inputs among `facts_of`; its stored results are not read."""
    code = facts["currency"]
    return _work(
        redemption_id=facts["redemption"],
        code=facts["code"],
        scope=Scope(facts["scope"]),
        rate=None if facts["rate"] is None else Decimal(facts["rate"]),
        amount=None if facts["amount"] is None else Money(facts["amount"], code),
        before=Money(facts["base_before"], code),
        taken=Money(facts["taken_before"], code),
        seen={share["key"]: Money(share["base"], code) for share in facts["shares"]},
    )


def _apply(redemption: Redemption, seen: Mapping[str, Money], currency: str) -> Application:
    nothing = Money(0, currency)
    return _work(
        redemption_id=redemption.id,
        code=redemption.coupon.code,
        scope=redemption.coupon.scope,
        rate=redemption.coupon.rate,
        amount=redemption.coupon.amount,
        before=redemption.base_before or nothing,
        taken=redemption.taken_before or nothing,
        seen=seen,
    )


def _work(
    *,
    redemption_id: str,
    code: str,
    scope: Scope,
    rate: Decimal | None,
    amount: Money | None,
    before: Money,
    taken: Money,
    seen: Mapping[str, Money],
) -> Application:
    base = sum(seen.values(), Money(0, before.currency))
    # Over all documents of the period together, less what the earlier ones took. When the bill has fallen this is
    # negative: a part of the discount is given back.
    wanted = _reach(rate, amount, before + base) - taken
    bounds = sorted((0, base.minor))
    discount = Money(min(max(wanted.minor, bounds[0]), bounds[1]), base.currency)
    return Application(
        redemption_id=redemption_id,
        code=code,
        scope=scope,
        rate=rate,
        amount=amount,
        base=base,
        base_before=before,
        taken_before=taken,
        discount=discount,
        shares=_shares(discount, seen),
    )


def _reach(rate: Decimal | None, amount: Money | None, base: Money) -> Money:
    """What the coupon takes off a period's `base` altogether, never more than it."""
    above_zero = Money(max(base.minor, 0), base.currency)
    if rate is not None:
        return above_zero.times(rate)
    return above_zero if amount is None else min(amount, above_zero)


def _shares(discount: Money, seen: Mapping[str, Money]) -> tuple[Share, ...]:
    """In proportion to what is left of each line, by largest remainder: none crosses zero. A credit on the same
    document as what it credits bears its part with the other sign, so that together they have no more than is left."""
    total = sum(base.minor for base in seen.values())
    ideal = [Fraction(discount.minor * base.minor, total) if total else Fraction(0) for base in seen.values()]
    parts = [floor(part) for part in ideal]
    by_remainder = sorted(range(len(parts)), key=lambda i: (parts[i] - ideal[i], i))
    for index in by_remainder[: discount.minor - sum(parts) if total else 0]:
        parts[index] += 1
    return tuple(
        Share(key, base, Money(part, base.currency))
        for (key, base), part in zip(seen.items(), parts, strict=True)
    )


def _check_count(value: int | None, most: int, field: str) -> None:
    if value is not None and (type(value) is not int or not 1 <= value <= most):
        raise Invalid(f"This is a whole number from 1 to {most:,}.", field=field)


def _require_currency(coupon: Coupon, currency: str) -> None:
    if coupon.amount is not None and coupon.amount.currency != currency:
        raise Invalid(
            f"The coupon {coupon.code} takes off {coupon.amount.said()}, and the bill is in {currency}.",
            field="coupon",
            code="coupon_currency",
            next_step=f"Take one in {currency}: amounts are not converted.",
        )
