"""How soon the overview is usable in Chromium with a cold cache, and what each page's code weighs on the wire.

Every visit is a browser profile of its own, so that nothing is cached. Usable means that the figures and the latest
calls of the demo's first organisation are drawn and the live connection stands.
"""

from __future__ import annotations

import gzip
import http.client
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import urlsplit

from playwright.async_api import Browser, BrowserContext, Response, async_playwright

from matrix_app import pages
from matrix_app.pages.registry import PAGES, Console
from services.demo.stories import HALDEN, OPERATOR, Story
from services.identity.cookies import session_cookie
from tests.bench.figures import Figure, Result, median_figure
from tests.bench.product import Product, ProductFailed, running
from tests.tools import chromium

USABLE_MS_MAX = 1_500.0
SCRIPT_KB_MAX = 250.0  # gzip, of a page without charts
STYLE_KB_MAX = 30.0
VISITS = 9
TIMEOUT_MS = 30_000.0
OVERVIEW = "/portal"
NOWHERE = "/there/is/no/such/page"  # what the route "404" is drawn for
WINDOW = {"width": 1440, "height": 900}
# Its value is the time since the navigation began, in milliseconds, or false when it is not so far yet.
_USABLE = """() =>
  document.querySelector(".live-status[data-state=live]") !== null
  && document.querySelector(".figure-card .live-value")?.innerText.trim()
  && document.querySelector("table tbody th a") !== null
  && performance.now()"""
_FIRST_PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0].startTime"


@dataclass(frozen=True, slots=True)
class Weight:
    """Bytes, gzip, of what a visit loaded."""

    script: int
    style: int
    has_chart: bool


async def run() -> Result:
    program = chromium.path()
    if program is None:
        raise ProductFailed("There is no Chromium: `python -m tests.tools.chromium` installs it.")
    pages.load_all()
    with running() as product:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=program, args=list(chromium.FLAGS))
            cookies = {"portal": _cookie(product, HALDEN), "governance": _cookie(product, OPERATOR)}
            visits = [await _visit(browser, product, cookies["portal"]) for _ in range(VISITS)]
            weights = await _weights(browser, product, cookies)
            await browser.close()
    # The first visit of a started product also warms the server: it is told apart, not left out.
    painted, usable = zip(*visits[1:], strict=True)
    figures = [
        median_figure("overview usable, cold cache", usable, "ms", goal=USABLE_MS_MAX),
        Figure("the slowest of these visits", max(usable), "ms", goal=USABLE_MS_MAX),
        Figure("the first visit after the start", visits[0][1], "ms", goal=USABLE_MS_MAX),
        median_figure("first paint", painted, "ms"),
        *_figures(weights),
    ]
    return Result(
        "pages", tuple(figures), {"weights": "gzip, 1 kB = 1,000 bytes; pages with charts have no budget"}
    )


def _cookie(product: Product, story: Story) -> str:
    return product.cookie(story.address_of(story.people[0])).partition("=")[2]


async def _window(browser: Browser, product: Product, session: str | None) -> BrowserContext:
    context = await browser.new_context(base_url=product.address, viewport=WINDOW)  # pyright: ignore[reportArgumentType]
    context.set_default_timeout(TIMEOUT_MS)
    if session is not None:
        await context.add_cookies(
            [{"name": session_cookie(product.address), "value": session, "url": product.address}]
        )
    return context


async def _visit(browser: Browser, product: Product, session: str) -> tuple[float, float]:
    """Milliseconds until the first paint, and until the overview is usable."""
    async with await _window(browser, product, session) as context:
        page = await context.new_page()
        await page.goto(OVERVIEW, wait_until="commit")
        usable = await page.wait_for_function(_USABLE, polling="raf")
        return await page.evaluate(_FIRST_PAINT), await usable.json_value()


async def _weights(browser: Browser, product: Product, cookies: Mapping[str, str]) -> dict[str, Weight]:
    """By route, in the order of the routes. Each is opened by somebody who may see it."""
    sizes: dict[str, int] = {}
    found: dict[str, Weight] = {}
    for route, address in sorted(_addresses(product).items()):
        console = PAGES[route].console
        session = None if console is Console.PUBLIC else cookies.get(console.value, cookies["governance"])
        async with await _window(browser, product, session) as context:
            page = await context.new_page()
            loaded: dict[str, str] = {}

            def note(response: Response, into: dict[str, str] = loaded) -> None:
                into[response.url] = response.request.resource_type

            page.on("response", note)
            await page.goto(address, wait_until="networkidle")
            chart = await page.locator(".chart").count() > 0
            scripts = {url for url in loaded if urlsplit(url).path.endswith(".js")}
            styles = {url for url in loaded if urlsplit(url).path.endswith(".css")}
        found[route] = Weight(_total(scripts, sizes), _total(styles, sizes), chart)
    return found


def _addresses(product: Product) -> dict[str, str]:
    """The address of each route; of those that name a row, of a row that exists."""
    answer = product.ask(
        "GET", "/api/v1/requests?limit=1", headers={"Authorization": f"Bearer {product.key}"}
    )
    rows = {"[request_id]": answer.json()["data"][0]["id"], "[organization_id]": product.demo["organization"]}
    found = {route: NOWHERE if route == "404" else route for route in PAGES}
    for route in found:
        for name, row in rows.items():
            found[route] = found[route].replace(name, row)
    return found


def _total(addresses: Iterable[str], sizes: dict[str, int]) -> int:
    for address in addresses:
        if address not in sizes:
            sizes[address] = _gzip_bytes(address)
    return sum(sizes[address] for address in addresses)


def _gzip_bytes(address: str) -> int:
    """What a client that knows gzip alone is sent. What the server leaves as it is counts as it is sent."""
    parts = urlsplit(address)
    with closing(http.client.HTTPConnection(parts.netloc, timeout=30)) as connection:
        connection.request("GET", f"{parts.path}?{parts.query}", headers={"Accept-Encoding": "gzip"})
        answer = connection.getresponse()
        body = answer.read()
    if answer.status != 200:
        raise ProductFailed(f"{address} answered {answer.status}.")
    if answer.headers["Content-Encoding"] == "gzip":
        gzip.decompress(body)  # raises when it is none
    return len(body)


def _figures(weights: Mapping[str, Weight]) -> list[Figure]:
    figures: list[Figure] = []
    for route, weight in weights.items():
        name = f"{route}, with a chart" if weight.has_chart else route
        for what, size, most in (("JS", weight.script, SCRIPT_KB_MAX), ("CSS", weight.style, STYLE_KB_MAX)):
            figures.append(
                Figure(f"{what} of {name}", size / 1_000, "kB", goal=None if weight.has_chart else most)
            )
    return figures
