"""Two web processes and one browser: its pages outlive a restart of both, one by one, and the death of one."""

from __future__ import annotations

import asyncio
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import aiohttp
import psutil
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, expect

from services.identity.cookies import session_cookie
from tests.bench.product import Product, beside, free_port
from tests.e2e.browsing import MARKS, MODEL, OWNER, Faults, becomes, figure, settled
from tests.fakes.balancer import ROUTE_COOKIE, Balancer
from tests.faults.callers import until

pytestmark = MARKS

WAIT_S = 60
# Between calls of one caller: to be hit by one that leaves, or that has just come, takes callers all the time, not all
# of the machine; while one starts there is nothing to be hit by, and they only have to be there.
PAUSE_S, PAUSE_WHILE_STARTING_S = 0.2, 2.0
Start = Callable[[str], subprocess.Popen[bytes]]
Act = Callable[[aiohttp.ClientSession], Awaitable[None]]
FILTERED = "/portal/requests?" + urlencode({"outcome": "ok", "model": MODEL})


@dataclass(slots=True)
class Farm:
    """Two web processes beside the product, the balancer before them, and a window that is signed in through it."""

    processes: dict[str, subprocess.Popen[bytes]]
    balancer: Balancer
    window: BrowserContext
    key: str
    start: Start

    async def restart(self, address: str, load: Load) -> None:
        """As docs/operations.md has it: ask it to end, start it again, wait until it is ready."""
        self.processes[address].terminate()
        assert await asyncio.to_thread(self.processes[address].wait, WAIT_S) == 0
        load.pause_s = PAUSE_WHILE_STARTING_S
        self.processes[address] = await asyncio.to_thread(self.start, address)
        load.pause_s = PAUSE_S

    async def holder(self) -> str:
        """The address of the process that the window is sent to."""
        cookies = await self.window.cookies(self.balancer.address)
        route = next(one["value"] for one in cookies if one.get("name") == ROUTE_COOKIE)  # pyright: ignore[reportTypedDictNotRequiredAccess]
        return list(self.processes)[int(route)]

    async def call(self) -> str:
        """One answered call of the demo's organisation; its request id."""
        answer = await self.window.request.post(
            f"{self.balancer.address}/v1/chat/completions",
            data={"model": MODEL, "messages": [{"role": "user", "content": "Say hello"}], "max_tokens": 8},
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=WAIT_S * 1_000,
        )
        assert answer.status == 200, await answer.text()
        return answer.headers["x-request-id"]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def farm(product: Product, browser: Browser) -> AsyncIterator[Farm]:
    address = f"http://127.0.0.1:{free_port()}"
    model_url = psutil.Process(product.pid("model")).environ()["MATRIX_MODEL_URL"]
    with ExitStack() as stack:

        def start(at: str) -> subprocess.Popen[bytes]:
            port = at.rpartition(":")[2]
            return stack.enter_context(
                beside(product, "web", port=port, public_url=address, model_url=model_url)
            )[1]

        addresses = [f"http://127.0.0.1:{free_port()}" for _ in range(2)]
        started = await asyncio.gather(*(asyncio.to_thread(start, one) for one in addresses))
        processes = dict(zip(addresses, started, strict=True))
        async with Balancer(addresses, sticky=True, port=int(address.rpartition(":")[2])) as balancer:
            window = await browser.new_context(base_url=address, reduced_motion="reduce")
            page = await window.new_page()
            await sign_in(page)
            await page.close()
            yield Farm(processes, balancer, window, product.key, start)
            await window.close()


class Load:
    """Callers who come through the balancer and go on until they are told to stop. What went wrong is in `failures`."""

    def __init__(self, farm: Farm, cookie: str) -> None:
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []
        self.pause_s = PAUSE_S
        self._at = farm.balancer.address
        self._person = {"Cookie": cookie, "X-Matrix-CSRF": "1"}
        self._program = {"Authorization": f"Bearer {farm.key}"}
        self._progress = asyncio.Event()
        self._leaving = False

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            acts = (self._read, self._write, self._complete, self._stream)
            tasks = [asyncio.create_task(self._repeat(act, session)) for act in acts for _ in range(2)]
            try:
                yield
            finally:
                self._leaving = True
                await asyncio.gather(*tasks)

    async def more(self, count: int) -> None:
        """Wait until each kind of call was answered so often again."""
        wanted = {name: self.answers[name] + count for name in ("_read", "_write", "_complete", "_stream")}
        async with asyncio.timeout(WAIT_S):
            while any(self.answers[name] < least for name, least in wanted.items()):
                self._progress.clear()
                await self._progress.wait()

    async def _repeat(self, act: Act, session: aiohttp.ClientSession) -> None:
        while not self._leaving:
            try:
                await act(session)
            except (aiohttp.ClientError, TimeoutError, AssertionError) as error:
                self.failures.append(f"{act.__name__}: {error!r}")
            self.answers[act.__name__] += 1
            self._progress.set()
            await asyncio.sleep(self.pause_s)

    async def _read(self, session: aiohttp.ClientSession) -> None:
        async with session.get(f"{self._at}/api/v1/requests?limit=5", headers=self._person) as answer:
            assert answer.status == 200, await answer.text()
            assert (await answer.json())["data"]

    async def _write(self, session: aiohttp.ClientSession) -> None:
        now = datetime.now(UTC).isoformat()
        event = {"source": "restart", "event_id": str(uuid4()), "type": "page.restarted", "time": now}
        async with session.post(
            f"{self._at}/api/v1/usage/events", json=event, headers=self._person
        ) as answer:
            assert answer.status == 200, await answer.text()
            assert (await answer.json())["accepted"] == 1

    async def _complete(self, session: aiohttp.ClientSession) -> None:
        async with self._call(session, stream=False) as answer:
            assert answer.status == 200, await answer.text()

    async def _stream(self, session: aiohttp.ClientSession) -> None:
        async with self._call(session, stream=True) as answer:
            said = await answer.text()
            assert answer.status == 200, said
            assert said.rstrip().endswith("data: [DONE]"), said
            assert '"error"' not in said

    def _call(self, session: aiohttp.ClientSession, *, stream: bool) -> Any:
        body = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 6}
        return session.post(
            f"{self._at}/v1/chat/completions", json=body | {"stream": stream}, headers=self._program
        )


