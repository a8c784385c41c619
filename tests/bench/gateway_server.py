"""The gateway alone, as a program: `python -m tests.bench.gateway_server`, settings from MATRIX_* as usual."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.routing import Mount

from matrix_app.api.gateway import gateway_app
from matrix_app.up.serving import serve
from services.core import runtime
from services.core.settings import settings
from services.core.tether import tie_to_parent


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    on = await runtime.start(settings(), "gateway")
    await gateway_app.start(on, settings())
    try:
        yield
    finally:
        await gateway_app.stop()
        await runtime.stop()


def main() -> None:
    tie_to_parent(signal.SIGKILL)
    serve(Starlette(routes=[Mount("/v1", gateway_app)], lifespan=lifespan), settings())


if __name__ == "__main__":
    main()
