"""Signing up, confirming an address, and what strangers can learn from it: nothing."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from services.core.crossing import Reason, crossing
from services.core.errors import Invalid, RateLimited, Unauthenticated
from services.identity import accounts, sessions
from services.identity.clients import Client
from services.identity.rules import CONFIRMATION_VALID
from services.identity.throttle import CONFIRM_LINK, MAILS, RESEND, SIGN_IN_NETWORK, SIGN_UP
from tests.integration.identity.conftest import ELSEWHERE, HOME, PASSWORD, People

STRANGERS_PASSWORD = "the stranger's password"


async def sign_up(
    people: People, email: str = "ana@example.com", password: str = PASSWORD, name: str = "Ana"
) -> None:
    await accounts.sign_up(email=email, password=password, name=name, client=HOME, clock=people.clock)


async def mailed_token(people: People, email: str = "ana@example.com") -> str:
    """What the mail for the newest sign-up with this address, or for the newest wish of another mail, carries."""
    rows = await people.rows(
        "select t.id from mail_token t join account a on a.id = t.account_id where a.email_key = :key"
        " order by t.created_at desc, t.id desc limit 1",
        key=email,
    )
    async with crossing(Reason.MAIL, clock=people.clock) as uow:
        issued = await accounts.issue_confirmation(uow, rows[0].id)
    assert issued is not None
    return issued.token


async def confirm(
    people: People, token: str, password: str = PASSWORD, client: Client = HOME
) -> accounts.Confirmed:
    return await accounts.confirm_address(token, password=password, client=client, clock=people.clock)


async def test_a_confirmed_address_opens_the_door(people: People) -> None:
    await sign_up(people)
    with pytest.raises(Unauthenticated) as refused:  # as if there were no account: nobody owns it yet
        await people.sign_in()
    assert refused.value.error_code == "wrong_credentials"

    confirmed = await confirm(people, await mailed_token(people))

    assert confirmed.email == "ana@example.com"
    assert (await people.sign_in()).account_id == confirmed.account_id
    assert await people.events() == ["account.signed_up", "account.confirmed", "session.started"]


async def test_an_attempt_counts_before_its_password_is_judged(people: People) -> None:
    for _ in range(SIGN_UP.free):
        with pytest.raises(Invalid) as refused:
            await sign_up(people, password="password123")
        assert refused.value.error_code == "password_too_common"
    with pytest.raises(RateLimited):
        await sign_up(people, password="password123")


async def test_following_the_link_again_is_harmless(people: People) -> None:
    await sign_up(people)
    token = await mailed_token(people)
    first = await confirm(people, token)

    assert await confirm(people, token) == first
    with pytest.raises(Invalid) as refused:
        await confirm(people, token, STRANGERS_PASSWORD)
    assert refused.value.error_code == "wrong_password"
    assert (await people.events()).count("account.confirmed") == 1
    # Somebody with the link guessed at the password: its owner can see it.
    assert [row.outcome for row in await people.rows("select outcome from sign_in")] == ["wrong_password"]


async def test_a_link_opens_nothing_to_a_password_that_was_changed_meanwhile(people: People) -> None:
    await sign_up(people)
    confirmed = await confirm(people, await mailed_token(people))
    async with crossing(Reason.DEMO) as uow:
        await uow.execute("update account set password_hash = 'another'")

    with pytest.raises(Unauthenticated):
        await sessions.open_session(confirmed, client=HOME, clock=people.clock)
    assert await people.rows("select from session") == []


async def test_a_link_ends_when_it_is_old(people: People) -> None:
    await sign_up(people)
    token = await mailed_token(people)
    people.clock.at += CONFIRMATION_VALID

    with pytest.raises(Invalid) as refused:
        await confirm(people, token)
    assert refused.value.error_code == "link_invalid"


@pytest.mark.parametrize("token", ["", "nothing", "ünknown", "\ud800", "a" * 100_000])
async def test_a_link_nobody_mailed_is_refused(people: People, token: str) -> None:
    with pytest.raises(Invalid) as refused:
        await confirm(people, token)
    assert refused.value.error_code == "link_invalid"


@pytest.mark.parametrize("first", ["stranger", "owner"])
async def test_whoever_else_signs_up_the_owner_gets_the_account(people: People, first: str) -> None:
    """A stranger signs up with the same address before the owner, or after: the mailbox is the owner's alone."""
    links: dict[str, str] = {}
    for who in ("stranger", "owner") if first == "stranger" else ("owner", "stranger"):
        password, name = (PASSWORD, "Ana") if who == "owner" else (STRANGERS_PASSWORD, "Mallory")
        await sign_up(people, password=password, name=name)
        links[who] = await mailed_token(people)
        people.clock.at += timedelta(minutes=1)

    with pytest.raises(Invalid) as refused:  # the wrong one of two mails
        await confirm(people, links["stranger"])
    assert refused.value.error_code == "wrong_password"
    assert (await people.rows("select verified_at from account"))[0].verified_at is None
    confirmed = await confirm(people, links["owner"])

    assert (await people.sign_in()).account_id == confirmed.account_id
    assert [row.name for row in await people.rows("select name from account")] == ["Ana"]
    with pytest.raises(Unauthenticated):
        await people.sign_in(password=STRANGERS_PASSWORD, client=ELSEWHERE)
    with pytest.raises(Invalid) as refused:  # nor does the stranger's link open anything now
        await confirm(people, links["stranger"], STRANGERS_PASSWORD)
    assert refused.value.error_code == "wrong_password"
    assert STRANGERS_PASSWORD not in await people.stored_text()


