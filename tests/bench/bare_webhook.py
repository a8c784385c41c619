"""The least a webhook can be: one FastAPI route that checks the signature and inserts a row, served as ours is.

python -m tests.bench.bare_webhook PORT DATABASE_URL SECRET
"""

from __future__ import annotations

import signal
import sys

import orjson
import stripe
from fastapi import FastAPI, Request, Response
from sqlalchemy import text

from matrix_app.up import serving
from services.core import database as databases
from services.core.settings import Settings
from services.core.tether import tie_to_parent

PATH = "/events"
TABLE = "create table bare_event (id text primary key, raw bytea not null, received_at timestamptz not null)"
_STORE = text("insert into bare_event values (:id, :raw, now()) on conflict do nothing")


def make_app(url: str, secret: str) -> FastAPI:
    app = FastAPI()
    engine = databases.connect(url).engine

    @app.post(PATH, status_code=204)
    async def take(request: Request) -> Response:
        raw = await request.body()
        stripe.WebhookSignature.verify_header(raw, request.headers["stripe-signature"], secret, 300)  # pyright: ignore[reportUnknownMemberType]
        async with engine.begin() as connection:
            await connection.execute(_STORE, {"id": orjson.loads(raw)["id"], "raw": raw})
        return Response(status_code=204)

    return app


if __name__ == "__main__":
    tie_to_parent(signal.SIGKILL)
    serving.serve(make_app(*sys.argv[2:4]), Settings(port=int(sys.argv[1])))
