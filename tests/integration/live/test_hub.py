"""The hub sends what changed to those who may see it, once, and only forward."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from models.types import OrganizationKind, Role
from services.billing.events import SubscriptionReactivated
from services.core.clock import Clock, FixedClock
from services.core.crossing import Reason, crossing
from services.core.database import CROSSING_ROLE, Database
from services.core.errors import Forbidden, NotFound
from services.core.events import DomainEvent
from services.core.permissions import Capability
from services.core.relay import stamp
from services.core.wakeups import USAGE_CHANGED
from services.core.work import UnitOfWork, unit_of_work
from services.identity.events import MembershipEnded, SessionEnded, SessionStarted
from services.live import hub as hubs
from services.live import views as product
from services.live.hub import Hub, Watcher
from services.live.views import View
from services.metering import rules
from services.metering.service import ensure_platform_meters, record
from services.papers.events import PaperRetried
from tests.world import World

reads: list[str] = []


async def _name(uow: UnitOfWork) -> dict[str, Any]:
    reads.append(uow.organization_id)
    name = (await uow.execute("select name from organization")).scalar_one()
    return {"name": name, "cost": uow.actor.may(Capability.COST_READ)}


VIEWS = {"name": View("name", Capability.USAGE_READ, _name, frozenset({Capability.COST_READ}))}


@asynccontextmanager
async def _running(
    database: Database, *, views: Mapping[str, View] = VIEWS, clock: Clock | None = None
) -> AsyncIterator[Hub]:
    reads.clear()
    hub = Hub(database, views=views, clock=clock)
    task = asyncio.create_task(hub.run())
    try:
        async with asyncio.timeout(60):
            await hub.listening.wait()
        yield hub
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _next(watcher: Watcher) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            await watcher.wake.wait()
            watcher.wake.clear()
            if texts := watcher.take():
                return orjson.loads(texts[-1])


async def _until(watcher: Watcher, name: str) -> dict[str, Any]:
    while (message := await _next(watcher))["data"]["name"] != name:
        pass
    return message


async def _rename(world: World, organization: Any, name: str) -> None:
    async with unit_of_work(world.actor(organization)) as uow:
        await uow.execute(
            "update organization set name = :name where id = :id", name=name, id=organization.id
        )
        uow.after_commit(lambda: world.database.wakeups.poke(USAGE_CHANGED, organization.id))


async def test_a_change_reaches_all_who_watch_and_is_read_once(database: Database, world: World) -> None:
    organization = await world.organization(name="Before")
    async with _running(database) as hub:
        watchers = [hub.join(world.actor(organization)) for _ in range(20)]
        for watcher in watchers:
            hub.subscribe(watcher, "name")
        first = [await _next(watcher) for watcher in watchers]
        before = len(reads)
        await _rename(world, organization, "After")
        second = [await _until(watcher, "After") for watcher in watchers]

    assert {message["data"]["name"] for message in first} == {"Before"}
    assert len(reads) - before <= 2  # the wake-up, and at most one slow poll beside it
    assert all(later["version"] > earlier["version"] for earlier, later in zip(first, second, strict=True))


async def test_another_organisation_is_neither_told_nor_read(database: Database, world: World) -> None:
    ours, theirs = await world.organization(name="Ours"), await world.organization(name="Theirs")
    async with _running(database) as hub:
        us, them = hub.join(world.actor(ours)), hub.join(world.actor(theirs))
        hub.subscribe(us, "name")
        hub.subscribe(them, "name")
        await _next(us)
        quiet = await _next(them)
        await _rename(world, ours, "Ours now")
        await _until(us, "Ours now")

        assert them.take() == []
        assert quiet["data"]["name"] == "Theirs"


async def test_what_the_role_may_not_see_is_another_topic(database: Database, world: World) -> None:
    organization = await world.organization()
    async with _running(database) as hub:
        owner, viewer = hub.join(world.actor(organization)), hub.join(world.actor(organization, Role.VIEWER))
        hub.subscribe(owner, "name")
        hub.subscribe(viewer, "name")

        assert (await _next(owner))["data"]["cost"] is True
        assert (await _next(viewer))["data"]["cost"] is False


async def test_a_view_must_exist_and_be_allowed(database: Database, world: World) -> None:
    organization = await world.organization()
    nobody = world.actor(organization)
    stranger = type(nobody)("x", organization.id, frozenset())
    async with _running(database) as hub:
        with pytest.raises(NotFound):
            hub.subscribe(hub.join(nobody), "nonsense")
        with pytest.raises(Forbidden):
            hub.subscribe(hub.join(stranger), "name")


async def test_a_burst_is_coalesced_and_the_last_state_arrives(database: Database, world: World) -> None:
    organization = await world.organization(name="0")
    has_read, go_on = asyncio.Event(), asyncio.Event()

    async def read_slowly(uow: UnitOfWork) -> dict[str, Any]:
        found = await _name(uow)
        has_read.set()
        await go_on.wait()
        return found

    async with _running(database, views={"name": replace(VIEWS["name"], read=read_slowly)}) as hub:
        watcher = hub.join(world.actor(organization))
        hub.subscribe(watcher, "name")
        async with asyncio.timeout(60):
            await has_read.wait()
        for n in range(1, 41):
            await _rename(world, organization, str(n))
        go_on.set()
        await _until(watcher, "40")

        assert len(reads) == 2


async def test_a_second_process_shows_the_same(database: Database, world: World) -> None:
    organization = await world.organization(name="Before")
    async with _running(database) as one, _running(database) as two:
        here, there = one.join(world.actor(organization)), two.join(world.actor(organization))
        one.subscribe(here, "name")
        two.subscribe(there, "name")
        await _rename(world, organization, "After")

        assert (await _until(here, "After"))["data"] == (await _until(there, "After"))["data"]


async def test_nobody_watching_costs_nothing(database: Database, world: World) -> None:
    organization = await world.organization()
    async with _running(database) as hub:
        watcher = hub.join(world.actor(organization))
        hub.subscribe(watcher, "name")
        await _next(watcher)
        hub.leave(watcher)
        reads.clear()
        other = hub.join(world.actor(organization, Role.VIEWER))
        hub.subscribe(other, "name")
        await _rename(world, organization, "After")
        await _until(other, "After")

    assert len(reads) <= 3  # for the one who still looks, not for the one who left


async def test_access_is_looked_at_again_when_it_may_have_changed_and_not_before(
    database: Database, world: World
) -> None:
    acme = await world.organization()
    ana = await world.account(member_of=acme)
    async with _running(database) as hub:
        actor = replace(world.actor(acme, account=ana), session_id="ses_ana")
        watcher, colleague = hub.join(actor), hub.join(replace(actor, session_id="ses_bob"))
        hub.subscribe(watcher, "name")
        await _next(watcher)
        async with crossing(Reason.SIGN_IN) as uow:
            uow.record(SessionStarted(aggregate_id="ses_eve", organization_id=acme.id, account_id="acc_eve"))
            uow.record(
                SessionEnded(
                    aggregate_id="ses_ana", organization_id=acme.id, account_id=ana.id, reason="signed_out"
                )
            )
        await _stamped(database)
        async with asyncio.timeout(60):
            await watcher.recheck.wait()
        assert not colleague.recheck.is_set()

        async with unit_of_work(world.actor(acme)) as uow:
            uow.record(MembershipEnded(aggregate_id=acme.id, organization_id=acme.id, account_id="acc_eve"))
        await _stamped(database)
        async with asyncio.timeout(60):
            await colleague.recheck.wait()


@pytest.mark.parametrize(
    ("anybodys", "own", "happens", "values"),
    [
        ("staff.subscriptions", "subscriptions", SubscriptionReactivated, {}),
        ("staff.invoices", "payments", PaperRetried, {"number": "DE1-1"}),
    ],
)
async def test_staff_follows_what_is_anybodys_and_members_their_own(
    database: Database,
    world: World,
    anybodys: str,
    own: str,
    happens: type[DomainEvent],
    values: Mapping[str, Any],
) -> None:
    acme, other = await world.organization(), await world.organization()
    operators = await world.organization(OrganizationKind.OPERATOR)
    async with _running(database, views=product.VIEWS) as hub:
        staff, ana, eve = (
            hub.join(world.actor(whose, role))
            for whose, role in ((operators, Role.SUPPORT), (acme, Role.BILLING), (other, Role.BILLING))
        )
        hub.subscribe(staff, anybodys)
        hub.subscribe(ana, own)
        followed = hub.subscribe(eve, own)
        with pytest.raises(Forbidden):
            hub.subscribe(ana, anybodys)
        for watcher in (staff, ana, eve):
            assert (await _next(watcher))["data"] == {"changed": 0}
        async with unit_of_work(world.actor(acme)) as uow:
            uow.record(happens(aggregate_id="any_x", organization_id=acme.id, **values))
        await _stamped(database)
        for watcher in (staff, ana):
            while (await _next(watcher))["data"] == {"changed": 0}:
                pass
    assert orjson.loads(followed.text)["data"] == {"changed": 0}


async def test_what_nobody_announced_is_found_by_looking_while_others_are_busy(
    database: Database, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hubs, "POLL_S", 0.2)
    quiet, busy = await world.organization(name="Before"), await world.organization()
    async with _running(database) as hub, _constant_notices(database, busy.id):
        watcher = hub.join(world.actor(quiet))
        hub.subscribe(watcher, "name")
        await _until(watcher, "Before")
        async with unit_of_work(world.actor(quiet)) as uow:
            await uow.execute("update organization set name = 'After' where id = :id", id=quiet.id)

        await _until(watcher, "After")


async def test_an_open_overview_turns_over_at_the_organisation_s_midnight(
    database: Database, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hubs, "POLL_S", 0.2)
    before_midnight = datetime(2026, 6, 29, 18, 29, tzinfo=UTC)  # 23:59 in Kolkata, another day in London
    clock = FixedClock(before_midnight)
    here, busy = await world.organization(timezone="Asia/Kolkata"), await world.organization()
    await _one_call(here.id, at=before_midnight)
    async with (
        _running(database, views=product.VIEWS, clock=clock) as hub,
        _constant_notices(database, busy.id),
    ):
        watcher = hub.join(world.actor(here))
        hub.subscribe(watcher, "overview")
        evening = (await _next(watcher))["data"]
        clock.at = before_midnight + timedelta(minutes=1)
        while (morning := (await _next(watcher))["data"])["today"]["start"] == evening["today"]["start"]:
            pass

    assert datetime.fromisoformat(evening["today"]["start"]) == clock.at - timedelta(days=1)
    assert datetime.fromisoformat(morning["today"]["start"]) == clock.at
    assert (evening["today"]["requests"], morning["today"]["requests"]) == (1, 0)
    assert (evening["month"]["requests"], morning["month"]["requests"]) == (1, 1)


async def _one_call(organization_id: str, *, at: datetime) -> None:
    event = rules.gateway_event(
        organization_id=organization_id, request_id="req_1", time=at, model="small", key_id="", status=200,
        endpoint="chat", prompt_tokens=3, completion_tokens=4,
    )  # fmt: skip
    async with crossing(Reason.CATALOG) as uow:
        await ensure_platform_meters(uow)
    async with crossing(Reason.GATEWAY_SETTLEMENT, clock=FixedClock(at)) as uow:
        await record(uow, [event])


@asynccontextmanager
async def _constant_notices(database: Database, organization_id: str) -> AsyncIterator[None]:
    """Usage of one organisation that never pauses."""
    async with await database.unpooled() as connection:

        async def notify() -> None:
            while True:
                await connection.execute("select pg_notify(%s, %s)", (USAGE_CHANGED, organization_id))

        notifying = asyncio.create_task(notify())
        try:
            yield
        finally:
            notifying.cancel()
            await asyncio.gather(notifying, return_exceptions=True)


async def _stamped(database: Database) -> None:
    """As the relay does it in the worker."""
    async with await database.unpooled() as connection:
        await connection.execute(f"set role {CROSSING_ROLE}")
        await stamp(connection)
