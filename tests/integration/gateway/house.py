"""A gateway with everything around it: database, fake upstream, organisations, keys and a server to call."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import openai
from fastapi import FastAPI
from granian.constants import Interfaces
from granian.server.embed import Server

from matrix_app.api.app import Api
from matrix_app.api.gateway import GatewayApp
from models.identity import Organization
from models.types import BillingMode, Role
from services.catalog import service as catalog
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.settings import Settings
from services.core.tether import tied
from services.core.work import unit_of_work
from services.gateway import upstreams
from services.gateway.gateway import Gateway
from services.identity.keys import CreatedKey, Limits, create_key
from services.metering.service import ensure_platform_meters
from tests.bench.product import free_port
from tests.world import World

ROOT = Path(__file__).parents[3]
NO_TLS = False  # there is none here, and to read all certificates of the world takes 20 ms of each client
WAIT_S = 180.0  # far longer than anything takes: where much else is done a process may need a minute to begin


class FakeUpstream:
    """The fake as a process of its own."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fakes.upstream", "--log", str(log)],
            stdout=subprocess.PIPE,
            cwd=ROOT,
            preexec_fn=tied(signal.SIGKILL),
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


@dataclass(slots=True)
class Client:
    """An organisation with a key, and the official client using it."""

    organization: Organization
    key: CreatedKey
    ai: openai.AsyncOpenAI
    http: httpx.AsyncClient

    async def close(self) -> None:
        await self.ai.close()
        await self.http.aclose()


class House:
    """One database with a fake upstream registered, and gateways on it."""

    def __init__(self, database: Database, world: World, fake: FakeUpstream, data_dir: Path) -> None:
        self.database = database
        self.world = world
        self.fake = fake
        self.data_dir = data_dir
        self.base_url = ""
        self.app = GatewayApp()
        self.upstream_id = ""
        self._clients: list[Client] = []
        self.processes: list[GatewayProcess] = []

    @property
    def gateway(self) -> Gateway:
        assert self.app._gateway is not None  # pyright: ignore[reportPrivateUsage]
        return self.app._gateway  # pyright: ignore[reportPrivateUsage]

    def settings(self, **changes: Any) -> Settings:
        facts: dict[str, Any] = {
            "data_dir": self.data_dir,
            "allow_private_upstreams": [f"127.0.0.1:{self.fake.port}"],
            "model_url": self.fake.url.removesuffix("/v1"),
        }
        return Settings(**(facts | changes))

    async def furnish(self, *models: str, on_hangup: str = "drain", read_timeout_s: int = 30) -> None:
        """Register the fake as an upstream with these models: their names switch faults on."""
        operator = await self.world.organization(kind="operator")  # type: ignore[arg-type]
        staff = self.world.actor(operator, Role.OPERATOR)
        async with crossing(Reason.CATALOG, on=self.database) as uow:
            await ensure_platform_meters(uow)
        async with crossing(Reason.STAFF, actor=staff, on=self.database) as uow:
            given = upstreams.UpstreamFields(
                f"Fake {on_hangup}", self.fake.url, 30, read_timeout_s, on_hangup
            )
            allowed = [f"127.0.0.1:{self.fake.port}"]
            row = await upstreams.add_upstream(uow, given, api_key="sk-inside", allowed_private=allowed)
            self.upstream_id = row.id
            for model in models:
                await upstreams.add_model(uow, model_fields(model, row.id))

    async def price(self, model: str, *, prompt: str, completion: str) -> None:
        operator = await self.world.organization(kind="operator")  # type: ignore[arg-type]
        async with crossing(
            Reason.STAFF, actor=self.world.actor(operator, Role.OPERATOR), on=self.database
        ) as uow:
            for meter, amount in (("prompt_tokens", prompt), ("completion_tokens", completion)):
                await catalog.set_price(
                    uow, model=model, meter=meter, currency="USD", unit_amount=Decimal(amount)
                )

    async def client(
        self,
        *,
        scopes: Sequence[str] = ("inference",),
        models: Sequence[str] = (),
        limits: Limits | None = None,
        billing_mode: BillingMode = BillingMode.POSTPAID,
    ) -> Client:
        organization = await self.world.organization(billing_mode=billing_mode)
        async with unit_of_work(self.world.actor(organization), on=self.database) as uow:
            key = await create_key(uow, name="test", scopes=scopes, models=models, limits=limits)
        return self.using(organization, key)

    def using(self, organization: Organization, key: CreatedKey) -> Client:
        client = Client(
            organization,
            key,
            openai.AsyncOpenAI(
                api_key=key.secret,
                base_url=self.base_url,
                max_retries=0,
                http_client=openai.DefaultAsyncHttpxClient(verify=NO_TLS),
            ),
            httpx.AsyncClient(
                base_url=self.base_url,
                headers={"Authorization": f"Bearer {key.secret}"},
                timeout=WAIT_S,
                verify=NO_TLS,
            ),
        )
        self._clients.append(client)
        return client

    async def rows(self, organization: Organization | None = None) -> list[dict[str, Any]]:
        """Request rows, oldest first, after all that is closed has been settled."""
        if self.app._gateway is not None:  # pyright: ignore[reportPrivateUsage]
            await self.gateway.settler.settle_waiting()
        async with crossing(Reason.INVARIANTS, on=self.database) as uow:
            found = await uow.execute(
                "select * from request where cast(:id as text) is null or organization_id = :id order by id",
                id=organization.id if organization else None,
            )
            return [dict(row) for row in found.mappings()]

    async def row(self, client: Client) -> dict[str, Any]:
        """The one request row of a client, once it is there."""
        async with asyncio.timeout(WAIT_S):
            while not (rows := await self.rows(client.organization)):  # noqa: ASYNC110 (as in `until`)
                await asyncio.sleep(0.01)
        (row,) = rows
        return row

    async def usage(self, organization: Organization) -> dict[str, int]:
        """Sums of the platform's meters over raw usage events."""
        async with crossing(Reason.INVARIANTS, on=self.database) as uow:
            found = await uow.execute(
                "select count(*) as requests,"
                " coalesce(sum((properties->>'prompt_tokens')::int), 0) as prompt_tokens,"
                " coalesce(sum((properties->>'completion_tokens')::int), 0) as completion_tokens"
                " from usage_event where organization_id = :id",
                id=organization.id,
            )
            return {name: int(value) for name, value in found.mappings().one().items()}

    async def close_clients(self) -> None:
        for client in self._clients:
            await client.close()
        self._clients.clear()

    async def close(self) -> None:
        await self.close_clients()
        for process in self.processes:
            process.kill()


