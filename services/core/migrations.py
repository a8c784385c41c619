"""Bringing a database to the newest shape while it is used."""

from __future__ import annotations

import time
from functools import lru_cache
from pathlib import Path

import sqlalchemy as sa
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg.errors import DeadlockDetected, InsufficientPrivilege, LockNotAvailable
from sqlalchemy.exc import OperationalError, ProgrammingError

from alembic import command
from services.core import online_indexes
from services.core.errors import Unavailable
from services.core.logs import get_logger
from services.core.refusal import Refused

log = get_logger(__name__)

# A change of a table waits for everybody who uses it, and everybody who comes later waits behind it. So it waits
# briefly, less than the server takes to look for a deadlock and end a caller's transaction, and tries again.
LOCK_TIMEOUT_S = 0.5
RETRY_AFTER_S = 1.0
RETRY_FOR_S = 600.0

# What the database has for the version before alone, by table: columns and keys that no model names any more. The next
# migration takes them away, and their lines here with them.
LEAVING: frozenset[tuple[str, str]] = frozenset()

_SCRIPTS = Path(__file__).resolve().parents[2] / "alembic"
_OLDEST_TRANSACTION = """
select pid, xact_start from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and xact_start is not null
order by xact_start limit 1
"""


def config(connection: sa.Connection | None = None) -> Config:
    """Alembic's configuration without a file; `connection` is used instead of a URL when given."""
    made = Config()
    made.set_main_option("script_location", str(_SCRIPTS))
    made.attributes["connection"] = connection
    return made


def migrate(owner_url: str, revision: str = "head", *, retry_for_s: float = RETRY_FOR_S) -> None:
    """Upgrade, each revision in a transaction of its own (or, to an older one, downgrade in one), and then make what
    indexes are made beside the work of others. Blocking: for start-up and the CLI.

    Nobody waits for it longer than LOCK_TIMEOUT_S at a time: while others hold a table the revision is undone as a
    whole and tried again. One after another they hold each table briefly: of all in one, a caller who waits for the
    first table long enough is ended for a deadlock when the last one wants what he holds. Raises Unavailable after
    `retry_for_s`, at the last revision that was done, and Refused when the owner may not do what it takes.
    """
    engine = sa.create_engine(owner_url, poolclass=sa.NullPool)
    deadline = time.monotonic() + retry_for_s
    try:
        for step in _steps(engine, revision):
            while not _migrated(engine, step):
                if time.monotonic() > deadline:
                    raise _blocked(engine, retry_for_s)
                log.warning("migration_waits", retry_after_s=RETRY_AFTER_S)
                time.sleep(RETRY_AFTER_S)
        if revision == "head":
            online_indexes.make(engine)
    finally:
        engine.dispose()


def _steps(engine: sa.Engine, revision: str) -> list[str]:
    """The revisions on the way up to `revision`, oldest first; itself, when it does not lead up."""
    if _leads_down(revision):
        return [revision]
    with engine.connect() as connection:
        there = MigrationContext.configure(connection).get_current_revision()
    upwards = list(reversed(known()))
    if revision != "head":
        upwards = upwards[: upwards.index(revision) + 1]
    return upwards[upwards.index(there) + 1 :] if there in upwards else upwards


def _leads_down(revision: str) -> bool:
    return revision == "base" or revision.startswith("-")


def _migrated(engine: sa.Engine, revision: str) -> bool:
    """Whether it was done; False when somebody held a table for too long."""
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"set local lock_timeout = '{LOCK_TIMEOUT_S * 1_000:.0f}ms'")
            if _leads_down(revision):
                command.downgrade(config(connection), revision)
            else:
                command.upgrade(config(connection), revision)
    except ProgrammingError as error:
        if not isinstance(error.orig, InsufficientPrivilege):
            raise
        reason = str(error.orig).strip().splitlines()[0]
        raise Refused(
            f"The database could not be brought up to date ({reason}): the role in MATRIX_DATABASE_URL must own the "
            "database and be allowed to make roles, see docs/operations.md."
        ) from error
    except OperationalError as error:
        if isinstance(error.orig, LockNotAvailable | DeadlockDetected):
            return False
        raise
    return True


def _blocked(engine: sa.Engine, waited_s: float) -> Unavailable:
    with engine.connect() as connection:
        holder = connection.exec_driver_sql(_OLDEST_TRANSACTION).first()
    who = (
        f"process {holder.pid} has one open since {holder.xact_start:%Y-%m-%d %H:%M:%S}"
        if holder
        else "none now"
    )
    return Unavailable(
        f"The database could not be migrated: other transactions kept its tables for {waited_s:.0f} s ({who}).",
        next_step="End that transaction, or migrate at a quieter time.",
        code="migration_blocked",
    )


@lru_cache(maxsize=1)
def known() -> tuple[str, ...]:
    """The revisions that this code knows, newest first."""
    scripts = ScriptDirectory.from_config(config())
    return tuple(script.revision for script in scripts.walk_revisions())
