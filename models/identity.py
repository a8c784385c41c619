"""People, the organisations they belong to, and how they are let in."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

import sqlalchemy as sa
from sqlmodel import Field

from models.base import Table, id_field, instant, personal, reference
from models.types import BYTES, ID, BillingMode


class Account(Table, table=True):
    """One person. Which rows the application role sees follows its visible memberships."""

    __tablename__ = "account"

    id: str = id_field()
    email: str = personal()
    email_key: str = personal(unique=True)  # folded for look-up, so that Ana@X and ana@x are one
    name: str = personal(default="")
    password_hash: str | None = None  # none until the address is confirmed
    verified_at: datetime | None = instant(nullable=True)
    suspended_at: datetime | None = instant(nullable=True)
    created_at: datetime = instant()
    version: int = 1


class Organization(Table, table=True):
    """A tenant. Its timezone governs calendars, its currency prices, its clock business time."""

    __tablename__ = "organization"
    tenant_column: ClassVar[str | None] = "id"
    __table_args__ = (
        sa.CheckConstraint("kind in ('client','partner','developer','operator')", name="kind"),
        sa.CheckConstraint("billing_mode in ('postpaid','prepaid')", name="billing_mode"),
        sa.Index("ix_organization_name_key", "name_key", "id"),
    )

    id: str = id_field()
    kind: str
    name: str
    name_key: str  # folded name people's lists are sorted by: the database's own collation is C
    timezone: str = "UTC"
    currency: str = "USD"
    billing_mode: str = BillingMode.POSTPAID
    test_clock_id: str | None = reference("test_clock.id", nullable=True)
    suspended_at: datetime | None = instant(nullable=True)
    created_at: datetime = instant()
    version: int = 1


class Membership(Table, table=True):
    __tablename__ = "membership"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (sa.UniqueConstraint("organization_id", "account_id"),)

    id: str = id_field()
    organization_id: str = reference("organization.id")
    account_id: str = reference("account.id", index=True)
    role: str
    created_at: datetime = instant()
    version: int = 1


class Session(Table, table=True):
    """A signed-in browser. Only the hash of its token is stored."""

    __tablename__ = "session"

    id: str = id_field()
    token_hash: bytes = Field(sa_type=BYTES, unique=True)
    account_id: str = reference("account.id", index=True)
    organization_id: str | None = reference("organization.id", nullable=True)
    user_agent: str = personal(default="")
    address: str = personal(default="")
    created_at: datetime = instant()
    last_seen_at: datetime = instant()
    expires_at: datetime = instant()
    ended_at: datetime | None = instant(nullable=True)


class MailToken(Table, table=True):
    """A secret sent by mail; `purpose` says what it opens. Confirming an address takes over the sign-up it holds.

    Many may sign up with one address and only one of them owns it, so each sign-up is kept with its own token. It
    has no secret until its mail is written, and nothing personal once it has ended.
    """

    __tablename__ = "mail_token"

    id: str = id_field()
    account_id: str = reference("account.id", index=True)
    purpose: str
    email: str = personal()
    name: str = personal()
    password_hash: str
    token_hash: bytes | None = Field(default=None, sa_type=BYTES, unique=True, nullable=True)
    created_at: datetime = instant()
    expires_at: datetime = instant()
    used_at: datetime | None = instant(nullable=True)


class Throttle(Table, table=True):
    """Failed attempts by one subject (an account or an address) at one door. `subject` is a keyed hash."""

    __tablename__ = "throttle"

    subject: str = Field(primary_key=True, sa_type=ID)
    failures: int = 0
    last_failed_at: datetime = instant()
    blocked_until: datetime | None = instant(nullable=True)
