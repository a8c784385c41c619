"""The app behind one client, each of its operations tried in somebody's name, and what each of them needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx
from httpx import AsyncClient

from services.core.permissions import Capability
from tests.integration.walk.callers import Caller
from tests.integration.walk.operations import How, Operation
from tests.integration.walk.victim import Victim

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
    "GET /api/v1/terms",
    "GET /api/v1/payment-link/pdf",
    "POST /api/v1/payment-link/payments",
    "POST /api/v1/payment-link/cancel",
    "GET /api/v1/mailbox",  # of demo mode; not found in production
    "GET /api/v1/files/{file_id}/content",  # by a signed link that fits the file
    "POST /api/v1/provider-accounts/{provider_account_id}/events",  # signed by the provider
}
# Open to whoever is let in at all: says who one is.
FOR_PEOPLE = "for signed-in people"  # what a key is told where only people are let in

NEEDS: dict[str, Capability | str] = {}  # the same for every walk, so asked once


@dataclass
class Walk:
    """One app behind one client, and what each of its operations needs: a capability, FOR_PEOPLE, or nothing."""

    client: AsyncClient
    operations: list[Operation]
    cookie: str
    needs: dict[str, Capability | str]

    async def attempt(
        self,
        caller: Caller,
        operation: Operation,
        victim: Victim,
        how: How = How.BARE,
        *,
        version: int | None = None,
    ) -> httpx.Response:
        """`version` is what the row is expected to be at."""
        shown = await caller.present()
        given = operation.attempt(victim, how)
        if version is not None:
            given["headers"]["if-match"] = f'"{version}"'
            if "version" in given.get("json", {}):
                given["json"]["version"] = version
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


async def needs_of(walk: Walk, nobody: Caller, victim: Victim) -> dict[str, Capability | str]:
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
