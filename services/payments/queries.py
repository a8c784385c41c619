"""Reads of payments, methods and accounts with providers: of one's own organisation, and of all for staff."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from models.money import Money
from models.payments import Initiator, PaymentState
from services.audit.reads import note_read
from services.core import listing_sql
from services.core.errors import not_found
from services.core.listing import Column, Kind, Listing, Operator
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.identity import clocks
from services.payments import policies
from services.payments.providers import crypto, registry

_EXACTLY = (Operator.EQ, Operator.IN)
WAYS_MAX = 50  # to pay, of one installation


@dataclass(frozen=True, slots=True)
class PaymentRow:
    """`invoice_number` is None for money on account. over = minor - applied, a credit of the customer, or in the wallet
    where it was for a top-up."""

    id: str
    organization_id: str
    organization_name: str
    invoice_id: str | None
    invoice_number: str | None
    top_up_id: str | None
    provider: str
    account: str | None
    method: str | None
    state: str
    initiator: str
    currency: str
    minor: int
    applied_minor: int
    refunded_minor: int
    decline_code: str | None
    decline_hard: bool | None
    message: str
    reference: str
    created_at: datetime
    succeeded_at: datetime | None
    version: int


def _amount(name: str) -> Column:
    return Column(name, f"p.{name}", Kind.INTEGER, currency="currency")


def _payments(name: str, needs: Capability, where: str, *organization: Operator) -> Listing[PaymentRow]:
    return Listing(
        name,
        row=PaymentRow,
        needs=needs,
        source="payment p",
        alias="p",
        joins=(
            "join organization o on o.id = p.organization_id left join invoice i on i.id = p.invoice_id"
            " left join provider_account a on a.id = p.provider_account_id"
            " left join payment_method m on m.id = p.method_id"
        ),
        where=where,
        columns=(
            Column("id", "p.id", Kind.ID, filterable=True),
            Column("organization_id", "p.organization_id", Kind.ID, operators=organization),
            Column("organization_name", "o.name", joined=True),
            Column("invoice_id", "p.invoice_id", Kind.ID, nullable=True, operators=_EXACTLY),
            Column("invoice_number", "i.number", nullable=True, joined=True),
            Column("top_up_id", "p.top_up_id", Kind.ID, nullable=True),
            Column("provider", "p.provider", operators=_EXACTLY),
            Column("account", "a.name", nullable=True, joined=True),
            Column("method", "nullif(trim(m.brand || ' ' || m.last4), '')", nullable=True, joined=True),
            Column("state", "p.state", Kind.ENUM, values=tuple(PaymentState), filterable=True),
            Column("initiator", "p.initiator", Kind.ENUM, values=tuple(Initiator), filterable=True),
            Column("currency", "p.currency", operators=_EXACTLY),
            _amount("minor"),
            _amount("applied_minor"),
            _amount("refunded_minor"),
            Column("decline_code", "p.decline_code", nullable=True, operators=_EXACTLY),
            Column("decline_hard", "p.decline_hard", Kind.FLAG, nullable=True),
            Column("message", "p.message"),
            Column("reference", "p.reference"),
            Column(
                "created_at", "p.created_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True
            ),
            Column("succeeded_at", "p.succeeded_at", Kind.INSTANT, nullable=True),
            Column("version", "p.version", Kind.INTEGER),
        ),
        sort="-created_at",
    )


PAYMENTS = _payments("payments", Capability.PAYMENTS_READ, "p.organization_id = :organization_id")
STAFF_PAYMENTS = _payments("staff.payments", Capability.STAFF_PAYMENTS_READ, "true", *_EXACTLY)


@dataclass(frozen=True, slots=True)
class MethodRow:
    id: str
    provider_account_id: str
    account: str
    kind: str
    brand: str  # a CardBrand
    last4: str
    expires_month: int | None
    expires_year: int | None
    name: str
    is_default: bool
    created_at: datetime
    version: int


METHODS: Listing[MethodRow] = Listing(
    "payment_methods",
    row=MethodRow,
    needs=Capability.PAYMENTS_READ,
    source="payment_method m",
    alias="m",
    joins="join provider_account a on a.id = m.provider_account_id",
    where="m.organization_id = :organization_id and m.removed_at is null",
    columns=(
        Column("id", "m.id", Kind.ID, filterable=True),
        Column("provider_account_id", "m.provider_account_id", Kind.ID),
        Column("account", "a.name", joined=True),
        Column("kind", "m.kind"),
        Column("brand", "m.brand"),
        Column("last4", "m.last4"),
        Column("expires_month", "m.expires_month", Kind.INTEGER, nullable=True),
        Column("expires_year", "m.expires_year", Kind.INTEGER, nullable=True),
        Column("name", "m.name"),
        Column("is_default", "m.is_default", Kind.FLAG),
        Column("created_at", "m.created_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True),
        Column("version", "m.version", Kind.INTEGER),
    ),
    sort="-created_at",
)


async def method(uow: UnitOfWork, method_id: str) -> MethodRow:
    """One kept method. Raises Forbidden, and NotFound also for another organisation's."""
    row = await listing_sql.find(uow, METHODS, method_id)
    if row is None:
        raise not_found("payment method", method_id)
    return row


