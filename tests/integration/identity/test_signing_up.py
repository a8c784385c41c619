"""Signing up, confirming an address, and what strangers can learn from it: nothing."""

from __future__ import annotations

import asyncio

import pytest

from services.core.crossing import Reason, crossing
from services.core.errors import Forbidden, Invalid, MatrixError, RateLimited
from services.identity import accounts
from services.identity.accounts import Client
from services.identity.rules import CONFIRMATION_VALID
from tests.integration.identity.conftest import ELSEWHERE, HOME, PASSWORD, People


async def sign_up(people: People, email: str = "ana@example.com", password: str = PASSWORD) -> None:
    await accounts.sign_up(email=email, password=password, name="Ana", client=HOME, clock=people.clock)


async def mailed_token(people: People, email: str = "ana@example.com") -> str:
    """What the mail to this address would carry."""
    rows = await people.rows("select id from account where email_key = :key", key=email)
    async with crossing(Reason.MAIL, clock=people.clock) as uow:
        return await accounts.issue_confirmation(uow, rows[0].id)


async def test_a_confirmed_address_opens_the_door(people: People) -> None:
    await sign_up(people)
    with pytest.raises(Forbidden) as refused:
        await people.sign_in()
    assert refused.value.error_code == "address_not_confirmed"

    confirmed = await accounts.confirm_address(await mailed_token(people), clock=people.clock)

    assert confirmed.email == "ana@example.com"
    assert (await people.sign_in()).account_id == confirmed.account_id
    assert await people.events() == ["account.signed_up", "account.confirmed", "session.started"]


async def test_following_the_link_again_is_harmless(people: People) -> None:
    await sign_up(people)
    token = await mailed_token(people)
    first = await accounts.confirm_address(token, clock=people.clock)

    assert await accounts.confirm_address(token, clock=people.clock) == first
    assert (await people.events()).count("account.confirmed") == 1


async def test_a_link_ends_when_it_is_old(people: People) -> None:
    await sign_up(people)
    token = await mailed_token(people)
    people.clock.at += CONFIRMATION_VALID

    with pytest.raises(Invalid) as refused:
        await accounts.confirm_address(token, clock=people.clock)
    assert refused.value.error_code == "link_invalid"


@pytest.mark.parametrize("token", ["", "nothing", "ünknown", "\ud800", "a" * 100_000])
async def test_a_link_nobody_mailed_is_refused(people: People, token: str) -> None:
    with pytest.raises(Invalid):
        await accounts.confirm_address(token, clock=people.clock)


async def test_a_squatter_gains_nothing_by_signing_up_first(people: People) -> None:
    await sign_up(people, password="the squatter's password")
    squatters = await mailed_token(people)
    await sign_up(people)

    with pytest.raises(Invalid):
        await accounts.confirm_address(squatters, clock=people.clock)
    await accounts.confirm_address(await mailed_token(people), clock=people.clock)

    assert (await people.sign_in()).token
    with pytest.raises(MatrixError):
        await people.sign_in(password="the squatter's password", client=ELSEWHERE)


async def test_a_known_address_is_not_given_away(people: People) -> None:
    account_id = await people.confirmed()

    await sign_up(people, password="another password")  # answers as for a new address

    assert await people.events() == ["account.confirmed", "account.sign_up_repeated"]
    assert (await people.sign_in()).account_id == account_id  # and nothing was changed
    assert len(await people.rows("select from account")) == 1


async def test_addresses_differ_by_more_than_case(people: People) -> None:
    await sign_up(people, email="Ana@Example.COM")
    await sign_up(people, email="ANA@example.com ")
    assert len(await people.rows("select from account")) == 1


async def test_many_at_once_make_one_account(people: People) -> None:
    await asyncio.gather(*(sign_up(people) for _ in range(6)))
    assert len(await people.rows("select from account")) == 1


async def test_asking_for_another_mail_is_slowed_down_alike_for_everybody(people: People) -> None:
    await sign_up(people)
    for email in ("ana@example.com", "nobody@example.com"):
        for _ in range(accounts.throttle.RESEND_ACCOUNT.free):
            await accounts.resend_confirmation(email=email, client=HOME, clock=people.clock)
        with pytest.raises(RateLimited):
            await accounts.resend_confirmation(email=email, client=HOME, clock=people.clock)

    assert (await people.events()).count("account.confirmation_requested") == 3


async def test_many_networks_cannot_fill_somebodys_mailbox(people: People) -> None:
    await people.confirmed("known@example.com")
    for email in ("known@example.com", "new@example.com"):  # alike for both, so that it tells nothing
        for number in range(accounts.throttle.SIGN_UP_ADDRESS.free):
            await _sign_up_from(people, email, f"198.51.100.{number}")
        with pytest.raises(RateLimited):
            await _sign_up_from(people, email, "203.0.113.1")
    await _sign_up_from(people, "somebody.else@example.com", "203.0.113.1")


async def _sign_up_from(people: People, email: str, address: str) -> None:
    await accounts.sign_up(
        email=email, password=PASSWORD, name="Ana", client=Client(address), clock=people.clock
    )


async def test_no_password_reaches_the_event_log(people: People) -> None:
    await sign_up(people)
    assert PASSWORD not in await people.stored_text()
