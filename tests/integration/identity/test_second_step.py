"""Two-step verification: enrolling, signing in by code, and what is refused, by a clock that the tests move."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

import pytest

from services.core.actor import Actor
from services.core.crossing import Reason, crossing
from services.core.errors import Conflict, Invalid, MatrixError, RateLimited, Unauthenticated
from services.core.listing_sql import select
from services.core.work import UnitOfWork
from services.identity import (
    authenticators,
    devices,
    own_account,
    own_sessions,
    proving,
    queries,
    sessions,
    sign_ins,
    throttle,
    totp,
)
from services.identity.proof import ProofNeeded
from services.identity.rules import CHALLENGE_VALID, PROOF_VALID, RESET_VALID
from services.identity.sessions import CodeNeeded, OpenedSession
from services.identity.throttle import CODE_ACCOUNT, CODE_STRANGER
from services.notify.account_texts import NOTICES
from tests.integration.identity.conftest import ELSEWHERE, HOME, PASSWORD, People

T = TypeVar("T")
OTHER_PASSWORD = "seven seas and a ship"


class Owner:
    """Somebody with an account, an app and a browser."""

    def __init__(self, people: People) -> None:
        self.people, self.clock = people, people.clock
        self.session: OpenedSession
        self.seed = b""
        self.recovery_codes: list[str] = []

    async def actor(self) -> Actor:
        found = await queries.actor_for_token(self.session.token, clock=self.clock)
        assert found is not None
        return found.actor

    async def do(self, verb: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        async with crossing(Reason.ACCOUNT, actor=await self.actor(), clock=self.clock) as uow:
            return await verb(uow)

    async def enrol(self) -> None:
        enrolment = await self.do(authenticators.begin)
        self.seed = base64.b32decode(enrolment.key.replace(" ", ""))
        self.recovery_codes = await self.do(lambda uow: authenticators.confirm(uow, self.code()))
        self.clock.at += timedelta(seconds=totp.STEP_S)

    def code(self) -> str:
        return totp.code_at(self.seed, self.clock.at)

    async def asked(self, client: sessions.Client = HOME) -> str:
        asked = await sessions.sign_in(
            email="ana@example.com", password=PASSWORD, client=client, clock=self.clock
        )
        assert isinstance(asked, CodeNeeded)
        return asked.challenge

    async def answer(self, challenge: str, code: str, client: sessions.Client = HOME) -> OpenedSession:
        return await sessions.answer_code(challenge, code=code, client=client, clock=self.clock)

    async def outcomes(self) -> list[str]:
        return [row.outcome for row in await self.do(lambda uow: select(uow, sign_ins.SIGN_INS))]


@pytest.fixture
async def owner(people: People) -> Owner:
    await people.confirmed()
    made = Owner(people)
    made.session = await people.sign_in()
    return made


@pytest.fixture
async def enrolled(owner: Owner) -> Owner:
    await owner.enrol()
    return owner


async def refused(doing: Awaitable[object]) -> str:
    """The code of the error that comes."""
    with pytest.raises(MatrixError) as caught:
        await doing
    return caught.value.error_code


async def test_a_seed_counts_once_a_code_of_it_was_seen(owner: Owner) -> None:
    enrolment = await owner.do(authenticators.begin)
    assert enrolment.address.startswith("otpauth://totp/Matrix:ana%40example.com?")
    seed = base64.b32decode(enrolment.key.replace(" ", ""))
    assert seed not in bytes((await owner.people.rows("select seed_sealed from authenticator"))[0][0])
    assert isinstance(await owner.people.sign_in(), OpenedSession)  # nothing is asked yet

    with pytest.raises(Invalid):
        await owner.do(lambda uow: authenticators.confirm(uow, "000000"))
    second = await owner.do(authenticators.begin)  # another phone: the first seed is forgotten
    with pytest.raises(Invalid):
        await owner.do(lambda uow: authenticators.confirm(uow, totp.code_at(seed, owner.clock.at)))
    seed = base64.b32decode(second.key.replace(" ", ""))
    codes = await owner.do(lambda uow: authenticators.confirm(uow, totp.code_at(seed, owner.clock.at)))

    assert len(set(codes)) == authenticators.RECOVERY_CODES
    stored = (
        str(await owner.people.rows("select code_hash from recovery_code")) + await owner.people.stored_text()
    )
    assert not any(code in stored for code in codes)
    with pytest.raises(Conflict):
        await owner.do(authenticators.begin)
    with pytest.raises(Conflict):
        await owner.do(lambda uow: authenticators.confirm(uow, totp.code_at(seed, owner.clock.at)))
    assert (await owner.do(authenticators.two_step)).recovery_codes == authenticators.RECOVERY_CODES


async def test_signing_in_takes_a_code_and_takes_none_twice(enrolled: Owner) -> None:
    code, first = enrolled.code(), await enrolled.asked()
    opened = await enrolled.answer(first, code)
    rows = await enrolled.people.rows(
        "select second_factor from session where id = :id", id=opened.session_id
    )
    assert rows[0].second_factor is True
    assert await refused(enrolled.answer(first, code)) == "challenge_ended"  # one sign-in each

    second = await enrolled.asked()
    assert await refused(enrolled.answer(second, code)) == "wrong_code"
    enrolled.clock.at += timedelta(seconds=totp.STEP_S)
    assert await refused(enrolled.answer(second, code)) == "wrong_code"  # within its window, but used
    await enrolled.answer(second, enrolled.code())
    assert sorted(await enrolled.outcomes()) == ["signed_in"] * 3 + ["wrong_code"] * 2


async def test_turning_it_on_ends_what_the_password_alone_has_opened(enrolled: Owner) -> None:
    """Else a thief who knows the password, and has shown it, could turn it off again at once."""
    waiting, enrolled_by = await enrolled.asked(), enrolled.session
    await enrolled.do(authenticators.disable)
    thief, racing = [await enrolled.people.sign_in(client=ELSEWHERE) for _ in range(2)]

    _, proved = await asyncio.gather(
        enrolled.enrol(),
        proving.prove(racing.token, password=PASSWORD, client=ELSEWHERE, clock=enrolled.clock),
        return_exceptions=True,
    )

    tokens = [thief.token, racing.token] + (
        [proved.session.token] if isinstance(proved, proving.Proved) else []
    )
    for token in tokens:
        assert await queries.actor_for_token(token, clock=enrolled.clock) is None
    assert await queries.actor_for_token(enrolled_by.token, clock=enrolled.clock)
    assert await refused(enrolled.answer(waiting, enrolled.code())) == "challenge_ended"


async def test_one_code_sent_twice_at_once_opens_one_session(enrolled: Owner) -> None:
    challenges, code = [await enrolled.asked() for _ in range(3)], enrolled.code()
    answers = await asyncio.gather(
        *(enrolled.answer(one, code) for one in [*challenges, challenges[0]]), return_exceptions=True
    )
    assert sum(isinstance(one, OpenedSession) for one in answers) == 1


@pytest.mark.parametrize(
    ("off", "outcome"), [(-90, "wrong_code"), (-30, "in"), (0, "in"), (30, "in"), (90, "wrong_code")]
)
async def test_the_phones_clock_may_be_a_step_off(enrolled: Owner, off: int, outcome: str) -> None:
    enrolled.clock.at += timedelta(minutes=2)
    shown = totp.code_at(enrolled.seed, enrolled.clock.at + timedelta(seconds=off))
    answer = enrolled.answer(await enrolled.asked(), shown)
    assert (await refused(answer) if outcome != "in" else "in" if await answer else "") == outcome


async def test_a_challenge_is_short_lived_and_ends_with_the_password_and_the_app(enrolled: Owner) -> None:
    late = await enrolled.asked()
    enrolled.clock.at += CHALLENGE_VALID
    assert await refused(enrolled.answer(late, enrolled.code())) == "challenge_ended"
    for nonsense in ("", "x" * 10_000, "\ud800", late[:-1]):
        assert await refused(enrolled.answer(nonsense, enrolled.code())) == "challenge_ended"

    enrolled.session = await enrolled.answer(await enrolled.asked(), enrolled.code())
    waiting = await enrolled.asked()
    proved = await own_account.change_password(
        await enrolled.actor(), enrolled.session.token, password=OTHER_PASSWORD, clock=enrolled.clock
    )
    enrolled.session = proved.session
    enrolled.clock.at += timedelta(seconds=totp.STEP_S)
    assert await refused(enrolled.answer(waiting, enrolled.code())) == "challenge_ended"


async def test_a_recovery_code_opens_once_however_it_is_typed(enrolled: Owner) -> None:
    code = enrolled.recovery_codes[3]
    await enrolled.answer(await enrolled.asked(), f" {code.upper().replace('-', ' ')} ")
    assert await refused(enrolled.answer(await enrolled.asked(), code)) == "wrong_code"
    assert (await enrolled.do(authenticators.two_step)).recovery_codes == authenticators.RECOVERY_CODES - 1
    assert sorted(await enrolled.outcomes()) == ["password_only", "recovery_code", "signed_in", "wrong_code"]

    renewed = await enrolled.do(authenticators.renew_recovery_codes)
    assert await refused(enrolled.answer(await enrolled.asked(), enrolled.recovery_codes[0])) == "wrong_code"
    await enrolled.answer(await enrolled.asked(), renewed[0])
    told = [event for event in await enrolled.people.events() if event.startswith("recovery_codes.")]
    assert [event for event in told if event in NOTICES] == [
        "recovery_codes.used",
        "recovery_codes.replaced",
        "recovery_codes.used",
    ]


async def test_guessing_codes_is_slowed_down_and_never_locks_the_owner_out(enrolled: Owner) -> None:
    known = replace(HOME, device=devices.remember("", enrolled.session.account_id))
    challenge = await enrolled.asked(ELSEWHERE)
    for number in range(CODE_ACCOUNT.free):
        guesser = replace(ELSEWHERE, address=f"203.0.113.{number}")
        assert await refused(enrolled.answer(challenge, "000000", guesser)) == "wrong_code"
    elsewhere = replace(ELSEWHERE, address="203.0.113.200")
    with pytest.raises(RateLimited):
        await enrolled.answer(challenge, enrolled.code(), elsewhere)

    assert await enrolled.answer(await enrolled.asked(known), enrolled.code(), known)
    assert await enrolled.answer(challenge, enrolled.recovery_codes[0], elsewhere)
    enrolled.clock.at += timedelta(seconds=CODE_ACCOUNT.delay_s_max)
    assert await enrolled.answer(await enrolled.asked(elsewhere), enrolled.code(), elsewhere)
    assert CODE_STRANGER.delay_s_max <= 900


async def test_turning_it_off_takes_a_proof_and_ends_the_recovery_codes(enrolled: Owner) -> None:
    enrolled.clock.at += PROOF_VALID
    for verb in (
        authenticators.disable,
        authenticators.renew_recovery_codes,
        authenticators.begin,
        own_sessions.end_other_sessions,
    ):
        with pytest.raises(ProofNeeded):
            await enrolled.do(verb)

    token = enrolled.session.token

    async def prove(password: str, code: str = "") -> proving.Proved:
        return await proving.prove(token, password=password, code=code, client=HOME, clock=enrolled.clock)

    assert await refused(prove("a wrong guess", enrolled.code())) == "wrong_password"
    assert await refused(prove(PASSWORD)) == "code_needed"
    assert await refused(prove(PASSWORD, "000000")) == "wrong_code"
    enrolled.session = (await prove(PASSWORD, enrolled.code())).session
    noted = ["password_only", "signed_in", "wrong_code", "wrong_password"]  # and not the proof that was right
    assert sorted(await enrolled.outcomes()) == noted
    assert await queries.actor_for_token(token, clock=enrolled.clock) is None  # the old token ended
    assert await refused(prove(PASSWORD, enrolled.recovery_codes[0])) == "session_ended"

    await enrolled.do(authenticators.disable)
    await enrolled.do(authenticators.disable)
    assert isinstance(await enrolled.people.sign_in(), OpenedSession)
    assert await enrolled.people.rows("select from recovery_code") == []
    assert (await enrolled.people.events()).count("authenticator.disabled") == 1


async def test_another_password_ends_other_sessions_and_what_was_mailed(owner: Owner) -> None:
    other = await owner.people.sign_in(client=ELSEWHERE)
    await own_account.request_reset(email="ana@example.com", client=HOME, clock=owner.clock)
    link = await mailed_link(owner)
    old = owner.session.token

    for easy, code in (("password123", "password_too_common"), ("ana@example.com", "password_personal")):
        changing = own_account.change_password(await owner.actor(), old, password=easy, clock=owner.clock)
        assert await refused(changing) == code
    proved = await own_account.change_password(
        await owner.actor(), old, password=OTHER_PASSWORD, clock=owner.clock
    )

    for ended in (old, other.token):
        assert await queries.actor_for_token(ended, clock=owner.clock) is None
    assert await queries.actor_for_token(proved.session.token, clock=owner.clock)
    assert await refused(reset(owner, link)) == "link_invalid"
    with pytest.raises(Unauthenticated):
        await owner.people.sign_in()
    assert await owner.people.sign_in(password=OTHER_PASSWORD)


async def mailed_link(owner: Owner) -> str:
    async with crossing(Reason.MAIL, clock=owner.clock) as uow:
        waiting = await uow.execute(
            "select id from mail_token where purpose = :purpose and token_hash is null",
            purpose=own_account.RESET_PASSWORD,
        )
        token_id = waiting.scalar_one()
        issued = await own_account.issue_reset(uow, token_id)
        assert await own_account.issue_reset(uow, token_id) is None
    assert issued is not None
    return issued.token


async def reset(owner: Owner, link: str, password: str = OTHER_PASSWORD) -> None:
    await own_account.reset_password(link, password=password, client=HOME, clock=owner.clock)


async def test_a_mailed_link_sets_a_password_once_and_does_not_pass_by_the_code(enrolled: Owner) -> None:
    for email in ("ana@example.com", "nobody@example.com"):
        await own_account.request_reset(email=email, client=HOME, clock=enrolled.clock)
    link = await mailed_link(enrolled)
    assert await refused(reset(enrolled, link, "password123")) == "password_too_common"  # and it still works
    assert await refused(reset(enrolled, link + "x")) == "link_invalid"

    results = await asyncio.gather(reset(enrolled, link), reset(enrolled, link), return_exceptions=True)

    assert sum(result is None for result in results) == 1
    assert await queries.actor_for_token(enrolled.session.token, clock=enrolled.clock) is None
    asked = await sessions.sign_in(
        email="ana@example.com", password=OTHER_PASSWORD, client=HOME, clock=enrolled.clock
    )
    assert isinstance(asked, CodeNeeded)
    assert await enrolled.answer(asked.challenge, enrolled.code())
    assert await enrolled.people.rows("select from mail_token where email <> ''") == []


async def test_signing_up_with_an_address_keeps_nobody_from_a_new_password(owner: Owner) -> None:
    async with crossing(Reason.MAIL, clock=owner.clock) as uow:
        while await throttle.admits(uow, throttle.Subject(throttle.MAILS, "ana@example.com")):
            pass
    await own_account.request_reset(email="ana@example.com", client=HOME, clock=owner.clock)
    await reset(owner, await mailed_link(owner))


async def test_an_old_link_and_one_of_another_purpose_set_nothing(owner: Owner) -> None:
    await own_account.request_reset(email="ana@example.com", client=HOME, clock=owner.clock)
    link = await mailed_link(owner)
    async with crossing(Reason.MAIL) as uow:
        await uow.execute("update mail_token set purpose = 'confirm_address'")
    assert await refused(reset(owner, link)) == "link_invalid"
    async with crossing(Reason.MAIL) as uow:
        await uow.execute("update mail_token set purpose = 'reset_password'")
    owner.clock.at += RESET_VALID
    assert await refused(reset(owner, link)) == "link_invalid"
    assert await owner.people.sign_in()


async def test_an_account_that_is_not_confirmed_cannot_be_reset(people: People) -> None:
    async with crossing(Reason.SIGN_IN) as uow:
        await uow.execute(
            "insert into account (id, email, email_key, name, created_at, version)"
            " values ('acc_x', 'new@example.com', 'new@example.com', '', now(), 1)"
        )
    await own_account.request_reset(email="new@example.com", client=HOME, clock=people.clock)
    assert await people.rows("select from mail_token") == []
