"""What browser tests share: people of the demo, pages that write down their faults, and when a page is settled."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, expect

from services.demo.stories import HALDEN, MERIDIAN, OPERATOR, Story
from services.identity.cookies import session_cookie
from tests.bench.product import Product

# One worker, one product, one event loop: a browser belongs to the loop that started it.
MARKS = [
    pytest.mark.e2e,
    pytest.mark.xdist_group("e2e"),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(600),  # the first of them also builds the pages
]
DESK = {"width": 1440, "height": 900}
PHONE = {"width": 360, "height": 780}
REFLOW = {"width": 320, "height": 640}
DRAWING = ".chart-canvas[aria-busy=true]"  # what the gallery waits for, which also shows what loads for ever
AXE = Axe().axe_script
AXE_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# All but violations is left out early: to describe what is well takes longer than to find what is not. Nobody reads
# selectors, and of what axe would fetch once more these rules ask for media alone, not for style sheets.
AXE_RUN = """([rules, contrast]) => axe.run({
    runOnly: rules, rules: {"color-contrast": {enabled: contrast}},
    resultTypes: ["violations"], selectors: false, preload: {assets: ["media"]}
  }).then(found => found.violations.map(one => [one.id, one.help, one.nodes.slice(0, 3).map(node => node.html)]))"""
FAINT = (Path(__file__).parent / "faint.js").read_text()
WAIT_S = 30  # how long a busy machine may take; how fast it must be, benchmarks say
MODEL, MODEL_NAME = "smollm2-135m", "SmolLM2 135M Instruct"


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of the demo who can sign in."""

    email: str
    password: str
    name: str


def _of(story: Story, place: int) -> Person:
    person = story.people[place]
    return Person(story.address_of(person), person.password, person.name)


OWNER = _of(HALDEN, 0)
VIEWER = _of(HALDEN, 4)
OTHER_OWNER = _of(MERIDIAN, 0)
STAFF = _of(OPERATOR, 0)


@dataclass
class Faults:
    """What browsers complained about. A 404 document says so on the console too; that is its content, no fault."""

    found: list[str] = field(default_factory=list)

    def listen(self, page: Page) -> None:
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.found.append(f"{page.url}: {error}"))

    def _hear(self, message: ConsoleMessage) -> None:
        where = message.location.get("url", "")
        own_document = message.page is not None and where == message.page.url
        if message.type == "error" and not (own_document and "404" in message.text):
            self.found.append(f"{where}: {message.text}")


class Visitors:
    """Browser contexts of the demo's people. Each signs in once: the door slows down those who come often."""

    def __init__(self, product: Product, browser: Browser) -> None:
        self.product = product
        self._browser = browser
        self._cookies: dict[str, str] = {}
        self._open: list[BrowserContext] = []
        self._kept: dict[Person, BrowserContext] = {}

    async def context(self, person: Person | None = None, **options: Any) -> BrowserContext:
        """A window of its own, signed in as `person` or not at all. Closed at the end of the test."""
        opened = await self._window(person, **options)
        self._open.append(opened)
        return opened

    async def _window(self, person: Person | None, **options: Any) -> BrowserContext:
        given = {"viewport": DESK, "color_scheme": "light", "reduced_motion": "reduce"} | options
        opened = await self._browser.new_context(base_url=self.product.address, **given)
        if person is not None:
            token = self.session(person)
            cookie = {"name": session_cookie(self.product.address), "value": token, "httpOnly": True}
            await opened.add_cookies([cookie | {"url": self.product.address}])  # pyright: ignore[reportArgumentType]
        return opened

    async def page(self, person: Person | None = None, **options: Any) -> Page:
        """One page in a window of its own."""
        return await (await self.context(person, **options)).new_page()

    async def tab(self, person: Person, *, viewport: Any = DESK, color_scheme: Any = "light") -> Page:
        """One page in the window that `person` keeps from test to test, where no program is fetched a second time.

        For tests that change nothing there: who signs out, say, wants a window of their own.
        """
        if person not in self._kept:
            self._kept[person] = await self._window(person)
        page = await self._kept[person].new_page()
        await page.set_viewport_size(viewport)
        await page.emulate_media(color_scheme=color_scheme)
        return page

    async def close(self) -> None:
        for context in self._open:
            await context.close()
        self._open.clear()
        for context in self._kept.values():
            for page in context.pages:
                await page.close()

    def session(self, person: Person) -> str:
        """The token of one that is kept for all windows."""
        if person.email not in self._cookies:
            self._cookies[person.email] = self.product.session(person.email, person.password)
        return self._cookies[person.email]


def figure(page: Page, name: str) -> Locator:
    """The value on the overview's card of that name."""
    heading = page.get_by_role("heading", name=name, exact=True)
    return page.locator(".figure-card").filter(has=heading).locator(".figure-value")


LOADING = "[aria-busy=true]"


async def settled(page: Page, *, heading: str = "", loading: str = LOADING) -> None:
    """Wait until the page shows what it came to show: its state is there, nothing loads, its window has its name.

    After a click that leads to it, its `heading` has to be there first: the page that is left is settled, too.
    """
    if heading:
        await expect(page.get_by_role("heading", level=1)).to_have_text(heading)
    await expect(page.locator(".mode-bar")).to_be_visible()
    await expect(page.locator("main h1")).to_be_visible()
    await expect(page.locator(loading)).to_have_count(0)
    await expect(page).to_have_title(re.compile(r".+ · Matrix$"))


GO_ON = """address => {
  document.querySelector("main h1").dataset.left = "";
  return window.__reactRouterDataRouter.navigate(address);
}"""


async def go_on(page: Page, address: str) -> None:
    """To another page within the app, as by a link, which takes half of what loading it takes; until it is settled."""
    await page.evaluate(GO_ON, address)
    await expect(page.locator("[data-left]")).to_have_count(0)
    await settled(page)


async def becomes(read: Callable[[], Awaitable[T]], wanted: T) -> None:
    """Wait until what `read` gives is `wanted`; what it is instead is shown when that never comes."""
    try:
        async with asyncio.timeout(WAIT_S):
            while await read() != wanted:  # noqa: ASYNC110 (a browser tells nobody what it shows)
                await asyncio.sleep(0.05)
    except TimeoutError:
        assert await read() == wanted


async def holds_focus(opened: Locator) -> None:
    """Wait until the focus is in a dialog, a menu or a calendar: before, it hears no keys, and takes the focus from
    what a test gives it to."""
    await becomes(lambda: opened.evaluate("one => one.contains(document.activeElement)"), True)


def zone_of_a_long_day() -> str:
    """A timezone in which today goes on for hours: what a page says of it begins anew at midnight."""
    return "UTC" if datetime.now(UTC).hour < 12 else "America/Los_Angeles"


async def drawn(page: Page) -> None:
    """Wait until what was changed is laid out: sizes are heard of, and scrolling, a frame later."""
    await page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


async def sideways(page: Page) -> int:
    """How many px the page is wider than its window."""
    await drawn(page)
    return await page.evaluate("document.documentElement.scrollWidth - window.innerWidth")


async def violations(page: Page, look: str, *, contrast: bool = True) -> list[str]:
    """What axe finds, as sentences that begin with the look. Without its own look at contrast it takes a third."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE)
    return [
        f"{look}: {rule} ({text}) at {[node[:160] for node in nodes]}"
        for rule, text, nodes in await page.evaluate(AXE_RUN, [AXE_RULES, contrast])
    ]


async def faint(page: Page, look: str) -> list[str]:
    """Texts that are too faint to read, as sentences that begin with the look."""
    return [f"{look}: {said}" for said in await page.evaluate(FAINT)]
