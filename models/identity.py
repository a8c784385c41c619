"""People, the organisations they belong to, and how they are let in."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

import sqlalchemy as sa
from sqlmodel import Field

from models.base import Table, id_field, instant, personal, reference, sealed
from models.types import BIG, BYTES, ID, BillingMode


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
    password_changed_at: datetime | None = instant(nullable=True)
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
        sa.Index("ix_organization_created_at", "created_at", "id"),
        sa.Index("ix_organization_test_clock_id", "test_clock_id", "id"),
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
    suspended_at: datetime | None = instant(nullable=True)  # may sign in, but not work in this organisation
    version: int = 1


class Invitation(Table, table=True):
    """Somebody asked to join by mail. The link fits one address only; `token_hash` is all that is kept of it."""

    __tablename__ = "invitation"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (
        sa.Index(
            "uq_invitation_open",
            "organization_id",
            "email_key",
            unique=True,
            postgresql_where=sa.text("accepted_at is null and revoked_at is null"),
        ),
        sa.Index("ix_invitation_organization_id", "organization_id", "id"),
    )

    id: str = id_field()
    organization_id: str = reference("organization.id")
    email: str = personal()
    email_key: str = personal()
    role: str
    token_hash: bytes = Field(sa_type=BYTES, unique=True)
    invited_by: str = reference("account.id")
    created_at: datetime = instant()
    expires_at: datetime = instant()
    accepted_at: datetime | None = instant(nullable=True)
    accepted_by: str | None = reference("account.id", nullable=True)
    revoked_at: datetime | None = instant(nullable=True)
    version: int = 1


class ServiceAccount(Table, table=True):
    """Somebody who is a program: has a role in one organisation and acts by its keys only."""

    __tablename__ = "service_account"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (sa.UniqueConstraint("organization_id", "name_key"),)

    id: str = id_field()
    organization_id: str = reference("organization.id")
    name: str
    name_key: str
    role: str
    created_by: str | None = reference("account.id", nullable=True)
    created_at: datetime = instant()
    disabled_at: datetime | None = instant(nullable=True)
    version: int = 1


class Project(Table, table=True):
    """A part of an organisation's work. A key belongs to one for life, so usage by project is that of its keys."""

    __tablename__ = "project"
    tenant_column: ClassVar[str | None] = "organization_id"
    __table_args__ = (sa.UniqueConstraint("organization_id", "name_key"),)

    id: str = id_field()
    organization_id: str = reference("organization.id")
    name: str
    name_key: str
    description: str = ""
    created_by: str | None = reference("account.id", nullable=True)
    created_at: datetime = instant()
    archived_at: datetime | None = instant(nullable=True)
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
    proved_at: datetime = (
        instant()
    )  # when the person last showed who they are; risky acts ask again after a while
    second_factor: bool = False


class SignIn(Table, table=True):
    """One attempt to sign in to an account, for its owner to look at."""

    __tablename__ = "sign_in"
    __table_args__ = (sa.Index("ix_sign_in_account_id", "account_id", "at", "id"),)

    id: str = id_field()
    account_id: str = reference("account.id")
    session_id: str | None = Field(default=None, sa_type=ID, nullable=True)
    at: datetime = instant()
    outcome: str  # signed_in, recovery_code (signed in by one), password_only, wrong_password, wrong_code
    address: str = personal(default="")
    user_agent: str = personal(default="")


class Authenticator(Table, table=True):
    """The TOTP seed of an account, sealed. It counts once `confirmed_at` is set; `last_step` refuses replays."""

    __tablename__ = "authenticator"

    account_id: str = Field(primary_key=True, sa_type=ID, foreign_key="account.id")
    seed_sealed: bytes = sealed(tenant="account_id", row="account_id")
    created_at: datetime = instant()
    confirmed_at: datetime | None = instant(nullable=True)
    last_step: int = Field(default=-1, sa_type=BIG)


class RecoveryCode(Table, table=True):
    """One of the codes that open an account without its authenticator, each once."""

    __tablename__ = "recovery_code"

    id: str = id_field()
    account_id: str = reference("account.id", index=True)
    code_hash: bytes = Field(sa_type=BYTES, unique=True)
    created_at: datetime = instant()
    used_at: datetime | None = instant(nullable=True)


class SignInChallenge(Table, table=True):
    """A password that was right and still needs a code. Its secret is in a cookie of the browser that sent it."""

    __tablename__ = "sign_in_challenge"

    token_hash: bytes = Field(primary_key=True, sa_type=BYTES)
    account_id: str = reference("account.id", index=True)
    sign_in_id: str = Field(sa_type=ID)
    created_at: datetime = instant()
    expires_at: datetime = instant()


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
