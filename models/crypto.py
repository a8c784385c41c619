"""Payments on a chain: what was asked for and where, what came, at which rate, and how far the chain was read.

Amounts of an asset are integers of its base units.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlmodel import Field

from models.base import Table, check, id_field, instant, reference
from models.types import AMOUNT, BIG, ID

UNITS: Any = sa.Numeric(78, 0)  # as many digits as a word of the chain has


class TransferState(StrEnum):
    SEEN = "seen"  # in a block that may still be taken away
    CONFIRMED = "confirmed"  # so many blocks are above it that it counts
    TOO_SMALL = "too_small"  # worth less than the least amount of money: it stays where it is
    ORPHANED = "orphaned"  # its block is not of the chain any more, or the transaction failed


class CryptoKey(Table, table=True):
    """An extended public key, and the index of the next address below it: none is left out, none is given twice."""

    __tablename__ = "crypto_key"
    __table_args__ = (check("next_index between 0 and 2147483648", "next_index"),)

    key: str = Field(primary_key=True, sa_type=ID)
    next_index: int = Field(sa_type=BIG)


class CryptoRate(Table, table=True):
    """What one whole coin costs in major units of a currency, as staff says, in [valid_from, valid_until)."""

    __tablename__ = "crypto_rate"
    __table_args__ = (
        check("price > 0", "price"),
        check("valid_from < valid_until", "validity"),
        sa.Index("ix_crypto_rate_in_force", "provider_account_id", "asset", "currency", "valid_from", "id"),
        sa.Index("ix_crypto_rate_created_at", "created_at", "id"),
    )

    id: str = id_field()
    provider_account_id: str = reference("provider_account.id")
    asset: str = Field(sa_type=ID)
    currency: str = Field(sa_type=ID)
    price: Decimal = Field(sa_type=AMOUNT)
    source: str  # where staff has it from
    valid_from: datetime = instant()
    valid_until: datetime = instant()
    entered_by: str = Field(sa_type=ID)
    created_at: datetime = instant()


class CryptoRequest(Table, table=True):
    """What a payment asks for on a chain. Times are those of the wall, as blocks have them. Its address
    is watched until `watched_until`, since money may come late."""

    __tablename__ = "crypto_request"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        sa.UniqueConstraint("address"),
        sa.UniqueConstraint("key", "derivation_index"),
        check("expected_units > 0 and price > 0", "expected"),
        check("decimals between 0 and 36", "decimals"),
        sa.Index("ix_crypto_request_watched", "provider_account_id", "watched_until", "payment_id"),
    )

    payment_id: str = Field(sa_type=ID, foreign_key="payment.id", primary_key=True)
    organization_id: str = reference("organization.id")
    provider_account_id: str = reference("provider_account.id")
    chain_id: int = Field(sa_type=BIG)
    key: str = Field(sa_type=ID)  # the extended public one
    derivation_index: int = Field(sa_type=BIG)
    address: str = Field(sa_type=ID)
    asset: str = Field(sa_type=ID)
    contract: str | None = Field(default=None, sa_type=ID, nullable=True)
    decimals: int
    expected_units: Decimal = Field(sa_type=UNITS)
    price: Decimal = Field(sa_type=AMOUNT)  # locked
    confirmations: int
    expires_at: datetime = instant()
    watched_until: datetime = instant()
    created_at: datetime = instant()


class CryptoTransfer(Table, table=True):
    """What came to a watched address. `booked_by` is the payment that it became, once."""

    __tablename__ = "crypto_transfer"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        sa.UniqueConstraint("chain_id", "tx_hash", "log_index"),
        check("state in ('seen','confirmed','too_small','orphaned')", "state"),
        check("units > 0", "units"),
        sa.Index("ix_crypto_transfer_payment_id", "payment_id", "created_at", "id"),
        sa.Index("ix_crypto_transfer_block", "provider_account_id", "block_number"),
    )

    id: str = id_field()
    organization_id: str = reference("organization.id")
    provider_account_id: str = reference("provider_account.id")
    payment_id: str = reference("crypto_request.payment_id")
    chain_id: int = Field(sa_type=BIG)
    tx_hash: str = Field(sa_type=ID)
    log_index: int  # -1 for the transaction itself
    block_number: int = Field(sa_type=BIG)
    block_hash: str = Field(sa_type=ID)
    block_at: datetime = instant()
    units: Decimal = Field(sa_type=UNITS)
    state: str = Field(sa_type=ID)
    booked_by: str | None = reference("payment.id", nullable=True)
    created_at: datetime = instant()
    version: int = 1


class ChainMovement(StrEnum):
    """Why what our addresses hold has changed."""

    CAME = "came"  # and was booked as a payment
    GONE = "gone"  # with the block it was in
    BACK = "back"  # in another block, and its payment was never undone
    SWEPT = "swept"  # sent on by whoever holds the private key
    UNSEEN = "unseen"  # it is there, and was not seen to come


class CryptoMovement(Table, table=True):
    """One change of what our addresses hold, as reconciliation is told of it. Written once, never changed.

    What came, is gone and is back belongs to a payment: `nth` counts how often each of these. What was swept or came
    unseen is known by the balance of an address alone: `units` is by how much that differed, signed, from all that was
    known, and `minor` what that is in the books.
    """

    __tablename__ = "crypto_movement"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        check("kind in ('came','gone','back','swept','unseen')", "kind"),
        check("(booked_id is null) = (kind in ('swept','unseen'))", "booked"),
        check("(units = 0) = (kind in ('came','gone','back'))", "units"),
        check("nth >= 1", "nth"),
        sa.UniqueConstraint("booked_id", "kind", "nth"),
        sa.Index("ix_crypto_movement_account", "provider_account_id", "id"),
        sa.Index("ix_crypto_movement_request_id", "request_id"),
    )

    id: str = id_field()
    organization_id: str = reference("organization.id")
    provider_account_id: str = reference("provider_account.id")
    request_id: str = reference("crypto_request.payment_id")  # whose address it is
    kind: str = Field(sa_type=ID)
    booked_id: str | None = reference("payment.id", nullable=True)
    nth: int = 1
    block_number: int = Field(sa_type=BIG)  # 0 where a payment says it
    units: Decimal = Field(sa_type=UNITS)
    currency: str = Field(sa_type=ID)
    minor: int = Field(sa_type=BIG)
    happened_at: datetime = instant()  # when it was known


class CryptoWatch(Table, table=True):
    """How far the chain of an account was read. `problem` is why it is not read on."""

    __tablename__ = "crypto_watch"

    provider_account_id: str = Field(sa_type=ID, foreign_key="provider_account.id", primary_key=True)
    height: int = Field(sa_type=BIG)
    read_until: datetime = instant()  # the time of the block at that height
    problem: str | None = None
    checked_at: datetime = instant()


class CryptoBlock(Table, table=True):
    """The last blocks that were read, to walk back by when the chain goes another way."""

    __tablename__ = "crypto_block"

    provider_account_id: str = Field(sa_type=ID, foreign_key="provider_account.id", primary_key=True)
    number: int = Field(sa_type=BIG, primary_key=True)
    hash: str = Field(sa_type=ID)
