"""Founding organisations, and what each role may do: the whole table."""

from __future__ import annotations

import asyncio

import pytest

from models.types import OrganizationKind, Role
from services.core import listing_sql
from services.core.crossing import Reason, crossing
from services.core.errors import Conflict, Forbidden, Invalid, NotFound, StaleVersion
from services.core.permissions import STAFF_ROLES, Capability
from services.core.work import unit_of_work
from services.identity import organizations, policies, queries, rules
from tests.integration.identity.conftest import People
from tests.world import World

C = Capability
_VIEW = {
    C.ORGANIZATION_READ,
    C.MEMBERS_READ,
    C.PROJECTS_READ,
    C.USAGE_READ,
    C.MODELS_READ,
    C.PLANS_READ,
    C.TASKS_READ,
    C.FILES_READ,
}
_WRITE = {C.TASKS_WRITE, C.FILES_WRITE}
_STAFF_READ = {
    C.STAFF_ORGANIZATIONS_READ,
    C.STAFF_UPSTREAMS_READ,
    C.STAFF_PRICES_READ,
    C.STAFF_PLANS_READ,
    C.STAFF_LEDGER_READ,
    C.STAFF_SUBSCRIPTIONS_READ,
    C.STAFF_INVOICES_READ,
    C.STAFF_WALLETS_READ,
    C.STAFF_PAYMENTS_READ,
    C.STAFF_HEALTH_READ,
}
_PAYS = {
    C.SUBSCRIPTIONS_READ,
    C.SUBSCRIPTIONS_WRITE,
    C.BILLING_PROFILE_WRITE,
    C.WALLET_READ,
    C.WALLET_WRITE,
    C.PAYMENTS_READ,
    C.PAYMENTS_WRITE,
    C.BUDGETS_READ,
    C.BUDGETS_WRITE,
}

# Written out once more by hand: whoever changes the product's table must mean it.
TABLE: dict[Role, set[Capability]] = {
    Role.OWNER: set(Capability) - {c for c in Capability if c.value.startswith("staff.")},
    Role.ADMIN: set(Capability) - {c for c in Capability if c.value.startswith("staff.")},
    Role.BILLING: _VIEW | _WRITE | _PAYS | {C.COST_READ, C.LEDGER_READ, C.INVOICES_READ, C.KEYS_READ},
    Role.DEVELOPER: _VIEW
    | _WRITE
    | {
        C.COST_READ,
        C.KEYS_READ,
        C.KEYS_WRITE,
        C.SERVICE_ACCOUNTS_READ,
        C.USAGE_WRITE,
        C.INFERENCE,
        C.BUDGETS_READ,
    },
    Role.VIEWER: _VIEW,
    Role.OPERATOR: set(Capability),
    Role.SUPPORT: _VIEW | _STAFF_READ,
    Role.GOVERNANCE: _VIEW | _STAFF_READ | {C.COST_READ, C.STAFF_AUDIT_READ},
}


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("capability", list(Capability))
def test_each_role_has_exactly_its_capabilities(role: Role, capability: Capability) -> None:
    held = policies.capabilities_of(role, kind=OrganizationKind.OPERATOR, suspended=False)
    assert (capability in held) is (capability in TABLE[role])


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("kind", [k for k in OrganizationKind if k is not OrganizationKind.OPERATOR])
def test_staff_roles_mean_nothing_outside_operators(role: Role, kind: OrganizationKind) -> None:
    held = policies.capabilities_of(role, kind=kind, suspended=False)
    assert not any(capability.value.startswith("staff.") for capability in held)
    assert bool(held) is (role not in STAFF_ROLES)


def test_a_role_nobody_knows_gives_nothing() -> None:
    assert policies.capabilities_of("emperor", kind="operator", suspended=False) == frozenset()


@pytest.mark.parametrize("role", list(Role))
def test_suspension_leaves_reading(role: Role) -> None:
    held = policies.capabilities_of(role, kind=OrganizationKind.OPERATOR, suspended=True)
    assert held == {c for c in TABLE[role] if c.value.endswith(".read") and not c.value.startswith("staff.")}


async def create(people: People, account_id: str, **facts: str) -> str:
    async with crossing(Reason.SIGN_IN, actor=policies.person(account_id), clock=people.clock) as uow:
        row = await organizations.create_organization(uow, **{"kind": "client", "name": "Acme", **facts})
    return row.id


