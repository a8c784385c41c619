"""Who can correct a tax number is told when its register does not know it, and not of what is as it was said."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from models.identity import Account
from models.types import Role
from services.billing import profiles, tax_numbers
from services.core.database import CROSSING_ROLE
from services.core.relay import deliver, stamp
from services.notify import notices
from services.notify.subscribers import NOTICES
from tests.integration.billing.shop import Shop, open_shop
from tests.world import World

NUMBER = "FR40303265045"


async def _told(shop: Shop, people: dict[Role, Account]) -> dict[str, list[str]]:
    """Addresses that notices lead to, by role."""
    world = shop.world
    async with await world.database.unpooled() as connection:
        await connection.execute(f"set role {CROSSING_ROLE}")
        await stamp(connection)
    await deliver(NOTICES, world.database)
    made: dict[str, list[str]] = {}
    for role, account in people.items():
        found = await notices.notices_of(world.actor(shop.customer, role, account))
        made[role.value] = [one.href for one in found if one.title == "A tax number was not found"]
    return made


async def test_a_number_that_is_not_there_is_told_to_who_may_correct_it(world: World) -> None:
    shop = await open_shop(world)
    shop.now = datetime.now(UTC)  # what is older than a week is no news
    people = {
        role: await world.account(member_of=shop.customer, role=role)
        for role in (Role.BILLING, Role.DEVELOPER)
    }
    async with shop.work() as uow:
        await profiles.set_own(
            uow, name="Acme", address="1 Rue", country="FR", language="fr", tax_number=NUMBER
        )
    told: Any = {"source": "Register", "reason": "Asked"}
    async with shop.work() as uow:
        await tax_numbers.set_tax_number(uow, NUMBER, valid=True, **told)
    assert await _told(shop, people) == {"billing": [], "developer": []}

    async with shop.work() as uow:
        await tax_numbers.set_tax_number(uow, NUMBER, valid=False, **told)
    assert await _told(shop, people) == {"billing": ["/portal/billing-profile"], "developer": []}
