"""Signing up, in and out over HTTP."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from services.core.clock import SystemClock
from services.core.crossing import Reason, crossing
from services.identity import accounts, devices
from services.identity.cookies import device_cookie, session_cookie
from services.identity.throttle import SIGN_IN_ACCOUNT
from tests.api.conftest import ADDRESS, PASSWORD, Api, problem

SESSION = session_cookie(ADDRESS)

ANA = {"email": "ana@example.com", "password": PASSWORD, "name": "Ana"}


async def mailed_token(email: str) -> str:
    """What the mail for this address carries."""
    async with crossing(Reason.MAIL) as uow:
        found = await uow.execute(
            "select id from mail_token where lower(email) = :email and token_hash is null", email=email
        )
        issued = await accounts.issue_confirmation(uow, found.scalar_one())
    assert issued is not None
    return issued.token


async def test_from_stranger_to_key(api: Api) -> None:
    client = api.client(headers={"x-matrix-csrf": "1"})
    assert (await client.post("sign-up", json=ANA)).status_code == 202
    link = {"token": await mailed_token("ana@example.com")}
    wrong = await client.post("sign-up/confirm", json=link | {"password": "somebody else's"})
    assert problem(wrong, 422, "wrong_password")["errors"][0]["pointer"] == "#/password"
    assert not wrong.headers.get("set-cookie")
    confirmed = await client.post("sign-up/confirm", json=link | {"password": PASSWORD})
    assert confirmed.json()["email"] == "ana@example.com"
    assert (await client.get("me")).json()["account"]["id"] == confirmed.json()["account_id"]
    problem(await client.get("keys"), 409, "no_organization")

    signed_in = await client.post("session", json={"email": ANA["email"], "password": PASSWORD})
    assert signed_in.status_code == 201
    assert signed_in.json()["organization_id"] is None

    founded = await client.post("organizations", json={"name": "Acme", "timezone": "Europe/Berlin"})
    assert founded.status_code == 201
    switched = await client.post("session/organization", json={"organization_id": founded.json()["id"]})
    assert switched.status_code == 200
    created = await client.post("keys", json={"name": "laptop"})

    assert created.status_code == 201
    secret = created.json()["secret"]
    by_key = await api.client(headers={"authorization": f"Bearer {secret}"}).get("me")
    assert by_key.json()["organization_id"] == founded.json()["id"]
    assert by_key.json()["key_id"] == created.json()["id"]
    assert by_key.json()["capabilities"] == ["inference", "models.read"]


async def test_the_session_cookie_is_closed_to_scripts_and_other_sites(api: Api) -> None:
    client = await api.browser()
    answer = await client.post("session", json={"email": "person1@example.com", "password": PASSWORD})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{SESSION}=")
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/" in cookie
    assert "Secure" not in cookie  # plain http on this machine
    assert SESSION not in answer.text
    assert client.cookies[SESSION] not in answer.text


async def test_behind_https_the_cookie_is_secure(environment: pytest.MonkeyPatch, api: Api) -> None:
    from services.core.settings import settings

    client = await api.browser()
    environment.setenv("MATRIX_PUBLIC_URL", "https://matrix.example.com")
    settings.cache_clear()
    answer = await client.post("session", json={"email": "person1@example.com", "password": PASSWORD})
    assert "Secure" in answer.headers["set-cookie"]


async def test_switching_replaces_the_cookie_and_ends_the_old_one(api: Api) -> None:
    client = await api.browser(await api.world.organization())
    old = client.cookies[SESSION]
    second = (await client.post("organizations", json={"name": "Second"})).json()

    answer = await client.post("session/organization", json={"organization_id": second["id"]})

    assert answer.json()["organization_id"] == second["id"]
    assert client.cookies[SESSION] != old
    assert (await client.get("me")).json()["organization_id"] == second["id"]
    stale = api.client(cookies={SESSION: old})
    problem(await stale.get("me"), 401, "session_ended")


async def test_signing_out_ends_the_session_and_the_cookie(api: Api) -> None:
    client = await api.browser()
    token = client.cookies[SESSION]
    answer = await client.post("session/sign-out")
    assert answer.status_code == 204
    assert SESSION not in client.cookies
    problem(await api.client(cookies={SESSION: token}).get("me"), 401, "session_ended")


async def test_no_answer_tells_whether_an_address_has_an_account(api: Api) -> None:
    await api.browser(email="ana@example.com")
    client = api.client()
    answers = {
        email: [
            await client.post("sign-up", json={**ANA, "email": email}),
            await client.post("sign-up/resend", json={"email": email}),
            await client.post("session", json={"email": email, "password": "a wrong guess"}),
        ]
        for email in ("ana@example.com", "nob@example.com")
    }
    known, unknown = (
        [(a.status_code, {**a.json(), "reference": "", "mailbox": ""}) for a in given]
        for given in answers.values()
    )
    assert known == unknown


@pytest.fixture
def no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may come back in two seconds may not yet, however long an answer takes."""
    now = datetime.now(UTC)
    monkeypatch.setattr(SystemClock, "now", lambda _: now)


