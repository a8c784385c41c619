"""Tasks survive whatever happens to those who do them: the row goes on, and what it leaves is there once."""

from __future__ import annotations

import asyncio
import csv
import io
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from models.identity import Account, Organization
from models.tasks import Task
from models.types import Role
from services.core import listing_sql
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.errors import Busy, Forbidden, Invalid, NotFound
from services.core.permissions import Capability
from services.core.work import unit_of_work
from services.files import service as files
from services.files.retention import sweep
from services.files.rules import HELD_BYTES_MIN, MB, PURPOSES, FilesFull, Kind
from services.files.s3 import StoreUnavailable
from services.files.service import Arrived
from services.files.stores import FilePlaces, FolderStore
from services.identity import keys
from services.tasks import queries, rules, running, service
from services.tasks.rules import State, TaskEnded, TaskNotOver
from services.tasks.work import Draft
from tests.world import World

KEYS = 7
STEP_KEYS = 2


class Killed(BaseException):
    """What `kill -9` looks like from inside: nothing after it is done."""


@dataclass
class FaultyStore(FolderStore):
    """`before` and `after` are called around each put."""

    folder: Path
    before: Callable[[], Any] = lambda: None
    after: Callable[[], Any] = lambda: None
    paused: asyncio.Event | None = None
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        super().__init__(self.folder)

    async def put(self, file_id: str, source: Path, *, sha256: bytes) -> None:
        self.reached.set()
        if self.paused is not None:
            await self.paused.wait()
        self.before()
        await super().put(file_id, source, sha256=sha256)
        self.after()


def kill() -> None:
    raise Killed


@dataclass
class Desk:
    """Somebody who asks for exports of keys, and workers on one or two machines."""

    world: World
    organization: Organization
    asker: Account
    folder: Path
    clock: FixedClock

    @property
    def actor(self) -> Any:
        return self.world.actor(self.organization, Role.ADMIN, self.asker)

    def places(self, store: FolderStore | None = None, *, machine: str = "incoming") -> FilePlaces:
        return FilePlaces(store or FolderStore(self.folder / "files"), self.folder / machine)

    async def ask(self, *filters: list[str], **options: Any) -> str:
        async with unit_of_work(self.actor, clock=self.clock) as uow:
            wanted = {"list": "keys", "filters": list(filters)}
            return (await service.ask(uow, "export", wanted, **options)).id

    async def cancel(self, task_id: str) -> Task:
        async with unit_of_work(self.actor, clock=self.clock) as uow:
            return await service.cancel(uow, task_id)

    async def retry(self, task_id: str) -> Task:
        async with unit_of_work(self.actor, clock=self.clock) as uow:
            return await service.retry(uow, task_id)

    async def seen(self, task_id: str) -> queries.TaskRow:
        async with unit_of_work(self.actor, clock=self.clock) as uow:
            return await queries.get_task(uow, task_id)

    async def work(self, where: FilePlaces | None = None) -> bool:
        return await running.run_next(where or self.places(), clock=self.clock)

    async def content(self, file_id: str | None) -> str:
        assert file_id is not None
        return b"".join([piece async for piece in self.places().store.read(file_id)]).decode("utf-8-sig")

    async def events(self, *types: str) -> int:
        async with crossing(Reason.INVARIANTS) as uow:
            found = await uow.execute(
                "select count(*) from event where type = any(:types)", types=list(types)
            )
            return found.scalar_one()

    def files(self) -> list[Path]:
        return [path for path in self.folder.rglob("*") if path.is_file() and "keys" not in path.parts]

    async def assert_exported(self, task_id: str) -> None:
        """Done once, with every key in it and nothing left over."""
        task = await self.seen(task_id)
        assert (task.state, task.error, task.done, task.total) == (State.DONE, "", KEYS, KEYS)
        rows = list(csv.DictReader(io.StringIO(await self.content(task.file_id))))
        assert [row["name"] for row in rows] == ["'=2+5", *(f"key {n}" for n in range(KEYS - 1, 0, -1))]
        assert await self.events("task.finished") == 1
        await sweep(self.places(), clock=self.clock)
        assert [path.name for path in self.files()] == [task.file_id]


