"""Makers: the facts a test does not care about, so that those it cares about stand on its page."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

from models.identity import Account, Membership, Organization
from models.types import BillingMode, OrganizationKind, Role
from services.core.actor import Actor
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.ids import new_id
from services.core.permissions import ROLE_CAPABILITIES

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


class World:
    """People and organisations of one test's database."""

    def __init__(self, on: Database) -> None:
        self.database = on
        self._numbers = itertools.count(1)

    async def organization(
        self,
        kind: OrganizationKind = OrganizationKind.CLIENT,
        *,
        name: str = "",
        timezone: str = "UTC",
        currency: str = "USD",
        billing_mode: BillingMode = BillingMode.POSTPAID,
    ) -> Organization:
        name = name or f"Organisation {next(self._numbers)}"
        row = Organization(
            id=new_id("org"),
            kind=kind,
            name=name,
            name_key=name.casefold(),
            timezone=timezone,
            currency=currency,
            billing_mode=billing_mode,
            created_at=LONG_AGO,
        )
        async with crossing(Reason.DEMO, on=self.database) as uow:
            uow.add(row)
        return row

    async def account(
        self, email: str = "", *, member_of: Organization | None = None, role: Role = Role.OWNER
    ) -> Account:
        """A confirmed person who cannot sign in by password (the stored hash matches nothing)."""
        email = email or f"person{next(self._numbers)}@example.com"
        row = Account(
            id=new_id("acc"),
            email=email,
            email_key=email.casefold(),
            password_hash="!",
            verified_at=LONG_AGO,
            created_at=LONG_AGO,
        )
        async with crossing(Reason.DEMO, on=self.database) as uow:
            uow.add(row)
            await uow.session.flush()
            if member_of is not None:
                uow.add(
                    Membership(
                        id=new_id("mem"),
                        organization_id=member_of.id,
                        account_id=row.id,
                        role=role,
                        created_at=LONG_AGO,
                    )
                )
        return row

    def actor(
        self, organization: Organization, role: Role = Role.OWNER, account: Account | None = None
    ) -> Actor:
        account_id = account.id if account else None
        return Actor(
            id=account_id or f"test-{role}",
            organization_id=organization.id,
            capabilities=ROLE_CAPABILITIES[role],
            role=role,
            account_id=account_id,
            proved_at=datetime.now(UTC),
        )
