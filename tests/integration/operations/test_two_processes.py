"""Two web processes on one database, behind a balancer: people stay signed in and figures true when one is killed."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from models.identity import Organization
from models.types import Role
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.postgres import EmbeddedPostgres
from services.core.tether import tied
from services.core.work import unit_of_work
from services.identity import passwords
from services.identity.keys import create_key
from tests.bench.product import free_port
from tests.fakes.balancer import Balancer
from tests.integration.gateway.house import FakeUpstream, House
from tests.world import World

ROOT = Path(__file__).parents[3]
PASSWORD = "nine lives and one more"
UPSTREAM_MODEL, MODEL = "fast+pieces=3", "fast-pieces-3"
WAIT_S = 240  # two whole processes start at once, on a machine that may do much else
POLL_S = 0.05
CSRF = {"X-Matrix-CSRF": "1"}
# The web process without its pages, which need a browser and a build: API, gateway and live figures.
PROGRAM = """
from contextlib import asynccontextmanager
from starlette.applications import Starlette
from matrix_app.api.app import create_app
from matrix_app.doors import Doors
from matrix_app.live_door import LiveDoor
from matrix_app.up.serving import serve
from services.core.database import database
from services.core.settings import settings

api, live = create_app(), LiveDoor()

@asynccontextmanager
async def lifespan(_):
    async with api.router.lifespan_context(api), live.open(database(), settings()):
        yield

