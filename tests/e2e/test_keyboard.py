"""Everything without a mouse: where the focus is, where it goes, where it comes back to; and the theme's choice."""

from __future__ import annotations

import re

from playwright.async_api import Page, expect

from tests.bench.product import Product
from tests.e2e import newcomer as steps
from tests.e2e.browsing import MARKS, OWNER, Visitors, holds_focus, settled

pytestmark = MARKS

TABS_MAX = 60  # so many stops no page of ours has before the one that is looked for
DARK_CANVAS = "rgb(17, 19, 21)"


async def keys_page(visitors: Visitors) -> Page:
    page = await visitors.page(OWNER)
    await page.goto("/portal/keys")
    await settled(page)
    await expect(page.get_by_role("row").filter(has_text="Support assistant")).to_be_visible()
    return page


async def tab_to(page: Page, role: str, name: str) -> None:
    """Press Tab until the control called `name` has the focus. It has to be there first: keys are faster than rows."""
    wanted = page.get_by_role(role, name=name, exact=True)  # pyright: ignore[reportArgumentType]
    await expect(wanted.first).to_be_visible()
    for _ in range(TABS_MAX):
        await page.keyboard.press("Tab")
        if await wanted.evaluate_all("all => all.includes(document.activeElement)"):
            return
    raise AssertionError(f"{TABS_MAX} times Tab do not lead to the {role} {name!r}.")


async def test_the_first_stop_skips_to_the_content(visitors: Visitors) -> None:
    page = await keys_page(visitors)

    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("main")).to_be_focused()
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("button", name="Export CSV")).to_be_focused()


async def test_a_page_opened_by_a_link_takes_the_focus_and_its_name(visitors: Visitors) -> None:
    page = await keys_page(visitors)

    await tab_to(page, "link", "Models")
    await page.keyboard.press("Enter")

    await expect(page.get_by_role("heading", level=1, name="Models")).to_be_focused()
    await expect(page).to_have_title("Models · Halden Robotics · Matrix")
    await expect(page.locator("[aria-current=page]")).to_have_text("Models")


async def test_a_key_is_made_by_keyboard_alone(visitors: Visitors) -> None:
    page = await keys_page(visitors)

    await tab_to(page, "button", "Create key")
    await page.keyboard.press("Enter")
    asking = page.get_by_role("dialog", name="Create key")
    await expect(asking.get_by_label("Name")).to_be_focused()

    await page.keyboard.press("Enter")  # without a name
    await expect(asking.locator(".error-summary")).to_be_focused()
    await asking.get_by_role("link", name="Enter name").press("Enter")
    await expect(asking.get_by_label("Name")).to_be_focused()
    await page.keyboard.type("Made without a mouse")
    await page.keyboard.press("Enter")

    shown = page.get_by_role("dialog", name="Key created")
    await expect(shown.get_by_label("New secret")).to_be_focused()
    await page.keyboard.press("Escape")  # what is shown once must not go by accident
    await expect(shown).to_be_visible()
    await tab_to(page, "button", "I have copied it")
    await page.keyboard.press("Enter")
    await expect(shown).to_have_count(0)
    await expect(page.get_by_role("button", name="Create key")).to_be_focused()
    made = page.get_by_role("row").filter(has_text="Made without a mouse")
    await expect(made).to_be_visible()

    # What is done with it takes its button away: the focus stays on the page, not nowhere.
    acts = page.get_by_role("button", name="Actions for Made without a mouse")
    await acts.press("Enter")
    await expect(page.get_by_role("menuitem").first).to_be_focused()
    await page.keyboard.press("End")
    await expect(page.get_by_role("menuitem", name="Revoke key")).to_be_focused()
    await page.keyboard.press("Enter")
    revoking = page.get_by_role("dialog", name="Revoke Made without a mouse")
    await holds_focus(revoking)
    await revoking.get_by_role("button", name="Revoke key").press("Enter")
    await expect(acts).to_have_count(0)
    await expect(page.locator("main :focus")).to_have_count(1)


async def test_a_dialog_holds_the_focus_and_gives_it_back(visitors: Visitors) -> None:
    page = await keys_page(visitors)
    opener = page.get_by_role("button", name="Create key")
    await opener.focus()
    await page.keyboard.press("Enter")
    asking = page.get_by_role("dialog", name="Create key")
    await expect(asking.get_by_label("Name")).to_be_focused()

    for _ in range(TABS_MAX // 2):
        await page.keyboard.press("Tab")
        assert await asking.evaluate("dialog => dialog.contains(document.activeElement)")
    await page.keyboard.press("Escape")

    await expect(asking).to_have_count(0)
    await expect(opener).to_be_focused()


async def test_a_rows_menu_goes_by_arrows_and_back(visitors: Visitors) -> None:
    page = await keys_page(visitors)
    opener = page.get_by_role("button", name="Actions for Support assistant")
    await opener.focus()

    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_role("menuitem", name="Rotate key")).to_be_focused()
    await page.keyboard.press("End")
    await expect(page.get_by_role("menuitem", name="Revoke key")).to_be_focused()
    await page.keyboard.press("Home")
    await expect(page.get_by_role("menuitem", name="Rotate key")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("menu")).to_have_count(0)
    await expect(opener).to_be_focused()

    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_role("menuitem", name="Rotate key")).to_be_focused()
    await page.keyboard.press("End")
    await expect(page.get_by_role("menuitem", name="Revoke key")).to_be_focused()
    await page.keyboard.press("Enter")
    asking = page.get_by_role("dialog", name="Revoke Support assistant")
    await holds_focus(asking)
    await page.keyboard.press("Escape")
    await expect(asking).to_have_count(0)
    await expect(opener).to_be_focused()


