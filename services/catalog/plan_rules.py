"""What a plan version may say, and in which currencies and intervals it can then be bought. Pure, no I/O.

An offer is one currency and one billing interval with a price for everything that the version charges. What no
offer can hold is refused: two charges that are on sale together are billed by one invoice, in one currency, and at
intervals of which the longer is a whole number of the shorter. Source: docs/billing.md.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from models.money import UnknownCurrency
from models.money import currency as currency_of
from models.plans import ChargeKind, ChargeTiming, EntitlementKind, PaymentTime
from models.types import BillingInterval, ProrationPolicy
from services.billing.periods import COUNT_MAX, DAYS, MONTHS
from services.catalog import charges as models
from services.catalog.charge_json import charge_from_json
from services.catalog.charges import Charge, check_included, check_quantity
from services.core.errors import Invalid

CHARGES_MAX = 200  # of one version, over all currencies and intervals
ENTITLEMENTS_MAX = 100
TRIAL_DAYS_MAX = 730
NAME_CHARACTERS_MAX = 120
DESCRIPTION_CHARACTERS_MAX = 2_000
ENTITLEMENT_CHARACTERS_MAX = 500
_KEY = re.compile(r"[a-z][a-z0-9_]{0,62}")
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_NUMBER = re.compile(r"[0-9]{1,16}(?:\.[0-9]{1,40})?")
_TAX_CODE = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")

# Which charge models a kind of charge can have.
MODELS: dict[ChargeKind, tuple[type[models.Model], ...]] = {
    ChargeKind.FLAT: (models.Flat,),
    ChargeKind.SEAT: (models.PerUnit, models.Package, models.Graduated, models.Volume),
    ChargeKind.METERED: (
        models.PerUnit,
        models.Package,
        models.Graduated,
        models.Volume,
        models.Percentage,
    ),
    ChargeKind.ONE_OFF: (models.OneOff,),
}
_NO_QUANTITY = (ChargeKind.FLAT, ChargeKind.METERED)


@dataclass(frozen=True, slots=True)
class ChargeFields:
    """One price as staff writes it; see models.plans.PlanCharge. `definition` is the charge as JSON."""

    key: str
    name: str
    kind: str
    currency: str
    definition: Any
    interval: str | None = None
    interval_count: int = 1
    timing: str | None = None  # at the end of a period what is metered, at its start all else
    proration: str = ProrationPolicy.SECOND
    meter: str | None = None
    quantity_min: Decimal = Decimal(0)
    quantity_max: Decimal | None = None
    included_credits: Decimal = Decimal(0)  # to the wallet with each period, for each seat
    tax_inclusive: bool = False  # the tax is in the price, and what is left is the net


@dataclass(frozen=True, slots=True)
class EntitlementFields:
    """A feature, and what a plan gives of it, as text of its kind: "true", "25", "by email"."""

    key: str
    name: str
    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class Length:
    """How long a billing period is: `interval_count` intervals. Three months and a quarter are as long."""

    interval: BillingInterval
    count: int

    @property
    def size(self) -> tuple[str, int]:
        months = MONTHS.get(self.interval)
        return (
            ("days", DAYS[self.interval] * self.count) if months is None else ("months", months * self.count)
        )

    def holds(self, other: Length) -> bool:
        """Whether it is a whole number of periods of the other."""
        return self.size[0] == other.size[0] and self.size[1] % other.size[1] == 0

    def __str__(self) -> str:
        return f"{self.count} {self.interval.replace('_', '-')}{'s' if self.count > 1 else ''}"


@dataclass(frozen=True, slots=True)
class PlannedCharge:
    """A price that was checked by itself. `length` is None for a one-off."""

    key: str
    name: str
    kind: ChargeKind
    currency: str
    charge: Charge
    length: Length | None
    timing: ChargeTiming
    proration: ProrationPolicy
    meter: str | None
    quantity_min: Decimal
    quantity_max: Decimal | None
    included_credits: Decimal = Decimal(0)
    tax_inclusive: bool = False


@dataclass(frozen=True, slots=True)
class Offer:
    """What is bought together: `charges` are places in the version's list, one for each key."""

    currency: str
    length: Length
    charges: tuple[int, ...]