@pytest.mark.parametrize("kind", ["client", "partner", "developer"])
async def test_the_founder_owns_it(people: People, kind: str) -> None:
    account_id = await people.confirmed()
    organization_id = await create(people, account_id, kind=kind, timezone="Europe/Berlin", currency="EUR")
    opened = await people.sign_in()

    signed_in = await queries.actor_for_token(opened.token, clock=people.clock)

    assert signed_in is not None
    assert signed_in.organization is not None
    assert signed_in.organization.id == organization_id
    assert (signed_in.organization.kind, signed_in.organization.role) == (kind, "owner")
    assert (signed_in.organization.timezone, signed_in.organization.currency) == ("Europe/Berlin", "EUR")
    assert (await people.events())[1:3] == ["organization.created", "membership.created"]


async def test_nobody_founds_an_operator_from_outside(people: People) -> None:
    account_id = await people.confirmed()
    with pytest.raises(Forbidden):
        await create(people, account_id, kind="operator")
    assert await people.rows("select from organization") == []


async def test_one_person_founds_so_many_and_no_more(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "ORGANIZATIONS_PER_ACCOUNT_MAX", 3)
    account_id = await people.confirmed()
    outcomes = await asyncio.gather(*(create(people, account_id) for _ in range(6)), return_exceptions=True)
    assert sum(isinstance(outcome, str) for outcome in outcomes) == 3
    assert all(isinstance(outcome, (str, Conflict)) for outcome in outcomes)


async def test_members_join_once_and_by_fitting_roles(people: People, world: World) -> None:
    organization = await world.organization()
    person = await world.account()
    async with crossing(Reason.SIGN_IN) as uow:
        await organizations.add_member(uow, organization, account_id=person.id, role=Role.VIEWER)
        with pytest.raises(Conflict):
            await organizations.add_member(uow, organization, account_id=person.id, role=Role.ADMIN)
        with pytest.raises(Invalid):
            await organizations.add_member(uow, organization, account_id=person.id, role=Role.OPERATOR)
    async with unit_of_work(world.actor(organization)) as uow:
        assert [(m.account_id, m.role) for m in await queries.members(uow)] == [(person.id, "viewer")]


async def test_changes_of_an_organisation(people: People, world: World) -> None:
    organization = await world.organization(name="Acme")
    async with unit_of_work(world.actor(organization)) as uow:
        changed = await organizations.update_organization(uow, name="Ácme", timezone="Asia/Tokyo", version=1)
    assert (changed.name, changed.name_key, changed.timezone, changed.version) == (
        "Ácme",
        "acme",
        "Asia/Tokyo",
        2,
    )
    async with unit_of_work(world.actor(organization)) as uow:
        with pytest.raises(StaleVersion):
            await organizations.update_organization(uow, name="Other", version=1)
    async with unit_of_work(world.actor(organization, Role.DEVELOPER)) as uow:
        with pytest.raises(Forbidden):
            await organizations.update_organization(uow, name="Other")


async def test_staff_finds_organisations(people: People, world: World) -> None:
    names = ["Zoë's Bakery", "acme 100%", "Beta Labs", "Acme North"]
    made = {name: await world.organization(name=name) for name in names}
    for organization in made.values():
        async with crossing(Reason.DEMO) as uow:
            await uow.execute(
                "update organization set name_key = :key where id = :id",
                key=rules.sorting_key(organization.name),
                id=organization.id,
            )
    staff = world.actor(made["Beta Labs"], Role.SUPPORT)
    async with crossing(Reason.STAFF, actor=staff) as uow:

        async def found(*asked: tuple[str, str]) -> list[str]:
            return [row.name for row in await listing_sql.select(uow, queries.ORGANIZATIONS, *asked)]

        assert await found() == ["acme 100%", "Acme North", "Beta Labs", "Zoë's Bakery"]
        assert await found(("search", "ACME")) == ["acme 100%", "Acme North"]
        assert await found(("search", "zoe")) == ["Zoë's Bakery"]
        assert await found(("search", "labs")) == ["Beta Labs"]
        assert await found(("search", "%")) == []
        assert await found(("search", made["Acme North"].id)) == ["Acme North"]
        assert await found(("name[contains]", "NORTH"), ("kind", "client")) == ["Acme North"]
        assert await found(("sort", "-name")) == ["Zoë's Bakery", "Beta Labs", "Acme North", "acme 100%"]
        with pytest.raises(NotFound):
            await queries.staff_organization(uow, "org_nobody")
        with pytest.raises(Forbidden):
            await organizations.suspend_organization(uow, made["Beta Labs"].id)
