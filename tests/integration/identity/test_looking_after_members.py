"""Who may do what to whom among the people of an organisation, and that it never loses its last owner."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace

import pytest

from models.identity import Account, Organization
from models.types import OrganizationKind, Role
from services.core.actor import Actor
from services.core.errors import Conflict, Forbidden, Invalid, MatrixError, MembershipSuspended, NotFound
from services.core.work import UnitOfWork, unit_of_work
from services.identity import members, organizations, queries, sessions
from services.identity.proof import ProofNeeded
from services.identity.queries import actor_for_token
from tests.integration.identity.conftest import People
from tests.world import LONG_AGO, World

R = Role
Verb = Callable[[UnitOfWork, str], Awaitable[object]]
VERBS: dict[str, Verb] = {
    "make owner": lambda uow, who: members.change_role(uow, who, "owner"),
    "make admin": lambda uow, who: members.change_role(uow, who, "admin"),
    "make viewer": lambda uow, who: members.change_role(uow, who, "viewer"),
    "suspend": members.suspend_member,
    "resume": members.resume_member,
    "remove": members.remove_member,
}
# What each role may do to whom: to somebody who owns, and to a developer. Everything else is refused.
ALL = frozenset(VERBS)
MAY: dict[tuple[Role, Role], frozenset[str]] = {
    (R.OWNER, R.OWNER): ALL,
    (R.OWNER, R.DEVELOPER): ALL,
    (R.ADMIN, R.DEVELOPER): ALL - {"make owner"},
}


@pytest.mark.parametrize("role", [R.OWNER, R.ADMIN, R.BILLING, R.DEVELOPER, R.VIEWER])
@pytest.mark.parametrize("of", [R.OWNER, R.DEVELOPER])
async def test_who_may_do_what_to_whom(world: World, role: Role, of: Role) -> None:
    organization = await world.organization()
    await world.account(member_of=organization)  # so that nobody is the last owner
    actor = world.actor(organization, role, await world.account(member_of=organization, role=role))
    allowed: set[str] = set()
    for name, verb in VERBS.items():
        somebody = await world.account(member_of=organization, role=of)
        with suppress(Forbidden):
            async with unit_of_work(actor) as uow:
                await verb(uow, somebody.id)
            allowed.add(name)

    assert allowed == MAY.get((role, of), frozenset())


async def test_staff_roles_are_for_operators_and_for_those_who_have_as_much(world: World) -> None:
    clients = await world.organization()
    operators = await world.organization(OrganizationKind.OPERATOR)
    for organization, role, given_role, outcome in (
        (clients, R.OWNER, "operator", Invalid),
        (clients, R.OWNER, "emperor", Invalid),
        (operators, R.ADMIN, "governance", Forbidden),
        (operators, R.ADMIN, "operator", Forbidden),
        (operators, R.OWNER, "operator", Forbidden),  # an owner there is no operator
        (operators, R.OPERATOR, "operator", None),
        (operators, R.OPERATOR, "owner", None),
    ):
        actor = world.actor(organization, role, await world.account(member_of=organization, role=role))
        somebody = await world.account(member_of=organization, role=R.VIEWER)
        async with unit_of_work(actor) as uow:
            if outcome is None:
                await members.change_role(uow, somebody.id, given_role)
            else:
                with pytest.raises(outcome):
                    await members.change_role(uow, somebody.id, given_role)


async def test_an_open_session_alone_changes_nobody_and_leaves_nothing(world: World) -> None:
    organization = await world.organization()
    owner = world.actor(organization, R.OWNER, await world.account(member_of=organization))
    somebody = await world.account(member_of=organization, role=R.VIEWER)
    leave: Verb = lambda uow, _: members.leave(uow, named=organization.name)  # noqa: E731
    for verb in (*VERBS.values(), leave):
        with pytest.raises(ProofNeeded):
            async with unit_of_work(replace(owner, proved_at=LONG_AGO)) as uow:
                await verb(uow, somebody.id)


async def test_the_last_active_owner_stays(world: World) -> None:
    organization = await world.organization(name="Acme")
    owner = await world.account(member_of=organization)
    suspended = await world.account(member_of=organization)
    actor = world.actor(organization, R.OWNER, owner)
    async with unit_of_work(actor) as uow:
        await members.suspend_member(uow, suspended.id)
    acts: list[Callable[[UnitOfWork], Awaitable[object]]] = [
        lambda uow: members.change_role(uow, owner.id, "admin"),
        lambda uow: members.suspend_member(uow, owner.id),
        lambda uow: members.remove_member(uow, owner.id),
        lambda uow: members.leave(uow, named="Acme"),
    ]
    for act in acts:
        with pytest.raises(Conflict):
            async with unit_of_work(actor) as uow:
                await act(uow)
    async with unit_of_work(actor) as uow:  # whom nobody misses may go, even in the same role
        await members.remove_member(uow, suspended.id)
        assert [(m.account_id, m.role) for m in await queries.members(uow)] == [(owner.id, "owner")]


async def test_the_last_active_operator_stays(world: World) -> None:
    """However many owners there are: none of them could make another operator."""
    organization = await world.organization(OrganizationKind.OPERATOR)
    await world.account(member_of=organization)
    operator, other = [await world.account(member_of=organization, role=R.OPERATOR) for _ in range(2)]
    actor = world.actor(organization, R.OPERATOR, operator)
    async with unit_of_work(actor) as uow:
        await members.change_role(uow, other.id, "owner")
    for verb in ("make owner", "make viewer", "suspend", "remove"):
        with pytest.raises(Conflict):
            async with unit_of_work(actor) as uow:
                await VERBS[verb](uow, operator.id)
    with pytest.raises(Conflict, match="last active operator"):
        async with unit_of_work(actor) as uow:
            await members.leave(uow, named=organization.name)
    async with unit_of_work(actor) as uow:  # owners may go, who are no less for it
        await members.remove_member(uow, other.id)


@dataclass
class _Crew:
    """Two owners and an admin who act on each other."""

    organization: Organization
    people: list[Account]
    world: World

    async def actor(self, number: int) -> Actor | None:
        """Who that person is now, as the next request would find out."""
        person = self.people[number]
        async with unit_of_work(self.world.actor(self.organization)) as uow:
            found = [m for m in await queries.members(uow) if m.account_id == person.id]
        if not found or found[0].suspended_at is not None:
            return None
        return self.world.actor(self.organization, Role(found[0].role), person)

    async def act(self, number: int, verb: str, on: int) -> None:
        actor = await self.actor(number)
        if actor is None:
            return
        with suppress(MatrixError):
            async with unit_of_work(actor) as uow:
                if verb == "leave":
                    await members.leave(uow, named=self.organization.name)
                else:
                    await VERBS[verb](uow, self.people[on].id)

    async def active_owners(self) -> int:
        async with unit_of_work(self.world.actor(self.organization)) as uow:
            found = await queries.members(uow)
        return sum(m.role == "owner" and m.suspended_at is None for m in found)


async def _crew(world: World) -> _Crew:
    organization = await world.organization()
    roles = (R.OWNER, R.OWNER, R.ADMIN)
    return _Crew(
        organization, [await world.account(member_of=organization, role=role) for role in roles], world
    )


async def test_whatever_they_do_an_active_owner_remains(world: World) -> None:
    for seed in range(20):
        chance, crew = random.Random(seed), await _crew(world)
        for step in range(8):
            verb = chance.choice([*VERBS, "leave"])
            await crew.act(chance.randrange(3), verb, chance.randrange(3))
            assert await crew.active_owners() >= 1, f"seed {seed}, step {step}: {verb}"


async def test_two_owners_who_unmake_each_other_at_once_leave_one(world: World) -> None:
    for verb in ("make viewer", "suspend", "remove", "leave"):
        crew = await _crew(world)
        await asyncio.gather(crew.act(0, verb, 1), crew.act(1, verb, 0))
        assert await crew.active_owners() == 1, verb


async def test_a_change_counts_at_once_and_ends_the_sessions_here(people: People, world: World) -> None:
    ana, ben = await people.confirmed("ana@example.com"), await people.confirmed("ben@example.com")
    acme, home = await people.organization(ana, "Acme"), await people.organization(ben, "Home")
    async with unit_of_work(Actor("system", acme, frozenset())) as uow:
        organization = await uow.get(Organization, acme)
        assert organization is not None
        await organizations.add_member(uow, organization, account_id=ben, role=R.DEVELOPER)
    owner = world.actor(
        organization, R.OWNER, Account(id=ana, email="", email_key="", created_at=people.clock.now())
    )
    at_home = await people.sign_in("ben@example.com")
    await sessions.switch_organization(at_home.token, home, clock=people.clock)
    at_home = await people.sign_in("ben@example.com")

    async def session_in_acme() -> str:
        opened = await people.sign_in("ben@example.com")
        return (await sessions.switch_organization(opened.token, acme, clock=people.clock)).token

    async def who(token: str) -> Actor | None:
        found = await actor_for_token(token, clock=people.clock)
        return found.actor if found else None

    here = await session_in_acme()
    owner = replace(owner, proved_at=people.clock.now())
    async with unit_of_work(owner, clock=people.clock) as uow:
        seen = await queries.member(uow, ben)
        assert (seen.last_seen_at, seen.two_step) == (people.clock.now(), False)
        await members.change_role(uow, ben, "viewer")
    assert await who(here) is None

    here = await session_in_acme()
    async with unit_of_work(owner, clock=people.clock) as uow:
        await members.suspend_member(uow, ben)
    assert await who(here) is None

    again = await who(await session_in_acme())  # let in to be told, and to leave
    assert again is not None
    assert again.capabilities == frozenset()
    async with unit_of_work(again) as uow:
        with pytest.raises(MembershipSuspended):
            await queries.members(uow)
    assert (await people.sign_in("ben@example.com")).organization_id == home  # where there is work to do
    elsewhere = await who(at_home.token)
    assert elsewhere is not None
    assert (elsewhere.organization_id, elsewhere.role) == (home, R.OWNER)

    async with unit_of_work(owner, clock=people.clock) as uow:
        await members.remove_member(uow, ben)
        with pytest.raises(NotFound):
            await members.change_role(uow, ben, "viewer")