async def sign_in(page: Page) -> None:
    await page.goto("/sign-in")
    await settled(page)
    await page.get_by_label("Email", exact=True).fill(OWNER.email)
    await page.get_by_label("Password", exact=True).fill(OWNER.password)
    await page.get_by_role("button", name="Sign in", exact=True).click()
    await page.wait_for_url("**/portal")


async def rows(page: Page) -> list[str]:
    return await page.get_by_role("table").locator("tbody tr").all_inner_texts()


async def test_a_rolling_restart_fails_no_request_and_loses_no_session(product: Product, farm: Farm) -> None:
    page = await farm.window.new_page()
    await page.goto("/portal")
    await settled(page)
    live = page.locator(".live-status")
    await expect(live).to_have_attribute("data-state", "live")
    session = await asyncio.to_thread(product.session, OWNER.email, OWNER.password)
    load = Load(farm, f"{session_cookie(farm.balancer.address)}={session}")

    async with load.going_on():
        await load.more(3)
        for address in farm.processes:
            before = farm.processes[address].pid
            await farm.restart(address, load)
            assert farm.processes[address].pid != before
            await load.more(3)
            await expect(live).to_have_attribute("data-state", "live")

    assert load.failures == [], "\n".join(load.failures)
    request_id = await farm.call()
    newest = page.get_by_role("table", name="Latest requests").locator("tbody tr").first
    await expect(newest.get_by_role("link")).to_have_attribute("href", f"/portal/requests/{request_id}")
    await page.get_by_role(
        "link", name="Requests", exact=True
    ).first.click()  # a page event, at either process
    await page.wait_for_url("**/portal/requests")
    await expect(page.get_by_role("table").locator("tbody tr").first).to_be_visible()
    await page.close()


async def test_pages_go_on_at_the_other_process_when_theirs_is_killed(farm: Farm) -> None:
    overview = await farm.window.new_page()
    await overview.goto("/portal")
    await settled(overview)
    await expect(overview.locator(".live-status")).to_have_attribute("data-state", "live")
    requests = await farm.window.new_page()
    await requests.goto(FILTERED)
    await settled(requests)
    before = await rows(requests)
    assert before
    first = await farm.holder()
    other = next(address for address in farm.processes if address != first)
    await until(lambda: farm.balancer.sockets[other] == 0, "no page is at the other process")

    farm.processes[first].kill()

    # Both pages' own sockets, and the one of live figures.
    await until(lambda: farm.balancer.sockets[other] >= 3, "the pages are at the other process")
    await becomes(lambda: rows(requests), before)
    await expect(overview.locator(".live-status")).to_have_attribute("data-state", "live")
    request_id = await farm.call()
    newest = overview.get_by_role("table", name="Latest requests").locator("tbody tr").first
    await expect(newest.get_by_role("link")).to_have_attribute("href", f"/portal/requests/{request_id}")
    await expect(figure(overview, "Requests today")).to_be_visible()

    # A page event at the process that had never seen this page: the address and the cookie are all it needs.
    first_row = requests.get_by_role("table").locator("tbody tr").first
    await expect(first_row).to_contain_text("Answered")
    await requests.get_by_label("Outcome").select_option(label="Failed")
    await requests.wait_for_url("**outcome=failed**")
    await expect(first_row).to_contain_text("Failed")
    await requests.get_by_label("Outcome").select_option(label="Answered")
    await requests.wait_for_url("**outcome=ok**")
    await expect(first_row.get_by_role("link")).to_have_attribute("href", f"/portal/requests/{request_id}")

    # And a reload shows the same as the page that lived through it.
    lived = await rows(requests)
    faults = Faults()
    faults.listen(requests)
    await requests.reload()
    await settled(requests)
    await becomes(lambda: rows(requests), lived)
    assert await farm.holder() == other
    assert faults.found == []
