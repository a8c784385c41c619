"""Two who name or archive at the same time wait for each other: one of them is refused in words, nobody fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from services.core.errors import Conflict, MatrixError
from services.core.work import UnitOfWork, unit_of_work
from services.identity import keys, projects, service_accounts
from tests.world import World

Verb = Callable[[UnitOfWork], Awaitable[object]]


async def test_one_of_two_gets_the_name(world: World) -> None:
    actor = world.actor(await world.organization())

    async def outcome(verb: Verb) -> str:
        try:
            async with unit_of_work(actor) as uow:
                await verb(uow)
        except Conflict as refused:
            return refused.error_code
        return "renamed"

    async with unit_of_work(actor) as uow:
        parts = [(await projects.create_project(uow, name=f"p{n}")).id for n in range(2)]
        robots = [
            (await service_accounts.create_service_account(uow, name=f"r{n}", role="developer")).id
            for n in range(2)
        ]

    def rename_part(part: str) -> Verb:
        return lambda uow: projects.update_project(uow, part, name="Search")

    def rename_robot(robot: str) -> Verb:
        return lambda uow: service_accounts.update_service_account(uow, robot, name="Robot")

    verbs = [[*map(rename_part, parts)], [*map(rename_robot, robots)]]
    for both in verbs:
        assert sorted(await asyncio.gather(*map(outcome, both))) == ["name_taken", "renamed"]


async def test_keys_and_their_project_change_at_once_without_blocking_each_other(world: World) -> None:
    actor = world.actor(await world.organization())

    async def outcome(verb: Verb) -> str:
        try:
            async with unit_of_work(actor) as uow:
                await verb(uow)
        except MatrixError as refused:
            return refused.error_code
        return "done"

    def changes(project_id: str, key_id: str) -> list[Verb]:
        return [
            lambda uow: keys.create_key(uow, name="other", project_id=project_id),
            lambda uow: projects.update_project(uow, project_id, name=f"Not {project_id}"),
            lambda uow: keys.rotate_key(uow, key_id),
            lambda uow: projects.archive_project(uow, project_id, end_keys=True),
        ]

    for number in range(5):
        async with unit_of_work(actor) as uow:
            project = await projects.create_project(uow, name=f"p{number}")
            key = (await keys.create_key(uow, name="k", project_id=project.id)).key
        outcomes = set(await asyncio.gather(*map(outcome, changes(project.id, key.id))))
        assert outcomes <= {"done", "project_archived", "key_has_ended"}