def checked_charge(given: ChargeFields) -> PlannedCharge:
    """Raises Invalid naming the field at fault, below `definition` by its path there."""
    require_key(given.key)
    kind = _one_of(ChargeKind, given.kind, "kind")
    require_currency(given.currency)
    with within("definition"):
        charge = charge_from_json(given.definition)
        if not isinstance(charge.model, MODELS[kind]):
            raise Invalid(f"A charge of kind '{kind}' cannot have this model.", field="model")
    if (given.meter is not None) != (kind is ChargeKind.METERED):
        raise Invalid("A metered charge names its meter, and no other has one.", field="meter")
    _check_quantities(given, kind)
    timing = _timing(given, kind)
    ahead = kind in (ChargeKind.FLAT, ChargeKind.SEAT) and timing is ChargeTiming.ADVANCE
    check_included(given.included_credits, given.currency, is_ahead=ahead)
    return PlannedCharge(
        key=given.key,
        name=require_name(given.name),
        kind=kind,
        currency=given.currency,
        charge=charge,
        length=_length(given, kind),
        timing=timing,
        proration=_one_of(ProrationPolicy, given.proration, "proration"),
        meter=given.meter,
        quantity_min=given.quantity_min,
        quantity_max=given.quantity_max,
        included_credits=given.included_credits,
        tax_inclusive=given.tax_inclusive,
    )


def checked_charges(given: Sequence[ChargeFields]) -> tuple[PlannedCharge, ...]:
    """Each by itself, and none twice. What is missing for an offer may follow. Raises Invalid at `charges.N`."""
    if len(given) > CHARGES_MAX:
        raise Invalid(f"A version has at most {CHARGES_MAX} prices.", field="charges")
    checked: list[PlannedCharge] = []
    for index, one in enumerate(given):
        with within(f"charges.{index}"):
            made = checked_charge(one)
            for other in checked:
                _require_apart(made, other)
        checked.append(made)
    return tuple(checked)


def offers_of(charges: Sequence[PlannedCharge]) -> tuple[Offer, ...]:
    """The currencies and intervals that can be bought, in the order of the list.

    An interval is for sale when something flat or by seats has a price for it (if nothing is, something metered).
    Usage may be billed more often than the rest: with an offer goes its price for that interval or, without one, for
    the longest that fits a whole number of times. Raises Invalid at `charges.N` when a price is missing, or goes
    with no offer.
    """
    if not any(one.length for one in charges):
        raise Invalid(
            "Nothing here is billed every period.",
            field="charges",
            next_step="Add a charge that is flat, by seats or metered.",
        )
    keys = dict.fromkeys(one.key for one in charges)
    offers: list[Offer] = []
    for place, length in _for_sale(charges):
        currency = charges[place].currency
        with within(f"charges.{place}"):
            offers.append(
                Offer(currency, length, tuple(_price(charges, key, currency, length) for key in keys))
            )
    used = {index for offer in offers for index in offer.charges}
    for index, one in enumerate(charges):
        if index not in used:
            raise Invalid(
                f"'{one.key}' has a price in {one.currency}"
                f"{f' for {one.length}' if one.length else ''} that goes with nothing for sale.",
                field=f"charges.{index}",
                next_step="Give the rest of the plan a price there, or take this one out.",
            )
    return tuple(offers)


