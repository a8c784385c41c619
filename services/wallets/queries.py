"""Reads of wallets, their lots, debits and top-ups: of one's own organisation, and of all for staff."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from models.wallets import DebitKind, LotSource, TopUpState
from services.core.errors import not_found
from services.core.listing import Column, Kind, Listing, Operator
from services.core.permissions import Capability
from services.core.work import UnitOfWork

_EXACTLY = (Operator.EQ, Operator.IN)
_OWN = "organization_id = :organization_id"
# Sub-selects, so that what the wallet itself says can be filtered by (see Column.joined).
_NAME = "(select name from organization where id = {}.organization_id)"
_NUMBER = "(select number from invoice where id = d.cause_id)"
READ, STAFF_READ = Capability.WALLET_READ, Capability.STAFF_WALLETS_READ


@dataclass(frozen=True, slots=True)
class WalletRow:
    """Amounts in minor units: inbound = outbound + left + breakage. `accrued`, `held` and `uncovered` are exact, in
    major units."""

    id: str
    organization_id: str
    organization_name: str
    currency: str
    left_minor: int
    inbound_minor: int
    outbound_minor: int
    breakage_minor: int
    accrued: Decimal
    held: Decimal
    uncovered: Decimal
    threshold_minor: int | None
    refill_minor: int | None
    ceiling_minor: int | None
    created_at: datetime
    version: int


def _minor(name: str, *, nullable: bool = False) -> Column:
    return Column(name, f"w.{name}", Kind.INTEGER, currency="currency", nullable=nullable)


def _wallets(name: str, needs: Capability, where: str, *organization: Operator) -> Listing[WalletRow]:
    return Listing(
        name,
        row=WalletRow,
        needs=needs,
        source="wallet w",
        alias="w",
        joins="join organization o on o.id = w.organization_id",
        where=where,
        columns=(
            Column("id", "w.id", Kind.ID, filterable=True),
            Column("organization_id", "w.organization_id", Kind.ID, operators=organization),
            Column("organization_name", "o.name", joined=True),
            Column("currency", "w.currency", operators=_EXACTLY),
            *map(_minor, ("left_minor", "inbound_minor", "outbound_minor", "breakage_minor")),
            Column("accrued", "w.accrued", Kind.DECIMAL, currency="currency"),
            Column("held", "w.held", Kind.DECIMAL, currency="currency"),
            Column("uncovered", "w.uncovered", Kind.DECIMAL, currency="currency"),
            *(_minor(name, nullable=True) for name in ("threshold_minor", "refill_minor", "ceiling_minor")),
            Column("created_at", "w.created_at", Kind.INSTANT, sortable=True, unchanging=True),
            Column("version", "w.version", Kind.INTEGER, exported=False),
        ),
        sort="-created_at",
    )


WALLETS = _wallets("wallets", READ, f"w.{_OWN}")
STAFF_WALLETS = _wallets("staff.wallets", STAFF_READ, "true", *_EXACTLY)


@dataclass(frozen=True, slots=True)
class LotRow:
    """minor = used + expired + left. Lower priorities are burnt first, then what ends first, then what is older."""

    id: str
    organization_id: str
    organization_name: str
    wallet_id: str
    currency: str
    source: str
    priority: int
    minor: int
    used_minor: int
    expired_minor: int
    left_minor: int
    state: str
    expires_at: datetime | None
    note: str
    usage_only: bool
    refund_of: str | None
    created_at: datetime


_LOT_STATE = "case when l.left_minor > 0 then 'open' when l.expired_minor > 0 then 'expired' else 'used' end"


def _lots(name: str, needs: Capability, where: str, *organization: Operator) -> Listing[LotRow]:
    return Listing(
        name,
        row=LotRow,
        needs=needs,
        source="wallet_lot l join wallet w on w.id = l.wallet_id",
        alias="l",
        where=where,
        columns=(
            Column("id", "l.id", Kind.ID, filterable=True),
            Column("organization_id", "l.organization_id", Kind.ID, operators=organization),
            Column("organization_name", _NAME.format("l")),
            Column("wallet_id", "l.wallet_id", Kind.ID, filterable=True),
            Column("currency", "w.currency", operators=_EXACTLY),
            Column("source", "l.source", Kind.ENUM, values=tuple(LotSource), filterable=True),
            Column("priority", "l.priority", Kind.INTEGER),
            *(
                Column(part, f"l.{part}", Kind.INTEGER, currency="currency")
                for part in ("minor", "used_minor", "expired_minor", "left_minor")
            ),
            Column("state", _LOT_STATE, Kind.ENUM, values=("open", "used", "expired"), filterable=True),
            Column("expires_at", "l.expires_at", Kind.INSTANT, nullable=True),
            Column("note", "l.note"),
            Column("usage_only", "l.usage_only", Kind.FLAG),
            Column("refund_of", "l.refund_of", Kind.ID, nullable=True),
            Column(
                "created_at", "l.created_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True
            ),
        ),
        sort="-created_at",
    )


LOTS = _lots("wallet.lots", READ, f"l.{_OWN}")
STAFF_LOTS = _lots("staff.wallet_lots", STAFF_READ, "true", *_EXACTLY)


@dataclass(frozen=True, slots=True)
class DebitRow:
    """What was taken at once. `cause_id` is the invoice, which has `invoice_number`, or the last of the calls that were
    settled with it."""

    id: str
    organization_id: str
    organization_name: str
    wallet_id: str
    currency: str
    kind: str
    cause_id: str
    invoice_number: str | None
    minor: int
    calls: int | None
    cost: Decimal | None
    created_at: datetime
    given_back_at: datetime | None


def _taken(organization: tuple[Operator, ...]) -> tuple[Column, ...]:
    """What lists of debits, and of their parts, say of each debit."""
    return (
        Column("organization_id", "d.organization_id", Kind.ID, operators=organization),
        Column("organization_name", _NAME.format("d")),
        Column("wallet_id", "d.wallet_id", Kind.ID, filterable=True),
        Column("currency", "w.currency", operators=_EXACTLY),
        Column("kind", "d.kind", Kind.ENUM, values=tuple(DebitKind), filterable=True),
        Column("cause_id", "d.cause_id", Kind.ID, filterable=True),
        Column("invoice_number", _NUMBER, nullable=True),
        Column("created_at", "d.created_at", Kind.INSTANT, sortable=True, unchanging=True, filterable=True),
        Column("given_back_at", "d.given_back_at", Kind.INSTANT, nullable=True),
    )


def _debits(name: str, needs: Capability, where: str, *organization: Operator) -> Listing[DebitRow]:
    return Listing(
        name,
        row=DebitRow,
        needs=needs,
        source="wallet_debit d join wallet w on w.id = d.wallet_id",
        alias="d",
        where=where,
        columns=(
            Column("id", "d.id", Kind.ID, filterable=True),
            *_taken(organization),
            Column("minor", "d.minor", Kind.INTEGER, currency="currency"),
            Column("calls", "d.calls", Kind.INTEGER, nullable=True),
            Column("cost", "d.cost", Kind.DECIMAL, currency="currency", nullable=True),
        ),
        sort="-created_at",
    )


DEBITS = _debits("wallet.debits", READ, f"d.{_OWN}")
STAFF_DEBITS = _debits("staff.wallet_debits", STAFF_READ, "true", *_EXACTLY)


@dataclass(frozen=True, slots=True)
class UseRow:
    """What one debit took of one lot: so each lot is traced to what it paid for, and each debit to what paid."""

    id: str
    organization_id: str
    organization_name: str
    wallet_id: str
    currency: str
    lot_id: str
    source: str
    debit_id: str
    kind: str
    cause_id: str
    invoice_number: str | None
    minor: int
    created_at: datetime
    given_back_at: datetime | None


def _uses(name: str, needs: Capability, where: str, *organization: Operator) -> Listing[UseRow]:
    return Listing(
        name,
        row=UseRow,
        needs=needs,
        source="wallet_debit_part p join wallet_debit d on d.id = p.debit_id join wallet w on w.id = d.wallet_id"
        " join wallet_lot l on l.id = p.lot_id",
        alias="d",
        where=where,
        columns=(
            Column("id", "p.debit_id || '.' || p.lot_id", Kind.ID),
            *_taken(organization),
            Column("lot_id", "p.lot_id", Kind.ID, filterable=True),
            Column("source", "l.source", Kind.ENUM, values=tuple(LotSource)),
            Column("debit_id", "p.debit_id", Kind.ID, filterable=True),
            Column("minor", "p.minor", Kind.INTEGER, currency="currency"),
        ),
        sort="-created_at",
    )


USES = _uses("wallet.uses", READ, f"d.{_OWN}")
STAFF_USES = _uses("staff.wallet_uses", STAFF_READ, "true", *_EXACTLY)


@dataclass(frozen=True, slots=True)
class TopUpRow:
    """A top-up that a rule asked for."""

    id: str
    organization_id: str
    organization_name: str
    wallet_id: str
    currency: str
    minor: int
    state: str
    lot_id: str | None
    created_at: datetime


def _top_ups(name: str, needs: Capability, where: str, *organization: Operator) -> Listing[TopUpRow]:
    return Listing(
        name,
        row=TopUpRow,
        needs=needs,
        source="wallet_top_up t",
        alias="t",
        joins="join wallet w on w.id = t.wallet_id join organization o on o.id = t.organization_id",
        where=where,
        columns=(
            Column("id", "t.id", Kind.ID, filterable=True),
            Column("organization_id", "t.organization_id", Kind.ID, operators=organization),
            Column("organization_name", "o.name", joined=True),
            Column("wallet_id", "t.wallet_id", Kind.ID, filterable=True),
            Column("currency", "w.currency", joined=True),
            Column("minor", "t.minor", Kind.INTEGER, currency="currency"),
            Column("state", "t.state", Kind.ENUM, values=tuple(TopUpState), filterable=True),
            Column("lot_id", "t.lot_id", Kind.ID, nullable=True),
            Column("created_at", "t.created_at", Kind.INSTANT, sortable=True, unchanging=True),
        ),
        sort="-created_at",
    )


TOP_UPS = _top_ups("wallet.top_ups", READ, f"t.{_OWN}")
STAFF_TOP_UPS = _top_ups("staff.top_ups", STAFF_READ, "true", *_EXACTLY)


@dataclass(frozen=True, slots=True)
class TakenPart:
    """What a debit took of one lot."""

    lot_id: str
    source: str
    minor: int


@dataclass(frozen=True, slots=True)
class DebitDetail:
    debit: DebitRow
    parts: Sequence[TakenPart]


async def debit(uow: UnitOfWork, debit_id: str) -> DebitDetail:
    """One debit, and of which lots it took how much. Raises Forbidden, and NotFound also for another's."""
    uow.actor.require(READ)
    found = await uow.execute(
        f"select d.id, d.organization_id, {_NAME.format('d')} as organization_name, d.wallet_id, w.currency, d.kind,"
        f" d.cause_id, {_NUMBER} as invoice_number, d.minor, d.calls, d.cost, d.created_at, d.given_back_at"
        " from wallet_debit d join wallet w on w.id = d.wallet_id"
        " where d.id = :id and d.organization_id = :organization_id",
        id=debit_id,
        organization_id=uow.organization_id,
    )
    row = found.mappings().one_or_none()
    if row is None:
        raise not_found("debit", debit_id)
    parts = await uow.execute(
        "select p.lot_id, l.source, p.minor from wallet_debit_part p join wallet_lot l on l.id = p.lot_id"
        " where p.debit_id = :id order by l.priority, l.expires_at, l.created_at, l.id",
        id=debit_id,
    )
    return DebitDetail(DebitRow(**row), [TakenPart(**part) for part in parts.mappings()])


async def wallet(uow: UnitOfWork, currency: str) -> WalletRow:
    """The organisation's wallet in a currency. Raises Forbidden, and NotFound where nothing ever came in."""
    uow.actor.require(READ)
    found = await uow.execute(
        "select w.id, w.organization_id, o.name as organization_name, w.currency, w.left_minor, w.inbound_minor,"
        " w.outbound_minor, w.breakage_minor, w.accrued, w.held, w.uncovered, w.threshold_minor, w.refill_minor,"
        " w.ceiling_minor, w.created_at, w.version from wallet w join organization o on o.id = w.organization_id"
        " where w.organization_id = :organization_id and w.currency = :currency",
        organization_id=uow.organization_id,
        currency=currency,
    )
    row = found.mappings().one_or_none()
    if row is None:
        raise not_found("wallet", currency)
    return WalletRow(**row)