def model_fields(slug: str, upstream_id: str) -> upstreams.ModelFields:
    return upstreams.ModelFields(
        slug=slug.replace("+", "-").replace("=", "-"),
        name=slug,
        upstream_id=upstream_id,
        upstream_model=slug,
        context_tokens=4_096,
        endpoints=("chat", "completions", "embeddings"),
    )


@asynccontextmanager
async def served(house: House, **settings: Any) -> AsyncIterator[House]:
    """The gateway behind granian in this process, until the block ends."""
    port = free_port()
    await house.app.start(house.database, house.settings(**settings))
    server = Server(
        Api(house.app, FastAPI()),
        address="127.0.0.1",
        port=port,
        interface=Interfaces.ASGINL,
        log_enabled=False,
    )
    serving = asyncio.create_task(server.serve())
    house.base_url = f"http://127.0.0.1:{port}/v1"
    await until_answers(house.base_url)
    try:
        yield house
    finally:
        await house.close_clients()
        server.stop()
        await asyncio.wait_for(serving, WAIT_S)
        await house.app.stop()


async def until(condition: Callable[[], bool]) -> None:
    """Wait until it is so. Raises TimeoutError after WAIT_S."""
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110 (what is waited for happens in another process)
            await asyncio.sleep(0.01)


async def until_answers(base_url: str) -> None:
    async with httpx.AsyncClient(verify=NO_TLS) as http, asyncio.timeout(WAIT_S):
        while True:
            try:
                await http.get(f"{base_url}/nothing")
            except httpx.TransportError:
                await asyncio.sleep(0.02)
            else:
                return


class GatewayProcess:
    """A gateway in a process of its own, which a test may kill."""

    def __init__(self, house: House, owner_url: str, **environment: str) -> None:
        house.processes.append(self)
        self.port = free_port()
        self.base_url = f"http://127.0.0.1:{self.port}/v1"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.gateway_server"],
            cwd=ROOT,
            env={
                **os.environ,
                "MATRIX_PORT": str(self.port),
                "MATRIX_DATA_DIR": str(house.data_dir),
                "MATRIX_DATABASE_URL": owner_url,
                "MATRIX_DATABASE_APP_URL": house.database.url,
                "MATRIX_ALLOW_PRIVATE_UPSTREAMS": f'["127.0.0.1:{house.fake.port}"]',
                **environment,
            },
            preexec_fn=tied(signal.SIGKILL),
        )

    async def until_ready(self) -> None:
        await until_answers(self.base_url)
        assert self._process.poll() is None, "another process answers there"

    def kill(self) -> None:
        """kill -9: no goodbye, no flush, no handler."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        self._process.terminate()
        return self._process.wait(WAIT_S)
