"""Who did what, from where, on which row: read out of the event log, each by who may."""

from __future__ import annotations

import pytest

from models.gateway import ApiKey
from models.identity import Organization, ServiceAccount
from models.types import OrganizationKind, Role
from services.audit.queries import AUDIT, STAFF_AUDIT, AuditEntry
from services.core import listing_sql
from services.core.actor import Actor, system
from services.core.crossing import Reason, crossing
from services.core.errors import Forbidden, InvalidFilter
from services.core.permissions import ROLE_CAPABILITIES
from services.core.work import unit_of_work
from services.identity import keys, organizations, staff
from services.notify import queries as mail
from tests.world import LONG_AGO, World


async def renamed(actor: Actor, name: str) -> None:
    async with unit_of_work(actor) as uow:
        await organizations.update_organization(uow, name=name)


async def log(actor: Actor, *asked: tuple[str, str]) -> list[AuditEntry]:
    async with unit_of_work(actor) as uow:
        return await listing_sql.select(uow, AUDIT, *asked)


async def test_an_entry_says_who_what_where_and_on_which_row(world: World) -> None:
    acme = await world.organization(name="Acme")
    ana = await world.account("ana@example.com", member_of=acme)
    owner = world.actor(acme, account=ana)

    await renamed(owner.at("198.51.100.7"), "Acme & Sons")

    (entry,) = await log(owner)
    assert (entry.type, entry.object_id, entry.address) == ("organization.updated", acme.id, "198.51.100.7")
    assert (entry.actor_id, entry.actor_kind, entry.actor_name) == (ana.id, "account", "ana@example.com")
    assert (entry.organization_name, entry.details) == ("Acme & Sons", {"changed": ["name"]})


async def test_keys_service_accounts_and_the_product_itself_have_their_names(world: World) -> None:
    acme = await world.organization()
    owner = world.actor(acme)
    async with unit_of_work(owner) as uow:
        plain = await keys.create_key(uow, name="Laptop")
        robots = await keys.create_key(uow, name="Of the robot")
    async with crossing(Reason.DEMO) as uow:
        robot = ServiceAccount(
            id="svc_1", organization_id=acme.id, name="Robot", name_key="robot", role="developer",
            created_at=LONG_AGO,
        )  # fmt: skip
        uow.add(robot)
        await uow.session.flush()
        key = await uow.get(ApiKey, robots.key.id)
        assert key is not None
        key.service_account_id = robot.id
    writes = ROLE_CAPABILITIES[Role.OWNER]
    for number, who in enumerate((plain.key.id, robots.key.id, "svc_1", "acc_of_staff")):
        await renamed(Actor(who, acme.id, writes), f"Name {number}")
    await renamed(system(acme.id), "By itself")

    found = [(entry.actor_kind, entry.actor_name) for entry in (await log(owner))[:5]]

    assert found == [
        ("system", ""),
        ("other", ""),
        ("service_account", "Robot"),
        ("service_account", "Robot"),
        ("key", "Laptop"),
    ]


async def test_filters_choose_by_actor_type_object_and_time(world: World) -> None:
    acme = await world.organization()
    ana, ben = [await world.account(f"{name}@example.com", member_of=acme) for name in ("Ana", "ben")]
    owner = world.actor(acme, account=ana)
    async with unit_of_work(owner) as uow:
        created = await keys.create_key(uow, name="Laptop")
    async with unit_of_work(world.actor(acme, account=ben)) as uow:
        await keys.revoke_key(uow, created.key.id)
    await renamed(owner, "Acme")
    latest = (await log(owner))[0].recorded_at

    async def types(name: str, value: str) -> list[str]:
        return [entry.type for entry in await log(owner, (name, value))]

    assert await types("type[starts_with]", "api_key.") == ["api_key.revoked", "api_key.created"]
    assert await types("type", "api_key.created") == ["api_key.created"]
    assert await types("type", "api_key") == []
    assert await types("object_id", created.key.id) == ["api_key.revoked", "api_key.created"]
    assert await types("actor", ben.id) == ["api_key.revoked"]
    assert await types("actor", "ANA@example.com") == ["organization.updated", "api_key.created"]
    assert await types("recorded_at[gte]", latest.isoformat()) == ["organization.updated"]
    assert await types("recorded_at[lt]", latest.isoformat()) == ["api_key.revoked", "api_key.created"]
    assert await types("recorded_at[gt]", latest.isoformat()) == []


