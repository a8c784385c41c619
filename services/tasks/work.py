"""What the coroutine of a kind works with: steps, each one unit of work, and a place for the file it makes.

What has been done is on the row, not in the coroutine. Whoever goes on after a crash is handed the checkpoint of the
last step that was committed, and a file as long as it was then.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.core.actor import Actor
from services.core.clock import Clock
from services.core.database import Database
from services.core.ids import new_secret
from services.core.permissions import Capability
from services.core.wakeups import TASKS_CHANGED
from services.core.work import UnitOfWork, unit_of_work
from services.files import service as files
from services.files.rules import PIECE_BYTES, PURPOSES, FileTooLarge, Kind, shown_name
from services.files.service import Arrived
from services.files.stores import FilePlaces
from services.tasks import rules
from services.tasks.policies import held_task, life_of, live


class CancelAsked(Exception):
    """Somebody wants the task to end; raised where the next step would begin."""


@dataclass(frozen=True, slots=True)
class Made:
    """What a task leaves. `result` is shown to all who may see the task; who reads the file needs `needs` too."""

    result: dict[str, Any]
    file: Arrived | None = None
    purpose: str = "export"
    needs: tuple[Capability, ...] = ()


@dataclass(slots=True)
class Work:
    """One taking of a task. `actor` is who asked for it, with the rights of now."""

    task_id: str
    kind: str
    holder: str
    actor: Actor
    parameters: dict[str, Any]
    places: FilePlaces
    on: Database
    clock: Clock
    checkpoint: dict[str, Any] = field(default_factory=dict[str, Any])
    done: int = 0
    total: int | None = None
    caused_by: str = ""  # the trace of whoever asked for it, or for it again

    @asynccontextmanager
    async def step(self) -> AsyncGenerator[UnitOfWork]:
        """One bounded piece of the work; what is set on this object inside is committed with it.

        Raises CancelAsked or Overtaken before anything is done.
        """
        async with unit_of_work(self.actor, on=self.on, clock=self.clock) as uow:
            task = await held_task(uow, self.task_id, self.holder)
            if task.cancel_asked_at is not None:
                raise CancelAsked
            yield uow
            live(task, rules.stepped(life_of(task), self.holder, self.clock.now()))
            task.done, task.total, task.checkpoint = self.done, self.total, dict(self.checkpoint)
            organization_id = uow.organization_id
            uow.after_commit(lambda: self.on.wakeups.poke(TASKS_CHANGED, organization_id))

    def unit_of_work(self) -> AbstractAsyncContextManager[UnitOfWork]:
        """Work in the asker's name beside the steps, such as reading what a step then writes down. It does not hold the
        task, so it may take long: the lease is renewed meanwhile, and whoever asks the task to end need not wait."""
        return unit_of_work(self.actor, on=self.on, clock=self.clock)

    def draft(self) -> Draft:
        """The file that the task makes, as far as the last step got with it. Checkpoints keep its `kept`."""
        return Draft(
            self.places.incoming,
            self.task_id,
            name=str(self.checkpoint.get("draft", "")),
            written_bytes=int(self.checkpoint.get("bytes", 0)),
        )

    async def write(self, uow: UnitOfWork, draft: Draft, text: str) -> None:
        """Append to the draft in a step. Raises FilesFull where the organisation has no room for it, FileTooLarge for
        more than an export may have."""
        await files.require_room(uow, draft.bytes + len(text.encode()), draft_of=self.task_id)
        await draft.append(text)


def remove_draft(places: FilePlaces, task_id: str, checkpoint: dict[str, Any]) -> None:
    """Remove what lies on this machine of the draft that `checkpoint` names: nobody goes on with it."""
    name = checkpoint.get("draft")
    if name:
        (places.incoming / f"{task_id}.{name}").unlink(missing_ok=True)


class Draft:
    """A file that grows step by step on this machine.

    Each beginning has a name of its own. So what lies there under the name of the last committed step is what was
    written up to it, and never what another began before: that may well be longer, and holds other rows.

    `is_lost` where there is no such file, or less of it than was said, because another machine began it or a disk lost
    it; then the task starts over. What a step wrote that was not committed is cut off.
    """

    def __init__(self, incoming: Path, task_id: str, *, name: str = "", written_bytes: int = 0) -> None:
        incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._incoming, self._task_id = incoming, task_id
        self.name, self.bytes = name, written_bytes
        self.is_lost = not name or not self.path.exists() or self.path.stat().st_size < written_bytes
        if not self.is_lost:
            os.truncate(self.path, written_bytes)

    @property
    def path(self) -> Path:
        return self._incoming / f"{self._task_id}.{self.name}"

    @property
    def kept(self) -> dict[str, Any]:
        """What the checkpoint says of it."""
        return {"draft": self.name, "bytes": self.bytes}

    def start_over(self) -> None:
        """Begin an empty one. What was lost of the last one is left to the sweep: it is not sure whose it is."""
        self.name, self.bytes, self.is_lost = new_secret(12), 0, False
        self.path.touch(mode=0o600, exist_ok=False)

    async def append(self, text: str) -> None:
        """Durable once this returns, so that the step which is committed next can count on it.

        Raises FileTooLarge for more than an export may have.
        """
        content = text.encode()
        if self.bytes + len(content) > PURPOSES["export"].bytes_max:
            raise FileTooLarge(PURPOSES["export"])
        await asyncio.to_thread(_append, self.path, content)
        self.bytes += len(content)

    async def arrived(self, *, name: str, kind: Kind) -> Arrived:
        """The whole of it, ready for the store."""
        sha256 = await asyncio.to_thread(_sha256, self.path)
        return Arrived(self.path, shown_name(name, kind), kind, self.bytes, sha256)


def _append(path: Path, content: bytes) -> None:
    with path.open("ab") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sha256(path: Path) -> bytes:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            digest.update(piece)
    return digest.digest()
