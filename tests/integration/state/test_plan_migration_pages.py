"""Moving subscriptions to a newer version on pages: what it would come to, and what became of each."""

from __future__ import annotations

from pathlib import Path

from models.types import OrganizationKind, Role
from services.catalog import plan_queries, plans
from services.catalog.plans import VersionFields
from services.core.actor import system
from services.core.crossing import Reason, crossing
from services.files.stores import FilePlaces, FolderStore
from services.plan_migrations import migrations as plan_migrations
from services.plan_migrations.queries import Plans
from services.tasks import running
from state.governance.plan_migrations import PlanMigrationState, PlanMoveState
from tests.integration.billing.shop import open_shop
from tests.integration.billing.subscribers import Subscribers, price
from tests.integration.state.visitor import sign_in
from tests.world import World


async def test_staff_sees_what_a_move_would_come_to_and_then_what_it_did(
    world: World, tmp_path: Path
) -> None:
    shop = await open_shop(world)
    sold = Subscribers(shop)
    sold.at(2026, 4, 1)
    plan = await sold.plan(price("base", "flat", "60"), price("base", "flat", "66", "USD"))
    one, other = await sold.start(plan), await sold.start(plan, currency="USD")
    operator = await world.organization(OrganizationKind.OPERATOR)
    staff, _ = await sign_in(world, operator, Role.OPERATOR)
    support, _ = await sign_in(world, operator, Role.SUPPORT)
    staff.at = support.at = f"/governance/plans/{plan.id}/move"
    seen, _ = await staff.call(PlanMoveState, "load")
    assert (seen.plan["name"], seen.versions) == (plan.name, [])

    async with crossing(Reason.CATALOG, actor=system()) as uow:
        old = await plan_queries.newest_version(uow, plan.id)
        new = await plans.draft_version(uow, plan.id)
        await plans.change_draft(uow, new.id, VersionFields(charges=[price("base", "flat", "70")]))
        await plans.publish_version(uow, new.id)
    assert old is not None
    seen, _ = await support.call(PlanMoveState, "load")
    assert ([row["label"] for row in seen.versions], seen.to["number"]) == (["1"], 2)
    seen, _ = await support.call(PlanMoveState, "look", {"from_version_id": new.id})
    assert list(seen.errors) == ["from_version_id"]
    seen, _ = await support.call(
        PlanMoveState, "look", {"from_version_id": old.id, "behaviour": "next_period"}
    )
    assert (seen.outlook["subscriptions"], seen.outlook["movable"]) == (2, 1)
    assert [(row["before"], row["after"], row["rises"]) for row in seen.currencies] == [("720", "840", 1)]
    ways = {row["href"].rpartition("/")[2]: (row["way"], row["reason"] != "") for row in seen.rows}
    assert ways == {one.id: ("rises", False), other.id: ("", True)}
    assert [row["subscriptions"] for row in seen.refused] == [1]
    seen, _ = await support.call(PlanMoveState, "confirm", True)
    assert not seen.confirming  # who may not, is not asked

    account = await world.account(member_of=operator, role=Role.OPERATOR)
    actor = world.actor(operator, Role.OPERATOR, account)
    async with crossing(Reason.STAFF, actor=actor) as uow:
        migration = await plan_migrations.start(uow, Plans(old.id, new.id), key="pages")
    support.at = staff.at = f"/governance/plan-migrations/{migration.id}"
    await support.call(PlanMigrationState, "cancel")
    seen, _ = await staff.call(PlanMigrationState, "load")
    assert (seen.migration["state"], seen.rows) == ("waiting", [])
    await staff.call(PlanMigrationState, "cancel")
    await staff.call(PlanMigrationState, "retry")
    while await running.run_next(FilePlaces(FolderStore(tmp_path / "files"), tmp_path / "incoming")):
        pass
    seen, _ = await staff.call(PlanMigrationState, "load")
    assert (seen.migration["state"], seen.migration["scheduled"], seen.migration["refused"]) == ("done", 1, 1)
    assert {row["state"] for row in seen.rows} == {"scheduled", "refused"}
    staff.at += "?state=refused"
    seen, _ = await staff.call(PlanMigrationState, "load")
    assert [row["href"].rpartition("/")[2] for row in seen.rows] == [other.id]