async def test_nothing_of_sign_ups_is_kept_once_one_is_confirmed(people: People) -> None:
    await sign_up(people, password=STRANGERS_PASSWORD, name="Mallory")
    await sign_up(people)

    await confirm(people, await mailed_token(people))

    kept = await people.rows("select distinct name, password_hash, used_at from mail_token")
    assert kept == [("", "", people.clock.at)]


async def test_links_of_two_sign_ups_followed_at_once_confirm_one(people: People) -> None:
    links: dict[str, str] = {}
    for password in (PASSWORD, "another long password"):
        await sign_up(people, password=password)
        links[password] = await mailed_token(people)

    outcomes = await asyncio.gather(
        *(confirm(people, token, password) for password, token in links.items()), return_exceptions=True
    )

    assert {type(outcome) for outcome in outcomes} == {accounts.Confirmed, Invalid}
    assert (await people.events()).count("account.confirmed") == 1


async def test_the_account_is_as_its_owner_wrote_it(people: People) -> None:
    await sign_up(people, email="ANA@example.com", password=STRANGERS_PASSWORD, name="Mallory")
    await sign_up(people, email="Ana@Example.com", name="Ana Sol")

    confirmed = await confirm(people, await mailed_token(people))

    assert confirmed.email == "Ana@Example.com"
    assert await people.rows("select email, name from account") == [("Ana@Example.com", "Ana Sol")]


async def test_another_mail_belongs_to_the_newest_sign_up_and_ends_no_link(people: People) -> None:
    await sign_up(people, password=STRANGERS_PASSWORD)
    people.clock.at += timedelta(minutes=1)
    await sign_up(people)
    before = await mailed_token(people)
    people.clock.at += timedelta(days=10)  # too old by now, and so is its link

    await accounts.resend_confirmation(email="ana@example.com", client=HOME, clock=people.clock)
    again = await mailed_token(people)

    assert again != before
    with pytest.raises(Invalid):
        await confirm(people, before)
    with pytest.raises(Invalid):
        await confirm(people, again, STRANGERS_PASSWORD)
    assert (await confirm(people, again)).email == "ana@example.com"


async def test_a_link_is_no_door_for_guessing(people: People) -> None:
    await sign_up(people)
    token = await mailed_token(people)
    for number in range(CONFIRM_LINK.free):
        with pytest.raises(Invalid):
            await confirm(people, token, "a wrong guess", Client(f"203.0.113.{number}"))
    with pytest.raises(RateLimited) as refused:
        await confirm(people, token, client=Client("203.0.113.250"))

    await sign_up(people, email="bob@example.com")
    other = await mailed_token(people, "bob@example.com")
    assert (await confirm(people, other)).email == "bob@example.com"  # other links go on
    people.clock.at += timedelta(seconds=refused.value.retry_after_s)
    assert (await confirm(people, token)).email == "ana@example.com"


async def test_one_network_cannot_try_many_links(people: People) -> None:
    for number in range(SIGN_IN_NETWORK.free):
        with pytest.raises(Invalid):
            await confirm(people, f"made up {number}", client=ELSEWHERE)
    with pytest.raises(RateLimited):
        await confirm(people, "made up", client=ELSEWHERE)
    assert len(await people.rows("select from throttle")) == 1  # what is made up is not written down


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
        for _ in range(RESEND.free):
            await resend(people, email)
        with pytest.raises(RateLimited):
            await resend(people, email)
        await resend(people, email, ELSEWHERE)  # one who asks too often keeps nobody else from asking

    assert (await people.events()).count("account.confirmation_requested") == RESEND.free + 1


async def test_one_network_cannot_sign_up_an_address_again_and_again(people: People) -> None:
    for _ in range(SIGN_UP.free):
        await sign_up(people)
    with pytest.raises(RateLimited):
        await sign_up(people)
    await sign_up_from(people, ELSEWHERE.address)


@pytest.mark.parametrize("email", ["known@example.com", "new@example.com"])
async def test_many_networks_cannot_fill_a_mailbox_nor_keep_its_owner_from_signing_up(
    people: People, email: str
) -> None:
    """What answers tell is the same for an address with an account: mail stops, signing up does not."""
    await people.confirmed("known@example.com")
    begun = len(await people.events())
    for number in range(MAILS.free + 20):
        await sign_up_from(people, f"198.51.100.{number}", email)
        await resend(people, email, Client(f"198.51.100.{number}"))
    assert len(await people.events()) - begun == MAILS.free

    await sign_up_from(people, HOME.address, email, PASSWORD)
    people.clock.at += timedelta(seconds=MAILS.delay_s_max)
    await resend(people, email, HOME)

    assert len(await people.events()) - begun == MAILS.free + (1 if email.startswith("new") else 0)
    if email.startswith("new"):
        assert (await confirm(people, await mailed_token(people, email))).email == email


async def sign_up_from(
    people: People, address: str, email: str = "ana@example.com", password: str = STRANGERS_PASSWORD
) -> None:
    await accounts.sign_up(
        email=email, password=password, name="Ana", client=Client(address), clock=people.clock
    )


async def resend(people: People, email: str, client: Client = HOME) -> None:
    await accounts.resend_confirmation(email=email, client=client, clock=people.clock)


async def test_no_password_reaches_the_event_log(people: People) -> None:
    await sign_up(people)
    assert PASSWORD not in await people.stored_text()
