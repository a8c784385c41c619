"""For those who run it: alive, ready, measured."""

from __future__ import annotations

import asyncio
import secrets
from functools import lru_cache

import aiohttp
from alembic.script import ScriptDirectory
from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError

from matrix_app.up import draining
from services.core import migrations
from services.core.crossing import Reason, crossing
from services.core.errors import MatrixError, Unauthenticated
from services.core.settings import settings

CHECK_TIMEOUT_S = 3.0
# While an upgrade rolls through several processes the database is ahead of those that are not yet replaced, and they
# must serve until they are: a migration leaves alone what the version before needs.
NEWER = "newer than this code"

router = APIRouter(tags=["health"])


class Alive(BaseModel):
    status: str


class Ready(BaseModel):
    """Each part is `ok`, `not configured`, or says what is wrong; migrations may be newer than this code."""

    status: str
    database: str
    migrations: str
    model: str


@router.get("/healthz")
async def healthz() -> Alive:
    """Whether this process is alive; says nothing about the database."""
    return Alive(status="ok")


@router.get("/readyz", response_model=Ready, responses={503: {"model": Ready}})
async def readyz(response: Response) -> Ready:
    """Whether everything is up that the main job needs. 503 says what is missing, or that this process leaves."""
    (database, migrated), model = await asyncio.gather(_database(), _model_server())
    fine = {"ok", "not configured", NEWER}
    whole = fine.issuperset((database, migrated, model))
    ready = whole and not draining.begun()
    response.status_code = 200 if ready else 503
    status = "ready" if ready else "leaving" if whole else "not ready"
    return Ready(status=status, database=database, migrations=migrated, model=model)


async def _database() -> tuple[str, str]:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S), crossing(Reason.INVARIANTS) as uow:
            found = (await uow.execute("select version_num from alembic_version")).scalar_one_or_none()
    except TimeoutError:
        return "does not answer", "unknown"
    except (MatrixError, SQLAlchemyError):
        return "cannot be reached", "unknown"
    newest, *older = _known_migrations()
    if found is not None and found != newest and found not in older:
        return "ok", NEWER
    return "ok", "ok" if found == newest else f"at {found}, needs {newest}"


@lru_cache(maxsize=1)
def _known_migrations() -> tuple[str, ...]:
    """Newest first."""
    scripts = ScriptDirectory.from_config(migrations.config())
    return tuple(script.revision for script in scripts.walk_revisions())


async def _model_server() -> str:
    url = settings().model_url
    if not url:
        return "not configured"
    timeout = aiohttp.ClientTimeout(total=CHECK_TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"{url.rstrip('/')}/health") as response,
        ):
            return "ok" if response.status == 200 else f"answers {response.status}"
    except (aiohttp.ClientError, TimeoutError):
        return "cannot be reached"


@router.get("/metrics", response_class=Response)
async def measurements(request: Request) -> Response:
    """Prometheus metrics of this process. Asks for a bearer token when MATRIX_METRICS_TOKEN is set."""
    token = settings().metrics_token
    if token is not None:
        sent = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not secrets.compare_digest(sent.encode(), token.get_secret_value().encode()):
            raise Unauthenticated(
                "These measurements need a token.",
                next_step="Send the value of MATRIX_METRICS_TOKEN as bearer token.",
                code="metrics_token_required",
            )
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