@pytest.mark.usefixtures("no_time_passes")
async def test_guessing_is_answered_with_when_to_come_back(api: Api) -> None:
    await api.browser(email="ana@example.com")
    stranger = api.client(address="203.0.113.9")
    wrong = {"email": "ana@example.com", "password": "a wrong guess"}
    for _ in range(5):
        problem(await stranger.post("session", json=wrong), 401, "wrong_credentials")
    answer = await stranger.post("session", json=wrong)
    problem(answer, 429, "too_many_attempts")
    assert answer.headers["retry-after"] == "2"


@pytest.mark.usefixtures("no_time_passes")
async def test_a_browser_that_signed_in_before_is_not_slowed_down_by_guessing(api: Api) -> None:
    known = await api.browser(email="ana@example.com")
    device = next(cookie for cookie in known.cookies.jar if cookie.name == device_cookie(ADDRESS))
    assert device.has_nonstandard_attr("HttpOnly")
    assert device.expires is not None
    assert device.expires - time.time() > 300 * 86_400
    assert (await known.post("session/sign-out")).status_code == 204
    right = {"email": "ana@example.com", "password": PASSWORD}
    for number in range(SIGN_IN_ACCOUNT.free):
        stranger = api.client(address=f"203.0.113.{number}")
        problem(await stranger.post("session", json=right | {"password": "guess"}), 401, "wrong_credentials")

    problem(await api.client().post("session", json=right), 429, "too_many_attempts")
    assert (await known.post("session", json=right)).status_code == 201


async def test_confirming_an_address_makes_the_device_known(api: Api) -> None:
    client = api.client()
    await client.post("sign-up", json=ANA)
    link = {"token": await mailed_token("ana@example.com"), "password": PASSWORD}
    account_id = (await client.post("sign-up/confirm", json=link)).json()["account_id"]
    assert devices.known(client.cookies[device_cookie(ADDRESS)], account_id)


async def test_a_forwarded_address_counts_only_from_trusted_proxies(
    api: Api, environment: pytest.MonkeyPatch
) -> None:
    from services.core.settings import settings

    async def addresses() -> list[str]:
        async with crossing(Reason.INVARIANTS) as uow:
            return list((await uow.execute("select address from session order by id")).scalars())

    await api.browser(email="ana@example.com")
    client = api.client(address="10.0.0.1", headers={"x-forwarded-for": "1.2.3.4, 203.0.113.5"})
    credentials = {"email": "ana@example.com", "password": PASSWORD}
    await client.post("session", json=credentials)
    environment.setenv("MATRIX_TRUSTED_PROXY_HOPS", "1")
    settings.cache_clear()
    await client.post("session", json=credentials)
    assert await addresses() == ["192.0.2.10", "10.0.0.1", "203.0.113.5"]


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "csrf_header_missing"),
        ({"x-matrix-csrf": "0"}, "csrf_header_missing"),
        ({"x-matrix-csrf": "1", "origin": "https://evil.example"}, "origin_not_allowed"),
        ({"x-matrix-csrf": "1", "origin": "null"}, "origin_not_allowed"),
        ({"x-matrix-csrf": "1", "origin": ADDRESS}, None),
        ({"x-matrix-csrf": "1"}, None),
    ],
)
async def test_another_site_cannot_act_in_a_persons_name(
    api: Api, headers: dict[str, str], code: str | None
) -> None:
    signed_in = await api.browser(await api.world.organization())
    client = api.client(cookies=dict(signed_in.cookies), headers=headers)
    answer = await client.post("keys", json={"name": "mine"})
    if code is None:
        assert answer.status_code == 201
    else:
        problem(answer, 403, code)
        assert (await client.get("keys")).json()["data"] == []


@pytest.mark.parametrize("door", ["sign-up", "session", "sign-up/resend", "sign-up/confirm"])
async def test_doors_are_closed_to_pages_of_other_sites(api: Api, door: str) -> None:
    client = api.client(headers={"origin": "https://evil.example"})
    problem(await client.post(door, json={**ANA, "token": "x"}), 403, "origin_not_allowed")


async def test_a_key_needs_no_csrf_header(api: Api) -> None:
    client = await api.key_client(await api.world.organization(), "keys:write")
    assert (await client.post("keys", json={"name": "second", "scopes": ["keys:read"]})).status_code == 201
