"""Bringing a database to the newest shape."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import psycopg
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.exc import ProgrammingError

from alembic import command
from services.core.refusal import Refused

_SCRIPTS = Path(__file__).resolve().parents[2] / "alembic"


def config(connection: sa.Connection | None = None) -> Config:
    """Alembic's configuration without a file; `connection` is used instead of a URL when given."""
    made = Config()
    made.set_main_option("script_location", str(_SCRIPTS))
    made.attributes["connection"] = connection
    return made


def migrate(owner_url: str, revision: str = "head") -> None:
    """Upgrade (or, to an older revision, downgrade) in one transaction. Blocking: for start-up and the CLI.

    Raises Refused when the owner may not do what it takes.
    """
    engine = sa.create_engine(owner_url, poolclass=sa.NullPool)
    try:
        with engine.begin() as connection:
            if revision in ("base",) or revision.startswith("-"):
                command.downgrade(config(connection), revision)
            else:
                command.upgrade(config(connection), revision)
    except ProgrammingError as error:
        if not isinstance(error.orig, psycopg.errors.InsufficientPrivilege):
            raise
        reason = str(error.orig).strip().splitlines()[0]
        raise Refused(
            f"The database could not be brought up to date ({reason}): the role in MATRIX_DATABASE_URL must own the "
            "database and be allowed to make roles, see docs/operations.md."
        ) from error
    finally:
        engine.dispose()


@lru_cache(maxsize=1)
def newest() -> str | None:
    """The revision that this code needs."""
    return ScriptDirectory.from_config(config()).get_current_head()
