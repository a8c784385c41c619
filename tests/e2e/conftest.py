"""The real product, once for all browser tests, and a browser to look at it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import psutil
import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright, expect

from tests.bench.product import Product, running
from tests.checks import assert_invariants_at
from tests.e2e.browsing import WAIT_S, Visitors
from tests.tools import chromium

STOP_S = 20
expect.set_options(timeout=WAIT_S * 1_000)


@pytest.fixture(scope="session")
def product() -> Iterator[Product]:
    """`matrix up` in demo mode, in a folder of its own; what must always be true is so after all tests, and when it was
    stopped, nothing of it is left."""
    with running(in_memory=True) as product:
        yield product
        assert_invariants_at(product.database.app_url())
        supervisor = psutil.Process(product.process.pid)
        family = [supervisor, *supervisor.children(recursive=True)]
    assert product.process.returncode == 0, "the product did not end cleanly"
    _, left = psutil.wait_procs(family, STOP_S)
    assert left == [], "processes outlive the product"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    program = chromium.path()
    assert program is not None, "There is no Chromium: run `make test`, or `python -m tests.tools.chromium`."
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program, args=[*chromium.FLAGS, *chromium.BRIEFLY]
        )
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def _visitors(product: Product, browser: Browser) -> Visitors:
    return Visitors(product, browser)


@pytest_asyncio.fixture(loop_scope="session")
async def visitors(_visitors: Visitors) -> AsyncIterator[Visitors]:
    """Windows of this test; all are closed at its end."""
    yield _visitors
    await _visitors.close()
