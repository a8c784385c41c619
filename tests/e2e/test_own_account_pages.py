"""One's own account in a browser: a second step of signing in, and the question who one is before risky acts."""

from __future__ import annotations

from datetime import UTC, datetime

from playwright.async_api import Page, expect
from pyotp.totp import TOTP

from tests.bench.product import Product
from tests.e2e import newcomer as steps
from tests.e2e.browsing import MARKS, Visitors, holds_focus, settled
from tests.e2e.newcomer import Newcomer

pytestmark = MARKS


async def arrived(visitors: Visitors, who: Newcomer) -> Page:
    """Somebody new, signed in and with an organisation, on the page of their account."""
    page = await visitors.page()
    await page.goto("/sign-in")
    await steps.sign_in(page, who)
    await page.get_by_role("link", name="Your account").click()
    await expect(page.get_by_text("You belong to no organisation yet")).to_be_visible()
    await expect(page.get_by_role("button", name="Set up two-step verification")).to_be_visible()
    await expect(page.get_by_role("navigation", name="Portal")).to_have_count(0)
    await page.get_by_role("link", name="Create organisation").click()
    await steps.found(page, who)
    await page.goto("/account")
    await settled(page)
    return page


def code_of(key: str, *, steps_on: int = 0) -> str:
    """What an app shows that was given `key`, or will show so many steps later."""
    return TOTP(key.replace(" ", "")).at(datetime.now(UTC), counter_offset=steps_on)


async def test_a_second_step_guards_an_account_and_a_recovery_code_opens_it(
    product: Product, visitors: Visitors
) -> None:
    who = steps.newcomer()
    steps.register(product, who)
    page = await arrived(visitors, who)

    await page.get_by_role("button", name="Set up two-step verification").click()
    dialog = page.get_by_role("dialog", name="Set up two-step verification")
    await expect(dialog.get_by_role("img", name="QR code of the key below")).to_be_visible()
    key = await dialog.get_by_label("Key", exact=True).input_value()
    used = code_of(key)
    await dialog.get_by_label("Code from the app").fill(used)
    await dialog.get_by_role("button", name="Turn on").click()
    codes = page.get_by_role("dialog", name="Your recovery codes")
    await expect(codes.get_by_role("listitem")).to_have_count(10)
    recovery = await codes.get_by_role("listitem").all_inner_texts()
    await codes.get_by_role("button", name="I have kept them").click()
    await expect(page.get_by_text("10 recovery codes left")).to_be_visible()
    assert key not in await page.content()

    other = await visitors.page()
    await other.goto("/sign-in")
    await steps.sign_in(other, who)
    await expect(other).to_have_url("/sign-in/code")
    await settled(other, heading="Enter your code")  # until then its form does nothing
    code = other.get_by_label("Code")
    await code.fill(used)
    await other.get_by_role("button", name="Sign in").click()
    await expect(other.get_by_role("alert")).to_be_visible()  # each code counts once
    await code.fill(recovery[0])
    await other.get_by_role("button", name="Sign in").click()
    await expect(other.get_by_role("heading", level=1)).to_have_text("Overview")

    await page.reload()
    await expect(page.get_by_text("9 recovery codes left")).to_be_visible()
    await expect(page.get_by_role("row").filter(has_text="Signed in by recovery code")).to_have_count(1)


async def test_who_came_long_ago_shows_again_who_they_are(product: Product, visitors: Visitors) -> None:
    """The page goes on where it was: its sockets are opened anew, since the session goes on under another cookie."""
    who = steps.newcomer()
    steps.register(product, who)
    page = await arrived(visitors, who)
    product.change("update session set proved_at = proved_at - interval '1 hour'")

    await page.get_by_role("button", name="Set up two-step verification").click()
    asked = page.get_by_role("dialog", name="Confirm that it is you")
    await asked.get_by_label("Password", exact=True).fill("something else")
    await asked.get_by_role("button", name="Confirm").click()
    await expect(asked.get_by_role("alert")).to_be_visible()
    await asked.get_by_label("Password", exact=True).fill(who.password)
    await asked.get_by_role("button", name="Confirm").click()

    enrolling = page.get_by_role("dialog", name="Set up two-step verification")
    await expect(enrolling.get_by_label("Key", exact=True)).to_be_visible()
    await holds_focus(enrolling)
    await page.keyboard.press("Escape")
    await expect(enrolling).to_have_count(0)
    await page.get_by_label("Your name").fill("Nadia R.")
    await page.get_by_role("button", name="Save name").click()
    await expect(page.get_by_text("Name saved")).to_be_visible()
    await page.get_by_role("navigation", name="Portal").get_by_role("link", name="API keys").click()
    await settled(page, heading="API keys")
