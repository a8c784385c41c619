"""The billing profile while it is looked at: it follows its register, and leaves what is typed alone."""

from __future__ import annotations

from typing import Any

import pytest

from models.types import Role
from services.billing import profiles, tax_numbers
from services.core.permissions import Capability
from services.core.work import unit_of_work
from services.live.views import VIEWS
from state.portal.billing_profile import BillingProfileState
from tests.integration.billing.shop import Shop, open_shop
from tests.integration.state.visitor import Visitor, sign_in
from tests.world import World

FRENCH = {"name": "Acme", "address": "1 Rue de Rivoli\n75001 Paris", "country": "FR"}
NUMBER = "FR40303265045"


@pytest.fixture
async def shop(world: World) -> Shop:
    return await open_shop(world)


async def _says(shop: Shop, number: str, **other: Any) -> None:
    named: dict[str, Any] = FRENCH | other
    async with shop.work() as uow:
        await profiles.set_own(uow, **named, tax_number=number)


async def _is_found(shop: Shop) -> None:
    async with shop.work() as uow:
        await tax_numbers.set_tax_number(uow, NUMBER, valid=True, source="Register", reason="It is there")


def _shown(state: BillingProfileState) -> tuple[Any, ...]:
    return dict(state.profile), dict(state.tax), state.version


async def _loaded(visitor: Visitor) -> tuple[Any, ...]:
    """What a fresh load shows."""
    other = Visitor(visitor.token, visitor.at)
    seen, _ = await other.call(BillingProfileState, "load")
    return _shown(seen)


@pytest.mark.parametrize("role", [Role.OWNER, Role.BILLING])
async def test_a_page_that_is_open_says_what_the_register_found(world: World, shop: Shop, role: Role) -> None:
    await _says(shop, NUMBER)
    visitor, _ = await sign_in(world, shop.customer, role)
    visitor.at = "/portal/billing-profile"
    seen, _ = await visitor.call(BillingProfileState, "load")
    assert (seen.tax["state"], seen.filled) == ("unchecked", 1)
    watched = VIEWS["billing_profile"]
    assert watched.needs is Capability.INVOICES_READ
    async with unit_of_work(world.actor(shop.customer, role)) as uow:
        before = await watched.read(uow)

    await _is_found(shop)

    async with unit_of_work(world.actor(shop.customer, role)) as uow:
        assert await watched.read(uow) != before
    seen, _ = await visitor.call(BillingProfileState, "follow")
    assert (seen.tax["state"], seen.tax["source"], seen.filled) == ("valid", "Register", 1)
    assert _shown(seen) == await _loaded(visitor)


async def test_what_somebody_else_saved_is_met_when_it_is_saved(world: World, shop: Shop) -> None:
    await _says(shop, NUMBER)
    writer, _ = await sign_in(world, shop.customer, Role.BILLING)
    writer.at = "/portal/billing-profile"
    before, _ = await writer.call(BillingProfileState, "load")
    version = before.version

    await _says(shop, NUMBER, name="Acme SAS")

    seen, _ = await writer.call(BillingProfileState, "follow")
    assert (seen.profile["name"], seen.version, seen.filled) == (
        "Acme",
        version,
        1,
    )  # what is typed is over that
    seen, _ = await writer.call(BillingProfileState, "load")
    assert (seen.profile["name"], seen.filled) == ("Acme SAS", 2)
