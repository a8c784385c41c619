"""The unit of work: one transaction, one actor, one moment.

A door opens it, services work in it, and nobody else commits. Rows and events are written together;
what must happen outside the database happens after commit, from events.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import CursorResult
from sqlalchemy.exc import DBAPIError, InterfaceError, NotSupportedError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from services.core import clock as clocks
from services.core import events, tracing
from services.core.actor import Actor
from services.core.database import APPLICATION_ROLE, CROSSING_ROLE, Database, Rehearsal, database
from services.core.errors import Busy, MatrixError, Unavailable
from services.core.events import DomainEvent
from services.core.wakeups import EVENTS_COMMITTED

_Row = TypeVar("_Row", bound=SQLModel)

_SCOPE = sa.text("select set_config('matrix.scope', :scope, true)")
_LIMIT_STATEMENTS = sa.text("select set_config('statement_timeout', :to, true)")
_CROSS = sa.text(f"set local role {CROSSING_ROLE}")
_STAY = sa.text(f"set local role {APPLICATION_ROLE}")
_WAIT_BRIEFLY = sa.text("select set_config('lock_timeout', :to, true)")
_CLOCK = sa.text(
    "select c.now_at, c.follows_wall, c.target_at from organization o join test_clock c on c.id = o.test_clock_id"
    " where o.id = :id"
)

# Reading a statement for its parameters takes longer than sending it, and there are a few hundred of them.
_text = lru_cache(maxsize=1_024)(sa.text)

# SQLSTATEs with a meaning of their own. Other operational errors, a shutdown (57P01) or a start (57P03) among
# them, mean that the database cannot be reached.
STOPPED = "57014"  # it took longer than its statement_timeout
READ_ONLY = "25006"  # a standby, a server that was demoted, or a database kept from changes on purpose
TWO_CHANGES_MET = frozenset({"40001", "40P01", "55P03"})  # serialization, deadlock, lock timeout
# A migration gave a table a column, and a connection had its rows planned without it. It plans anew after a rollback.
PLANNED_BEFORE = "cached plan must not change result type"


class UnitOfWork:
    """What a service verb may use. Made by `unit_of_work` and `crossing` only."""

    def __init__(
        self,
        session: AsyncSession,
        actor: Actor,
        wall_now: datetime,
        now: datetime,
        *,
        clock: clocks.ShownClock | None = None,
        crosses: bool = False,
    ) -> None:
        self.session = session
        self.actor = actor
        self.wall_now = wall_now  # sessions, signatures, limits, audit
        self.now = now  # business time: the organisation's clock
        self.clock = clock  # the organisation's test clock, if it has one, as `now` was read from it
        self.crosses = crosses  # sees every tenant, whoever the actor works for
        self.recorded: list[DomainEvent] = []
        self.callbacks: list[Callable[[], None]] = []
        self.owned: set[str] = set()  # aggregates whose rows this work made or has locked
        self.read: list[
            SQLModel
        ] = []  # rows that are read again and again, held so that the session knows them
        self.undoes = False  # what is done now is looked at and undone
        self._connection: AsyncConnection | None = None  # of the one transaction

    @property
    def organization_id(self) -> str:
        """The tenant this work is bound to. Raises RuntimeError in work that crosses tenants."""
        if self.actor.organization_id is None:
            raise RuntimeError("This unit of work is bound to no organisation.")
        return self.actor.organization_id

    def record(self, event: DomainEvent) -> None:
        """Have `event` written, in order, with this transaction."""
        self.recorded.append(event)

    def after_commit(self, call: Callable[[], None]) -> None:
        """Run `call` once the transaction is durable. For wake-ups and caches only: a crash may skip it."""
        self.callbacks.append(call)

    def add(self, row: SQLModel) -> None:
        self.session.add(row)

    async def connection(self) -> AsyncConnection:
        return await self.session.connection()

    async def execute(
        self,
        statement: str | sa.Executable,
        parameters: dict[str, Any] | Sequence[dict[str, Any]] | None = None,
        **named: Any,
    ) -> CursorResult[Any]:
        """Run SQL text or a statement, after what the session still holds has been flushed."""
        # To ask the session only where there is something for it saves a third of the time of a statement.
        session = self.session
        if session.new or session.dirty or session.deleted:
            await session.flush()
        if self._connection is None:
            self._connection = await session.connection()
        executable = _text(statement) if isinstance(statement, str) else statement
        return await self._connection.execute(executable, parameters if parameters is not None else named)

    async def get(self, kind: type[_Row], identifier: Any, *, lock: bool = False) -> _Row | None:
        """A row by primary key as this role may see it. Services reach rows through policies instead."""
        return await self.session.get(kind, identifier, with_for_update=lock or None, populate_existing=lock)


Work = Callable[[], AbstractAsyncContextManager[UnitOfWork]]  # opens one, for whoever needs several


@asynccontextmanager
async def statements_within(
    uow: UnitOfWork, seconds: float, *, otherwise: MatrixError
) -> AsyncGenerator[None, None]:
    """Let each statement in the block take at most `seconds`. One that needs longer is stopped, `otherwise` is
    raised, and the unit of work is at its end. For reads whose size a caller chooses."""
    before = (await uow.execute("select current_setting('statement_timeout')")).scalar_one()
    await uow.execute(_LIMIT_STATEMENTS, to=f"{seconds * 1_000:.0f}ms")
    try:
        yield
    except OperationalError as error:
        if _state(error) != STOPPED:
            raise
        raise otherwise from error
    await uow.execute(_LIMIT_STATEMENTS, to=before)


@asynccontextmanager
async def undone(uow: UnitOfWork) -> AsyncGenerator[Callable[[], Sequence[DomainEvent]], None]:
    """Undo all that the block does, however it ends: rows, events and locks. For seeing what an act comes to. Yields
    what tells the events so far."""
    events, callbacks, undoes = len(uow.recorded), len(uow.callbacks), uow.undoes
    await uow.session.flush()
    nested = await uow.session.begin_nested()
    uow.undoes = True
    try:
        yield lambda: uow.recorded[events:]
    finally:
        uow.undoes = undoes
        await nested.rollback()
        del uow.recorded[events:]
        del uow.callbacks[callbacks:]


@asynccontextmanager
async def rehearsed(
    uow: UnitOfWork, *, lock_wait_s: float
) -> AsyncGenerator[tuple[Database, Sequence[DomainEvent]], None]:
    """A database whose units of work, one after the other, do what they do within `uow`, and undo all of it, however
    the block ends. For seeing what a long process comes to. Yields with it what they have told so far.

    What waits for others longer than `lock_wait_s` is refused as Busy: nobody is to wait for a rehearsal that waits.
    """
    await uow.session.flush()
    connection = await uow.connection()
    nested = await connection.begin_nested()
    rehearsal = Rehearsal(connection)
    try:
        await connection.execute(_WAIT_BRIEFLY, {"to": f"{lock_wait_s * 1_000:.0f}ms"})
        yield replace(database(), rehearsal=rehearsal), rehearsal.recorded
    finally:
        await nested.rollback()


@asynccontextmanager
async def unit_of_work(
    actor: Actor, *, on: Database | None = None, clock: clocks.Clock | None = None
) -> AsyncGenerator[UnitOfWork, None]:
    """Work within the actor's organisation. Raises Unavailable when the database cannot be reached."""
    async with _transaction(actor, on or database(), clock or clocks.SystemClock(), crossing=False) as uow:
        yield uow


