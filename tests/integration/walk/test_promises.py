"""What docs/api.md promises of every operation, tried on each: a POST happens once by its key, and a change of what
others change, too, is refused where another version stands.

A new operation is tried as soon as it is there. One that promises less stands below, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from models.events import IdempotencyRecord
from models.types import Role
from services.core.crossing import Reason, crossing
from tests.integration.walk.callers import Caller, Cast
from tests.integration.walk.operations import How, Operation
from tests.integration.walk.victim import JUST_NOW, SOON, Victim
from tests.integration.walk.walking import Walk
from tests.world import World

SIGNS_IN = "opens or replaces a session, whose secret is in a cookie: an answer given again would hold it"
LOOKS = "computes or looks, and keeps nothing"
LINKS = "makes a link that says until when it works, and keeps nothing"
ASKS = "asks the provider how it stands: again is what it is for"
SAME = "says how something is to be: twice changes nothing more"
BY_LINK = "by somebody unknown: the key is that of the payment, for good"

WITHOUT_KEY = {
    "/sign-up": "answers the same whether the address is known or not, and mails at most so often",
    "/sign-up/resend": "answers the same whether the address is known or not, and mails at most so often",
    "/password/reset": "answers the same whether the address is known or not, and mails at most so often",
    "/password/reset/confirm": "takes a token that works once",
    "/sign-up/confirm": SIGNS_IN,
    "/session": SIGNS_IN,
    "/session/code": SIGNS_IN,
    "/session/sign-out": SIGNS_IN,
    "/session/organization": SIGNS_IN,
    "/session/proof": SIGNS_IN,
    "/organization/leave": SIGNS_IN,
    "/invitation/accept": SIGNS_IN,
    "/invitation/sign-up": SIGNS_IN,
    "/invitation/look": LOOKS,
    "/staff/legal-entities/next-numbers": LOOKS,
    "/account/authenticator": "changes nothing until it is confirmed, and each time shows another secret",
    "/payment-link/payments": BY_LINK,
    "/payment-link/cancel": BY_LINK,
    "/provider-accounts/{provider_account_id}/events": "an event has an id, by which it is taken once, for good",
    "/payments/{payment_id}/refresh": ASKS,
    "/payment-method-setups/{setup_id}/refresh": ASKS,
    "/staff/disputes/{dispute_id}/refresh": ASKS,
    "/staff/refunds/{refund_id}/refresh": ASKS,
    "/staff/provider-accounts/{provider_account_id}/check": ASKS,
    "/staff/dunning-campaigns/simulate": LOOKS,
    "/staff/payments/{payment_id}/refund-preview": LOOKS,
    "/invoices/{invoice_id}/pay-from-wallet/preview": LOOKS,
    "/staff/invoices/{invoice_id}/credit-notes/preview": LOOKS,
    "/staff/invoices/{invoice_id}/finalize/preview": LOOKS,
    "/staff/subscriptions/{subscription_id}/cancel/preview": LOOKS,
    "/staff/subscriptions/{subscription_id}/pause/preview": LOOKS,
    "/staff/subscriptions/{subscription_id}/resume/preview": LOOKS,
    "/staff/subscriptions/{subscription_id}/coupons/preview": LOOKS,
    "/staff/bank-statements/preview": LOOKS,
    "/staff/plan-migrations/preview": LOOKS,
    "/staff/plan-versions/{plan_version_id}/estimate": LOOKS,
    "/staff/subscriptions/preview": LOOKS,
    "/staff/organizations/{organization_id}/clock/preview": LOOKS,
    "/plans/{plan_id}/versions/{number}/estimate": LOOKS,
    "/subscriptions/preview": LOOKS,
    "/subscriptions/{subscription_id}/change/preview": LOOKS,
    "/subscriptions/{subscription_id}/coupons/preview": LOOKS,
    "/staff/subscriptions/{subscription_id}/change/preview": LOOKS,
    "/subscriptions/{subscription_id}/cancel/preview": LOOKS,
    "/subscriptions/{subscription_id}/pause/preview": LOOKS,
    "/subscriptions/{subscription_id}/resume/preview": LOOKS,
    "/files/{file_id}/link": LINKS,
    "/staff/disputes/{dispute_id}/files/{file_id}/link": LINKS,
    "/notifications/read": SAME,
    "/notifications/{notification_id}/read": SAME,
}

# What is looked at before anything is read that the key would belong to.
TOLD_FIRST = {
    "/staff/disputes/{dispute_id}/files": "dispute_state",  # and with it what a file may be
    "/staff/bank-statements": "invalid_input",  # a file whose columns nobody has named
}

WITHOUT_VERSION = {
    "/account": "one's own name, which nobody else changes",
    "/account/password": "one's own, by a proof",
    "/notifications/preferences": "one's own, one switch at a time",
    "/invoices/{invoice_id}/payment-link": "gives the link that is there",
    "/staff/invoices/{invoice_id}/payment-link": "gives the link that is there",
    "/wallet-top-ups/{top_up_id}/payment-link": "gives the link that is there",
    "/staff/wallet-top-ups/{top_up_id}/payment-link": "gives the link that is there",
}
OF_NOBODY = 999  # a version that no row is at


@pytest.fixture
async def callers(world: World, victim: Victim) -> list[Caller]:
    """One for whom all of the organisation is open, and one for whom all that staff does is."""
    cast = Cast(world, victim)
    return [await cast.member(Role.OWNER), await cast.operator()]


def tried(walk: Walk, callers: list[Caller], *methods: str) -> Iterator[tuple[Operation, Caller]]:
    """Operations by these methods, each with somebody who may."""
    owner, operator = callers
    for operation in walk.operations:
        if operation.method in methods and operation.path.startswith("/api/"):
            needs = str(walk.needs.get(str(operation), ""))
            yield operation, operator if needs.startswith("staff.") else owner


async def test_a_post_that_acts_refuses_the_key_of_another_request(
    walk: Walk, callers: list[Caller], victim: Victim, world: World
) -> None:
    """The victim's organisation has such a key already; as those who try keep theirs under their own name, too."""
    async with crossing(Reason.DEMO, on=world.database) as uow:
        there = await uow.get(IdempotencyRecord, (victim.organization.id, victim.repeat_key))
        assert there is not None
        for caller in callers:
            uow.add(
                IdempotencyRecord(
                    organization_id=caller.id,
                    key=victim.repeat_key,
                    fingerprint=b"f",
                    status=201,
                    body=there.body,
                    created_at=JUST_NOW,
                    expires_at=SOON,
                )
            )
    wrong, seen = list[str](), set[str]()

    for operation, caller in tried(walk, callers, "POST"):
        path = operation.path.removeprefix("/api/v1")
        seen.add(path)
        takes = any(where == "header" and name == "Idempotency-Key" for where, name, _ in operation.inputs)
        if path in WITHOUT_KEY:
            continue
        answer = await walk.attempt(caller, operation, victim, How.REPEATED)
        if not takes or answer.json().get("code") != TOLD_FIRST.get(path, "idempotency_key_reused"):
            wrong.append(f"{operation}: {answer.status_code} {answer.text[:200]}")

    assert not wrong, "\n".join(wrong)
    assert seen >= WITHOUT_KEY.keys(), "no longer there"


async def test_a_change_on_top_of_a_version_that_is_gone_is_refused_and_told_what_stands_there(
    walk: Walk, callers: list[Caller], victim: Victim
) -> None:
    wrong, seen = list[str](), set[str]()

    for operation, caller in tried(walk, callers, "PUT", "PATCH"):
        path = operation.path.removeprefix("/api/v1")
        seen.add(path)
        if path in WITHOUT_VERSION:
            continue
        answer = await walk.attempt(caller, operation, victim, version=OF_NOBODY)
        said = answer.json()
        if said.get("code") != "stale_version" or not said["details"].get("current", {}).get("version"):
            wrong.append(f"{operation}: {answer.status_code} {answer.text[:200]}")

    assert not wrong, "\n".join(wrong)
    assert seen >= WITHOUT_VERSION.keys(), "no longer there"
