"""A page of Reflex alone: fifty rows made in memory, nobody to sign in, no database. The reference for page events.

python -m tests.bench.bare_pages PORT
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from matrix_app.up import reflex_environment
from services.core.tether import tied
from tests.bench.product import ROOT, answers, await_that, free_port

ROWS = 50
COLUMNS = ("started", "model", "key", "status", "tokens", "latency", "cost", "id")
STATE = "reflex___state____state.reflex___istate___dynamic____bare_rows"  # as Reflex names a local class
ROOT_STATE = "reflex___state____state"
START_TIMEOUT_S = 60.0


@contextmanager
def bare_pages() -> Iterator[str]:
    """Serve the page from a process of its own; gives its address."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.bare_pages", str(port)],
        cwd=ROOT,
        env=os.environ | {"MATRIX_PORT": str(port)},
        preexec_fn=tied(signal.SIGKILL),
    )
    try:
        await_that(lambda: answers(port, "/ping"), START_TIMEOUT_S, "the bare page answers")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _serve(port: int) -> None:
    with tempfile.TemporaryDirectory(prefix="bare-") as folder:
        reflex_environment.prepare(Path(folder))
        import reflex as rx
        from reflex_base.environment import environment

        environment.REFLEX_SKIP_COMPILE.set(True)

        class BareRows(rx.State):
            number: int = 0
            rows: list[dict[str, str]] = []  # noqa: RUF012 (Reflex copies it for each client)

            @rx.event
            async def load(self) -> None:
                self.number += 1
                self.rows = [
                    {name: f"{name} {self.number} of {row}".ljust(30) for name in COLUMNS}
                    for row in range(ROWS)
                ]

        app = rx.App(theme=None)
        app.add_page(rx.el.main(), route="/", on_load=BareRows.load)

        from matrix_app.up.serving import serve
        from services.core.settings import Settings

        serve(app(), Settings(port=port))


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
