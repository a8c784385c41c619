"""A plan in a browser, from comparison to what is billed for it: to the cent what was shown."""

from __future__ import annotations

import re

from playwright.async_api import Page, expect

from tests.e2e.browsing import MARKS, OTHER_OWNER, Visitors, becomes, settled

pytestmark = MARKS


async def agreed_amount(page: Page) -> str:
    """The figures on the button by which somebody agrees, once they are there."""
    button = page.get_by_role("button", name=re.compile(r"^Agree and pay [1-9]"))
    await expect(button).to_be_visible()
    found = re.search(r"pay ([\d.,]+)", await button.inner_text())
    assert found is not None
    return found[1]


async def billed(page: Page) -> set[str]:
    """The figures of its invoices' totals, as they stand there."""
    cells = page.get_by_role("table", name="Invoices").locator("td[data-label=Total]")
    return {re.sub(r"[^\d.,]", "", text) for text in await cells.all_inner_texts()}


async def test_a_change_of_plan_is_billed_as_it_was_shown(visitors: Visitors) -> None:
    page = await visitors.page(OTHER_OWNER)
    await page.goto("/portal/plans")
    await settled(page)
    await page.get_by_role("link", name="Choose Scale").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Choose a plan")
    await settled(page)
    await page.get_by_role("link", name="Fill in billing profile").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Billing profile")
    await settled(page)
    await page.get_by_label("Name or company").fill("Meridian Ltd")
    await page.get_by_label("Address").fill("1 Harbour Road\nBristol")
    await page.get_by_label("Country").fill("GB")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Billing profile saved")).to_be_visible()

    await page.goto("/portal/plans")
    await settled(page)
    await page.get_by_role("link", name="Choose Scale").click()
    first = await agreed_amount(page)
    await page.get_by_role("button", name=f"Agree and pay {first}").click()
    await expect(page.get_by_text("Done. What you agreed to is below.")).to_be_visible()
    await becomes(lambda: billed(page), {first})

    await page.get_by_role("link", name="Change", exact=True).click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Change your plan")
    await settled(page)
    await page.get_by_role("spinbutton", name="Seats").fill("12")
    await expect(page.get_by_text("Unused time: Seats").first).to_be_visible()
    await page.get_by_text("Why?").first.click()
    await expect(page.get_by_text("Rounded once for the line").first).to_be_visible()
    second = await agreed_amount(page)
    await page.get_by_role("button", name=f"Agree and pay {second}").click()
    await expect(page.get_by_text("Done. What you agreed to is below.")).to_be_visible()
    await becomes(lambda: billed(page), {first, second})

    await page.goto("/portal/plans")
    await settled(page)
    await expect(page.get_by_text("Your plan", exact=True)).to_be_visible()
