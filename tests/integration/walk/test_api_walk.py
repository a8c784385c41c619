"""A walk over every route of the API in the name of those who may not: nothing is read, and nothing is changed.

What a route needs is asked of the route itself, by a key that may do nothing: its refusal names the permission. Who
has that permission stands in services/core/permissions.py. So a new route is walked as soon as it is there.
"""

from __future__ import annotations

import pytest
from fastapi import FastAPI

from models.types import Role
from services.core.crossing import Reason, crossing
from tests.integration.walk import operations
from tests.integration.walk.callers import Cast
from tests.integration.walk.operations import How
from tests.integration.walk.victim import Victim
from tests.integration.walk.walking import PUBLIC, Walk
from tests.integration.walk.watching import Watch, state_of, tenant_tables
from tests.world import World

FOR_ANY_CALLER = {"GET /api/v1/me"}
# Beside the document: for those who run it, and the document itself.
OF_THE_OPERATOR = {
    "GET /healthz",
    "GET /readyz",
    "GET /readyz/traffic",
    "GET /metrics",
    "Route /api/v1/openapi.json",
}


# What one act has made of a row, another may not be for, and at the provider's address nobody is: who is told so was
# let in.
TOO_LATE = {
    "subscription_state",
    "coupon_taken",
    "offer_gone",
    "payment_state",
    "refund_state",
    "payment_provider_unavailable",
    "already_contested",
    "contest_state",
    "top_up_not_due",
}


async def test_the_walk_begins_with_rows_to_lose(world: World, victim: Victim) -> None:
    held = await state_of(victim)

    assert {name for name in tenant_tables() if held[name][0] == 0} == set()
    assert len({canary.text for canary in victim.canaries}) == len(victim.canaries) > 30


async def test_a_change_is_seen_and_those_named_who_may_have_made_it(world: World, victim: Victim) -> None:
    watch = await Watch(victim, but_by="").begin()
    assert await watch.after("GET /a") == []
    async with crossing(Reason.DEMO, on=world.database) as uow:
        await uow.execute(
            "update organization set name = name || '!' where id = :id", id=victim.organization.id
        )
    assert await watch.after("POST /b") == []

    (said,) = await watch.look()

    assert said == "organization was changed by one of ['GET /a', 'POST /b']"


async def test_the_document_hides_no_route(walk: Walk, app: FastAPI) -> None:
    known = {str(one) for one in walk.operations if one.path.startswith("/api/")}

    assert operations.routed(app) - known == OF_THE_OPERATOR
    assert len(known) > 35


async def test_every_route_that_is_not_public_says_which_permission_it_needs(walk: Walk) -> None:
    """A key that may do nothing is let in nowhere: what answers it otherwise has forgotten to ask."""
    open_to_all = {str(one) for one in walk.operations if str(one) not in walk.needs}

    assert open_to_all == PUBLIC | FOR_ANY_CALLER


# What needs one of several things, none of which it needs by itself.
ONE_OF_SEVERAL = {  # a way to pay, or a kept method
    "POST /api/v1/invoices/{invoice_id}/payments",
    "POST /api/v1/wallet-top-ups/{top_up_id}/payments",
}

CAST = {
    "stranger": Cast.stranger,
    "expired session": Cast.expired,
    "ended session": Cast.signed_out,
    "revoked key": Cast.revoked_key,
    "key without scopes": Cast.key_without_scopes,
    "viewer": lambda cast: cast.member(Role.VIEWER),
    "owner elsewhere": Cast.owner_elsewhere,
    "newcomer": Cast.newcomer,
    "support": Cast.support,
    "owner of a suspended organisation": Cast.suspended_owner,
    "suspended member": Cast.suspended_member,
    "key of a suspended organisation": Cast.suspended_key,
}


@pytest.mark.parametrize("who", CAST)
async def test_nobody_reads_or_changes_what_is_not_theirs(
    who: str, walk: Walk, world: World, victim: Victim
) -> None:
    caller = await CAST[who](Cast(world, victim))
    hidden = [one.text for one in victim.canaries if not caller.may_see(one, victim)]
    await caller.present()  # what is shown at the door is there before the first attempt
    watch, wrong = await Watch(victim, but_by=caller.id).begin(), list[str]()

    for at, operation in enumerate(walk.operations):
        # Who is let in nowhere is refused before it is read what is asked for: in one way each, in turn.
        for how in How if caller.refused is None else [(How.BARE, How.WHOLE)[at % 2]]:
            if how is How.REPEATED and not operation.may_be_repeated:
                continue
            answer = await walk.attempt(caller, operation, victim, how)
            expected = walk.expected(caller, operation, victim)
            if expected and how is How.REPEATED:
                expected = expected | {409}  # the key of another request, which is said first
            if answer.status_code >= 500 or (expected and answer.status_code not in expected):
                wrong.append(
                    f"{operation} ({how}): {answer.status_code} instead of {expected}: {answer.text[:200]}"
                )
            said = answer.text + str(answer.headers)
            wrong += [f"{operation} tells {text}" for text in hidden if text in said]
        wrong += await watch.after(str(operation))
    wrong += await watch.look()

    assert not wrong, "\n".join(wrong)


async def test_the_owner_is_let_in_everywhere(walk: Walk, world: World, victim: Victim) -> None:
    """The same attempts by the one who may: else the walk would be refused for its form, and prove nothing."""
    owner = await Cast(world, victim).member(Role.OWNER)
    order = [
        "GET",
        "PATCH",
        "PUT",
        "POST",
        "DELETE",
    ]  # what ends a row comes last, and a look comes before the act
    seen, refused = "", list[str]()

    for operation in sorted(
        walk.operations, key=lambda one: (order.index(one.method), not one.path.endswith("/preview"))
    ):
        needs = walk.needs.get(str(operation))
        if needs in owner.capabilities and not operation.path.startswith("/v1"):
            how = How.WHOLE if str(operation) in ONE_OF_SEVERAL else How.BARE
            answer = await walk.attempt(owner, operation, victim, how)
            seen += answer.text
            if answer.status_code >= 400 and answer.json().get("code") not in TOO_LATE:
                refused.append(f"{operation}: {answer.text[:300]}")

    assert not refused, "\n".join(refused)
    shown = [one for one in victim.canaries if owner.may_see(one, victim)]
    assert sum(one.text in seen for one in shown) > 8
