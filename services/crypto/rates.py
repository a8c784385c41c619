"""What a coin costs. Prices are said by staff, each for a time; none is ever guessed or kept beyond it.

Another source fills in `Rates`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

from models.crypto import CryptoRate
from models.money import Provider, currency
from services.core import listing_sql
from services.core.errors import Conflict, Invalid, not_found
from services.core.ids import new_id
from services.core.listing import Column, Kind, Listing, Operator
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.identity.rules import clean_text
from services.payments import policies
from services.payments.events import CryptoRateSaid
from services.payments.providers import crypto

VALID_MINUTES_MAX = 7 * 24 * 60
PRICE_MAX = Decimal(10) ** 15
PRICE_DECIMALS_MAX = 12
SOURCE_CHARACTERS_MAX = 200
_IN_FORCE = """
select price from crypto_rate
where provider_account_id = :account_id and asset = :asset and currency = :currency
  and valid_from <= :at and valid_until > :at
order by valid_from desc, id desc limit 1
"""


class NoRate(Conflict):
    """Nobody said what the asset costs now."""

    code = "no_crypto_rate"
    title = "There is no rate for this at the moment"


class Rates(Protocol):
    async def price(
        self, uow: UnitOfWork, account_id: str, asset: str, code: str, at: datetime
    ) -> Decimal | None:
        """What one whole coin costs in major units of the currency at that moment; None when nobody knows."""
        ...


class StaffRates:
    """The newest of those that staff has said and that are in force."""

    async def price(
        self, uow: UnitOfWork, account_id: str, asset: str, code: str, at: datetime
    ) -> Decimal | None:
        found = await uow.execute(_IN_FORCE, account_id=account_id, asset=asset, currency=code, at=at)
        return found.scalar_one_or_none()


RATES: Rates = StaffRates()


@dataclass(frozen=True, slots=True)
class RateFields:
    """`price` is what one whole coin costs in major units; it stands for so many minutes from now."""

    provider_account_id: str
    asset: str
    currency: str
    price: Decimal
    valid_minutes: int
    source: str


async def say(uow: UnitOfWork, said: RateFields) -> CryptoRate:
    """Raises Forbidden, NotFound for no account on a chain, and Invalid naming the field. In work across tenants."""
    account = await policies.account_for(uow, said.provider_account_id, Capability.STAFF_PAYMENTS_WRITE)
    if account.provider != Provider.CRYPTO:
        raise not_found("account on a chain", account.id)
    crypto.terms(account.settings).asset(said.asset)
    _require(said)
    row = CryptoRate(
        id=new_id("crat"),
        provider_account_id=account.id,
        asset=said.asset,
        currency=said.currency,
        price=said.price,
        source=clean_text(
            said.source, field="source", what="The source", characters_max=SOURCE_CHARACTERS_MAX
        ),
        valid_from=uow.wall_now,
        valid_until=uow.wall_now + timedelta(minutes=said.valid_minutes),
        entered_by=uow.actor.id,
        created_at=uow.wall_now,
    )
    uow.add(row)
    await uow.session.flush()
    uow.record(
        CryptoRateSaid(
            aggregate_id=row.id,
            organization_id=None,
            asset=row.asset,
            currency=row.currency,
            price=f"{row.price:f}",
        )
    )
    return row


def _require(said: RateFields) -> None:
    try:
        currency(said.currency)
    except ValueError as error:
        raise Invalid(str(error), field="currency") from error
    price = said.price
    exponent = price.as_tuple().exponent if price.is_finite() else 0
    if not price.is_finite() or not 0 < price <= PRICE_MAX or -int(exponent) > PRICE_DECIMALS_MAX:
        raise Invalid(f"A price is above zero, with {PRICE_DECIMALS_MAX} decimals at most.", field="price")
    if not 1 <= said.valid_minutes <= VALID_MINUTES_MAX:
        raise Invalid(f"A rate stands for 1 to {VALID_MINUTES_MAX:,} minutes.", field="valid_minutes")


@dataclass(frozen=True, slots=True)
class RateRow:
    """`state` is one of RATE_STATES: of those that stand, the newest is the one that counts. `author` is a name."""

    id: str
    provider_account_id: str
    account: str
    asset: str
    currency: str
    price: Decimal
    source: str
    valid_from: datetime
    valid_until: datetime
    entered_by: str
    author: str
    created_at: datetime
    state: str


RATE_STATES = ("counts", "replaced", "ended")
_STATE = """case when r.valid_until <= :now then 'ended' when exists (
  select from crypto_rate n where n.provider_account_id = r.provider_account_id and n.asset = r.asset
    and n.currency = r.currency and n.valid_from <= :now and n.valid_until > :now
    and (n.valid_from, n.id) > (r.valid_from, r.id)) then 'replaced' else 'counts' end"""
_EXACTLY = (Operator.EQ, Operator.IN)
STAFF_RATES: Listing[RateRow] = Listing(
    "staff.crypto_rates",
    row=RateRow,
    needs=Capability.STAFF_PAYMENTS_READ,
    source="crypto_rate r",
    alias="r",
    joins="join provider_account a on a.id = r.provider_account_id left join account p on p.id = r.entered_by",
    where="true",
    columns=(
        Column("id", "r.id", Kind.ID, filterable=True),
        Column("provider_account_id", "r.provider_account_id", Kind.ID, operators=_EXACTLY),
        Column("account", "a.name", joined=True),
        Column("asset", "r.asset", operators=_EXACTLY),
        Column("currency", "r.currency", operators=_EXACTLY),
        Column("price", "r.price", Kind.DECIMAL),
        Column("source", "r.source"),
        Column("valid_from", "r.valid_from", Kind.INSTANT),
        Column("valid_until", "r.valid_until", Kind.INSTANT),
        Column("entered_by", "r.entered_by", Kind.ID),
        Column("author", "coalesce(p.name, r.entered_by)", joined=True),
        Column("created_at", "r.created_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True),
        Column("state", _STATE, Kind.ENUM, values=RATE_STATES, filterable=True),
    ),
    sort="-created_at",
)


async def rate(uow: UnitOfWork, rate_id: str) -> RateRow:
    """Raises Forbidden and NotFound."""
    row = await listing_sql.find(uow, STAFF_RATES, rate_id)
    if row is None:
        raise not_found("rate", rate_id)
    return row
