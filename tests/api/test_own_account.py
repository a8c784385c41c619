"""One's own account over HTTP: the second step, proofs, password, sessions, history; and who is kept out."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from httpx import AsyncClient

from services.core.crossing import Reason, crossing
from services.identity import own_account, totp
from services.identity.cookies import challenge_cookie, session_cookie
from tests.api.conftest import ADDRESS, PASSWORD, Api, problem

SESSION, CHALLENGE = session_cookie(ADDRESS), challenge_cookie(ADDRESS)
ANA = {"email": "ana@example.com", "password": PASSWORD}
OTHER_PASSWORD = "seven seas and a ship"


async def enrol(client: AsyncClient) -> tuple[bytes, list[str]]:
    """Turn two-step verification on. The seed, whose present code is used up, and the recovery codes."""
    begun = await client.post("account/authenticator")
    assert begun.status_code == 201, begun.text
    seed = base64.b32decode(begun.json()["key"].replace(" ", ""))
    confirmed = await client.post("account/authenticator/confirm", json={"code": code(seed)})
    assert confirmed.status_code == 200, confirmed.text
    return seed, confirmed.json()["codes"]


def code(seed: bytes, steps_off: int = 0) -> str:
    return totp.code_at(seed, datetime.now(UTC) + timedelta(seconds=totp.STEP_S * steps_off))


async def forget_proof() -> None:
    async with crossing(Reason.INVARIANTS) as uow:
        await uow.execute("update session set proved_at = proved_at - interval '1 hour'")


async def test_a_code_is_the_second_step_of_signing_in_on_the_same_browser(api: Api) -> None:
    owner = await api.browser(email="ana@example.com")
    seed, recovery_codes = await enrol(owner)
    me = (await owner.get("account")).json()
    assert me["two_step"]["recovery_codes"] == len(recovery_codes)
    assert seed.hex() not in str(me)

    browser = api.client(headers={"x-matrix-csrf": "1"})
    asked = await browser.post("session", json=ANA)
    assert (asked.status_code, asked.json()) == (202, {"status": "code_needed", "next": "/sign-in/code"})
    assert SESSION not in browser.cookies
    assert "HttpOnly" in asked.headers["set-cookie"]
    assert browser.cookies[CHALLENGE] not in asked.text
    problem(await browser.get("me"), 401, "sign_in_required")

    another = api.client(headers={"x-matrix-csrf": "1"})
    problem(await another.post("session/code", json={"code": code(seed)}), 401, "challenge_ended")
    wrong = await browser.post("session/code", json={"code": "000000"})
    assert problem(wrong, 422, "wrong_code")["errors"][0]["pointer"] == "#/code"
    opened = await browser.post("session/code", json={"code": code(seed, 1)})
    assert opened.status_code == 201
    assert CHALLENGE not in browser.cookies
    problem(await browser.post("session/code", json={"code": recovery_codes[0]}), 401, "challenge_ended")

    history = (await browser.get("account/sign-ins", params={"limit": 2})).json()
    rest = await browser.get("account/sign-ins", params={"cursor": history["next_cursor"]})
    outcomes = [row["outcome"] for row in history["data"] + rest.json()["data"]]
    assert sorted(outcomes) == ["signed_in", "signed_in", "wrong_code"]
    other = await api.browser()
    stolen = await other.get("account/sign-ins", params={"cursor": history["next_cursor"]})
    problem(stolen, 422, "cursor_invalid")


RISKY: tuple[tuple[str, str, Any], ...] = (
    ("PUT", "account/password", {"password": OTHER_PASSWORD}),
    ("POST", "account/authenticator", None),
    ("POST", "account/authenticator/confirm", {"code": "000000"}),
    ("DELETE", "account/authenticator", None),
    ("POST", "account/recovery-codes", None),
    ("POST", "account/sessions/end-others", None),
)
OWN: tuple[tuple[str, str, Any], ...] = (
    ("GET", "account", None),
    ("PATCH", "account", {"name": "Mallory"}),
    ("GET", "session/proof", None),
    ("POST", "session/proof", {"password": PASSWORD}),
    ("GET", "account/sessions", None),
    ("DELETE", "account/sessions/ses_01k00000000000000000000000", None),
    ("GET", "account/sign-ins", None),
)


async def test_risky_acts_ask_for_a_proof_and_go_on_after_it(api: Api) -> None:
    owner = await api.browser(email="ana@example.com")
    await forget_proof()
    for method, path, body in RISKY:
        refused = await owner.request(method, path, json=body)
        assert problem(refused, 403, "proof_needed")["next_step"], path
    assert (await owner.get("session/proof")).json()["needs_code"] is False

    old = owner.cookies[SESSION]
    wrong = await owner.post("session/proof", json={"password": "a wrong guess"})
    assert problem(wrong, 422, "wrong_password")["errors"][0]["pointer"] == "#/password"
    assert owner.cookies[SESSION] == old
    assert (await owner.post("session/proof", json={"password": PASSWORD})).status_code == 200
    assert owner.cookies[SESSION] != old
    problem(await api.client(cookies={SESSION: old}).get("me"), 401, "session_ended")

    await enrol(owner)
    await forget_proof()
    assert (await owner.get("session/proof")).json()["needs_code"] is True
    problem(await owner.post("session/proof", json={"password": PASSWORD}), 422, "code_needed")


async def test_recovery_codes_are_told_again_only_to_whoever_proves_again_to_be_their_person(
    api: Api,
) -> None:
    owner = await api.browser(email="ana@example.com")
    _, first = await enrol(owner)
    once = {"Idempotency-Key": "a-lost-answer"}

    made = (await owner.post("account/recovery-codes", headers=once)).json()["codes"]
    assert (await owner.post("account/recovery-codes", headers=once)).json()["codes"] == made
    assert not set(made) & set(first)

    async with crossing(Reason.INVARIANTS) as uow:
        kept = (await uow.execute("select body from idempotency_record")).scalars().all()
    assert not any(one.encode() in body for body in kept for one in made)
    await forget_proof()
    problem(await owner.post("account/recovery-codes", headers=once), 403, "proof_needed")


async def test_an_account_is_closed_to_strangers_keys_and_other_people(api: Api) -> None:
    organization = await api.world.organization()
    owner = await api.browser(organization, email="ana@example.com")
    own = (await owner.get("account/sessions")).json()["data"][0]["id"]
    stranger = api.client(headers={"x-matrix-csrf": "1"})
    key = await api.key_client(organization, "keys:write", "usage:read")
    unguarded = api.client(cookies=dict(owner.cookies))
    for method, path, body in (*RISKY, *OWN):
        problem(await stranger.request(method, path, json=body), 401, "sign_in_required")
        problem(await key.request(method, path, json=body), 403, "not_allowed")
        if method != "GET":
            problem(await unguarded.request(method, path, json=body), 403, "csrf_header_missing")
    colleague = await api.browser(organization, email="bob@example.com")
    problem(await colleague.delete(f"account/sessions/{own}"), 404, "not_found")
    assert (await owner.get("account")).json()["name"] == ""


async def test_sessions_are_listed_and_ended(api: Api) -> None:
    first = await api.browser(email="ana@example.com")
    firefox = {"x-matrix-csrf": "1", "user-agent": "Mozilla/5.0 (X11; Linux) Firefox/140.0"}
    second, third = (api.client(address="198.51.100.7", headers=firefox) for _ in range(2))
    for client in (second, third):
        assert (await client.post("session", json=ANA)).status_code == 201

    page = (await first.get("account/sessions", params={"limit": 2})).json()
    rest = (await first.get("account/sessions", params={"cursor": page["next_cursor"]})).json()
    rows = page["data"] + rest["data"]
    assert [row["current"] for row in rows] == [False, False, True]
    assert (rows[0]["device"], rows[0]["address"]) == ("Firefox, Linux", "198.51.100.7")

    assert (await first.delete(f"account/sessions/{rows[0]['id']}")).status_code == 204
    problem(await third.get("me"), 401, "session_ended")
    assert (await first.post("account/sessions/end-others")).json() == {"ended": 1}
    problem(await second.get("me"), 401, "session_ended")
    assert len((await first.get("account/sessions")).json()["data"]) == 1


async def test_name_and_password_are_changed(api: Api) -> None:
    owner = await api.browser(email="ana@example.com")
    assert (await owner.patch("account", json={"name": " Ana L\u00f3pez "})).json()[
        "name"
    ] == "Ana L\u00f3pez"
    problem(await owner.patch("account", json={"name": "a\nb"}), 422, "unprintable_character")
    problem(
        await owner.put("account/password", json={"password": "ana lopez 2026"}), 422, "password_personal"
    )
    problem(await owner.put("account/password", json={"password": "x" * 1_000_000}), 413, "password_too_long")
    assert (await owner.put("account/password", json={"password": OTHER_PASSWORD})).status_code == 200
    assert (await owner.get("account")).json()["password_changed_at"]
    problem(await api.client().post("session", json=ANA), 401, "wrong_credentials")


async def test_a_forgotten_password_is_reset_by_mail_alike_for_every_address(api: Api) -> None:
    owner = await api.browser(email="ana@example.com")
    client = api.client()
    answers = [
        await client.post("password/reset", json={"email": f"{who}@example.com"}) for who in ("ana", "nob")
    ]
    told = [{**one.json(), "mailbox": "", "status_code": one.status_code} for one in answers]
    assert told[0] == told[1]
    assert answers[0].status_code == 202

    async with crossing(Reason.MAIL) as uow:
        waiting = await uow.execute("select id from mail_token where purpose = 'reset_password'")
        link = await own_account.issue_reset(uow, waiting.scalar_one())
    assert link is not None
    change = {"token": link.token, "password": OTHER_PASSWORD}
    problem(
        await client.post("password/reset/confirm", json=change | {"password": "x" * 1_000_000}),
        413,
        "password_too_long",
    )
    done = await client.post("password/reset/confirm", json=change)
    assert done.json() == {"status": "password_set"}
    assert not done.headers.get("set-cookie")
    problem(await client.post("password/reset/confirm", json=change), 422, "link_invalid")
    problem(await owner.get("me"), 401, "session_ended")
    again = await api.client().post("session", json={"email": "ana@example.com", "password": OTHER_PASSWORD})
    assert again.status_code == 201


@pytest.mark.parametrize("door", ["session/code", "password/reset", "password/reset/confirm"])
async def test_these_doors_too_are_closed_to_pages_of_other_sites(api: Api, door: str) -> None:
    client = api.client(headers={"origin": "https://evil.example"})
    body = {"code": "1", "token": "x", "password": "x", "email": "ana@example.com"}
    problem(await client.post(door, json=body), 403, "origin_not_allowed")
