"""Plans in a browser, from an empty product to a customer's paper, and from comparison to what is billed: to the cent
what was shown."""

from __future__ import annotations

import asyncio
import re

from playwright.async_api import Page, expect

from tests.e2e.browsing import MARKS, OTHER_OWNER, STAFF, Visitors, becomes, settled

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


async def put_on_sale(page: Page, plan: str, amount: str) -> None:
    """A plan of the product Orbit, with one price a month that has the tax in it."""
    await page.goto("/governance/plans")
    await settled(page)
    await page.get_by_role("button", name="Create plan").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Product").select_option(label="Orbit")
    await dialog.get_by_label("Name").fill(plan)
    await dialog.get_by_label("Slug").fill(plan.lower().replace(" ", "-"))
    await dialog.get_by_role("button", name="Create plan").click()
    await settled(page, heading=plan)
    await page.get_by_role("button", name="Add price").click()
    await dialog.get_by_label("Name on invoices").fill("Base")
    await dialog.get_by_label("Key").fill("base")
    await dialog.get_by_label("Amount").fill(amount)
    await dialog.get_by_label("Currency").fill("USD")
    await dialog.get_by_label("The price includes the tax").check()
    await dialog.get_by_role("button", name="Save price").click()
    await page.get_by_role("button", name="Publish version 1").click()
    await page.get_by_role("alertdialog").get_by_role("button", name="Publish").click()
    await expect(page.get_by_text("On sale").first).to_be_visible()


async def agree(page: Page) -> str:
    """To what is shown; returns how much that was."""
    amount = await agreed_amount(page)
    await page.get_by_role("button", name=f"Agree and pay {amount}").click()
    await expect(page.get_by_text("as agreed.")).to_be_visible()
    return amount


async def opened_left_and_come_back_to(page: Page) -> None:
    """A dialog that was open when somebody went back is not found open again."""
    await page.goto("/governance/coupons")
    await settled(page)
    await page.get_by_role("link", name="Plans", exact=True).click()
    await settled(page, heading="Plans")
    await page.get_by_role("button", name="Create product").click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    await page.go_back()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Coupons")
    await page.go_forward()
    await settled(page, heading="Plans")
    await expect(page.get_by_role("dialog")).to_have_count(0)


async def test_from_a_new_product_to_a_customers_paper_and_a_change_billed_as_shown(
    visitors: Visitors,
) -> None:
    staff = await visitors.page(STAFF)
    await opened_left_and_come_back_to(staff)
    dialog = staff.get_by_role("dialog")
    await staff.get_by_role("button", name="Create product").click()
    await dialog.get_by_label("Name").fill("Orbit")
    await dialog.get_by_label("Slug").fill("orbit")
    await dialog.get_by_role("button", name="Create product").click()
    await expect(staff.get_by_role("table", name="Products").get_by_text("Orbit").first).to_be_visible()
    await put_on_sale(staff, "Orbit Small", "60")
    await put_on_sale(staff, "Orbit Large", "240")

    page = await visitors.page(OTHER_OWNER)
    await page.goto("/portal/plans")
    await settled(page)
    await page.get_by_role("link", name="Choose Orbit Small").click()
    await settled(page, heading="Choose a plan")
    await page.get_by_role("link", name="Fill in billing profile").click()
    await settled(page, heading="Billing profile")
    await page.get_by_label("Name or company").fill("Meridian Ltd")
    await page.get_by_label("Address").fill("1 Harbour Road\nBristol")
    country = page.get_by_role("combobox", name="Country")
    await country.fill("gb")  # by its code, or by a part of its name
    await expect(page.get_by_role("option", name="United Kingdom")).to_be_visible()
    await country.press("ArrowDown")
    await country.press("Enter")
    await expect(country).to_have_value("United Kingdom")
    await page.get_by_label("Tax number").fill("GB 980 7806 84")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Not checked yet")).to_be_visible()

    await page.goto("/portal/plans")
    await settled(page)
    await page.get_by_role("link", name="Choose Orbit Small").click()
    first = await agree(page)
    assert first == "60.00"  # the tax is in it, whatever it is
    await becomes(lambda: billed(page), {first})
    subscription = page.url
    await page.get_by_role("table", name="Invoices").get_by_role("link").first.click()
    await expect(page.get_by_role("link", name="Download PDF")).to_be_visible()
    async with page.expect_download() as begun:
        await page.get_by_role("link", name="Download PDF").click()
    kept = await (await begun.value).path()
    paper = await asyncio.to_thread(kept.read_bytes)
    assert paper.startswith(b"%PDF-")

    await page.goto("/portal/plans")
    await settled(page)
    await expect(page.get_by_text("Your plan", exact=True)).to_be_visible()
    await page.get_by_role("link", name="Change to Orbit Large").click()
    await settled(page, heading="Change your plan")
    await expect(page.get_by_text("Unused time: Base").first).to_be_visible()
    await page.get_by_text("Why?").first.click()
    await expect(page.get_by_text("Rounded once for the line").first).to_be_visible()
    second = await agree(page)
    assert page.url.partition("?")[0] == subscription.partition("?")[0]
    await becomes(lambda: billed(page), {first, second})
