"""Billing runs, parked subscriptions and test clocks over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from models.identity import Organization
from models.types import Role
from services.billing_runs import clock_turning, running, usage_running
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.metering.service import ensure_platform_meters
from tests.api.conftest import Api, problem
from tests.integration.billing.shop import open_shop
from tests.integration.billing.subscribers import Subscribers, price

APRIL = datetime(2026, 4, 1, 12, tzinfo=UTC)


async def test_staff_sees_what_is_parked_and_has_it_tried_again(api: Api, operators: Organization) -> None:
    shop = await open_shop(api.world)
    sold = Subscribers(shop)
    plan = await sold.plan(price("base", "flat", "60"), trial_days=30)
    shop.now = APRIL
    nobody = await shop.new_customer(None, name="Nobody")
    one = await sold.start(plan, started_at=APRIL + timedelta(days=30), trial_days=0)
    at = FixedClock(APRIL + timedelta(days=30))
    await running.bill_due(clock=at)
    staff = await api.browser(operators, Role.OPERATOR)
    support = await api.browser(operators, Role.SUPPORT)

    (run,) = (await support.get("staff/billing-runs")).json()["data"]
    assert (run["due"], run["billed"], run["parked"], run["ended_at"] is not None) == (1, 0, 1, True)
    (row,) = (await support.get("staff/parked-subscriptions")).json()["data"]
    assert (row["id"], row["organization_name"], row["attempts"]) == (one.id, "Nobody", 1)
    assert "Enter its billing profile" in row["parked_reason"]

    again = f"staff/parked-subscriptions/{one.id}/try-again"
    assert problem(await support.post(again), 403, "not_allowed")
    assert problem(await staff.post("staff/parked-subscriptions/sub_x/try-again"), 404, "not_found")
    answer = await staff.post(again)
    assert (answer.status_code, answer.json()["attempts"]) == (200, 0), answer.text
    assert await running.bill_due(clock=at) == running.Counts(due=1, parked=1)
    stranger = await api.browser(nobody, Role.OWNER)
    assert problem(await stranger.get("staff/billing-runs"), 403, "not_allowed")


async def test_staff_puts_an_organisation_on_a_clock_and_turns_it(api: Api, operators: Organization) -> None:
    shop = await open_shop(api.world, is_test=True)
    sold = Subscribers(shop)
    plan = await sold.plan(price("base", "flat", "60"))
    staff = await api.browser(operators, Role.OPERATOR)
    acme = shop.customer
    home = f"staff/organizations/{acme.id}/clock"

    assert problem(await staff.get(home), 404, "not_found")
    assert problem(await staff.post(f"{home}/turn", json={"by": "day"}), 404, "not_found")
    begun = await staff.post(home, json={"name": "Trial"})
    assert begun.status_code == 201, begun.text
    shows = datetime.fromisoformat(begun.json()["shows"])
    shop.now = shows
    await sold.start(plan)

    async def turn(**body: Any) -> dict[str, Any]:
        answer = await staff.post(f"{home}/turn", json=body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["target_at"] is not None
        while (shown := (await staff.get(home)).json())["target_at"] is not None:
            await clock_turning.turn_due()
        return shown

    for body in ({}, {"by": "day", "on": "2040-01-01"}):
        assert problem(await staff.post(f"{home}/turn", json=body), 422, "invalid_input")
    seen = (await staff.post(f"{home}/preview", json={"by": "quarter"})).json()
    assert (seen["shows"], seen["until"], seen["more"]) == (begun.json()["shows"], seen["to"], False)
    assert [one["document"]["total_minor"] for one in seen["documents"]] == [7_140] * 3
    assert {one["plan_name"] for one in seen["documents"]} == {plan.name}
    assert seen["parked"] == []
    assert (await staff.get(home)).json()["shows"] == begun.json()["shows"]
    assert problem(await staff.post(f"{home}/preview", json={}), 422, "invalid_input")
    support = await api.browser(operators, Role.SUPPORT)
    assert problem(await support.post(f"{home}/preview", json={"by": "day"}), 403, "not_allowed")
    nowhere = "staff/organizations/org_x/clock/preview"
    assert problem(await staff.post(nowhere, json={"by": "day"}), 404, "not_found")

    assert (await turn(by="day"))["shows"] == (shows + timedelta(days=1)).isoformat().replace("+00:00", "Z")
    day = (shows + timedelta(days=70)).date()
    shown = await turn(on=day.isoformat(), by=None)
    assert shown["shows"] == f"{day.isoformat()}T00:00:00Z"
    made = (await staff.get("staff/invoices", params={"organization_id": acme.id})).json()["data"]
    assert 3 <= len(made) <= 4  # of this month and the next ones
    assert {Decimal(one["total_minor"]) for one in made} == {Decimal(7_140)}


async def test_an_organisation_reads_its_months_of_usage_over_http(api: Api) -> None:
    world = api.world
    acme, other = await world.organization(), await world.organization()
    async with crossing(Reason.BILLING) as uow:
        await ensure_platform_meters(uow)
        await usage_running.begin_all(uow, None)
    builder, viewer = await api.browser(acme, Role.DEVELOPER), await api.browser(acme, Role.VIEWER)
    stranger = await api.browser(other, Role.OWNER)

    (month,) = (await builder.get("usage-periods", params={"state": "open"})).json()["data"]
    assert month["invoices"] is None  # who builds sees no invoices
    path = f"usage-periods/{month['id']}"
    so_far = (await builder.get(path)).json()
    assert (so_far["state"], so_far["lines"], so_far["totals"], so_far["bills_at"]) == ("open", [], [], None)
    assert (await stranger.get("usage-periods")).json()["data"][0]["invoices"] == []
    assert problem(await stranger.get(path), 404, "not_found")
    assert problem(await viewer.get(path), 403, "not_allowed")
    assert problem(await viewer.get("usage-periods"), 403, "not_allowed")
    assert problem(await builder.get("usage-periods", params={"state": "over"}), 422, "invalid_filter")
