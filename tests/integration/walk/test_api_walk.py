"""A walk over every route of the API in the name of those who may not: nothing is read, and nothing is changed.

What a route needs is asked of the route itself, by a key that may do nothing: its refusal names the permission. Who
has that permission stands in services/core/permissions.py. So a new route is walked as soon as it is there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from models.types import Role
from services.core.crossing import Reason, crossing
from services.core.permissions import Capability
from tests.api.contract import contract_of
from tests.integration.walk import operations
from tests.integration.walk.callers import Caller, Cast
from tests.integration.walk.conftest import ADDRESS
from tests.integration.walk.operations import How, Operation
from tests.integration.walk.victim import Victim, Watch, furnish, state_of, tenant_tables
from tests.world import World

# Open to anyone. Whoever adds to this list says to the world that the route guards itself in another way.
PUBLIC = {
    "POST /api/v1/sign-up",
    "POST /api/v1/sign-up/resend",
    "POST /api/v1/sign-up/confirm",
    "POST /api/v1/session",
    "POST /api/v1/session/code",
    "POST /api/v1/session/sign-out",
    "POST /api/v1/password/reset",
    "POST /api/v1/password/reset/confirm",
    "POST /api/v1/invitation/look",
    "POST /api/v1/invitation/sign-up",
    "GET /api/v1/payment-link/pdf",
    "POST /api/v1/payment-link/payments",
    "POST /api/v1/payment-link/cancel",
    "GET /api/v1/mailbox",  # of demo mode; not found in production
    "GET /api/v1/files/{file_id}/content",  # by a signed link that fits the file
    "POST /api/v1/provider-accounts/{provider_account_id}/events",  # signed by the provider
}
# Open to whoever is let in at all: says who one is.
FOR_ANY_CALLER = {"GET /api/v1/me"}
# Beside the document: for those who run it, and the document itself.
OF_THE_OPERATOR = {
    "GET /healthz",
    "GET /readyz",
    "GET /readyz/traffic",
    "GET /metrics",
    "Route /api/v1/openapi.json",
}
FOR_PEOPLE = "for signed-in people"  # what a key is told where only people are let in


# What one act has made of a row, another may not be for, and at the provider's address nobody is: who is told so was
# let in.
TOO_LATE = {
    "subscription_state",
    "coupon_taken",
    "offer_gone",
    "payment_state",
    "refund_state",
    "payment_provider_unavailable",
}

NEEDS: dict[str, Capability | str] = {}  # the same for every walk, so asked once


@dataclass
class Walk:
    """One app behind one client, and what each of its operations needs: a capability, FOR_PEOPLE, or nothing."""

    client: AsyncClient
    operations: list[Operation]
    cookie: str
    needs: dict[str, Capability | str]

    async def attempt(
        self, caller: Caller, operation: Operation, victim: Victim, how: How = How.BARE
    ) -> httpx.Response:
        shown = await caller.present()
        given = operation.attempt(victim, how)
        given["headers"]["x-matrix-csrf"] = "1"
        if shown.session:
            given["headers"] |= {"cookie": f"{self.cookie}={shown.session}"}
        if shown.key:
            given["headers"] |= {"authorization": f"Bearer {shown.key}"}
        answer = await self.client.request(**given)
        self.client.cookies.clear()
        if operation.method != "GET" and answer.is_success:
            caller.present.spend()
        return answer

    def expected(self, caller: Caller, operation: Operation, victim: Victim) -> set[int] | None:
        """Statuses that this caller may get; None where anything but a failure of ours will do."""
        if str(operation) in PUBLIC:
            return None
        if caller.refused is not None:
            return {caller.refused}
        needs = self.needs.get(str(operation))
        if needs == FOR_PEOPLE and not caller.is_person:
            return {403}
        if isinstance(needs, Capability) and needs not in caller.capabilities:
            # Who works in no organisation is told that first, wherever one is needed.
            return {403} if caller.organization_id else {401, 403, 409}
        if operation.names_theirs and caller.organization_id != victim.organization.id:
            of_staff = isinstance(needs, Capability) and needs.startswith("staff.")
            return None if of_staff else {404}
        return None


@pytest.fixture
async def victim(world: World) -> Victim:
    return await furnish(world, "Victim")


@pytest.fixture
async def walk(app: FastAPI, world: World, victim: Victim) -> AsyncIterator[Walk]:
    document = (await contract_of(app, ADDRESS)).document
    cookie = document["components"]["securitySchemes"]["Session"]["name"]
    transport = ASGITransport(app, client=("192.0.2.10", 40_000))
    async with AsyncClient(transport=transport, base_url=ADDRESS) as client:
        walk = Walk(client, operations.declared(document), cookie, {})
        if not NEEDS:
            NEEDS.update(await _needs(walk, await Cast(world, victim).key_without_scopes(), victim))
        walk.needs = NEEDS
        yield walk


async def _needs(walk: Walk, nobody: Caller, victim: Victim) -> dict[str, Capability | str]:
    """What each operation asks for, by its own words."""
    found: dict[str, Capability | str] = {}
    for operation in walk.operations:
        answer = await walk.attempt(nobody, operation, victim)
        if answer.status_code == 403:
            found[str(operation)] = _permission_in(answer.json())
    return found


def _permission_in(document: dict[str, Any]) -> Capability | str:
    if "error" in document:  # the gateway says it in words
        return next(c for c in Capability if f"'{c.value}'" in document["error"]["message"])
    permission = document["details"].get("permission")
    return Capability(permission) if permission else FOR_PEOPLE


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

    for operation in walk.operations:
        for how in How:
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
    order = ["GET", "PATCH", "PUT", "POST", "DELETE"]  # what ends a row comes last
    seen, refused = "", list[str]()

    for operation in sorted(walk.operations, key=lambda one: order.index(one.method)):
        needs = walk.needs.get(str(operation))
        if needs in owner.capabilities and not operation.path.startswith("/v1"):
            answer = await walk.attempt(owner, operation, victim)
            seen += answer.text
            if answer.status_code >= 400 and answer.json().get("code") not in TOO_LATE:
                refused.append(f"{operation}: {answer.text[:300]}")

    assert not refused, "\n".join(refused)
    shown = [one for one in victim.canaries if owner.may_see(one, victim)]
    assert sum(one.text in seen for one in shown) > 8
