"""How far the demo has been made: each step notes itself in the event log, in its own transaction.

Whoever is killed half-way leaves whole steps behind, and the next run goes on after them with the same
moment as "today". Two runs at once do each step once between them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

from services.core.actor import Actor, system
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.work import UnitOfWork
from services.demo.events import DemoStepMade

AGGREGATE = "demo"
_LOCK = "select pg_advisory_xact_lock(hashtextextended(:step, 49))"
_DONE = "select payload from event where aggregate_id = 'demo' and type = 'demo.step_made' order by id"

Made = dict[str, str]


def _system(_: Made) -> Actor:
    return system()


@dataclass(frozen=True, slots=True)
class Step:
    """Done in one transaction, at one moment, by one actor. Both callables are told what earlier steps made."""

    name: str
    at: datetime
    act: Callable[[UnitOfWork, Made], Awaitable[Made]]
    actor: Callable[[Made], Actor] = _system


@dataclass(slots=True)
class Progress:
    """The steps done so far, and what they made."""

    on: Database
    steps: set[str] = field(default_factory=set[str])
    made: Made = field(default_factory=dict[str, str])

    async def read(self) -> None:
        async with crossing(Reason.DEMO, on=self.on) as uow:
            await self._read(uow)

    async def _read(self, uow: UnitOfWork) -> None:
        for payload in (await uow.execute(_DONE)).scalars():
            self.steps.add(payload["step"])
            self.made.update(payload["made"])

    async def once(self, step: Step) -> None:
        """Let `step` happen, unless it did before."""
        if step.name in self.steps:
            return
        actor = step.actor(self.made)
        async with crossing(Reason.DEMO, actor=actor, on=self.on, clock=FixedClock(step.at)) as uow:
            await uow.execute(_LOCK, step=step.name)
            await self._read(uow)
            if step.name in self.steps:
                return
            made = await step.act(uow, self.made)
            uow.record(DemoStepMade(aggregate_id=AGGREGATE, organization_id=None, step=step.name, made=made))
        self.steps.add(step.name)
        self.made.update(made)
