"""The database: one async engine per process, as the role that row-level security binds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson
import psycopg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from services.core import tracing
from services.core.wakeups import Wakeups

APPLICATION_ROLE = "matrix_app"
CROSSING_ROLE = "matrix_crossing"


def application_url(owner_url: str) -> str:
    """The owner's URL, but every connection works as the application role from its first statement on."""
    url = sa.make_url(owner_url)
    return url.update_query_dict({"options": f"-c role={APPLICATION_ROLE}"}).render_as_string(
        hide_password=False
    )


def libpq_url(url: str) -> str:
    """SQLAlchemy's URL as psycopg itself reads it, for connections that must live outside the pool."""
    rendered = sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    address, mark, query = rendered.partition("?")
    return address + mark + query.replace("+", "%20")  # which libpq would take for a plus


@dataclass(slots=True)
class Rehearsal:
    """The one transaction that all units of work are part of, and that is undone; `recorded` is what they told."""

    connection: AsyncConnection
    recorded: list[Any] = field(default_factory=list[Any])


@dataclass(slots=True)
class Database:
    """Pooled connections as the application role, and the wake-ups that follow commits. In a `rehearsal` nothing is
    committed and nobody is woken; see services/core/work.py."""

    url: str
    engine: AsyncEngine
    wakeups: Wakeups
    rehearsal: Rehearsal | None = None

    async def unpooled(self) -> psycopg.AsyncConnection[Any]:
        """A connection of one's own in autocommit, for LISTEN, advisory locks and PgQueuer."""
        return await psycopg.AsyncConnection.connect(libpq_url(self.url), autocommit=True)

    async def close(self) -> None:
        await self.wakeups.close()
        await self.engine.dispose()


def _json(value: object) -> str:
    return orjson.dumps(value).decode()


def connect(url: str, *, pool_size: int = 12) -> Database:
    """A database by its application-role URL. Connects lazily; must be called in the process that uses it."""
    engine = create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_use_lifo=True,  # few know all tables and statements well, in place of all a little
        pool_timeout=10,
        pool_pre_ping=False,
        pool_recycle=1_800,
        json_serializer=_json,
        json_deserializer=orjson.loads,
        hide_parameters=True,  # errors are logged, and parameters are mails, links and hashes
        connect_args={"prepare_threshold": 3, "connect_timeout": 5},
    )
    tracing.follow_sql(engine.sync_engine)
    return Database(url, engine, Wakeups(libpq_url(url)))


_current: Database | None = None


def install(database: Database | None) -> None:
    """Make `database` the one this process uses. Called once, in lifespan, after any fork."""
    global _current
    _current = database


def database() -> Database:
    if _current is None:
        raise RuntimeError(
            "No database is installed: call services.core.database.install() in lifespan first."
        )
    return _current