async def test_a_list_is_sorted_narrowed_turned_and_opened_by_keyboard_alone(visitors: Visitors) -> None:
    page = await visitors.page(OWNER)
    await page.goto("/portal/requests")
    await settled(page)
    table = page.get_by_role("table", name="Requests")
    first = table.locator("tbody tr").first
    time = table.get_by_role("columnheader", name="Time")
    await expect(time).to_have_attribute("aria-sort", "descending")
    newest = await first.get_by_role("rowheader").inner_text()

    await tab_to(page, "button", "Time")
    await page.keyboard.press("Enter")
    await expect(time).to_have_attribute("aria-sort", "ascending")
    await expect(first.get_by_role("rowheader")).not_to_have_text(newest)
    await expect(page.get_by_role("button", name="Time", exact=True)).to_be_focused()

    oldest = await first.get_by_role("rowheader").inner_text()
    await tab_to(page, "button", "Next")
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile("[?&]at="))
    await expect(first.get_by_role("rowheader")).not_to_have_text(oldest)
    await expect(page.get_by_role("button", name="Next", exact=True)).to_be_focused()
    await page.keyboard.press("Shift+Tab")
    await expect(page.get_by_role("button", name="Previous", exact=True)).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(first.get_by_role("rowheader")).to_have_text(oldest)
    await expect(page.locator("main :focus")).to_have_count(1)  # there is none before it: that button is off

    await page.get_by_role("main").focus()
    await tab_to(page, "combobox", "Outcome")
    await page.keyboard.press("F")  # a second letter that comes late begins another word
    await expect(page).to_have_url(re.compile("outcome=failed"))
    await expect(table.get_by_text("Answered")).to_have_count(0)
    await expect(page.get_by_role("combobox", name="Outcome")).to_be_focused()
    await tab_to(page, "button", "Clear filters")
    await page.keyboard.press("Enter")
    await expect(page).not_to_have_url(re.compile("outcome="))
    await expect(table.get_by_text("Answered")).not_to_have_count(0)

    await tab_to(page, "link", oldest)
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile("/portal/requests/req_"))


async def test_the_chosen_theme_is_there_before_anything_is_drawn(visitors: Visitors) -> None:
    page = await keys_page(visitors)
    await page.get_by_role("button", name="Theme").press("Enter")
    await holds_focus(page.get_by_role("menu"))
    await page.get_by_role("menuitemradio", name="Dark").press("Enter")
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")

    # The system says light, and no script of the app arrives: only what is in the document's head can decide.
    await page.context.route("**/*.js", lambda route: route.abort())
    await page.reload(wait_until="domcontentloaded")
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    await expect(page.locator("body")).to_have_css("background-color", DARK_CANVAS)
    await expect(page.locator("html")).to_have_css("color-scheme", "dark")

    await page.context.unroute("**/*.js")
    await page.reload()
    await settled(page)
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    await page.get_by_role("button", name="Theme").press("Enter")
    await expect(page.get_by_role("menuitemradio", name="Dark")).to_have_attribute("aria-checked", "true")


async def test_one_goes_from_one_organisation_to_another(product: Product, visitors: Visitors) -> None:
    who = steps.newcomer()
    steps.register(product, who)
    page = await visitors.page()
    await page.goto("/sign-in")
    await steps.sign_in(page, who)
    await steps.found(page, who)
    await page.get_by_role("button", name=f"Account: {who.name}").press("Enter")
    await holds_focus(page.get_by_role("menu"))
    await page.get_by_role("menuitem", name="New organisation").press("Enter")
    await steps.found(page, steps.Newcomer(who.email, organization="Harbour Antiques"))

    switcher = page.get_by_role("button", name="Organisation: Harbour Antiques")
    await switcher.focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("menuitemradio", name="Harbour Antiques")).to_be_focused()
    await page.keyboard.press("r")
    await expect(page.get_by_role("menuitemradio", name="Rowan Instruments")).to_be_focused()
    await page.keyboard.press("Enter")

    await expect(page.get_by_role("button", name="Organisation: Rowan Instruments")).to_be_visible()
    await expect(page).to_have_title("Overview · Rowan Instruments · Matrix")
