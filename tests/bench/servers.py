"""A database for benchmarks that need no product: durable, as an installation's own is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from services.core.postgres import EmbeddedPostgres
from tests.folders import short_folder


@contextmanager
def postgres() -> Iterator[EmbeddedPostgres]:
    """A server in a folder of its own, deleted at the end."""
    with short_folder(in_memory=False) as folder:
        server = EmbeddedPostgres(folder / "data")
        try:
            server.start()
            yield server
        finally:
            server.stop()