def checked_entitlements(given: Sequence[EntitlementFields]) -> tuple[EntitlementFields, ...]:
    """Each as it is stored, in their order. Raises Invalid at `entitlements.N`."""
    if len(given) > ENTITLEMENTS_MAX:
        raise Invalid(f"A version has at most {ENTITLEMENTS_MAX} entitlements.", field="entitlements")
    if len({one.key for one in given}) < len(given):
        raise Invalid("An entitlement is there twice.", field="entitlements")
    made: list[EntitlementFields] = []
    for index, one in enumerate(given):
        with within(f"entitlements.{index}"):
            kind = _one_of(EntitlementKind, one.kind, "kind")
            value = _entitled(kind, one.value.strip())
            made.append(EntitlementFields(require_key(one.key), require_name(one.name), kind, value))
    return tuple(made)


def check_version(*, trial_days: int, tax_code: str, payment: str = PaymentTime.AFTER) -> None:
    """Raises Invalid."""
    _one_of(PaymentTime, payment, "payment")
    require_trial_days(trial_days)
    if not _TAX_CODE.fullmatch(tax_code):
        raise Invalid(
            "A tax code has up to 63 of a-z, 0-9, '.', '_' and '-'.",
            field="tax_code",
            next_step="Use the one under which your tax rates know the product, such as 'software'.",
        )


def require_trial_days(days: int) -> None:
    if type(days) is not int or not 0 <= days <= TRIAL_DAYS_MAX:
        raise Invalid(f"A trial has 0 to {TRIAL_DAYS_MAX} days.", field="trial_days")


@contextmanager
def within(place: str) -> Generator[None]:
    """Let what is wrong inside be told by its place: `tiers.1.above` becomes `place.tiers.1.above`."""
    try:
        yield
    except Invalid as error:
        error.field = f"{place}.{error.field}" if error.field else place
        raise


