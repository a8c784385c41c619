"""For those who run it: alive, ready, measured."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import asdict, dataclass

import aiohttp
from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError

from matrix_app.up import draining
from services.core import heartbeat, key_file, migrations
from services.core.crossing import Reason, crossing
from services.core.crypto import vault
from services.core.database import database
from services.core.errors import MatrixError, Unauthenticated
from services.core.outgoing import inside_session
from services.core.settings import settings
from services.operations import alarms, key_watch

CHECK_TIMEOUT_S = 3.0
# While an upgrade rolls through several processes the database is ahead of those that are not yet replaced, and they
# must serve until they are: a migration leaves alone what the version before needs.
NEWER = "newer than this code"

router = APIRouter(tags=["health"])


class Alive(BaseModel):
    status: str


class Ready(BaseModel):
    """Each part is `ok`, `not configured`, or says what is wrong; migrations may be newer than this code. `worker` is
    `late` when none shows signs of life. `keys` are those this process works with; `key_service` is what keeps them
    elsewhere (KMS, a hardware module): `away` makes nothing unready, and lets nothing start."""

    status: str
    database: str
    migrations: str
    keys: str
    key_service: str
    worker: str
    model: str


@router.get("/healthz")
async def healthz() -> Alive:
    """Whether this process is alive; says nothing about the database."""
    return Alive(status="ok")


@router.get("/readyz", response_model=Ready, responses={503: {"model": Ready}})
async def readyz(response: Response) -> Ready:
    """Whether everything is up that the main job needs. 503 says what is missing, or that this process leaves."""
    stored, model, opens = await asyncio.gather(_stored(), _model_server(), key_watch.opens(settings()))
    whole = {"ok", "not configured", NEWER}.issuperset((*asdict(stored).values(), model))
    ready = whole and not draining.begun()
    response.status_code = 200 if ready else 503
    status = "ready" if ready else "leaving" if whole else "not ready"
    key_service = "not configured" if opens is None else "ok" if opens else "away"
    return Ready(status=status, model=model, key_service=key_service, **asdict(stored))


class Takes(BaseModel):
    """What one process answers from. Each is `ok`, or says what is wrong; migrations may be newer than this code."""

    status: str
    database: str
    migrations: str
    keys: str


@router.get("/readyz/traffic", response_model=Takes, responses={503: {"model": Takes}})
async def readyz_traffic(response: Response) -> Takes:
    """Whether a balancer should send callers to this process. A worker or a model that is down does not count:
    no other process would answer better."""
    stored = await _stored()
    parts = {"database": stored.database, "migrations": stored.migrations, "keys": stored.keys}
    whole = {"ok", NEWER}.issuperset(parts.values())
    takes = whole and not draining.begun()
    response.status_code = 200 if takes else 503
    return Takes(status="ready" if takes else "leaving" if whole else "not ready", **parts)


@dataclass(frozen=True, slots=True)
class _Stored:
    """What the database says of itself and of those who only write to it."""

    database: str
    migrations: str = "unknown"
    keys: str = "unknown"
    worker: str = "unknown"


_READ = """
select (select version_num from alembic_version) as revision,
       (select fingerprint from key_fingerprint where purpose = :purpose) as fingerprint,
       (select clock_timestamp() - beaten_at <= make_interval(secs => :late_s) from heartbeat where part = :part)
         as worker_lives
"""


async def _stored() -> _Stored:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S), crossing(Reason.HEALTH) as uow:
            found = (
                await uow.execute(
                    _READ, purpose=key_file.LOOKUP, part=heartbeat.WORKER, late_s=heartbeat.LATE_S
                )
            ).one()
    except TimeoutError:
        return _Stored("does not answer")
    except (MatrixError, SQLAlchemyError):
        return _Stored("cannot be reached")
    return _Stored(
        database="ok",
        migrations=_migrated(found.revision),
        keys="ok" if found.fingerprint == vault().fingerprint() else "not those of this database",
        worker="ok" if found.worker_lives else "late",
    )


def _migrated(revision: str | None) -> str:
    newest, *older = migrations.known()
    if revision is not None and revision != newest and revision not in older:
        return NEWER
    return "ok" if revision == newest else f"at {revision}, needs {newest}"


async def _model_server() -> str:
    url = settings().model_url
    if not url:
        return "not configured"
    timeout = aiohttp.ClientTimeout(total=CHECK_TIMEOUT_S)
    try:
        async with (
            inside_session() as session,
            session.get(f"{url.rstrip('/')}/health", timeout=timeout, allow_redirects=False) as response,
        ):
            return "ok" if response.status == 200 else f"answers {response.status}"
    except (aiohttp.ClientError, TimeoutError):
        return "cannot be reached"


@router.get("/metrics", response_class=Response)
async def measurements(request: Request) -> Response:
    """Prometheus metrics of this process, and what the whole installation is worth an alarm for. Asks for a bearer
    token when MATRIX_METRICS_TOKEN is set."""
    token = settings().metrics_token
    if token is not None:
        sent = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not secrets.compare_digest(sent.encode(), token.get_secret_value().encode()):
            raise Unauthenticated(
                "These measurements need a token.",
                next_step="Send the value of MATRIX_METRICS_TOKEN as bearer token.",
                code="metrics_token_required",
            )
    return Response(
        generate_latest() + await alarms.exposition(database(), settings()), media_type=CONTENT_TYPE_LATEST
    )
