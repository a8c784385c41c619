"""The billing run on pages: what ran, what is parked and why, and a clock with what it made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from models.types import OrganizationKind, Role
from services.billing import watching
from services.billing_runs import clock_turning, run_records, running
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.identity import clocks
from state.account import WelcomeState
from state.governance.billing_runs import BillingRunsState, ParkedState
from state.governance.organizations import OrganizationState
from tests.integration.billing.shop import open_shop
from tests.integration.billing.subscribers import Subscribers, price
from tests.integration.state.visitor import sign_in
from tests.world import World

APRIL = datetime(2026, 4, 1, 12, tzinfo=UTC)


async def test_staff_reads_why_one_is_parked_and_has_it_tried_again(world: World) -> None:
    shop = await open_shop(world)
    sold = Subscribers(shop)
    plan = await sold.plan(price("base", "flat", "60"), trial_days=30)
    shop.now = APRIL
    await shop.new_customer(None, name="Nobody")
    one = await sold.start(plan, started_at=APRIL + timedelta(days=30), trial_days=0)
    at = FixedClock(APRIL + timedelta(days=30))
    operator = await world.organization(OrganizationKind.OPERATOR)
    staff, _ = await sign_in(world, operator, Role.OPERATOR)
    support, _ = await sign_in(world, operator, Role.SUPPORT)

    staff.at = "/governance/billing-runs"
    seen, _ = await staff.call(BillingRunsState, "load")
    assert (seen.rows, seen.parked) == ([], 0)
    await run_records.begin(None, FixedClock(APRIL))  # and its worker died
    await running.bill_due(clock=at)
    seen, _ = await staff.call(BillingRunsState, "load")
    assert [(row["state"], row["due"], row["parked"]) for row in seen.rows] == [
        ("done", 1, 1),
        ("cut_off", 0, 0),
    ]
    assert seen.parked == 1
    async with crossing(Reason.STAFF, actor=world.actor(operator, Role.SUPPORT)) as uow:
        at_work = (await watching.runs_at_work(uow))["runs"]
    assert [at_work[row["id"]] for row in seen.rows] == [[1, 0, 1, True], [0, 0, 0, False]]

    support.at = "/governance/billing-runs/parked"
    seen, _ = await support.call(ParkedState, "load")
    (row,) = seen.rows
    assert (row["organization"], row["attempts"], row["id"]) == ("Nobody", 1, one.id)
    assert row["parked_reason"].startswith("Nobody said to whom documents")
    await support.call(ParkedState, "try_again", one.id)
    seen, _ = await support.call(ParkedState, "load")
    assert seen.rows[0]["retry_at"] == row["retry_at"]
    await staff.call(ParkedState, "try_again", one.id)
    seen, _ = await support.call(ParkedState, "load")
    assert seen.rows[0]["retry_at"] == seen.rows[0]["parked_at"]


async def test_an_organisation_on_a_clock_shows_what_was_made(world: World) -> None:
    shop = await open_shop(world, is_test=True)
    operator = await world.organization(OrganizationKind.OPERATOR)
    staff, _ = await sign_in(world, operator, Role.OPERATOR)
    staff.at = f"/governance/organizations/{shop.customer.id}"
    seen, _ = await staff.call(OrganizationState, "load")
    assert (seen.status, seen.clock, seen.papers) == ("ready", {}, [])

    actor = world.actor(operator, Role.OPERATOR)
    async with crossing(Reason.STAFF, actor=actor) as uow:
        clock = await clocks.create_test_clock(
            uow, shop.customer.id, name="Trial", shows=uow.wall_now.replace(microsecond=0)
        )
    sold = Subscribers(shop)
    plan = await sold.plan(price("base", "flat", "60"))
    await sold.start(plan)
    founder, _ = await sign_in(world, None)
    found, _ = await founder.call(WelcomeState, "load")
    assert [one["id"] for one in found.currencies] == ["EUR"]  # and not dollars, in which nothing is sold
    seen, _ = await staff.call(OrganizationState, "load")
    seen, _ = await staff.call(OrganizationState, "choose", "on")
    seen, then = await staff.call(OrganizationState, "use_clock", {"by": "on", "on": "", "act": "look"})
    assert (seen.at_clock, then.handler.fn.__name__) == (
        True,
        "turn_or_look",
    )  # the page says so while it waits
    _, again = await staff.call(OrganizationState, "use_clock", {"by": "year", "act": "turn"})
    assert again is None  # one press, one turn
    seen, _ = await staff.call(OrganizationState, "turn_or_look", {"by": "on", "on": "", "act": "look"})
    assert (seen.foreseen, seen.clock_errors, seen.at_clock) == ({}, {"on": "Say to which day."}, False)
    seen, _ = await staff.call(OrganizationState, "turn_or_look", {"by": "quarter", "act": "look"})
    (group,) = seen.foreseen["groups"]
    assert (seen.foreseen["count"], seen.foreseen["more"], seen.clock_errors) == (3, False, {})
    assert (group["name"], [one["total"] for one in group["documents"]]) == (plan.name, ["71.4"] * 3)
    assert len(seen.papers) == 1  # nothing of it is there
    seen, _ = await staff.call(OrganizationState, "look_away")
    assert seen.foreseen == {}

    past = {"by": "on", "on": "2020-01-01", "act": "turn"}
    seen, _ = await staff.call(OrganizationState, "turn_or_look", past)
    assert (list(seen.clock_errors), seen.clock["target_at"]) == (["on"], "")
    until = (clock.now_at + timedelta(days=40)).date().isoformat()
    seen, _ = await staff.call(OrganizationState, "turn_or_look", {"by": "on", "on": until, "act": "turn"})
    assert seen.clock["target_at"] != ""
    async with crossing(Reason.STAFF, actor=actor) as uow:
        assert await watching.clocks_turning(uow) == {"turning": {clock.id: watching.Turned(0, 39)}}
    began = seen.clock["shows"]
    while (await clock_turning.go_on(clock.id, stops=1)) and seen.clock["shows"] == began:
        seen, _ = await staff.call(OrganizationState, "follow")
    async with crossing(Reason.STAFF, actor=actor) as uow:
        (now,) = (await watching.clocks_turning(uow))["turning"].values()
    assert (0 < now.done < 39, seen.clock["target_at"] != "", seen.papers != []) == (True, True, True)
    while await clock_turning.turn_due():
        pass
    seen, _ = await staff.call(OrganizationState, "follow")
    assert (seen.clock["name"], seen.clock["target_at"]) == ("Trial", "")
    async with crossing(Reason.STAFF, actor=actor) as uow:
        assert await watching.clocks_turning(uow) == {"turning": {}}
    assert [row["state"] for row in seen.papers] == ["finalized", "finalized"]
