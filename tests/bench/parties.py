"""Organisations made for a benchmark: an owner who is signed in, and a key without limits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from models.types import OrganizationKind, Role
from services.core import crypto, runtime
from services.core import database as databases
from services.core.actor import Actor, system
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.permissions import ROLE_CAPABILITIES
from services.core.work import unit_of_work
from services.identity import accounts, keys, organizations, passwords, sessions
from services.identity.cookies import session_cookie
from tests.bench.product import Product

_PASSWORD = "measured, not guessed"


@dataclass(frozen=True, slots=True)
class Party:
    organization_id: str
    cookie: str  # the Cookie header of its owner
    key: str


@asynccontextmanager
async def inside(product: Product) -> AsyncIterator[Database]:
    """This process as one more process of the product: its database and its vault are installed."""
    runtime.know_all_tables()
    crypto.install(crypto.file_vault(product.data_dir))
    on = databases.connect(product.database.app_url(), pool_size=4)
    databases.install(on)
    try:
        yield on
    finally:
        databases.install(None)
        await on.close()


async def parties(product: Product, count: int) -> list[Party]:
    """Make `count` organisations. Each has an empty history."""
    async with inside(product):
        hashed = await passwords.hashed(_PASSWORD)
        return [await _party(product, number, hashed) for number in range(count)]


async def demo_party(product: Product) -> Party:
    """The demo's first organisation, with its history, and with a key without limits."""
    async with inside(product):
        organization_id: str = product.demo["organization"]
        async with unit_of_work(system(organization_id)) as uow:
            created = await keys.create_key(uow, name="load")
    return Party(organization_id, product.cookie(), created.secret)


async def _party(product: Product, number: int, password_hash: str) -> Party:
    email = f"owner{number}@bench.example"
    async with crossing(Reason.DEMO) as uow:
        owner_id = await accounts.add_confirmed(
            uow, email=email, name=f"Owner {number}", password_hash=password_hash
        )
        organization = await organizations.found_organization(
            uow, owner_id=owner_id, kind=OrganizationKind.CLIENT, name=f"Measured {number}"
        )
    actor = Actor(owner_id, organization.id, ROLE_CAPABILITIES[Role.OWNER], Role.OWNER, owner_id)
    async with unit_of_work(actor) as uow:
        created = await keys.create_key(uow, name="load")
    # From networks of their own: signing in is throttled by network.
    client = accounts.Client(address=f"198.51.{number}.1")
    session = await sessions.sign_in(email=email, password=_PASSWORD, client=client)
    assert isinstance(session, sessions.OpenedSession)
    cookie = f"{session_cookie(product.address)}={session.token}"
    return Party(organization.id, cookie, created.secret)
