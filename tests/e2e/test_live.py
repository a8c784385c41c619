"""Figures that change while one looks: they equal a reload, reach everybody, survive a crash, and tell no secret."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.async_api import Page, expect

from services.demo.stories import HALDEN
from services.identity.cookies import session_cookie
from tests.bench.product import START_TIMEOUT_S, Product, paused
from tests.e2e.browsing import (
    MARKS,
    MODEL,
    OWNER,
    VIEWER,
    Person,
    Visitors,
    becomes,
    figure,
    settled,
    zone_of_a_long_day,
)

pytestmark = MARKS

CALLS = 3

# Values as a machine reads them, since "2 minutes ago" is another text at each look.
_SHOWN = """() => {
  const of = (cell) => {
    const value = cell.querySelector("data, time");
    return value ? (value.dateTime ?? value.value) : cell.textContent;
  };
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  return {
    figures: all(".figure-card").map((card) => [card.querySelector("h2").textContent, of(card)]),
    lines: all(".figure-card svg").map((line) => line.outerHTML.replace(/ data-fresh="[a-z]*"/g, "")),
    rows: all("table tbody tr").map((row) => all("th, td", row).map(of)),
  };
}"""


@pytest.fixture(scope="module", autouse=True)
def today_goes_on(product: Product, _visitors: Visitors) -> Iterator[None]:
    """The day of the organisation that is looked at does not end while it is."""
    cookie = f"{session_cookie(product.address)}={_visitors.session(OWNER)}"
    headers = {"Cookie": cookie, "X-Matrix-CSRF": "1", "Origin": product.address}

    def move(timezone: str) -> None:
        answer = product.ask("PATCH", "/api/v1/organization", {"timezone": timezone}, headers=headers)
        assert answer.status == 200, answer.body

    move(zone_of_a_long_day())
    yield
    move(HALDEN.timezone)


async def shown(page: Page) -> dict[str, Any]:
    return await page.evaluate(_SHOWN)


async def overview(visitors: Visitors, person: Person) -> Page:
    page = await visitors.page(person)
    await page.goto("/portal")
    await settled(page)
    await expect(page.locator(".live-status")).to_have_attribute("data-state", "live")
    return page


async def loaded_anew(visitors: Visitors, person: Person) -> dict[str, Any]:
    """What a page shows that is opened now and hears nothing from the hub."""
    page = await visitors.page(person)
    await page.route_web_socket(re.compile("/live$"), lambda _: None)
    await page.goto("/portal")
    await settled(page)
    return await shown(page)


def call(product: Product) -> str:
    """One answered call of the demo's organisation; its request id."""
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Say hello"}], "max_tokens": 8}
    headers = {"Authorization": f"Bearer {product.key}"}
    answer = product.ask("POST", "/v1/chat/completions", body, headers=headers)
    assert answer.status == 200, answer.body.decode()
    return str(answer.headers["x-request-id"])


async def calls_arrive(page: Page, product: Product, calls: int) -> None:
    """Make `calls` and wait until the open page shows all of them."""
    requests = figure(page, "Requests today")
    before = int((await requests.inner_text()).replace(",", ""))
    last = [call(product) for _ in range(calls)][-1]
    await expect(requests).to_have_text(f"{before + calls:,}")
    newest = page.get_by_role("table", name="Latest requests").locator("tbody tr").first
    await expect(newest.get_by_role("link")).to_have_attribute("href", f"/portal/requests/{last}")


async def test_live_equals_reload_for_everybody(product: Product, visitors: Visitors) -> None:
    watching, second = await overview(visitors, OWNER), await overview(visitors, OWNER)
    at_first = await shown(watching)

    await calls_arrive(watching, product, CALLS)
    anew = await loaded_anew(visitors, OWNER)

    assert anew["figures"] != at_first["figures"]
    assert len(anew["figures"]) == 6
    for page in (watching, second):
        await becomes(lambda page=page: shown(page), anew)


@pytest.mark.parametrize(("person", "sees"), [(OWNER, True), (VIEWER, False)])
async def test_cost_is_for_those_who_may_see_it(
    person: Person, sees: bool, product: Product, visitors: Visitors
) -> None:
    page = await visitors.page(person)
    frames: list[str] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: frames.append(str(frame))))
    headers = {"Authorization": f"Bearer {product.key}"}
    newest = product.ask("GET", "/api/v1/requests?limit=1", headers=headers).json()["data"][0]["id"]
    texts: list[str] = []
    for address in ("/portal", "/portal/usage", "/portal/requests", f"/portal/requests/{newest}"):
        await page.goto(address)
        await settled(page)
        texts.append(await page.locator("main").inner_text())
        texts += await page.locator("main data").evaluate_all("all => all.map((one) => one.textContent)")

    seen = re.findall(r"EUR|\bCost\b", "\n".join(texts))
    sent = re.findall(r'\\?"(?:cost|amount|unit_amount)\\?":\s*\\?"?[0-9]', "\n".join(frames))
    assert frames, "nothing was heard on the page's sockets, so nothing is proved by them"
    assert (bool(seen), bool(sent)) == (sees, sees)


async def test_a_crashed_server_is_said_and_made_good(product: Product, visitors: Visitors) -> None:
    page = await overview(visitors, OWNER)
    await page.evaluate("window.notReloaded = true")
    banner = page.locator(".connection")

    with paused(product.process.pid):  # it is started again only when the page has said so
        os.kill(product.pid("web"), signal.SIGKILL)
        await expect(banner).to_contain_text("Reconnecting")
        await expect(page.locator(".live-status")).to_have_attribute("data-state", "behind")
        await expect(figure(page, "Requests today")).to_be_visible()

    await expect(banner).not_to_contain_text("Reconnecting", timeout=START_TIMEOUT_S * 1_000)
    await expect(page.locator(".live-status")).to_have_attribute("data-state", "live")
    await calls_arrive(page, product, 1)
    assert await page.evaluate("window.notReloaded") is True
    anew = await loaded_anew(visitors, OWNER)
    await becomes(lambda: shown(page), anew)
