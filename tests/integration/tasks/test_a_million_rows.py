"""A list of a million rows is written out whole, and in no more memory than a short one."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from models.types import Role
from services.core.clock import SystemClock
from services.core.crossing import Reason, crossing
from services.core.work import unit_of_work
from services.files.rules import MB
from services.files.stores import FilePlaces, FolderStore
from services.tasks import queries, running, service
from services.tasks.rules import State
from tests.bench.table import REQUESTS_SQL
from tests.world import World

ROWS = 1_000_000
MORE_MB_MAX = 200


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1_024


@pytest.mark.deep
@pytest.mark.timeout(1_800)
async def test_a_million_rows_are_written_out_in_little_memory(world: World, tmp_path: Path) -> None:
    organization = await world.organization()
    asker = await world.account(member_of=organization, role=Role.ADMIN)
    async with crossing(Reason.DEMO) as uow:
        await uow.execute(REQUESTS_SQL, organization_id=organization.id, rows=ROWS)
    places = FilePlaces(FolderStore(tmp_path / "files"), tmp_path / "incoming")
    async with unit_of_work(world.actor(organization, Role.ADMIN, asker)) as uow:
        task_id = (await service.ask(uow, "export", {"list": "requests", "filters": []})).id
    before = peak_bytes()

    assert await running.run_next(places, clock=SystemClock())

    async with unit_of_work(world.actor(organization, Role.ADMIN, asker)) as uow:
        task = await queries.get_task(uow, task_id)
    assert (task.state, task.done) == (State.DONE, ROWS)
    assert peak_bytes() - before < MORE_MB_MAX * MB
    assert task.file_id is not None
    lines = 0
    async for piece in places.store.read(task.file_id):
        lines += piece.count(b"\n")
    assert lines == ROWS + 1
