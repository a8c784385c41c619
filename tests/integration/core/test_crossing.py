"""Work across tenants is counted by its reason, and what staff does is written down."""

from __future__ import annotations

import io
from typing import Any

import orjson
import pytest

from models.types import OrganizationKind, Role
from services.core import listing_sql, metrics
from services.core.actor import Actor, system
from services.core.crossing import Reason, crossing
from services.core.errors import Forbidden
from services.identity import organizations, queries
from tests.world import World


@pytest.fixture
async def staff(world: World) -> Actor:
    return world.actor(await world.organization(OrganizationKind.OPERATOR), Role.OPERATOR)


def crossings(written: io.StringIO) -> list[dict[str, Any]]:
    lines = [orjson.loads(line) for line in written.getvalue().splitlines()]
    return [line for line in lines if line["event"] == "staff_crossing"]


async def test_what_staff_reads_is_written_down_with_who_and_whose(
    world: World, staff: Actor, written: io.StringIO
) -> None:
    organization = await world.organization(name="Kept out of the log")

    async with crossing(Reason.STAFF, actor=staff, target=organization.id) as uow:
        await queries.staff_organization(uow, organization.id)
    async with crossing(Reason.STAFF, actor=staff) as uow:
        await listing_sql.select(uow, queries.ORGANIZATIONS)

    of_one, of_all = crossings(written)
    assert (of_one["reason"], of_one["actor_id"]) == ("staff", staff.id)
    assert of_one["organization_ids"] == [organization.id]
    assert of_all["organization_ids"] == []
    assert organization.name not in written.getvalue()


async def test_whose_rows_staff_changed_is_known_from_what_happened(
    world: World, staff: Actor, written: io.StringIO
) -> None:
    one, other = await world.organization(), await world.organization()

    async with crossing(Reason.STAFF, actor=staff) as uow:
        await organizations.suspend_organization(uow, one.id)
        await organizations.suspend_organization(uow, other.id)

    (line,) = crossings(written)
    assert line["organization_ids"] == sorted([one.id, other.id])


async def test_what_staff_was_refused_is_written_down_as_well(world: World, written: io.StringIO) -> None:
    operator, organization = await world.organization(OrganizationKind.OPERATOR), await world.organization()
    support = world.actor(operator, Role.SUPPORT)

    with pytest.raises(Forbidden):
        async with crossing(Reason.STAFF, actor=support, target=organization.id) as uow:
            await organizations.suspend_organization(uow, organization.id)

    (line,) = crossings(written)
    assert (line["actor_id"], line["organization_ids"]) == (support.id, [organization.id])


async def test_a_command_on_the_machine_is_nobody_s_look_into_others_data(
    world: World, written: io.StringIO
) -> None:
    async with crossing(Reason.STAFF, actor=system()) as uow:
        await listing_sql.select(uow, queries.ORGANIZATIONS)

    assert crossings(written) == []


async def test_staff_work_must_name_who_does_it(world: World) -> None:
    with pytest.raises(ValueError, match="name who"):
        async with crossing(Reason.STAFF):
            pass


@pytest.mark.parametrize("reason", Reason)
async def test_each_reason_is_counted_and_only_staff_is_written_down(
    world: World, staff: Actor, written: io.StringIO, reason: Reason
) -> None:
    counter = metrics.CROSSINGS.labels(reason=reason.value)
    before = counter._value.get()

    async with crossing(reason, actor=staff):
        pass

    assert counter._value.get() == before + 1
    assert len(crossings(written)) == (reason is Reason.STAFF)
