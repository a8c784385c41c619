"""A database for benchmarks that need no product: durable, as an installation's own is."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.core.postgres import EmbeddedPostgres


@contextmanager
def postgres() -> Iterator[EmbeddedPostgres]:
    """A server in a folder of its own, deleted at the end."""
    # A short path, for the socket, that the server's own system user may enter.
    folder = Path(tempfile.mkdtemp(prefix="mx-"))
    folder.chmod(0o755)
    server = EmbeddedPostgres(folder / "data")
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