@dataclass(frozen=True, slots=True)
class AccountRow:
    """What staff sees of an account with a provider; of its secrets only that they are there."""

    id: str
    provider: str
    name: str
    is_test: bool
    enabled: bool
    settings: dict[str, str]
    created_at: datetime
    version: int


ACCOUNTS: Listing[AccountRow] = Listing(
    "staff.provider_accounts",
    row=AccountRow,
    needs=Capability.STAFF_PAYMENTS_READ,
    source="provider_account a",
    alias="a",
    where="true",
    columns=(
        Column("id", "a.id", Kind.ID, filterable=True),
        Column("provider", "a.provider", operators=_EXACTLY),
        Column("name", "a.name"),
        Column("is_test", "a.is_test", Kind.FLAG),
        Column("enabled", "a.enabled", Kind.FLAG),
        Column("settings", "a.settings", Kind.OBJECT),
        Column("created_at", "a.created_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True),
        Column("version", "a.version", Kind.INTEGER),
    ),
    sort="-created_at",
)


async def account(uow: UnitOfWork, account_id: str) -> AccountRow:
    """One account with a provider. Raises Forbidden and NotFound."""
    row = await listing_sql.find(uow, ACCOUNTS, account_id)
    if row is None:
        raise not_found("provider account", account_id)
    return row


_WAYS = """
select id, provider, name, is_test, settings from provider_account where enabled and (is_test or not :trial)
order by name, id limit :most
"""


@dataclass(frozen=True, slots=True)
class Way:
    """A way to pay that is open to customers. On a chain each asset is a way of its own: <account>:<asset>."""

    id: str
    provider: str
    name: str
    is_test: bool

    @property
    def is_on_a_chain(self) -> bool:
        return registry.kind(self.provider).watched

    def takes(self, money: Money) -> bool:
        """Whether the provider takes so much of that currency."""
        able = registry.kind(self.provider).capabilities
        return money.currency in able.currencies and money >= able.minimum(money.currency)

    @property
    def keeps_methods(self) -> bool:
        return registry.kind(self.provider).capabilities.keeps_methods


async def ways(uow: UnitOfWork) -> list[Way]:
    """How something can be paid besides by transfer: on a test clock with play money only. Raises Forbidden."""
    uow.actor.require(Capability.PAYMENTS_READ)
    found = await uow.execute(_WAYS, trial=clocks.is_trial(uow), most=WAYS_MAX)
    return [way for row in found for way in _ways_of(row)][:WAYS_MAX]


def _ways_of(row: Row[Any]) -> list[Way]:
    if row.provider in registry.OUR_BANKS:
        return []  # whoever makes a transfer asks nobody
    if not registry.kind(row.provider).watched:
        return [Way(row.id, row.provider, row.name, row.is_test)]
    return [
        Way(f"{row.id}:{one.symbol}", row.provider, f"{row.name} ({one.symbol})", row.is_test)
        for one in crypto.terms(row.settings).assets
    ]


@dataclass(frozen=True, slots=True)
class PaymentDetail:
    """A payment, and where the customer goes on with it while it waits for them."""

    payment: PaymentRow
    action_url: str | None


async def payment(uow: UnitOfWork, payment_id: str, *, staff: bool = False) -> PaymentDetail:
    """One's own, or anybody's for staff in work across tenants. Raises Forbidden and NotFound."""
    needs = Capability.STAFF_PAYMENTS_READ if staff else Capability.PAYMENTS_READ
    row = await policies.payment_for(uow, payment_id, needs)
    found = await listing_sql.find(uow, STAFF_PAYMENTS if staff else PAYMENTS, row.id)
    if found is None:
        raise not_found("payment", payment_id)
    if staff:
        await note_read(uow, "payment", organization_id=row.organization_id, row_id=row.id)
    url = row.action.get("url") if row.action else None
    return PaymentDetail(found, None if staff else url)
