"""Showing again who one is, before acts that a stolen session must not be enough for."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.core.actor import Actor, system
from services.core.work import unit_of_work
from services.identity import queries
from services.identity.proof import ProofNeeded, require_recent_proof
from services.identity.rules import PROOF_VALID
from tests.integration.identity.conftest import People


async def may(people: People, actor: Actor) -> bool:
    async with unit_of_work(actor, clock=people.clock) as uow:
        try:
            require_recent_proof(uow)
        except ProofNeeded:
            return False
    return True


async def signed_in(people: People, token: str) -> Actor:
    found = await queries.actor_for_token(token, clock=people.clock)
    assert found is not None
    return found.actor


@pytest.mark.parametrize(
    ("later", "outcome"),
    [
        (timedelta(0), True),
        (PROOF_VALID - timedelta(seconds=1), True),
        (PROOF_VALID, False),
        (timedelta(days=1), False),
        (-timedelta(seconds=30), True),  # another machine's clock
        (-timedelta(days=1), False),  # a clock that was far ahead when somebody signed in
    ],
)
async def test_signing_in_is_a_proof_for_a_while(people: People, later: timedelta, outcome: bool) -> None:
    await people.confirmed()
    opened = await people.sign_in()
    people.clock.at += later
    assert await may(people, await signed_in(people, opened.token)) is outcome


async def test_keys_cannot_prove_anything_and_the_product_need_not(people: People) -> None:
    organization = await people.organization(await people.confirmed())
    assert not await may(people, Actor("apikey_x", organization, frozenset()))
    assert await may(people, system(organization))
