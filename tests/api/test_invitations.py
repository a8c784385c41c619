"""The life of an invitation, from the mail to the member, and every way it can end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from httpx import AsyncClient

from models.identity import Organization
from models.types import OrganizationKind, Role
from services.core.crossing import Reason, crossing
from services.core.errors import RateLimited
from services.identity import invitations, rules, throttle
from services.notify import service
from services.notify.queries import mails_for
from services.notify.service import Cause, Sender
from tests.api.conftest import PASSWORD, Api, problem

SENDER = Sender(public_url="http://localhost:3000", mail_from="Matrix <no-reply@example.com>", server=None)
BEN = "ben@example.com"


async def write_mails() -> None:
    """What the worker does for each event that calls for one."""
    async with crossing(Reason.INVARIANTS) as uow:
        found = await uow.execute(
            "select id, aggregate_id, payload from event"
            " where type in ('invitation.created', 'invitation.resent') order by id"
        )
        events = found.all()
    for event in events:
        cause = Cause(event.id, "", "", invitation_id=event.aggregate_id, issue=event.payload["issue"])
        await service.send_account_mail(cause, sender=SENDER)


async def mailed_tokens(address: str = BEN) -> list[str]:
    """The tokens of all links to the address, the newest first."""
    await write_mails()
    mails = await mails_for(address, mode="demo")
    return [mail.body.split("/invitation?token=")[1].split("\n")[0] for mail in mails]


async def later(by: timedelta, invitation_id: str) -> None:
    """As if `by` had passed since the invitation was mailed."""
    async with crossing(Reason.DEMO) as uow:
        await uow.execute(
            "update invitation set created_at = created_at - :by, expires_at = expires_at - :by where id = :id",
            by=by,
            id=invitation_id,
        )


async def invited(client: AsyncClient, email: str = BEN, role: str = "developer") -> dict[str, Any]:
    answer = await client.post("organization/invitations", json={"email": email, "role": role})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_new_person_signs_up_by_the_mailed_link(api: Api, acme: Organization) -> None:
    owner = await api.browser(acme)
    made = await invited(owner)
    assert [row["status"] for row in (await owner.get("organization/invitations")).json()["data"]] == ["open"]
    (token,) = await mailed_tokens()
    newcomer = api.client()

    shown = (await newcomer.post("invitation/look", json={"token": token})).json()
    assert (shown["organization_name"], shown["role"], shown["has_account"]) == ("Acme", "developer", False)
    facts = {"token": token, "name": "Ben", "password": PASSWORD}
    problem(
        await newcomer.post("invitation/sign-up", json={**facts, "password": "short"}),
        422,
        "password_too_short",
    )
    answer = await newcomer.post("invitation/sign-up", json=facts)
    assert answer.status_code == 201, answer.text

    me = (await newcomer.get("me")).json()
    assert (me["account"]["email"], me["role"], me["organization_id"]) == (BEN, "developer", acme.id)
    assert (await owner.get("organization/invitations")).json()["data"] == []
    problem(await newcomer.post("invitation/look", json={"token": token}), 409, "invitation_used")
    problem(await newcomer.post("invitation/sign-up", json=facts), 409, "invitation_used")
    problem(await owner.delete(f"organization/invitations/{made['id']}"), 409, "invitation_used")
    problem(
        await owner.post("organization/invitations", json={"email": BEN, "role": "viewer"}),
        409,
        "already_member",
    )
    async with crossing(Reason.INVARIANTS) as uow:  # nothing in the log opens the door, or names the guest
        log = str((await uow.execute("select string_agg(payload::text, ' ') from event")).scalar_one())
    assert token not in log
    assert BEN not in log


async def test_a_link_fits_its_own_address_only(api: Api, acme: Organization) -> None:
    owner = await api.browser(acme)
    await invited(owner)
    (token,) = await mailed_tokens()
    eve = await api.browser(await api.world.organization(), email="eve@example.com")
    refused = problem(
        await eve.post("invitation/accept", json={"token": token}), 403, "invitation_for_another"
    )
    assert BEN in refused["detail"]
    assert "eve@example.com" in refused["detail"]
    problem(await api.client().post("invitation/accept", json={"token": token}), 401, "sign_in_required")

    home = await api.world.organization(name="Home")
    ben = await api.browser(home, email="BEN@example.com")  # however it is written
    facts = {"token": token, "name": "Ben", "password": PASSWORD}
    problem(await api.client().post("invitation/sign-up", json=facts), 409, "account_exists")
    assert (await ben.post("invitation/accept", json={"token": token})).json()["organization_id"] == acme.id
    assert {o["name"]: o["role"] for o in (await ben.get("me")).json()["organizations"]} == {
        "Acme": "developer",
        "Home": "owner",
    }


async def test_each_end_of_an_invitation_has_its_own_words(api: Api, acme: Organization) -> None:
    owner, client = await api.browser(acme), api.client()

    async def look(token: str) -> Any:
        return await client.post("invitation/look", json={"token": token})

    made = await invited(owner)
    (first,) = await mailed_tokens()
    again = f"organization/invitations/{made['id']}/resend"
    problem(await owner.post(again), 429, "rate_limited")
    await later(invitations.RESENT_EVERY, made["id"])
    answers = [await owner.post(again, headers={"Idempotency-Key": "twice"}) for _ in range(2)]
    assert [one.status_code for one in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    problem(await look(first), 404, "invitation_unknown")  # at once, before the new mail is written
    second, _ = await mailed_tokens()
    assert (await look(second)).status_code == 200

    await later(rules.INVITATION_VALID, made["id"])
    problem(await look(second), 409, "invitation_expired")
    await invited(owner)  # one that ran out is in nobody's way
    third = (await mailed_tokens())[0]
    (row,) = (await owner.get("organization/invitations")).json()["data"]
    assert (await owner.delete(f"organization/invitations/{row['id']}")).status_code == 200
    problem(await look(third), 409, "invitation_revoked")
    problem(await look("nobody's"), 404, "invitation_unknown")
    problem(await look("n\u00f6"), 404, "invitation_unknown")

    # Whoever invited lets nobody in any more once they are gone.
    admin = await api.browser(acme, Role.ADMIN, email="admin@example.com")
    await invited(admin, "cleo@example.com")
    (fourth,) = await mailed_tokens("cleo@example.com")
    gone = (await admin.get("me")).json()["account"]["id"]
    assert (await owner.delete(f"organization/members/{gone}")).status_code == 204
    problem(await look(fourth), 409, "invitation_revoked")

    # Sent again, it is the invitation of whoever sends it.
    (row,) = (await owner.get("organization/invitations")).json()["data"]
    await later(invitations.RESENT_EVERY, row["id"])
    assert (await owner.post(f"organization/invitations/{row['id']}/resend")).status_code == 200
    fifth, _ = await mailed_tokens("cleo@example.com")
    shown = await look(fifth)
    assert shown.status_code == 200, shown.text
    (newest,) = (await owner.get("organization/invitations")).json()["data"]
    assert newest["invited_by"] == (await owner.get("me")).json()["account"]["id"] != gone


async def test_a_mailbox_that_has_had_enough_gets_the_invitation_later(api: Api, acme: Organization) -> None:
    """Many organisations invite one address: none of their mails is lost, and none of the links that work ends."""
    mailbox = throttle.Subject(throttle.INVITATION_MAILS, BEN)
    async with crossing(Reason.MAIL) as uow:
        while await throttle.admits(uow, mailbox):
            pass
    await invited(await api.browser(acme))
    with pytest.raises(RateLimited):
        await mailed_tokens()
    assert await mails_for(BEN, mode="demo") == []

    async with crossing(Reason.MAIL) as uow:
        await throttle.forgive(uow, [mailbox])
    (token,) = await mailed_tokens()
    assert (await api.client().post("invitation/look", json={"token": token})).status_code == 200


@pytest.mark.parametrize(
    ("email", "code"),
    [
        ("ben@example.com\r\nBcc: everybody@example.com", "unprintable_character"),
        ("ben@ex\u0430mple.com", "mixed_alphabets"),
        ("ben", "invalid_input"),
    ],
)
async def test_addresses_that_are_none_or_look_like_others(
    api: Api, acme: Organization, email: str, code: str
) -> None:
    owner = await api.browser(acme)
    problem(await owner.post("organization/invitations", json={"email": email, "role": "viewer"}), 422, code)


async def test_who_may_invite_whom_and_how_often(
    api: Api, acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    for role, wanted, code in (
        (Role.ADMIN, "owner", "owner_needed"),
        (Role.DEVELOPER, "viewer", "not_allowed"),
        (Role.OWNER, "operator", "invalid_input"),
    ):
        client = await api.browser(acme, role)
        answer = await client.post("organization/invitations", json={"email": BEN, "role": wanted})
        assert answer.json()["code"] == code

    owner = await api.browser(acme)
    shown = await invited(owner, "ana@b\u00fccher.example")
    assert shown["email"] == "ana@xn--bcher-kva.example"
    monkeypatch.setattr(invitations, "OPEN_MAX", 2)
    await invited(owner)
    body = {"email": "cleo@example.com", "role": "viewer"}
    problem(await owner.post("organization/invitations", json=body), 409, "too_many_invitations")
    problem(
        await owner.post("organization/invitations", json={"email": BEN, "role": "viewer"}),
        409,
        "already_invited",
    )
    monkeypatch.setattr(invitations, "OPEN_MAX", 9)
    monkeypatch.setattr(invitations, "PER_DAY_MAX", 2)
    problem(await owner.post("organization/invitations", json=body), 429, "too_many_invitations_today")

    elsewhere = await api.browser(await api.world.organization(OrganizationKind.PARTNER))
    problem(await elsewhere.delete(f"organization/invitations/{shown['id']}"), 404, "not_found")
