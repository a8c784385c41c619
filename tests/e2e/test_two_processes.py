"""Two web processes and one browser: when the process that held its pages is killed, they go on at the other."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from urllib.parse import urlencode

import psutil
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.bench.product import Product, beside, free_port
from tests.e2e.browsing import MARKS, MODEL, OWNER, Faults, becomes, figure, settled
from tests.fakes.balancer import ROUTE_COOKIE, Balancer

pytestmark = MARKS

WAIT_S = 60
FILTERED = "/portal/requests?" + urlencode({"outcome": "ok", "model": MODEL})


@dataclass(slots=True)
class Farm:
    """Two web processes beside the product, the balancer before them, and a window that is signed in through it."""

    processes: dict[str, subprocess.Popen[bytes]]
    balancer: Balancer
    window: BrowserContext
    key: str

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


@pytest_asyncio.fixture(loop_scope="session")
async def farm(product: Product, browser: Browser) -> AsyncIterator[Farm]:
    address = f"http://127.0.0.1:{free_port()}"
    with ExitStack() as stack:
        started = await asyncio.gather(*(asyncio.to_thread(start, product, address, stack) for _ in range(2)))
        processes = dict(started)
        async with Balancer(list(processes), sticky=True, port=int(address.rpartition(":")[2])) as balancer:
            window = await browser.new_context(base_url=address, reduced_motion="reduce")
            yield Farm(processes, balancer, window, product.key)
            await window.close()


def start(product: Product, address: str, stack: ExitStack) -> tuple[str, subprocess.Popen[bytes]]:
    model_url = psutil.Process(product.pid("model")).environ()["MATRIX_MODEL_URL"]
    return stack.enter_context(beside(product, "web", public_url=address, model_url=model_url))


async def sign_in(page: Page) -> None:
    await page.goto("/sign-in")
    await settled(page)
    await page.get_by_label("Email", exact=True).fill(OWNER.email)
    await page.get_by_label("Password", exact=True).fill(OWNER.password)
    await page.get_by_role("button", name="Sign in", exact=True).click()
    await page.wait_for_url("**/portal")


async def rows(page: Page) -> list[str]:
    return await page.get_by_role("table").locator("tbody tr").all_inner_texts()


async def test_pages_go_on_at_the_other_process_when_theirs_is_killed(farm: Farm) -> None:
    overview = await farm.window.new_page()
    await sign_in(overview)
    await settled(overview)
    await expect(overview.locator(".live-status")).to_have_attribute("data-state", "live")
    requests = await farm.window.new_page()
    await requests.goto(FILTERED)
    await settled(requests)
    before = await rows(requests)
    assert before
    first = await farm.holder()
    other = next(address for address in farm.processes if address != first)
    assert farm.balancer.sockets[other] == 0

    farm.processes[first].kill()

    # Both pages' own sockets, and the one of live figures.
    async with asyncio.timeout(WAIT_S):
        while farm.balancer.sockets[other] < 3:  # noqa: ASYNC110 (the balancer counts what browsers do)
            await asyncio.sleep(0.05)
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
