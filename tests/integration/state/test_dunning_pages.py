"""Dunning on pages: what staff sees of customers in it, decides about them, and tries before it is switched on."""

from __future__ import annotations

from datetime import timedelta

from models.types import OrganizationKind, Role
from services.core.actor import system
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.dunning import campaigns, holds, running
from services.dunning.campaigns import CampaignFields
from services.dunning.rules import Step, StepAction
from state.governance.dunning import CampaignsState, DunningState
from state.governance.dunning_case import DunningCaseState
from state.governance.dunning_holds import CustomerHoldState, HoldsState
from state.portal.overview import OverviewState
from tests.integration.billing.shop import Shop, line, open_shop
from tests.integration.payments.failures import fail
from tests.integration.state.visitor import Visitor, sign_in
from tests.world import World


async def test_staff_pauses_and_skips_a_customer_and_tries_a_campaign(world: World) -> None:
    shop = await open_shop(world, payment_days=0)
    invoice = await shop.invoice(line("100"))
    async with crossing(Reason.STAFF, actor=system()) as uow:
        steps = (Step(2, StepAction.MAIL), Step(9, StepAction.CANCEL))
        made = await campaigns.create(uow, CampaignFields("Usual", steps, enabled=True))
    await running.remind_due(clock=FixedClock(shop.now + timedelta(days=1)))
    owner, _ = await sign_in(world, shop.customer)
    owner.at = "/portal"
    seen, _ = await owner.call(OverviewState, "load")
    assert (seen.overdue["href"], seen.overdue["due"], seen.overdue["restricts"]) == (
        f"/portal/invoices/{invoice.id}",
        "119",
        False,
    )
    house = await world.organization(name="House", kind=OrganizationKind.OPERATOR)
    staff, _ = await sign_in(world, house, role=Role.OPERATOR)
    support, _ = await sign_in(world, house, role=Role.SUPPORT)

    staff.at = support.at = "/governance/dunning"
    seen, _ = await support.call(DunningState, "load")
    (row,) = seen.rows
    assert (row["number"], row["state"], row["due"], row["next"]) == (invoice.number, "active", "119", "mail")
    await support.call(DunningState, "skip", row["id"])
    await staff.call(DunningState, "pause", row["id"])
    seen, _ = await staff.call(DunningState, "load")
    assert seen.rows[0]["state"] == "paused"
    await staff.call(DunningState, "resume", row["id"])
    await staff.call(DunningState, "skip", row["id"])
    seen, _ = await staff.call(DunningState, "load")
    assert seen.rows[0]["state"] == "skipped"

    await fail(shop, invoice, "insufficient_funds")
    staff.at = f"/governance/dunning/cases/{row['id']}"
    seen, _ = await staff.call(DunningCaseState, "load")
    assert (seen.case["state"], [(step["action"], step["done_at"]) for step in seen.steps]) == (
        "skipped", [("mail", ""), ("cancel", "")],
    )  # fmt: skip
    await _hold_and_release(staff, support, shop)

    staff.at = "/governance/dunning/campaigns"
    seen, _ = await staff.call(CampaignsState, "load")
    assert (seen.learned["is_synthetic"], seen.learned["retries"], seen.learned["known"]) == (True, 10_000, 0)
    seen, _ = await staff.call(CampaignsState, "ask", made.id)
    assert (seen.chosen["steps"], seen.open_dialog) == ("2 mail\n9 cancel", "edit")
    seen, _ = await staff.call(CampaignsState, "simulate", made.id)
    assert [seen.simulated[name] for name in ("name", "invoices", "mails", "suspended", "failed")] == [
        "Usual", 1, 1, 0, "119.00\u00a0EUR",
    ]  # fmt: skip
    seen, _ = await staff.call(CampaignsState, "look", made.id)
    assert (seen.looked_at, seen.by_step) == ("Usual", [])


async def _hold_and_release(staff: Visitor, support: Visitor, shop: Shop) -> None:
    async with shop.work() as uow:
        await holds.place(uow, reason="We talk", lifts=True)
    staff.at = support.at = f"/governance/organizations/{shop.customer.id}"
    seen, _ = await support.call(CustomerHoldState, "load")
    assert (seen.hold["reason"], seen.hold["lifts"]) == ("We talk", "lifts")
    await support.call(CustomerHoldState, "release")
    assert (await support.call(CustomerHoldState, "load"))[0].hold
    await staff.call(CustomerHoldState, "release")
    assert not (await staff.call(CustomerHoldState, "load"))[0].hold

    async with shop.work() as uow:
        await holds.place(uow, reason="We talk again")
    staff.at = "/governance/dunning/holds?state=open"
    seen, _ = await staff.call(HoldsState, "load")
    await staff.call(HoldsState, "release", seen.rows[0]["id"])
    assert not (await staff.call(HoldsState, "load"))[0].rows