def require_key(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise Invalid(
            f"{key[:64]!r} is no key.",
            field="key",
            next_step="Use a-z, 0-9 and '_', beginning with a letter.",
        )
    return key


def require_slug(slug: str) -> str:
    if not _SLUG.fullmatch(slug):
        raise Invalid(
            f"{slug[:64]!r} is no slug.", field="slug", next_step="Use up to 63 of a-z, 0-9 and '-'."
        )
    return slug


def require_name(name: str) -> str:
    text = name.strip()
    if not 0 < len(text) <= NAME_CHARACTERS_MAX or not text.isprintable():
        raise Invalid(f"A name has 1 to {NAME_CHARACTERS_MAX} printable characters.", field="name")
    return text


def require_description(text: str) -> str:
    if len(text) > DESCRIPTION_CHARACTERS_MAX or "\0" in text:
        raise Invalid(
            f"A description has at most {DESCRIPTION_CHARACTERS_MAX:,} characters.", field="description"
        )
    return text.strip()


def require_currency(code: str) -> str:
    try:
        currency_of(code)
    except UnknownCurrency as error:
        raise Invalid(str(error), field="currency") from error
    return code


def _one_of(kind: Any, value: Any, field: str) -> Any:
    if value not in set(kind):
        raise Invalid(f"{value!r:.40} is none of {', '.join(kind)}.", field=field)
    return kind(value)


def _length(given: ChargeFields, kind: ChargeKind) -> Length | None:
    if kind is ChargeKind.ONE_OFF:
        if given.interval is not None:
            raise Invalid("A one-off charge is not billed again, so it has no interval.", field="interval")
        return None
    interval = _one_of(BillingInterval, given.interval, "interval")
    most = COUNT_MAX[interval]
    if type(given.interval_count) is not int or not 1 <= given.interval_count <= most:
        raise Invalid(f"A billing period has 1 to {most} of this interval.", field="interval_count")
    return Length(interval, given.interval_count)


def _timing(given: ChargeFields, kind: ChargeKind) -> ChargeTiming:
    usual = ChargeTiming.ARREARS if kind is ChargeKind.METERED else ChargeTiming.ADVANCE
    timing = usual if given.timing is None else _one_of(ChargeTiming, given.timing, "timing")
    if kind is ChargeKind.METERED and timing is ChargeTiming.ADVANCE:
        raise Invalid("Usage is billed in arrears: it is not known before.", field="timing")
    if kind is ChargeKind.ONE_OFF and timing is ChargeTiming.ARREARS:
        raise Invalid("A one-off is billed in advance: no period of its own ends.", field="timing")
    return timing


def _check_quantities(given: ChargeFields, kind: ChargeKind) -> None:
    least, most = given.quantity_min, given.quantity_max
    check_quantity(least, "quantity_min")
    if most is not None:
        check_quantity(most, "quantity_max", above_zero=True)
        if most < least:
            raise Invalid(f"From {least:f} to {most:f} leaves no quantity.", field="quantity_max")
    for field, limit in (("quantity_min", least), ("quantity_max", most)):
        if limit is not None and limit != limit.to_integral_value():
            raise Invalid(f"'{given.key}' is bought in whole numbers, not {limit:f}.", field=field)
    if kind in _NO_QUANTITY and (least or most is not None):
        raise Invalid(
            "Only a quantity that is chosen can have limits: seats, one-offs.", field="quantity_min"
        )


def _require_apart(made: PlannedCharge, other: PlannedCharge) -> None:
    """Of one key all prices are of one kind and meter, and no two are for the same currency and time."""
    if made.key != other.key:
        return
    if (made.kind, made.meter) != (other.kind, other.meter):
        raise Invalid(f"'{made.key}' is a charge of another kind or meter already.", field="kind")
    same_time = (made.length and made.length.size) == (other.length and other.length.size)
    if made.currency == other.currency and same_time:
        when = f" for {made.length}" if made.length else ""
        raise Invalid(f"'{made.key}' has a price in {made.currency}{when} already.", field="key")


def _for_sale(charges: Sequence[PlannedCharge]) -> Iterator[tuple[int, Length]]:
    """The first price of each currency and interval that can be bought, by its place."""
    seen: set[tuple[str, tuple[str, int]]] = set()
    chosen = [one.kind in (ChargeKind.FLAT, ChargeKind.SEAT) for one in charges]
    for index, one in enumerate(charges):
        if one.length is None or chosen[index] != any(chosen):
            continue
        if (one.currency, one.length.size) not in seen:
            seen.add((one.currency, one.length.size))
            yield index, one.length


def _price(charges: Sequence[PlannedCharge], key: str, currency: str, length: Length) -> int:
    there = [(i, one) for i, one in enumerate(charges) if one.key == key and one.currency == currency]
    best: tuple[int, int] | None = None  # size and place
    for index, one in there:
        if one.length is None:
            return index
        fits = length.size == one.length.size or (one.kind is ChargeKind.METERED and length.holds(one.length))
        if fits and (best is None or one.length.size[1] > best[0]):
            best = (one.length.size[1], index)
    if best is not None:
        return best[1]
    if there:
        others = ", ".join(str(one.length) for _, one in there)
        raise Invalid(
            f"'{key}' is billed in {currency} every {others}, which cannot be billed together with {length}.",
            field="interval",
            next_step=f"Give '{key}' a price for {length}, or take that interval out.",
        )
    raise Invalid(
        f"'{key}' has no price in {currency}, and an invoice is in one currency.",
        field="currency",
        next_step=f"Give '{key}' a price in {currency} for {length}, or take that currency out.",
    )


def _entitled(kind: EntitlementKind, value: str) -> str:
    if kind is EntitlementKind.FLAG and value not in ("true", "false"):
        raise Invalid("A flag is 'true' or 'false'.", field="value")
    if kind is EntitlementKind.NUMBER:
        if not _NUMBER.fullmatch(value):
            raise Invalid(f"{value[:40]!r} is no number.", field="value", next_step="Write it like 25.")
        check_quantity(Decimal(value), "value")
    if not 0 < len(value) <= ENTITLEMENT_CHARACTERS_MAX or not value.isprintable():
        raise Invalid(f"A text has 1 to {ENTITLEMENT_CHARACTERS_MAX} printable characters.", field="value")
    return value
