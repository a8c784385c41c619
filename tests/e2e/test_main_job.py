"""The product's main job as a new user does it: sign up, call a model, see it arrive, know what it cost."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.bench.product import Product, paused
from tests.e2e import newcomer as steps
from tests.e2e.browsing import (
    MARKS,
    MODEL,
    MODEL_NAME,
    OTHER_OWNER,
    Faults,
    Person,
    Visitors,
    figure,
    settled,
    zone_of_a_long_day,
)
from tests.e2e.newcomer import Newcomer

pytestmark = MARKS


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def nadia(product: Product, browser: Browser) -> AsyncIterator[Newcomer]:
    """Somebody who signed up through the pages and has a key; every step on the way is looked at."""
    who = steps.newcomer()
    context = await browser.new_context(base_url=product.address, timezone_id=zone_of_a_long_day())
    page = await context.new_page()
    faults = Faults()
    faults.listen(page)
    await steps.sign_up(page, who)
    await steps.confirm(page, product, who)
    await steps.found(page, who)
    await steps.make_key(page, who)
    assert re.fullmatch(steps.SECRET, who.secret)
    assert faults.found == []
    yield who
    await context.close()


async def at(visitors: Visitors, who: Newcomer, address: str) -> Page:
    page = await visitors.page(Person(who.email, who.password, who.name))
    await page.goto(address)
    await settled(page)
    return page


async def test_a_call_appears_on_the_open_overview(
    product: Product, nadia: Newcomer, visitors: Visitors
) -> None:
    page = await at(visitors, nadia, "/portal")
    await expect(page.locator(".live-status")).to_have_attribute("data-state", "live")
    await page.evaluate("window.notReloaded = true")
    requests, cost = (figure(page, name) for name in ("Requests today", "Cost today"))
    before = int(await requests.inner_text())
    cost_before = await cost.inner_text()

    request_id = await steps.ask(product, nadia)

    await expect(requests).to_have_text(str(before + 1))
    await expect(cost).not_to_have_text(cost_before)
    row = page.get_by_role("row").filter(has=page.locator(f"a[href='/portal/requests/{request_id}']"))
    await expect(row).to_be_visible()
    await expect(row).to_contain_text(nadia.key_name)
    await expect(row.get_by_role("cell").last).to_contain_text("USD")
    await expect(page.get_by_role("heading", name="Make your first call")).to_have_count(0)
    assert await page.evaluate("window.notReloaded") is True


async def test_a_stream_arrives_in_pieces_and_is_counted(
    product: Product, nadia: Newcomer, visitors: Visitors
) -> None:
    page = await at(visitors, nadia, "/portal")
    requests = figure(page, "Requests today")
    before = int(await requests.inner_text())

    async with nadia.client(product) as client:
        stream = await client.chat.completions.create(
            model=MODEL,
            messages=steps.ASKED,
            max_tokens=steps.ANSWER_TOKENS_MAX,
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]

    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert len([piece for piece in pieces if piece]) > 1
    usage = chunks[-1].usage
    assert usage is not None
    await expect(requests).to_have_text(str(before + 1))
    newest = page.get_by_role("table", name="Latest requests").locator("tbody tr").first
    await expect(newest.get_by_role("cell").nth(3)).to_have_text(str(usage.prompt_tokens))
    await expect(newest.get_by_role("cell").nth(4)).to_have_text(str(usage.completion_tokens))


async def test_usage_shows_it_by_model_and_by_key(
    product: Product, nadia: Newcomer, visitors: Visitors
) -> None:
    await steps.ask(product, nadia)
    page = await at(visitors, nadia, "/portal/usage?range=24h")
    rows = page.get_by_role("table", name="By model or key").locator("tbody tr")

    await page.get_by_label("Group by").select_option("model")
    await expect(rows.filter(has_text=MODEL_NAME)).to_contain_text("USD")

    await page.get_by_label("Group by").select_option("key")
    await expect(rows.filter(has_text=nadia.key_name)).to_contain_text("USD")
    await expect(page).to_have_url(re.compile("group=key"))

    await page.get_by_role("button", name="Show table").click()
    await expect(page.locator("figure table")).to_be_visible()


async def test_the_playground_streams_and_can_be_stopped(
    product: Product, nadia: Newcomer, visitors: Visitors
) -> None:
    page = await at(visitors, nadia, "/portal/playground")
    answer = page.locator(".turn-assistant").last
    message = page.get_by_label("Message", exact=True)

    await page.get_by_label("Longest answer").fill("12")
    await message.fill("Say hello")
    await message.press("Control+Enter")
    await expect(answer).to_contain_text(re.compile(r"\d+ tokens in, \d+ out"))
    await expect(answer.locator(".turn-text")).not_to_be_empty()

    await page.get_by_label("Longest answer").fill("512")
    await message.fill("Count from one to five hundred, each number in words")
    with paused(product.pid("model")):  # which may be done in a second, before anybody can stop it
        await page.get_by_role("button", name="Send").click()
        await page.get_by_role("button", name="Stop").click()
        await expect(answer).to_contain_text("Stopped by you")
        await expect(page.get_by_role("button", name="Send")).to_be_visible()


async def test_a_request_explains_its_cost(product: Product, nadia: Newcomer, visitors: Visitors) -> None:
    request_id = await steps.ask(product, nadia)
    page = await at(visitors, nadia, "/portal/requests")
    await page.locator(f"a[href='/portal/requests/{request_id}']").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Request")

    lines = page.get_by_role("table", name="What it cost, and why")
    await expect(lines.locator("tbody tr")).to_have_count(2)
    amounts = [await cell.get_attribute("value") for cell in await lines.locator("td:last-child data").all()]
    total = page.locator("dt", has_text="Cost").locator("xpath=following-sibling::dd[1]").locator("data")
    assert _sum(amounts) == _sum([await total.get_attribute("value")]) > 0


def _sum(amounts: list[str | None]) -> Decimal:
    return sum((Decimal(amount or "NaN") for amount in amounts), Decimal(0))


async def test_a_secret_is_shown_once(nadia: Newcomer, visitors: Visitors) -> None:
    page = await at(visitors, nadia, "/portal/keys")
    other = Newcomer(nadia.email, key_name="Second program")
    sent: list[str] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: sent.append(str(frame))))
    await page.reload()
    await settled(page)

    await steps.make_key(page, other)

    await expect(page.get_by_role("row").filter(has_text="Second program")).to_contain_text(other.secret[:9])
    assert other.secret not in await page.content()
    assert sent, "nothing was heard on the page's socket, so nothing is proved by it"
    assert not [frame for frame in sent if other.secret in frame]


async def test_after_signing_out_nothing_is_left_to_see(nadia: Newcomer, visitors: Visitors) -> None:
    page = await visitors.page()
    await page.goto("/sign-in")
    await steps.sign_in(page, nadia)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    await page.get_by_role("link", name="API keys").click()
    keys = page.get_by_role("table", name="API keys")
    await expect(keys.get_by_role("row").filter(has_text=nadia.key_name)).to_be_visible()

    await page.get_by_role("button", name=f"Account: {nadia.name}").click()
    await page.get_by_role("menuitem", name="Sign out").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")

    await page.go_back()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    assert nadia.key_name not in await page.content()
    assert nadia.organization not in await page.content()


async def test_a_strangers_request_is_not_found(
    product: Product, nadia: Newcomer, visitors: Visitors
) -> None:
    request_id = await steps.ask(product, nadia)
    page = await visitors.page(OTHER_OWNER)
    await page.goto(f"/portal/requests/{request_id}")
    await settled(page)
    await expect(page.get_by_role("heading", name="Not found")).to_be_visible()
    await expect(page.locator("dl")).to_have_count(0)
