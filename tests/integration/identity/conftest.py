"""People who sign up and in for real, with a password that is hashed once for all tests."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import pytest
import sqlalchemy as sa

from models.types import OrganizationKind
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.identity import accounts, organizations, passwords, policies, sessions
from services.identity.clients import Client
from services.identity.sessions import OpenedSession

PASSWORD = "nine lives and one more"
HOME = Client(address="192.0.2.10", user_agent="Firefox")
ELSEWHERE = Client(address="198.51.100.77", user_agent="curl")


@lru_cache(maxsize=1)
def password_hash() -> str:
    return passwords._hasher.hash(PASSWORD)


@dataclass
class People:
    """Signs people up and in at a moment that a test can move."""

    database: Database
    clock: FixedClock

    async def confirmed(self, email: str = "ana@example.com") -> str:
        async with crossing(Reason.SIGN_IN, clock=self.clock) as uow:
            return await accounts.add_confirmed(uow, email=email, name="Ana", password_hash=password_hash())

    async def sign_in(
        self, email: str = "ana@example.com", password: str = PASSWORD, client: Client = HOME
    ) -> OpenedSession:
        opened = await sessions.sign_in(email=email, password=password, client=client, clock=self.clock)
        assert isinstance(opened, OpenedSession)
        return opened

    async def organization(
        self, account_id: str, name: str = "Acme", kind: OrganizationKind = OrganizationKind.CLIENT
    ) -> str:
        actor = policies.person(account_id)
        async with crossing(Reason.SIGN_IN, actor=actor, clock=self.clock) as uow:
            row = await organizations.found_organization(uow, owner_id=account_id, kind=kind, name=name)
        return row.id

    async def rows(self, statement: str, **parameters: Any) -> list[Any]:
        async with crossing(Reason.INVARIANTS) as uow:
            return list((await uow.execute(sa.text(statement), parameters)).all())

    async def events(self) -> list[str]:
        return [row.type for row in await self.rows("select type from event order by id")]

    async def stored_text(self) -> str:
        """Everything the event log holds, to look for what must not be there."""
        return re.sub(r"\s+", " ", str(await self.rows("select payload::text from event")))


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime(2026, 5, 4, 9, 0, tzinfo=UTC))


@pytest.fixture
def people(database: Database, clock: FixedClock) -> People:
    return People(database, clock)
