"""Exports from a list's page, and the page on which they are followed."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

import pytest

from models.types import Role
from services.core.clock import SystemClock
from services.core.crossing import Reason, crossing
from services.core.work import unit_of_work
from services.files.stores import FilePlaces, FolderStore
from services.identity import keys
from services.tasks import queries, running
from state.portal import tasks as module
from state.portal.tasks import EXPORT_ADDRESS_CHARACTERS_MAX, ExportState, TasksState
from tests.integration.state.visitor import said, sign_in
from tests.world import World


async def test_what_a_page_shows_becomes_a_file(world: World, tmp_path: Path) -> None:
    organization = await world.organization()
    async with unit_of_work(world.actor(organization)) as uow:
        for name in ("laptop", "server"):
            await keys.create_key(uow, name=name)
    visitor, _ = await sign_in(world, organization, Role.DEVELOPER)
    visitor.at = "/portal/keys"
    for _ in range(2):
        asked = ("keys", "/api/v1/keys?format=csv&name=laptop&color=red")
        assert "/portal/tasks" in said((await visitor.call(ExportState, "ask", *asked))[1])

    visitor.at = "/portal/tasks"
    tasks, _ = await visitor.call(TasksState, "load")
    assert [(row["title"], row["state"]) for row in tasks.rows] == [("keys", "waiting")]
    places = FilePlaces(FolderStore(tmp_path / "files"), tmp_path / "incoming")
    assert await running.run_next(places, clock=SystemClock())
    tasks, _ = await visitor.call(TasksState, "load")
    shown = tasks.rows[0]
    assert (shown["state"], shown["done"], shown["total"]) == ("done", 1, 1)
    _, answer = await visitor.call(TasksState, "download", shown["file_id"])
    assert f"/api/v1/files/{shown['file_id']}/content?expires=" in said(answer)
    _, answer = await visitor.call(TasksState, "cancel", shown["id"])
    assert "done already" in said(answer)

    async with unit_of_work(world.actor(organization)) as uow:
        live = (await queries.latest(uow))["rows"]
    assert [row.id for row in live] == [shown["id"]]  # live equals reload


async def test_a_list_is_exported_as_its_page_asks_or_not_at_all(world: World) -> None:
    """Filters that are cut off would let through more than was on screen."""
    visitor, _ = await sign_in(world, await world.organization(), Role.DEVELOPER)
    names = ",".join(f"{'n' * 60}{number:04}" for number in range(100))
    conditions = [("name[in]", names), ("sort", "name")]
    visitor.at = "/portal/keys"
    _, answer = await visitor.call(ExportState, "ask", "keys", f"/api/v1/keys?{urlencode(conditions)}")
    assert "/portal/tasks" in said(answer)
    async with crossing(Reason.INVARIANTS) as uow:
        kept = (await uow.execute("select parameters, dedupe_key from task")).one()
    assert kept.parameters["filters"] == [list(pair) for pair in conditions]
    assert len(kept.dedupe_key) == 64

    too_long = urlencode([("name", "x" * EXPORT_ADDRESS_CHARACTERS_MAX)])
    _, answer = await visitor.call(ExportState, "ask", "keys", f"/api/v1/keys?{too_long}")
    assert "too long" in said(answer)


async def test_tasks_come_in_pages(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROWS_PER_PAGE", 2)
    visitor, _ = await sign_in(world, await world.organization())
    for name in ("a", "b", "c"):
        await visitor.call(ExportState, "ask", "keys", f"/api/v1/keys?name={name}")
    visitor.at = "/portal/tasks"
    state, _ = await visitor.call(TasksState, "load")
    seen = [row["id"] for row in state.rows]
    visitor.at = f"/portal/tasks?{urlencode({'after': state.next_cursor})}"
    state, _ = await visitor.call(TasksState, "load")
    seen += [row["id"] for row in state.rows]
    assert (len(seen), len(set(seen)), state.is_first, state.next_cursor) == (3, 3, False, "")
    visitor.at = "/portal/tasks?after=nonsense"
    state, _ = await visitor.call(TasksState, "load")
    assert len(state.rows) == 2
