"""Sessions: opening, looking up, switching, ending; and slowing down those who guess."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from argon2 import PasswordHasher

from models.types import OrganizationKind, Role
from services.core.errors import NotFound, RateLimited, Unauthenticated
from services.core.permissions import ROLE_CAPABILITIES
from services.identity import devices, queries, sessions
from services.identity.clients import Client
from services.identity.rules import SESSION_AGE_MAX, SESSION_IDLE_MAX
from services.identity.throttle import SIGN_IN_ACCOUNT, SIGN_IN_DEVICE, SIGN_IN_NETWORK, SIGN_IN_STRANGER
from tests.integration.identity.conftest import ELSEWHERE, HOME, People


async def look_up(people: People, token: str) -> queries.SignedIn | None:
    return await queries.actor_for_token(token, clock=people.clock)


async def guess(people: People, client: Client = ELSEWHERE, email: str = "ana@example.com") -> None:
    with pytest.raises(Unauthenticated):
        await people.sign_in(email=email, password="a wrong guess", client=client)


async def test_a_session_knows_who_and_where(people: People) -> None:
    account_id = await people.confirmed()
    second = await people.organization(account_id, "Zebra")
    first = await people.organization(account_id, "Ántlope", OrganizationKind.PARTNER)
    opened = await people.sign_in()

    signed_in = await look_up(people, opened.token)

    assert signed_in is not None
    assert signed_in.account.email == "ana@example.com"
    assert [o.name for o in signed_in.organizations] == ["Ántlope", "Zebra"]
    assert {o.id for o in signed_in.organizations} == {first, second}
    assert signed_in.organization is not None
    assert signed_in.actor.organization_id == signed_in.organization.id == opened.organization_id
    assert signed_in.actor.role is Role.OWNER
    assert signed_in.actor.capabilities == ROLE_CAPABILITIES[Role.OWNER]


async def test_somebody_without_an_organisation_may_do_nothing_yet(people: People) -> None:
    await people.confirmed()
    signed_in = await look_up(people, (await people.sign_in()).token)
    assert signed_in is not None
    assert signed_in.organization is None
    assert signed_in.actor.organization_id is None
    assert not signed_in.actor.capabilities


async def test_only_the_hash_of_a_token_is_stored(people: People) -> None:
    await people.confirmed()
    opened = await people.sign_in()
    assert opened.token not in str(await people.rows("select * from session"))
    assert opened.token not in await people.stored_text()


async def test_signing_out_ends_it_once(people: People) -> None:
    await people.confirmed()
    opened = await people.sign_in()

    await sessions.sign_out(opened.token, clock=people.clock)
    await sessions.sign_out(opened.token, clock=people.clock)

    assert await look_up(people, opened.token) is None
    assert (await people.events()).count("session.ended") == 1


@pytest.mark.parametrize("token", ["", "x", "tökén", "\ud800", "0" * 100_000])
async def test_a_token_that_is_nobodys(people: People, token: str) -> None:
    assert await look_up(people, token) is None
    await sessions.sign_out(token, clock=people.clock)


async def test_a_clock_that_was_wrong_neither_ends_a_session_nor_makes_it_younger(people: People) -> None:
    await people.confirmed()
    opened, right = await people.sign_in(), people.clock.at

    people.clock.at = right - timedelta(hours=1)  # another machine's, or this one's before it was set
    assert await look_up(people, opened.token)

    people.clock.at = opened.expires_at - timedelta(days=200)
    assert await look_up(people, opened.token)
    row = (await people.rows("select last_seen_at, expires_at from session"))[0]
    assert (row.last_seen_at, row.expires_at) == (right, opened.expires_at)
    people.clock.at = opened.expires_at
    assert await look_up(people, opened.token) is None


async def test_an_idle_session_ends_and_a_used_one_does_not(people: People) -> None:
    await people.confirmed()
    idle, used = await people.sign_in(), await people.sign_in()
    people.clock.at += SESSION_IDLE_MAX - timedelta(minutes=2)
    assert await look_up(people, used.token)

    people.clock.at += timedelta(minutes=2)

    assert await look_up(people, idle.token) is None
    assert await look_up(people, used.token)


async def test_no_session_outlives_its_age(people: People) -> None:
    await people.confirmed()
    opened = await people.sign_in()
    end = people.clock.at + SESSION_AGE_MAX
    while people.clock.at < end - timedelta(days=10):
        people.clock.at += timedelta(days=10)
        assert await look_up(people, opened.token)

    people.clock.at = end
    assert await look_up(people, opened.token) is None


async def test_last_seen_is_written_once_a_minute(people: People) -> None:
    await people.confirmed()
    opened = await people.sign_in()
    started = people.clock.at
    people.clock.at += timedelta(seconds=59)
    await look_up(people, opened.token)
    assert (await people.rows("select last_seen_at as at from session"))[0].at == started

    people.clock.at += timedelta(seconds=1)
    await look_up(people, opened.token)
    assert (await people.rows("select last_seen_at as at from session"))[0].at == people.clock.at


async def test_switching_rotates_the_token(people: People) -> None:
    account_id = await people.confirmed()
    await people.organization(account_id, "First")
    second = await people.organization(account_id, "Second")
    opened = await people.sign_in()

    switched = await sessions.switch_organization(opened.token, second, clock=people.clock)

    assert switched.token != opened.token
    assert switched.expires_at == opened.expires_at  # rotation does not make a session younger
    assert await look_up(people, opened.token) is None
    signed_in = await look_up(people, switched.token)
    assert signed_in is not None
    assert signed_in.actor.organization_id == second
    assert (await people.sign_in()).organization_id == second  # and the next session starts there


async def test_a_strangers_organisation_cannot_be_entered(people: People) -> None:
    await people.confirmed()
    others = await people.organization(await people.confirmed("bob@example.com"), "Others")
    opened = await people.sign_in()

    with pytest.raises(NotFound):
        await sessions.switch_organization(opened.token, others, clock=people.clock)
    assert await look_up(people, opened.token)  # a refused switch leaves the session as it was


async def test_losing_membership_takes_effect_at_once(people: People) -> None:
    account_id = await people.confirmed()
    await people.organization(account_id)
    opened = await people.sign_in()
    async with sessions.crossing(sessions.Reason.SIGN_IN) as uow:
        await uow.execute("delete from membership")

    signed_in = await look_up(people, opened.token)
    assert signed_in is not None
    assert not signed_in.actor.capabilities


async def test_a_suspended_account_is_out(people: People) -> None:
    await people.confirmed()
    opened = await people.sign_in()
    async with sessions.crossing(sessions.Reason.SIGN_IN) as uow:
        await uow.execute("update account set suspended_at = now()")
    assert await look_up(people, opened.token) is None


async def test_a_network_that_guesses_is_slowed_down_more_and_more(people: People) -> None:
    await people.confirmed()
    waits: list[float] = []
    for attempt in range(SIGN_IN_STRANGER.free + 12):
        await guess(people)
        if attempt + 1 < SIGN_IN_STRANGER.free:
            continue
        with pytest.raises(RateLimited) as refused:
            await people.sign_in(client=ELSEWHERE)
        waits.append(refused.value.retry_after_s)
        people.clock.at += timedelta(seconds=refused.value.retry_after_s)

    assert waits[:5] == [2, 4, 8, 16, 32]
    assert waits[-1] == SIGN_IN_STRANGER.delay_s_max
    assert (await people.sign_in(client=ELSEWHERE)).token


async def test_one_networks_guessing_does_not_slow_down_others(people: People) -> None:
    """A new device needs no luck against a program that knocks each second."""
    await people.confirmed()
    for _ in range(600):
        with pytest.raises((Unauthenticated, RateLimited)):
            await people.sign_in(password="a wrong guess", client=ELSEWHERE)
        people.clock.at += timedelta(seconds=1)

    assert (await people.sign_in(client=HOME)).token


async def test_a_new_device_waits_half_a_minute_at_most_while_many_networks_guess(people: People) -> None:
    await people.confirmed()
    for attempt in range(SIGN_IN_ACCOUNT.free + 12):
        await guess(people, Client(address=f"203.0.113.{attempt}"))
        if attempt + 1 < SIGN_IN_ACCOUNT.free:
            continue
        with pytest.raises(RateLimited) as refused:
            await people.sign_in(client=HOME)
        assert refused.value.retry_after_s <= 30
        people.clock.at += timedelta(seconds=refused.value.retry_after_s)

    assert (await people.sign_in(client=HOME)).token


@pytest.mark.parametrize("network", [HOME, ELSEWHERE])
async def test_a_known_device_is_not_slowed_down_by_guessing(people: People, network: Client) -> None:
    """Wherever it is now, also in the network of those who guess, and though they guess without pause."""
    device = devices.remember("", await people.confirmed())
    for attempt in range(SIGN_IN_ACCOUNT.free):
        await guess(people, Client(address=f"203.0.113.{attempt}"))
    people.clock.at += timedelta(seconds=SIGN_IN_ACCOUNT.delay_s_max)
    for number in range(SIGN_IN_NETWORK.free):
        await guess(people, ELSEWHERE, email=f"person{number}@example.com")
    await guess(people, HOME)
    for stranger in (HOME, ELSEWHERE):
        with pytest.raises(RateLimited):
            await people.sign_in(client=stranger)

    assert (await people.sign_in(client=replace(network, device=device))).token


async def test_guessing_on_a_known_device_slows_down_that_device_alone(people: People) -> None:
    account_id = await people.confirmed()
    lent = replace(HOME, device=devices.remember("", account_id))
    for _ in range(SIGN_IN_DEVICE.free):
        await guess(people, lent)
    with pytest.raises(RateLimited):
        await people.sign_in(client=lent)

    assert (await people.sign_in(client=replace(HOME, device=devices.remember("", account_id)))).token
    assert (await people.sign_in(client=HOME)).token


async def test_a_device_is_known_by_each_account_that_signed_in_on_it(people: People) -> None:
    ana, bob = await people.confirmed(), await people.confirmed("bob@example.com")
    shared = devices.remember(devices.remember("", ana), bob)
    assert devices.known(shared, ana) == devices.known(shared, bob) is not None

    crowded = shared
    for number in range(devices.ACCOUNTS_MAX):
        crowded = devices.remember(crowded, f"acc_{number}")
    assert devices.known(crowded, ana) is None  # the latest few are enough
    assert devices.known(devices.remember(crowded, "acc_4"), "acc_4") == devices.known(shared, ana)
    assert len(devices.remember(crowded, "acc_4")) == len(crowded)


@pytest.mark.parametrize(
    "change",
    [
        lambda device: "",
        lambda device: device[:-1],
        lambda device: f"{device}.",
        lambda device: f"{device}\n",
        lambda device: device.swapcase(),
        lambda device: device.partition(".")[0],
        lambda device: "A" * 16 + device[16:],
        lambda device: f"{device}é",
        lambda device: device + ".x" * 100_000,
    ],
)
async def test_a_device_that_was_made_up_is_a_stranger(people: People, change: Callable[[str], str]) -> None:
    account_id = await people.confirmed()
    device = change(devices.remember("", account_id))

    assert devices.known(device, account_id) is None
    for _ in range(SIGN_IN_STRANGER.free):
        await guess(people, replace(ELSEWHERE, device=device))
    with pytest.raises(RateLimited):
        await people.sign_in(client=replace(ELSEWHERE, device=device))
    assert devices.known(devices.remember(device, account_id), account_id)


async def test_one_network_cannot_try_many_accounts(people: People) -> None:
    for number in range(SIGN_IN_NETWORK.free):
        await guess(people, email=f"person{number}@example.com")
    with pytest.raises(RateLimited):
        await people.sign_in(email="another@example.com", client=ELSEWHERE)
    await guess(people, HOME, email="another@example.com")  # other networks go on


async def test_a_network_is_a_whole_64_of_ipv6(people: People) -> None:
    for number in range(SIGN_IN_NETWORK.free):
        await guess(people, Client(address=f"2001:db8::{number:x}"), email=f"person{number}@example.com")
    with pytest.raises(RateLimited):
        await people.sign_in(client=Client(address="2001:db8::ffff"))
    await guess(people, Client(address="2001:db8:0:1::1"))


async def test_hammering_does_not_prolong_the_wait(people: People) -> None:
    await people.confirmed()
    for _ in range(SIGN_IN_STRANGER.free):
        await guess(people)
    for _ in range(20):
        with pytest.raises(RateLimited) as refused:
            await people.sign_in(client=ELSEWHERE)
        assert refused.value.retry_after_s <= 2
    people.clock.at += timedelta(seconds=2)
    assert (await people.sign_in(client=ELSEWHERE)).token


async def test_guesses_sent_at_once_are_counted_before_they_are_judged(people: People) -> None:
    await people.confirmed()
    outcomes = await asyncio.gather(
        *(people.sign_in(password="a wrong guess", client=ELSEWHERE) for _ in range(12)),
        return_exceptions=True,
    )
    judged = [o for o in outcomes if isinstance(o, Unauthenticated)]
    assert len(judged) == SIGN_IN_STRANGER.free
    assert all(isinstance(o, (Unauthenticated, RateLimited)) for o in outcomes)


async def test_success_forgets_earlier_failures(people: People) -> None:
    await people.confirmed()
    for _ in range(3):
        for _ in range(SIGN_IN_STRANGER.free - 1):
            await guess(people)
        await people.sign_in(client=ELSEWHERE)


async def test_an_unknown_address_costs_the_same_work(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    await people.confirmed()
    verified: list[str] = []
    verify = PasswordHasher.verify

    def watched(self: PasswordHasher, stored: str, password: str) -> bool:
        verified.append(stored)
        return verify(self, stored, password)

    monkeypatch.setattr(PasswordHasher, "verify", watched)
    errors: list[str] = []
    for email in ("ana@example.com", "nobody@example.com"):
        with pytest.raises(Unauthenticated) as refused:
            await people.sign_in(email=email, password="a wrong guess")
        errors.append(refused.value.message)

    assert len(verified) == 2
    assert verified[0].split("$")[:4] == verified[1].split("$")[:4]  # same algorithm, same parameters
    assert errors[0] == errors[1]


async def test_subjects_of_throttling_are_not_readable(people: People) -> None:
    await guess(people)
    stored = str(await people.rows("select subject from throttle"))
    assert "ana" not in stored
    assert ELSEWHERE.address not in stored
