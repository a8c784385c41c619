"""Statements are compiled once for all tests of a process, though each test has a database and an engine of its own.

Else every engine compiles them anew: a tenth of the time of a test that uses the database.
"""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.psycopg import PGDialectAsync_psycopg
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import LRUCache

from services.core import database

_STATEMENTS_MAX = 3_000


def share(patched: pytest.MonkeyPatch) -> None:
    """What was compiled is known by its dialect: have those of all engines, which speak to one server, be equal."""
    kept: LRUCache[Any, Any] = LRUCache(_STATEMENTS_MAX)
    create = database.create_async_engine

    def sharing(url: sa.URL | str, **options: Any) -> AsyncEngine:
        engine = create(url, **options)
        engine.sync_engine._compiled_cache = kept
        return engine

    patched.setattr(PGDialectAsync_psycopg, "__eq__", lambda one, other: type(one) is type(other))
    patched.setattr(PGDialectAsync_psycopg, "__hash__", lambda one: hash(type(one)))
    patched.setattr(database, "create_async_engine", sharing)
