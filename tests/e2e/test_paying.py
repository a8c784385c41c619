"""An invoice is paid by each method, in both themes: its page and the payment's say so by themselves, and there is a
receipt."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import pytest
import pytest_asyncio
from playwright.async_api import Locator, Page, expect

from services.identity.cookies import session_cookie
from tests.bench.product import Product
from tests.e2e.browsing import MARKS, OWNER, STAFF, Visitors, faint, settled, violations

pytestmark = MARKS
Theme = Literal["light", "dark"]


@dataclass(frozen=True, slots=True)
class Bill:
    """An invoice that is due."""

    id: str
    number: str

    @property
    def path(self) -> str:
        return f"/portal/invoices/{self.id}"


@dataclass
class Client:
    """Somebody who pays: `watching` stays on the invoice's page, and `paying` does what there is to do."""

    bill: Bill
    watching: Page
    paying: Page
    found: list[str]
    look: str

    async def choose(self, way: str) -> None:
        """From the invoice's page to where one pays."""
        await self.paying.get_by_role("button", name="Pay now").click()
        asking = self.paying.get_by_role("dialog", name=f"Pay {self.bill.number}")
        await asking.get_by_role("radio", name=way).check()
        await self.axe(self.paying)
        await asking.get_by_role("button", name="Go on to pay").click()

    async def axe(self, page: Page) -> None:
        # Element by element only in the dark windows, of which most are opened in the deep run.
        self.found += await violations(page, self.look, contrast=self.look == "dark")
        self.found += await faint(page, self.look)

    async def has_receipt(self) -> None:
        """On the payment's page, which is open, and which says all that a receipt has to."""
        heading = self.paying.get_by_role("heading", name="Receipt")
        receipt = self.paying.locator("section").filter(has=heading)
        await expect(receipt).to_contain_text("Matrix Demo GmbH")
        await expect(receipt.get_by_role("link", name=self.bill.number)).to_be_visible()
        await expect(receipt.get_by_role("button", name="Print receipt")).to_be_enabled()
        await self.axe(self.paying)

    async def sees_it_paid(self) -> None:
        """On the page that was open before, which nobody loads again."""
        await expect(state_of(self.watching)).to_have_text("Paid")
        await expect(self.watching.get_by_role("button", name="Pay now")).to_have_count(0)
        assert await self.watching.evaluate("window.stays") is True
        assert self.found == []


def state_of(page: Page) -> Locator:
    return page.locator("main .card").first.locator(".badge").first


def bill(product: Product, visitors: Visitors) -> Bill:
    """Made by staff through the API."""
    cookie = f"{session_cookie(product.address)}={visitors.session(STAFF)}"

    def ask(path: str, **body: Any) -> dict[str, Any]:
        headers = {"Cookie": cookie, "X-Matrix-CSRF": "1", "Origin": product.address}
        answer = product.ask("POST", f"/api/v1/staff/invoices{path}", body, headers=headers)
        assert answer.status < 300, answer.body
        return answer.json()

    draft = ask("", organization_id=product.demo["organization"], currency="EUR")["id"]
    ask(f"/{draft}/lines", description="Advice", quantity="1", unit_amount="100.00")
    made = ask(f"/{draft}/finalize")
    return Bill(draft, made["number"])


@pytest.fixture(params=["light", pytest.param("dark", marks=pytest.mark.deep)])
def theme(request: pytest.FixtureRequest) -> Theme:
    return request.param


async def client_of(product: Product, visitors: Visitors, theme: Theme) -> Client:
    """With an invoice of their own, in windows of one theme."""
    due = bill(product, visitors)
    context = await visitors.context(OWNER, color_scheme=theme)
    watching, paying = await context.new_page(), await context.new_page()
    for page in (watching, paying):
        await page.goto(due.path)
        await settled(page)
    await watching.evaluate("window.stays = true")
    await expect(state_of(watching)).to_have_text("Open")
    return Client(due, watching, paying, [], theme)


@pytest_asyncio.fixture(loop_scope="session")
async def client(product: Product, visitors: Visitors, theme: Theme) -> Client:
    return await client_of(product, visitors, theme)


async def test_by_card_on_the_providers_page(client: Client) -> None:
    await client.choose("Stripe (test)")
    await client.paying.get_by_label("Card number").fill("4242 4242 4242 4242")
    await client.paying.get_by_label("Expiry").fill("12/40")
    await client.paying.get_by_label("Security code").fill("123")
    await client.paying.get_by_role("button", name=re.compile("^Pay ")).click()

    await client.has_receipt()
    await client.sees_it_paid()


async def test_by_paypal(client: Client) -> None:
    await client.choose("PayPal (test)")
    await client.paying.get_by_role("button", name=re.compile("^Pay ")).click()

    await client.has_receipt()
    await client.sees_it_paid()


async def wallet_of(client: Client) -> Page:
    """From the invoice's page to the test wallet, beside the payment's page, which is not loaded again."""
    await client.choose("Test chain (ETH)")
    await expect(client.paying.get_by_role("heading", name="Send exactly this")).to_be_visible()
    await client.axe(client.paying)
    await client.paying.evaluate("window.stays = true")
    async with client.paying.context.expect_page() as opened:
        await client.paying.get_by_role("link", name="Pay from the test wallet").click()
    return await opened.value


async def is_as_deep_as(client: Client, blocks: int) -> None:
    seen = client.paying.get_by_text(f"Your money was seen: {blocks} of 3 confirmations.")
    await expect(seen).to_be_visible()


async def test_by_crypto_as_the_page_counts_confirmations(product: Product, visitors: Visitors) -> None:
    """Two at once, since the chain has its blocks for all."""
    light = await client_of(product, visitors, "light")
    dark = await client_of(product, visitors, "dark")
    of_light, of_dark = await wallet_of(light), await wallet_of(dark)
    await of_light.get_by_role("button", name="Send it").click()
    await is_as_deep_as(light, 1)
    await of_dark.get_by_role("button", name="Send it").click()
    await is_as_deep_as(light, 2)
    await is_as_deep_as(dark, 1)
    for client in (light, dark):
        await client.axe(client.paying)
        await of_dark.get_by_role("button", name="Make blocks").click()
        await client.has_receipt()
        assert await client.paying.evaluate("window.stays") is True
        await client.sees_it_paid()


async def test_by_a_transfer_that_staff_records(client: Client, visitors: Visitors, theme: Theme) -> None:
    staff = await visitors.page(STAFF, color_scheme=theme)
    await staff.goto(f"/governance/invoices/{client.bill.id}")
    await settled(staff)
    await staff.get_by_role("button", name="Acts on this invoice").click()
    await staff.get_by_role("menuitem", name="Record a transfer").click()
    asking = staff.get_by_role("dialog", name="Record a transfer")
    await asking.get_by_label("The bank's name for it").fill(f"statement-{client.bill.number}")
    await client.axe(staff)
    await asking.get_by_role("button", name="Record a transfer").click()
    await expect(staff.get_by_text("Transfer recorded")).to_be_visible()

    await client.sees_it_paid()
    await client.paying.goto("/portal/payments")
    await settled(client.paying)
    await client.paying.get_by_role("link", name=client.bill.number).click()
    await client.has_receipt()
    assert client.found == []
