"""What a provider sends us over HTTP, and what somebody else sends who would like to be it."""

from __future__ import annotations

import json
import time
from typing import Any

import stripe

from models.payments import ProviderAccount
from services.core.actor import system
from services.core.crossing import Reason, crossing
from services.core.ids import new_id
from services.payments import accounts
from services.payments.accounts import AccountFields
from tests.api.conftest import Api

SECRET = "whsec_of_the_door"
NAMED = {"object": "event", "type": "payment_intent.succeeded", "livemode": False, "created": 1_790_000_000}
OF_NOBODY: dict[str, Any] = NAMED | {"data": {"object": {"id": "pi_of_nobody"}}}


def signed(raw: bytes, *, secret: str = SECRET, ago_s: int = 0) -> dict[str, str]:
    made = stripe.WebhookSignature.generate_signature_header(
        raw.decode(), secret, timestamp=int(time.time()) - ago_s
    )
    return {"stripe-signature": made}


def event(number: int, **other: Any) -> bytes:
    return json.dumps(OF_NOBODY | {"id": f"evt_{number}"} | other).encode()


# What comes, how it is signed, and what is answered. What is taken is kept, whatever it is about.
COMES: dict[str, tuple[bytes, dict[str, Any], int, str]] = {
    "a payment of nobody": (event(1), {}, 204, ""),
    "the same again": (event(1), {}, 204, ""),
    "a kind that nobody knows": (event(2, type="made.up.tomorrow"), {}, 204, ""),
    "told of before it happens": (event(3, created=4_000_000_000), {}, 204, ""),
    "signed tomorrow": (event(4), {"ago_s": -86_400}, 400, "webhook_refused"),
    "signed an hour ago": (event(5), {"ago_s": 3_600}, 400, "webhook_refused"),
    "signed with another secret": (event(6), {"secret": "whsec_other"}, 400, "webhook_refused"),
    "of another account": (event(7, account="acct_other"), {}, 400, "webhook_refused"),
    "of the real one": (event(8, livemode=True), {}, 400, "webhook_refused"),
    "no JSON": (b"<event/>", {}, 400, "webhook_refused"),
    "nothing": (b"", {}, 400, "webhook_refused"),
    "a list": (b"[]", {}, 400, "webhook_refused"),
    "no event": (b"{}", {}, 400, "webhook_refused"),
    "an event of nothing": (event(9, data=None), {}, 400, "webhook_refused"),
    "an event without a name": (event(10, id=None), {}, 400, "webhook_refused"),
    "a name that no text holds": (event(11, id="evt\0"), {}, 400, "webhook_refused"),
    "a name without end": (event(12, id="e" * 10_000), {}, 400, "webhook_refused"),
    "5 MB": (event(13, more="x" * 5_000_000), {}, 413, "event_too_large"),
}


async def added() -> ProviderAccount:
    said = AccountFields(
        "stripe", "Cards", is_test=True, secrets={"secret_key": "sk_test_x", "webhook_secret": SECRET}
    )
    async with crossing(Reason.PAYMENTS, actor=system()) as uow:
        return await accounts.add_account(uow, said)


async def test_events_are_kept_once_and_what_is_not_the_providers_is_refused_in_words(api: Api) -> None:
    account = await added()
    door = "provider-accounts/{}/events".format
    for number, (case, (raw, how, status, code)) in enumerate(COMES.items()):
        program = api.client(f"192.0.2.{number}")  # as many guesses from one place would be stopped
        answer = await program.post(door(account.id), content=raw, headers=signed(raw, **how))
        assert answer.status_code == status, (case, answer.text[:200])
        assert status == 204 or answer.json()["code"] == code, (case, answer.text[:200])

    raw = event(1)
    for unknown in (new_id("pacc"), new_id("org"), "x"):
        assert (await api.client().post(door(unknown), content=raw, headers=signed(raw))).status_code == 404
    changed = raw.replace(b"pi_of", b"pi_to")
    assert (
        await api.client().post(door(account.id), content=changed, headers=signed(raw))
    ).status_code == 400
    async with crossing(Reason.PAYMENTS) as uow:
        kept = await uow.execute("select event_id, kind from provider_event order by event_id")
        assert [tuple(row) for row in kept] == [
            ("evt_1", "payment_intent.succeeded"),
            ("evt_2", "other: made.up.tomorrow"),
            ("evt_3", "payment_intent.succeeded"),
        ]
