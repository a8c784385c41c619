"""The least an API can be: one FastAPI route that asks nobody and reads nothing, served as ours is.

python -m tests.bench.bare_api PORT
"""

from __future__ import annotations

import signal
import sys

from fastapi import FastAPI

from matrix_app.up import serving
from services.core.settings import Settings
from services.core.tether import tie_to_parent

PATH = "/api/v1/me"


def make_app() -> FastAPI:
    app = FastAPI()

    @app.get(PATH)
    async def me() -> dict[str, str]:
        return {"id": "somebody"}

    return app


if __name__ == "__main__":
    tie_to_parent(signal.SIGKILL)
    serving.serve(make_app(), Settings(port=int(sys.argv[1])))
