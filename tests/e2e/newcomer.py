"""A new user's way through the pages, from signing up to the first key, as steps that a test can tell."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass

from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam
from playwright.async_api import Page, expect

from tests.bench.product import Product, await_that
from tests.e2e.browsing import MODEL, settled
from tests.faults.callers import until
from tests.faults.recovering import all_settled

SECRET = r"mx-[A-Za-z0-9]{30,}"
ASKED: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Say hello"}]
ANSWER_TOKENS_MAX = 16
MAIL_TIMEOUT_S = 30


@dataclass
class Newcomer:
    """Somebody who was not there before, with an organisation and a key of their own."""

    email: str
    password: str = "a few words together"
    name: str = "Nadia Rowan"
    organization: str = "Rowan Instruments"
    key_name: str = "First program"
    secret: str = ""

    def client(self, product: Product) -> AsyncOpenAI:
        """The official client, with nothing changed but the address and the key."""
        return AsyncOpenAI(base_url=f"{product.address}/v1", api_key=self.secret, max_retries=0)


def newcomer() -> Newcomer:
    """Nobody has used this address."""
    return Newcomer(email=f"nadia.{secrets.token_hex(4)}@rowan.example")


def register(product: Product, who: Newcomer) -> None:
    """Sign up and confirm without the pages."""
    body = {"email": who.email, "password": who.password, "name": who.name}
    assert product.ask("POST", "/api/v1/sign-up", body).status == 202
    mail = _mail(product, who)
    token = re.search(r"token=([^\s&]+)", mail["body"])
    assert token is not None, mail["body"]
    link = {"token": token[1], "password": who.password}
    assert product.ask("POST", "/api/v1/sign-up/confirm", link).status == 200


def _mail(product: Product, who: Newcomer) -> dict[str, str]:
    """The newest mail to somebody, once the worker has delivered one."""
    mailbox = f"/api/v1/mailbox?address={who.email}"
    await_that(lambda: bool(product.ask("GET", mailbox).json()["data"]), MAIL_TIMEOUT_S, "the mail is there")
    return product.ask("GET", mailbox).json()["data"][0]


def mailed_link(product: Product, who: Newcomer) -> str:
    """Where the link of the newest mail leads."""
    body = _mail(product, who)["body"]
    link = re.search(r"https?://\S+", body)
    assert link is not None, body
    return link[0]


async def sign_up(page: Page, who: Newcomer) -> None:
    """From the front page to where one waits for the mail."""
    await page.goto("/")
    await settled(page)
    await page.get_by_role("link", name="Create account").click()
    await settled(page, heading="Create account")
    await page.get_by_label("Your name").fill(who.name)
    await page.get_by_label("Email").fill(who.email)
    await page.get_by_label("Password", exact=True).fill(who.password)
    await page.get_by_role("button", name="Create account").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Confirm your address")
    await expect(page.get_by_text(f"We sent a mail with a link to {who.email}")).to_be_visible()


async def confirm(page: Page, product: Product, who: Newcomer) -> None:
    """From there, by the demo's mailbox, the mail's link and the password, to being signed in."""
    _mail(product, who)
    await page.get_by_role("link", name="Open the demo mailbox").click()
    mail = page.get_by_role("article")
    await expect(mail).to_contain_text(who.email)
    await mail.get_by_role("link", name="Open the link").click()
    await settled(page, heading="Confirm your address")
    await page.get_by_label("Password", exact=True).fill(who.password)
    await page.get_by_role("button", name="Confirm address").click()


async def sign_in(page: Page, who: Newcomer) -> None:
    """By the form one is at."""
    await settled(page)
    await page.get_by_label("Email").fill(who.email)
    await page.get_by_label("Password", exact=True).fill(who.password)
    await page.get_by_role("button", name="Sign in").click()


async def found(page: Page, who: Newcomer) -> None:
    """Name the organisation and come to its overview."""
    await settled(page, heading="Name your organisation")
    await page.get_by_label("Organisation name").fill(who.organization)
    await page.get_by_role("button", name="Create organisation").click()
    await settled(page, heading="Overview")


async def make_key(page: Page, who: Newcomer) -> None:
    """A key from the dialog that is at hand; its secret is read where it is shown once."""
    await page.get_by_role("button", name="Create key").click()
    asking = page.get_by_role("dialog", name="Create key")
    await asking.get_by_label("Name").fill(who.key_name)
    await asking.get_by_role("button", name="Create key").click()
    shown = page.get_by_role("dialog", name="Key created")
    who.secret = await shown.get_by_label("New secret").input_value()
    await expect(shown.get_by_role("region", name="Try it")).to_contain_text(who.secret)
    await shown.get_by_role("button", name="I have copied it").click()
    await expect(shown).to_have_count(0)


async def ask(product: Product, who: Newcomer) -> str:
    """One answered call by the official client, once it is booked; its request id."""
    async with who.client(product) as client:
        answer = await client.chat.completions.with_raw_response.create(
            model=MODEL, messages=ASKED, max_tokens=ANSWER_TOKENS_MAX
        )
        assert answer.parse().choices[0].message.content
    await until(lambda: all_settled(product), "the call is booked")
    return str(answer.headers["x-request-id"])
