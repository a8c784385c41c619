"""API keys: what they may do, how they change, and that their secret is nowhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import pytest

from models.identity import Organization
from models.types import Role
from services.core import listing_grammar, listing_sql
from services.core.actor import Actor
from services.core.crossing import Reason, crossing
from services.core.database import Database, libpq_url
from services.core.errors import Conflict, Forbidden, Invalid, NotFound, StaleVersion, Unauthenticated
from services.core.ids import new_id
from services.core.permissions import SCOPE_CAPABILITIES, capabilities_of_scopes
from services.core.wakeups import KEYS_CHANGED, listen
from services.core.work import UnitOfWork, unit_of_work
from services.gateway import upstreams
from services.identity import key_queries, keys, organizations
from services.identity.keys import CreatedKey, KeyChanges, Limits
from tests.integration.identity.conftest import People
from tests.world import World


@pytest.fixture
async def acme(world: World) -> Organization:
    return await world.organization(name="Acme")


@pytest.fixture
def owner(world: World, acme: Organization) -> Actor:
    return world.actor(acme)


@asynccontextmanager
async def work(people: People, actor: Actor) -> AsyncIterator[UnitOfWork]:
    async with unit_of_work(actor, clock=people.clock) as uow:
        yield uow


async def make(people: People, actor: Actor, **facts: object) -> CreatedKey:
    async with work(people, actor) as uow:
        return await keys.create_key(uow, **{"name": "laptop", **facts})  # type: ignore[arg-type]


async def test_a_key_is_found_by_its_secret_and_by_nothing_else(people: People, owner: Actor) -> None:
    created = await make(people, owner, limits=Limits(60, 9_000), scopes=["inference", "usage:read"])

    facts = await key_queries.find_by_secret(created.secret)

    assert facts is not None
    assert (facts.id, facts.organization_id) == (created.key.id, owner.organization_id)
    assert (facts.requests_per_minute, facts.tokens_per_minute) == (60, 9_000)
    assert facts.scopes == {"inference", "usage:read"}
    assert facts.actor().capabilities == capabilities_of_scopes(frozenset({"inference", "usage:read"}))
    assert len(created.secret) == 43
    assert created.key.prefix == created.secret[:9]
    for other in (
        created.secret[:-1] + "!",
        created.secret[:-1],
        created.secret.upper(),
        "",
        "mx-",
        "\ud800" * 43,
    ):
        assert await key_queries.find_by_secret(other) is None


async def test_the_secret_is_stored_nowhere(people: People, owner: Actor) -> None:
    created = await make(people, owner)
    async with work(people, owner) as uow:
        rotated = await keys.rotate_key(uow, created.key.id)
    everything = await people.stored_text() + str(await people.rows("select * from api_key"))
    for secret in (created.secret, rotated.secret):
        assert secret not in everything
        assert secret[9:] not in everything


@pytest.mark.parametrize("role", list(Role))
async def test_who_may_see_and_make_keys(
    people: People, world: World, acme: Organization, role: Role
) -> None:
    reads = {Role.OWNER, Role.ADMIN, Role.BILLING, Role.DEVELOPER, Role.OPERATOR}
    actor = world.actor(acme, role)
    async with work(people, actor) as uow:
        if role in reads:
            assert await key_queries.list_keys(uow) == []
        else:
            with pytest.raises(Forbidden):
                await key_queries.list_keys(uow)
        if role in reads - {Role.BILLING}:
            assert (await keys.create_key(uow, name="mine")).secret
        else:
            with pytest.raises(Forbidden):
                await keys.create_key(uow, name="mine")


@pytest.mark.parametrize("scope", list(SCOPE_CAPABILITIES))
async def test_a_key_cannot_make_one_that_may_do_more(people: People, owner: Actor, scope: str) -> None:
    created = await make(people, owner, scopes=["keys:write"])
    facts = await key_queries.find_by_secret(created.secret)
    assert facts is not None
    strong = await make(people, owner, scopes=[scope])

    async with work(people, facts.actor()) as uow:
        if scope in ("keys:read", "keys:write"):
            assert (await keys.create_key(uow, name="child", scopes=[scope])).secret
            return
        with pytest.raises(Forbidden):
            await keys.create_key(uow, name="child", scopes=[scope])
        with pytest.raises(Forbidden):  # nor take over one that may, by rotating it
            await keys.rotate_key(uow, strong.key.id)


@pytest.mark.parametrize(
    "more",
    [
        {"models": ()},
        {"models": ("one", "two")},
        {"limits": Limits(None, 100)},
        {"limits": Limits(11, 100)},
        {"limits": Limits(10, 101)},
        {"expires_in": None},
        {"expires_in": timedelta(hours=2)},
    ],
)
async def test_a_key_gives_no_key_more_than_it_has(
    people: People, owner: Actor, models_one_and_two: None, more: dict[str, object]
) -> None:
    own = {"models": ("one",), "limits": Limits(10, 100), "expires_in": timedelta(hours=1)}
    scopes = ["inference", "keys:write"]

    def facts(asked: dict[str, object]) -> dict[str, object]:
        hours = asked.pop("expires_in")
        return {**asked, "scopes": scopes, "expires_at": people.clock.at + hours if hours else None}  # type: ignore[operator]

    acting = await make(people, owner, **facts(dict(own)))
    freer = await make(people, owner, **facts(own | more))
    found = await key_queries.find_by_secret(acting.secret)
    assert found is not None
    actor = found.actor()

    assert (await make(people, actor, **facts(dict(own)))).secret
    with pytest.raises(Forbidden):
        await make(people, actor, **facts(own | more))
    with pytest.raises(Forbidden):
        async with work(people, actor) as uow:
            await keys.rotate_key(uow, freer.key.id)
    if "expires_in" not in more:
        with pytest.raises(Forbidden):
            async with work(people, actor) as uow:
                await keys.update_key(uow, acting.key.id, changes_to(more))
    async with work(people, actor) as uow:
        assert (await keys.update_key(uow, acting.key.id, changes_to({"limits": Limits(5, 50)}))).version == 2
        assert (await keys.rotate_key(uow, acting.key.id)).secret


def changes_to(facts: dict[str, Any]) -> KeyChanges:
    """The same facts as a change of a key that is there."""
    limits = facts.get("limits")
    return KeyChanges(models=facts.get("models"), **(asdict(limits) if limits else {}))


@pytest.fixture
async def models_one_and_two(database: Database) -> None:
    async with crossing(Reason.CATALOG) as uow:
        await upstreams.ensure_builtin(uow)
        for slug in ("one", "two"):
            await uow.execute(
                "insert into model (id, slug, name, description, upstream_id, upstream_model, endpoints,"
                " context_tokens, enabled, created_at, version) select :id, :slug, 'A model', '', id, 'm',"
                " array['chat'], 100, true, :now, 1 from upstream limit 1",
                id=new_id("model"),
                slug=slug,
                now=uow.wall_now,
            )


async def test_rotation_overlaps_and_then_ends(people: People, owner: Actor) -> None:
    old = await make(people, owner, limits=Limits(60, None), scopes=["inference", "usage:read"])
    async with work(people, owner) as uow:
        new = await keys.rotate_key(uow, old.key.id, overlap_hours=2)

    old_facts = await key_queries.find_by_secret(old.secret)
    new_facts = await key_queries.find_by_secret(new.secret)
    assert old_facts is not None
    assert new_facts is not None
    assert new.key.replaces_id == old.key.id
    assert (new_facts.scopes, new_facts.requests_per_minute) == (old_facts.scopes, 60)
    old_facts.require_usable(people.clock.at + timedelta(hours=2, microseconds=-1))
    with pytest.raises(Unauthenticated):
        old_facts.require_usable(people.clock.at + timedelta(hours=2))
    new_facts.require_usable(people.clock.at + timedelta(days=1000))


async def test_rotating_does_not_prolong_an_expiry(people: People, owner: Actor) -> None:
    soon = people.clock.at + timedelta(hours=1)
    old = await make(people, owner, expires_at=soon)
    async with work(people, owner) as uow:
        new = await keys.rotate_key(uow, old.key.id, overlap_hours=24)
    for secret in (old.secret, new.secret):
        facts = await key_queries.find_by_secret(secret)
        assert facts is not None
        assert facts.expires_at == soon


async def test_an_ended_key_cannot_be_changed_or_rotated(people: People, owner: Actor) -> None:
    created = await make(people, owner)
    async with work(people, owner) as uow:
        await keys.revoke_key(uow, created.key.id)
        await keys.revoke_key(uow, created.key.id)
    async with work(people, owner) as uow:
        with pytest.raises(Conflict):
            await keys.rotate_key(uow, created.key.id)
        with pytest.raises(Conflict):
            await keys.update_key(uow, created.key.id, KeyChanges(name="alive"))
    assert (await people.events()).count("api_key.revoked") == 1


async def test_changes_meet_by_version(people: People, owner: Actor) -> None:
    created = await make(people, owner)
    async with work(people, owner) as uow:
        changed = await keys.update_key(
            uow, created.key.id, KeyChanges(name="desk", requests_per_minute=10), version=1
        )
    assert (changed.name, changed.requests_per_minute, changed.version) == ("desk", 10, 2)
    async with work(people, owner) as uow:
        with pytest.raises(StaleVersion):
            await keys.update_key(uow, created.key.id, KeyChanges(name="bed"), version=1)
        same = await keys.update_key(uow, created.key.id, KeyChanges(name="desk"), version=2)
    assert same.version == 2
    assert (await people.events()).count("api_key.updated") == 1


async def test_another_organisations_key_is_not_found(people: People, world: World, owner: Actor) -> None:
    created = await make(people, owner)
    stranger = world.actor(await world.organization())
    async with work(people, stranger) as uow:
        for act in (
            keys.revoke_key(uow, created.key.id),
            keys.rotate_key(uow, created.key.id),
            keys.update_key(uow, created.key.id, KeyChanges(name="mine")),
            key_queries.get_key(uow, created.key.id),
        ):
            with pytest.raises(NotFound):
                await act
        assert await key_queries.list_keys(uow) == []


async def test_limits_of_keys_hold_when_many_are_made_at_once(
    people: People, owner: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "ACTIVE_KEYS_MAX", 3)
    outcomes = await asyncio.gather(*(make(people, owner) for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(outcome, CreatedKey) for outcome in outcomes) == 3
    assert all(isinstance(outcome, (CreatedKey, Conflict)) for outcome in outcomes)


@pytest.mark.parametrize("hours", [-1, 169])
async def test_an_overlap_has_bounds(people: People, owner: Actor, hours: int) -> None:
    created = await make(people, owner)
    async with work(people, owner) as uow:
        with pytest.raises(Invalid):
            await keys.rotate_key(uow, created.key.id, overlap_hours=hours)


async def test_a_list_goes_on_where_it_stopped(people: People, owner: Actor) -> None:
    made = [(await make(people, owner, name=f"key {n}")).key.id for n in range(5)]
    async with work(people, owner) as uow:
        query = listing_grammar.read(key_queries.KEYS, [])
        first = await listing_sql.page(uow, query, limit=3)
        rest = await listing_sql.page(uow, query, limit=3, at=first.next)
    assert [row.id for row in first.rows + rest.rows] == made[::-1]
    assert {row.status for row in first.rows} == {"active"}


async def test_last_use_only_moves_forward(people: People, owner: Actor) -> None:
    created, now = await make(people, owner), people.clock.at
    for at in (now, now - timedelta(hours=1), now + timedelta(minutes=1)):
        async with crossing(Reason.KEY_LOOKUP) as uow:
            await keys.touch_last_used(uow, {created.key.id: at, "apikey_gone": at})
    rows = await people.rows("select last_used_at from api_key")
    assert rows[0].last_used_at == now + timedelta(minutes=1)


async def test_processes_hear_of_a_changed_key(people: People, database: Database, owner: Actor) -> None:
    created = await make(people, owner)
    heard: list[str] = []
    listener = listen(libpq_url(database.url), KEYS_CHANGED, poll_s=3_600)
    assert await anext(listener) == ("", "")
    async with work(people, owner) as uow:
        await keys.revoke_key(uow, created.key.id)
    async with asyncio.timeout(60):  # before it would look by itself
        heard.append((await anext(listener))[1])
    await listener.aclose()  # type: ignore[attr-defined]
    assert heard == [created.key.id]


async def test_a_suspended_organisation_can_only_read(
    people: People, world: World, database: Database, acme: Organization, owner: Actor
) -> None:
    created = await make(people, owner, scopes=["inference", "keys:write", "usage:read"])
    staff = world.actor(await world.organization(), Role.OPERATOR)
    for _ in range(2):
        async with crossing(Reason.STAFF, actor=staff) as uow:
            await organizations.suspend_organization(uow, acme.id)

    facts = await key_queries.find_by_secret(created.secret)
    assert facts is not None
    with pytest.raises(Forbidden):
        facts.require_usable(people.clock.at)
    assert {c.value for c in facts.actor().capabilities} == {
        "keys.read",
        "usage.read",
        "cost.read",
        "models.read",
        "organization.read",
    }
    async with crossing(Reason.STAFF, actor=staff) as uow:
        await organizations.resume_organization(uow, acme.id)
    assert (await people.events())[-2:] == ["organization.suspended", "organization.resumed"]