@pytest.fixture
async def desk(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(listing_sql, "BATCH_ROWS", STEP_KEYS)
    organization = await world.organization()
    asker = await world.account(member_of=organization, role=Role.ADMIN)
    made = Desk(world, organization, asker, tmp_path / "store", FixedClock(datetime.now(UTC)))
    for number in range(KEYS):
        at = FixedClock(made.clock.at + timedelta(seconds=number))
        async with unit_of_work(made.actor, clock=at) as uow:
            await keys.create_key(uow, name=f"key {number + 1}" if number < KEYS - 1 else "=2+5")
    return made


async def test_an_export_holds_what_its_asker_may_see_and_is_for_those_who_may_see_it_too(desk: Desk) -> None:
    task_id = await desk.ask()
    assert await desk.work()
    assert not await desk.work()
    await desk.assert_exported(task_id)
    async with crossing(Reason.INVARIANTS) as uow:
        needs = (await uow.execute("select needs from stored_file")).scalar_one()
    assert needs == [Capability.KEYS_READ]


DEATHS = ["append 1", "append 3", "append 5", "before the store", "after the store"]


@pytest.mark.parametrize("goes_on", ["here", "on another machine"])
@pytest.mark.parametrize("death", DEATHS)
async def test_whoever_is_killed_is_followed_by_somebody_who_goes_on(
    death: str, goes_on: str, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = await desk.ask()
    await _die(desk, death, monkeypatch)
    assert (await desk.seen(task_id)).state == State.RUNNING
    assert not await desk.work()  # whoever held it may still be alive
    desk.clock.at += rules.LEASE

    next_machine = desk.places(machine="incoming" if goes_on == "here" else "elsewhere")
    while await desk.work(next_machine):
        desk.clock.at += timedelta(minutes=1)
    desk.clock.at += timedelta(days=2)
    for path in desk.files():  # what the dead machine kept is swept there once it is old
        if path.parent.name == "incoming":
            os.utime(path, (0, 0))
    task = await desk.seen(task_id)
    assert (task.state, task.done) == (State.DONE, KEYS)
    await desk.assert_exported(task_id)


async def _die(desk: Desk, death: str, monkeypatch: pytest.MonkeyPatch, *, machine: str = "incoming") -> None:
    """Work as far as `death`, which writes half of what it was about to write."""
    store = FaultyStore(desk.folder / "files")
    if death == "before the store":
        store.before = kill
    elif death == "after the store":
        store.after = kill
    else:
        left = int(death.split()[1])
        whole = Draft.append

        async def append(self: Draft, text: str) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                await whole(self, text[: len(text) // 2])
                raise Killed
            await whole(self, text)

        monkeypatch.setattr(Draft, "append", append)
    with pytest.raises(Killed):
        await desk.work(desk.places(store, machine=machine))
    monkeypatch.setattr(listing_sql, "BATCH_ROWS", STEP_KEYS)
    if death.startswith("append"):
        monkeypatch.setattr(Draft, "append", whole)


async def test_what_a_machine_wrote_before_another_began_anew_is_not_gone_on_with(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = await desk.ask()
    await _die(desk, "append 4", monkeypatch)
    async with unit_of_work(desk.actor, clock=FixedClock(desk.clock.at + timedelta(minutes=1))) as uow:
        await keys.create_key(uow, name="later")
    desk.clock.at += rules.LEASE
    await _die(desk, "append 3", monkeypatch, machine="elsewhere")  # shorter than what the first one left
    desk.clock.at += rules.LEASE
    assert await desk.work()

    task = await desk.seen(task_id)
    rows = list(csv.DictReader(io.StringIO(await desk.content(task.file_id))))
    assert [row["name"] for row in rows] == ["later", "'=2+5", *(f"key {n}" for n in range(KEYS - 1, 0, -1))]
    for path in desk.files():
        os.utime(path, (0, 0))
    await sweep(desk.places(machine="elsewhere"), clock=desk.clock)
    await sweep(desk.places(), clock=desk.clock)
    assert [path.name for path in desk.files()] == [task.file_id]


async def test_a_row_that_changes_while_its_list_is_written_is_in_the_file_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its name it would move to where has been read already, or once more to where has not."""
    task_id = await desk.ask(["sort", "name"])
    await _die(desk, "append 4", monkeypatch)
    async with crossing(Reason.DEMO) as uow:
        await uow.execute("update api_key set name = '<' where name = 'key 6'")
        await uow.execute("update api_key set name = 'last' where name = '=2+5'")
    desk.clock.at += rules.LEASE
    assert await desk.work()
    rows = list(csv.DictReader(io.StringIO(await desk.content((await desk.seen(task_id)).file_id))))
    assert len({row["id"] for row in rows}) == len(rows) == KEYS


async def test_who_was_overtaken_changes_nothing_any_more(desk: Desk) -> None:
    task_id = await desk.ask()
    slow = FaultyStore(desk.folder / "files", paused=asyncio.Event())
    first = asyncio.create_task(desk.work(desk.places(slow)))
    await slow.reached.wait()
    desk.clock.at += rules.LEASE
    assert await desk.work()
    assert slow.paused is not None
    slow.paused.set()
    await first

    await desk.assert_exported(task_id)


async def test_a_worker_that_is_asked_to_end_gives_its_task_back(desk: Desk) -> None:
    task_id = await desk.ask()
    slow = FaultyStore(desk.folder / "files", paused=asyncio.Event())
    first = asyncio.create_task(desk.work(desk.places(slow)))
    await slow.reached.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert (await desk.seen(task_id)).state == State.WAITING
    assert await desk.work()  # without waiting for a lease to end
    await desk.assert_exported(task_id)


async def test_two_workers_never_have_one_task(desk: Desk) -> None:
    ids = [await desk.ask() for _ in range(4)]
    await asyncio.gather(*(desk.work() for _ in range(6)))
    assert [(await desk.seen(task_id)).state for task_id in ids] == [State.DONE] * 4
    assert await desk.events("task.finished") == 4


async def test_whoever_has_nothing_running_goes_first(desk: Desk, world: World) -> None:
    first, second = await desk.ask(), await desk.ask()
    slow = FaultyStore(desk.folder / "files", paused=asyncio.Event())
    worker = asyncio.create_task(desk.work(desk.places(slow)))
    await slow.reached.wait()
    desk.clock.at += timedelta(seconds=1)
    elsewhere = await world.organization()
    asker = await world.account(member_of=elsewhere, role=Role.ADMIN)
    other = Desk(world, elsewhere, asker, desk.folder, desk.clock)
    third = await other.ask()

    assert await desk.work()
    assert (await other.seen(third)).state == State.DONE
    waits = {(await desk.seen(task_id)).state for task_id in (first, second)}
    assert waits == {State.RUNNING, State.WAITING}
    assert slow.paused is not None
    slow.paused.set()
    await worker
    assert await desk.work()
    assert not await desk.work()


async def test_a_task_ends_when_it_is_asked_to_and_leaves_nothing(desk: Desk) -> None:
    waiting = await desk.ask()
    assert (await desk.cancel(waiting)).state == State.CANCELLED
    assert not await desk.work()

    await desk.retry(waiting)
    await desk.cancel(waiting)

    running_id = await desk.ask()
    slow = FaultyStore(desk.folder / "files", paused=asyncio.Event())
    worker = asyncio.create_task(desk.work(desk.places(slow)))
    await slow.reached.wait()
    assert (await desk.cancel(running_id)).state == State.RUNNING
    assert (await desk.cancel(running_id)).state == State.RUNNING
    assert (await desk.seen(running_id)).cancelling
    assert slow.paused is not None
    slow.paused.set()
    await worker

    task = await desk.seen(running_id)
    assert (task.state, task.file_id, task.cancelling) == (State.CANCELLED, None, False)
    assert await sweep(desk.places(), clock=desk.clock) == 1
    assert desk.files() == []
    with pytest.raises(TaskEnded):
        await desk.cancel(running_id)
    assert await desk.events("task.cancelled", "task.finished") == 3
    assert await desk.events("task.cancel_asked") == 1


async def test_what_was_given_up_while_it_went_to_the_store_is_not_left_there(desk: Desk) -> None:
    task_id = await desk.ask()
    slow = FaultyStore(desk.folder / "files", paused=asyncio.Event())
    worker = asyncio.create_task(desk.work(desk.places(slow)))
    await slow.reached.wait()
    desk.clock.at += timedelta(days=2)
    assert await sweep(desk.places(machine="elsewhere"), clock=desk.clock) == 1
    assert slow.paused is not None
    slow.paused.set()
    await worker
    assert (await desk.seen(task_id)).file_id is None
    assert desk.files() == []


async def test_rows_that_take_long_to_count_are_written_out_uncounted(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that somebody looks at is stopped soon; a file may take its time, and is ended without waiting for it."""
    monkeypatch.setattr(listing_sql, "READ_S_MAX", 0.1)
    task_id = await desk.ask(["status", "active"])
    async with crossing(Reason.DEMO) as held:
        await held.execute("lock table api_key in access exclusive mode")
        worker = asyncio.create_task(desk.work())
        while "at" not in (row := await _row(task_id)).checkpoint:
            assert not worker.done(), await worker
        assert row.total is None
    assert await worker
    await desk.assert_exported(task_id)


async def _row(task_id: str) -> Any:
    async with crossing(Reason.INVARIANTS) as uow:
        return (
            await uow.execute("select done, total, checkpoint from task where id = :id", id=task_id)
        ).one()


@pytest.mark.parametrize("limit", ["of a file", "of the organisation"])
async def test_an_export_that_becomes_too_large_fails_for_good_and_leaves_nothing(
    limit: str, desk: Desk, room_of_1_mb: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = await desk.ask()
    if limit == "of a file":
        monkeypatch.setitem(PURPOSES, "export", replace(PURPOSES["export"], bytes_max=300))
    else:
        whole = Arrived(desk.folder / "whole", "a.csv", Kind.CSV, MB, bytes(32))
        async with unit_of_work(desk.actor, clock=desk.clock) as uow:
            await files.announce(uow, whole, purpose="import")
    assert await desk.work()
    task = await desk.seen(task_id)
    assert task.state == State.FAILED
    assert ("filters" if limit == "of a file" else "Delete files") in task.error
    assert desk.files() == []


async def test_what_an_export_has_written_so_far_takes_room_of_its_organisation(
    desk: Desk, world: World, room_of_1_mb: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = await desk.ask()
    await _die(desk, "append 3", monkeypatch)

    async def announce(size_bytes: int, actor: Any) -> None:
        upload = Arrived(desk.folder / "upload", "a.csv", Kind.CSV, size_bytes, bytes(32))
        async with unit_of_work(actor, clock=desk.clock) as uow:
            await files.announce(uow, upload, purpose="import")

    left = MB - HELD_BYTES_MIN
    with pytest.raises(FilesFull) as refused:
        await announce(left + 1, desk.actor)
    assert refused.value.details["held_bytes"] == HELD_BYTES_MIN
    await announce(MB, world.actor(await world.organization()))  # it is nobody else's room
    await announce(left, desk.actor)

    desk.clock.at += rules.LEASE
    assert await desk.work()  # and it is counted once: the draft that becomes the file is no second one
    await desk.assert_exported(task_id)


@pytest.mark.parametrize("error", [StoreUnavailable("is busy"), Busy("Two are busy.")])
async def test_what_passes_is_waited_for(error: Exception, desk: Desk) -> None:
    task_id = await desk.ask()

    def away() -> None:
        raise error

    await desk.work(desk.places(FaultyStore(desk.folder / "files", before=away)))
    task = await desk.seen(task_id)
    assert task.state == State.WAITING
    assert "busy" in task.error
    assert not await desk.work()
    desk.clock.at += rules.BACKOFF
    assert await desk.work()
    await desk.assert_exported(task_id)


async def test_rights_count_when_the_work_is_done_and_a_failed_task_is_tried_again(desk: Desk) -> None:
    task_id = await desk.ask()
    await _role(desk, "viewer")
    await desk.work()
    task = await desk.seen(task_id)
    assert task.state == State.FAILED
    assert "keys.read" in task.error
    assert desk.files() == []

    await _role(desk, "admin")
    await desk.retry(task_id)
    with pytest.raises(TaskNotOver):
        await desk.retry(task_id)
    await desk.work()
    await desk.assert_exported(task_id)


async def _role(desk: Desk, role: str) -> None:
    async with crossing(Reason.DEMO) as uow:
        await uow.execute("update membership set role = :role", role=role)


async def test_asked_twice_is_one_task_until_it_has_ended(desk: Desk) -> None:
    ended = await desk.ask()
    await desk.cancel(ended)
    first = await desk.ask(dedupe_key="keys")
    assert await desk.ask(dedupe_key="keys") == first
    await desk.work()
    assert await desk.ask(dedupe_key="keys") != first
    for _ in range(service.UNDER_WAY_MAX - 1):
        await desk.ask()
    with pytest.raises(service.TooManyTasks):
        await desk.ask()
    with pytest.raises(service.TooManyTasks):
        await desk.retry(ended)


async def test_nobody_asks_for_what_they_may_not_see_or_sees_what_others_asked(
    desk: Desk, world: World
) -> None:
    task_id = await desk.ask()
    for wanted in (
        {"list": "secrets"},
        {"list": "keys", "filters": [["color", "red"]]},
        {"list": "keys", "filters": [["status", "purple"]]},
    ):
        async with unit_of_work(desk.actor) as uow:
            with pytest.raises(Invalid):
                await service.ask(uow, "export", wanted)
    for role in (Role.VIEWER, Role.SUPPORT):
        async with unit_of_work(world.actor(desk.organization, role)) as uow:
            with pytest.raises(Forbidden):
                await service.ask(uow, "export", {"list": "keys"})
    colleague = await world.account(member_of=desk.organization, role=Role.DEVELOPER)
    async with unit_of_work(world.actor(desk.organization, Role.DEVELOPER, colleague)) as uow:
        assert [task.id for task in await queries.list_tasks(uow)] == [task_id]
        for attempt in (service.cancel, service.retry):
            with pytest.raises(Forbidden):
                await attempt(uow, task_id)
    stranger = world.actor(await world.organization())
    async with unit_of_work(stranger) as uow:
        assert await queries.list_tasks(uow) == []
        for attempt in (queries.get_task, service.cancel, service.retry):
            with pytest.raises(NotFound):
                await attempt(uow, task_id)
