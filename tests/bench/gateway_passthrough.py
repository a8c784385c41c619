"""The least a gateway can be: Starlette in front, aiohttp behind, the same libraries, nothing checked or counted.

python -m tests.bench.gateway_passthrough PORT UPSTREAM
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvloop
from aiohttp import ClientSession, ClientTimeout, TCPConnector
from granian.constants import Interfaces
from granian.server.embed import Server
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.core.tether import tie_to_parent

HEADERS = {"Content-Type": "application/json"}


def make_app(upstream: str) -> Starlette:
    session: ClientSession | None = None

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        nonlocal session
        session = ClientSession(connector=TCPConnector(limit=0), timeout=ClientTimeout(total=None))
        async with session:
            yield

    async def pass_on(request: Request) -> Response:
        assert session is not None
        body = await request.body()
        async with session.post(f"{upstream}/v1/chat/completions", data=body, headers=HEADERS) as answer:
            return Response(await answer.read(), answer.status, media_type="application/json")

    return Starlette(routes=[Route("/v1/chat/completions", pass_on, methods=["POST"])], lifespan=lifespan)


async def _serve(port: int, upstream: str) -> None:
    server = Server(
        make_app(upstream), address="127.0.0.1", port=port, interface=Interfaces.ASGI, backlog=1024
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.stop)
    await server.serve()


if __name__ == "__main__":
    tie_to_parent(signal.SIGKILL)
    uvloop.run(_serve(int(sys.argv[1]), sys.argv[2]))