serve(Doors(api=api, live=live, pages=Starlette(lifespan=lifespan), documents=()), settings())
"""


@dataclass(slots=True)
class Farm:
    """The processes by their addresses, the balancer before them, and somebody who is signed in through it."""

    processes: dict[str, subprocess.Popen[bytes]]
    balancer: Balancer
    person: aiohttp.ClientSession
    key: str

    async def kill(self, address: str, number: signal.Signals = signal.SIGKILL) -> None:
        process = self.processes[address]
        process.send_signal(number)
        await asyncio.to_thread(process.wait)

    async def organization(self) -> str:
        """Where the person is signed in."""
        async with self.person.get(f"{self.balancer.address}/api/v1/organizations") as answer:
            assert answer.status == 200, await answer.text()
            return (await answer.json())["data"][0]["name"]

    async def call(self) -> str:
        """One answered call of the gateway; its id."""
        async with self.person.post(
            f"{self.balancer.address}/v1/chat/completions",
            json={"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]},
            headers={"Authorization": f"Bearer {self.key}"},
        ) as answer:
            assert answer.status == 200, await answer.text()
            return answer.headers["X-Request-Id"]

    def live(self) -> Any:
        headers = {"Origin": self.balancer.address}
        return self.person.ws_connect(f"{self.balancer.address}/live", headers=headers, autoclose=False)


@pytest.fixture
async def farm(
    database: Database, database_name: str, postgres: EmbeddedPostgres, world: World, tmp_path: Path
) -> AsyncIterator[Farm]:
    fake = FakeUpstream(tmp_path / "served.log")
    house = House(database, world, fake, tmp_path)
    await house.furnish(UPSTREAM_MODEL)
    acme = await world.organization(name="Acme")
    email = await person_of(world, acme)
    async with unit_of_work(world.actor(acme)) as uow:
        key = await create_key(uow, name="test", scopes=("inference",))
    ports = [free_port() for _ in range(3)]
    environment = {
        "MATRIX_DATABASE_URL": postgres.owner_url(database_name),
        "MATRIX_DATABASE_APP_URL": postgres.app_url(database_name),
        "MATRIX_DATA_DIR": str(tmp_path),
        "MATRIX_PUBLIC_URL": f"http://127.0.0.1:{ports[2]}",
        "MATRIX_TRUSTED_PROXY_HOPS": "0",
        "MATRIX_POOL_SIZE": "6",
        "MATRIX_ALLOW_PRIVATE_UPSTREAMS": f'["127.0.0.1:{fake.port}"]',
        "MATRIX_DRAIN_NOTICE_S": "60",
    }
    processes = {f"http://127.0.0.1:{port}": start(port, environment) for port in ports[:2]}
    try:
        async with (
            Balancer(list(processes), port=ports[2]) as balancer,
            aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as person,
        ):
            farm = Farm(processes, balancer, person, key.secret)
            await asyncio.gather(*(until_ready_says(farm, address, 200) for address in processes))
            body = {"email": email, "password": PASSWORD}
            async with person.post(f"{balancer.address}/api/v1/session", json=body, headers=CSRF) as answer:
                assert answer.status == 201, await answer.text()
            yield farm
    finally:
        for process in processes.values():
            process.kill()
            process.wait()
        fake.stop()


def start(port: int, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    command = ["/usr/bin/env", "MATRIX_PORT=" + str(port), *(f"{n}={v}" for n, v in environment.items())]
    return subprocess.Popen(
        [*command, sys.executable, "-c", PROGRAM], cwd=ROOT, preexec_fn=tied(signal.SIGKILL)
    )


async def until_ready_says(farm: Farm, address: str, status: int) -> None:
    async with asyncio.timeout(WAIT_S):
        while await readiness(farm, address) != status:
            assert farm.processes[address].poll() is None
            await asyncio.sleep(POLL_S)


async def readiness(farm: Farm, address: str) -> int:
    try:
        async with farm.person.get(f"{address}/readyz/traffic") as answer:
            return answer.status
    except aiohttp.ClientConnectorError:
        return 0


async def person_of(world: World, organization: Organization) -> str:
    account = await world.account(member_of=organization, role=Role.OWNER)
    async with crossing(Reason.DEMO) as uow:
        await uow.execute(
            "update account set password_hash = :hash where id = :id",
            hash=await passwords.hashed(PASSWORD),
            id=account.id,
        )
    return account.email


@asynccontextmanager
async def watching(farm: Farm) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    async with farm.live() as socket:
        await socket.send_json({"subscribe": ["overview"]})
        yield socket


async def shows(socket: aiohttp.ClientWebSocketResponse, request_id: str) -> dict[str, Any]:
    """The first message in which that request is the latest."""
    async with asyncio.timeout(WAIT_S):
        while True:
            message = await socket.receive_json()
            latest = message.get("data", {}).get("latest", [])
            if latest and latest[0]["id"] == request_id:
                return message["data"]


async def test_sessions_and_live_figures_outlive_a_killed_process(farm: Farm) -> None:
    first, second = farm.processes
    assert [await farm.organization() for _ in range(4)] == ["Acme"] * 4
    assert min(farm.balancer.answered[first], farm.balancer.answered[second]) >= 2

    async with watching(farm) as one, watching(farm) as other:
        for _ in range(2):  # each process books one of the two, and both show both
            request_id = await farm.call()
            assert await shows(one, request_id) == await shows(other, request_id)

        await farm.kill(first)

        # One of the two sockets was at the process that is gone; it breaks, and its page connects again.
        broken = await asyncio.wait_for(until_one_breaks(one, other), WAIT_S)
        left = other if broken is one else one
        async with watching(farm) as again:
            request_id = await farm.call()
            assert await shows(again, request_id) == await shows(left, request_id)
    assert [await farm.organization() for _ in range(4)] == ["Acme"] * 4


async def until_one_breaks(
    *sockets: aiohttp.ClientWebSocketResponse,
) -> aiohttp.ClientWebSocketResponse:
    breaking = {asyncio.create_task(until_broken(socket)): socket for socket in sockets}
    done, left = await asyncio.wait(breaking, return_when=asyncio.FIRST_COMPLETED)
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    return breaking[done.pop()]


async def until_broken(socket: aiohttp.ClientWebSocketResponse) -> None:
    async for _ in socket:
        pass


async def test_a_process_that_is_asked_to_end_says_so_and_is_replaced_without_a_failure(farm: Farm) -> None:
    first, second = farm.processes
    farm.processes[first].send_signal(signal.SIGTERM)
    await until_ready_says(farm, first, 503)
    async with farm.person.get(f"{first}/readyz/traffic") as answer:
        assert (await answer.json())["status"] == "leaving"

    async with watching(farm) as one, watching(farm) as other:
        request_id = await farm.call()
        await shows(one, request_id)
        await shows(other, request_id)
        farm.processes[first].send_signal(signal.SIGTERM)  # the notice is over
        closed = await asyncio.wait_for(until_one_breaks(one, other), WAIT_S)
        assert closed.close_code == 1012
        assert await asyncio.to_thread(farm.processes[first].wait, WAIT_S) == 0

    assert await readiness(farm, second) == 200
    for _ in range(4):
        assert await farm.organization() == "Acme"
        await farm.call()