@asynccontextmanager
async def crossing_work(
    actor: Actor, *, on: Database | None = None, clock: clocks.Clock | None = None
) -> AsyncGenerator[UnitOfWork, None]:
    """Work across tenants. Only services/core/crossing.py calls this: it names and counts each reason."""
    async with _transaction(actor, on or database(), clock or clocks.SystemClock(), crossing=True) as uow:
        yield uow


@asynccontextmanager
async def _transaction(
    actor: Actor, on: Database, clock: clocks.Clock, *, crossing: bool
) -> AsyncGenerator[UnitOfWork, None]:
    with tracing.span("unit_of_work", crossing=crossing), _OurErrors():
        async with _session(on) as session:
            uow = await _begin(session, actor, clock.now(), crossing=crossing)
            uow.undoes = on.rehearsal is not None
            yield uow
            await _finish(uow)
    if on.rehearsal is not None:
        on.rehearsal.recorded += uow.recorded
        return
    if uow.recorded:
        on.wakeups.poke(EVENTS_COMMITTED)
    for call in uow.callbacks:
        call()


def _session(on: Database) -> AsyncSession:
    """In a rehearsal what it commits becomes part of the transaction that is undone."""
    if on.rehearsal is None:
        return AsyncSession(on.engine, expire_on_commit=False, autoflush=True)
    return AsyncSession(
        on.rehearsal.connection,
        expire_on_commit=False,
        autoflush=True,
        join_transaction_mode="create_savepoint",
    )


async def _begin(session: AsyncSession, actor: Actor, wall_now: datetime, *, crossing: bool) -> UnitOfWork:
    connection = await session.connection()
    if crossing:
        await connection.execute(_CROSS)
    else:
        if connection.in_nested_transaction():  # of a rehearsal, whose last work may have crossed
            await connection.execute(_STAY)
        await connection.execute(_SCOPE, {"scope": actor.organization_id or ""})
    now, clock = wall_now, None
    if actor.organization_id is not None:
        shown = (await connection.execute(_CLOCK, {"id": actor.organization_id})).one_or_none()
        if shown is not None:
            clock = clocks.ShownClock(*shown)
            now = clocks.business_now(wall_now, clock.now_at, follows_wall=clock.follows_wall)
    return UnitOfWork(session, actor, wall_now, now, clock=clock, crosses=crossing)


async def _finish(uow: UnitOfWork) -> None:
    await uow.session.flush()
    if uow.recorded:
        await events.append(
            await uow.session.connection(),
            uow.recorded,
            actor_id=uow.actor.id,
            address=uow.actor.address,
            trace_id=uow.actor.trace_id or tracing.current_trace_id(),
            now=uow.now,
            wall_now=uow.wall_now,
            owned=uow.owned,
        )
    await uow.session.commit()


class _OurErrors:
    """Translates the database's own failures into ours, keeping the cause."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, DBAPIError) and _state(error) == READ_ONLY:
            raise Unavailable(
                "The database takes no changes at the moment: it is read-only.",
                next_step="What is there can be read. Try again later.",
            ) from error
        if isinstance(error, OperationalError) and _state(error) in TWO_CHANGES_MET:
            raise Busy("Two changes met; neither was lost.", next_step="Try again.") from error
        if isinstance(error, NotSupportedError) and PLANNED_BEFORE in str(error.orig):
            raise Busy("The database was just brought up to date.", next_step="Try again.") from error
        if isinstance(error, (InterfaceError, OperationalError, PoolTimeout)):
            raise Unavailable(
                "The database cannot be reached.", next_step="Try again in a moment."
            ) from error


def _state(error: DBAPIError) -> str | None:
    """The SQLSTATE, when it was the server that refused."""
    return getattr(error.orig, "sqlstate", None)
