"""Work that goes on for a key ends with what the key may do now."""

from __future__ import annotations

from services.core.crossing import Reason, crossing
from services.core.permissions import Capability
from services.core.work import unit_of_work
from services.identity import keys, service_accounts
from services.identity.acting import actor_of
from tests.world import World


async def test_a_key_goes_as_far_as_its_service_account(world: World) -> None:
    organization = await world.organization()
    staff = world.actor(organization)
    async with unit_of_work(staff) as uow:
        robot = await service_accounts.create_service_account(uow, name="Robot", role="developer")
        made = await keys.create_key(
            uow, name="k", scopes=["usage:read", "keys:read"], service_account_id=robot.id
        )

    async def may(organization_id: str = organization.id) -> set[Capability] | None:
        async with crossing(Reason.TASKS) as uow:
            actor = await actor_of(uow, made.key.id, organization_id)
        return None if actor is None else {Capability.KEYS_READ, Capability.USAGE_READ} & actor.capabilities

    assert await may() == {Capability.KEYS_READ, Capability.USAGE_READ}
    assert await may((await world.organization()).id) is None
    async with unit_of_work(staff) as uow:
        await service_accounts.update_service_account(uow, robot.id, role="viewer")
    assert await may() == {Capability.USAGE_READ}
    async with unit_of_work(staff) as uow:
        await service_accounts.disable_service_account(uow, robot.id)
    assert await may() is None
    async with unit_of_work(staff) as uow:
        await service_accounts.enable_service_account(uow, robot.id)
        await keys.revoke_key(uow, made.key.id)
    assert await may() is None
