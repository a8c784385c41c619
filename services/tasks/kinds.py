"""The kinds of tasks there are: what each is called, how its parameters are read, and what it does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from services.core.actor import Actor
from services.plan_migrations import migrating as plan_migrating
from services.tasks import exports
from services.tasks.work import Made, Work


@dataclass(frozen=True, slots=True)
class Kind:
    """`admit` reads what somebody asks for and says whether that actor may; raises Invalid and Forbidden.

    `run` does it in steps and may be cut off between any two: see Work. `title` names what it is about.
    """

    name: str
    admit: Callable[[Actor, dict[str, Any]], dict[str, Any]]
    run: Callable[[Work], Awaitable[Made]]
    title: Callable[[dict[str, Any]], str]


EXPORT = Kind("export", exports.admit, exports.run, exports.title)
PLAN_MIGRATION = Kind("plan_migration", plan_migrating.admit, plan_migrating.run, plan_migrating.title)
KINDS: dict[str, Kind] = {kind.name: kind for kind in (EXPORT, PLAN_MIGRATION)}