@pytest.mark.parametrize(
    "role", [role for role in Role if role not in {Role.OWNER, Role.ADMIN, Role.OPERATOR}]
)
async def test_only_owners_and_admins_read_the_log(world: World, role: Role) -> None:
    acme = await world.organization()
    with pytest.raises(Forbidden, match=r"audit\.read"):
        await log(world.actor(acme, role))


async def test_an_organisation_sees_nothing_of_another(world: World) -> None:
    ours, theirs = await world.organization(), await world.organization()
    them = await world.account("them@example.com", member_of=theirs)
    await renamed(world.actor(theirs, account=them), "Theirs")
    me = world.actor(ours)

    for asked in (("object_id", theirs.id), ("actor", them.id), ("actor", "them@example.com")):
        assert await log(me, asked) == []
    assert await log(me) == []
    with pytest.raises(InvalidFilter, match="no parameter 'organization_id'"):
        await log(me, ("organization_id", theirs.id))


async def staff_log(who: Actor, *asked: tuple[str, str]) -> list[AuditEntry]:
    async with crossing(Reason.STAFF, actor=who) as uow:
        return await listing_sql.select(uow, STAFF_AUDIT, *asked)


@pytest.fixture
async def operators(world: World) -> Organization:
    return await world.organization(OrganizationKind.OPERATOR, name="Operators")


async def test_staff_reads_across_organisations_if_its_role_says_so(
    world: World, operators: Organization
) -> None:
    acme, beta = await world.organization(name="Acme"), await world.organization(name="Beta")
    for organization in (acme, beta):
        await renamed(world.actor(organization), f"{organization.name} renamed")

    found = await staff_log(world.actor(operators, Role.GOVERNANCE))
    assert [entry.organization_name for entry in found] == ["Beta renamed", "Acme renamed"]
    of_acme = await staff_log(world.actor(operators, Role.OPERATOR), ("organization_id", acme.id))
    assert [entry.organization_id for entry in of_acme] == [acme.id]
    for role in (Role.SUPPORT, Role.OWNER):
        with pytest.raises(Forbidden, match=r"staff\.audit\.read"):
            await staff_log(world.actor(operators, role))


async def test_a_look_of_staff_is_one_entry_in_the_log_of_those_looked_at(
    world: World, operators: Organization
) -> None:
    acme = await world.organization(name="Acme")
    ana = await world.account("ana@example.com", member_of=acme)
    sam = await world.account("sam@example.com", member_of=operators)
    looking = world.actor(operators, Role.OPERATOR, sam).at("203.0.113.5")

    async with crossing(Reason.STAFF, actor=looking) as uow:
        await staff.look_at_organization(uow, acme.id)
        await staff.look_at_organization(uow, acme.id)
    async with crossing(Reason.STAFF, actor=looking) as uow:
        await mail.mailbox(uow)

    (seen,) = await log(world.actor(acme, account=ana))
    assert (seen.type, seen.details, seen.address) == (
        "personal_data.read",
        {"what": "organization"},
        "203.0.113.5",
    )
    assert (seen.actor_id, seen.actor_kind, seen.actor_name) == (sam.id, "other", "")
    reads = await staff_log(looking, ("type[starts_with]", "personal_data."))
    assert [(entry.object_id, entry.actor_name) for entry in reads] == [
        ("mailbox", "sam@example.com"),
        (acme.id, "sam@example.com"),
    ]


async def test_members_read_their_own_people_without_a_note(world: World) -> None:
    from services.identity import queries as identity

    acme = await world.organization()
    owner = world.actor(acme)
    async with unit_of_work(owner) as uow:
        await identity.members(uow)
    assert await log(owner) == []
