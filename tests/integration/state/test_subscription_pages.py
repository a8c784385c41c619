"""Subscriptions on pages: chosen with the money in sight, agreed to, looked at, and left."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from models.types import OrganizationKind, Role
from services.core import listing_sql
from services.core.actor import Actor
from services.core.crossing import Reason, crossing
from services.core.permissions import ROLE_CAPABILITIES
from services.subscriptions import subscriptions
from services.terms import queries as terms_queries
from services.terms import service as terms
from state.choosing import Choosing
from state.governance.choosing import StaffChoiceState
from state.governance.subscriptions import StaffSubscriptionsState, StaffSubscriptionState
from state.portal.billing_profile import BillingProfileState
from state.portal.choosing import ChoiceState
from state.portal.plans import PlansOnSaleState
from state.portal.subscriptions import SubscriptionsState, SubscriptionState
from tests.integration.billing.shop import Shop, open_shop
from tests.integration.billing.subscribers import Subscribers, price
from tests.integration.state.visitor import ADDRESS, Visitor, sent_to, sign_in
from tests.world import World

ALL = ROLE_CAPABILITIES[Role.OPERATOR] | ROLE_CAPABILITIES[Role.OWNER]


@pytest.fixture
async def shop(world: World) -> Shop:
    made = await open_shop(world)
    await made.new_customer(name="Acme", currency="EUR")
    made.now = datetime.now(UTC)
    return made


async def agree(who: Visitor, choice: type[Choosing]) -> tuple[Choosing, Any]:
    """To what is on screen."""
    return await who.call(choice, "confirm", (await who.state(choice)).looked)


async def look_at_a_coupon(client: Visitor, sold: Subscribers) -> None:
    """On the page of a subscription that is billed 125 a month, before it is added."""
    await sold.coupon("HALF", rate=Decimal("0.5"), duration="once")
    await client.call(SubscriptionState, "ask", "add_coupon")
    seen, _ = await client.call(SubscriptionState, "look_at_coupon", {"coupon": "NONE"})
    assert (seen.preview, seen.documents, list(seen.coupon_errors)) == ({}, [], ["coupon"])
    seen, _ = await client.call(SubscriptionState, "look_at_coupon", {"coupon": "half"})
    (document,) = seen.documents
    assert (document["comes"], document["discount"], document["total"]) == (True, "62.5", "74.38")
    assert (seen.coupon, seen.preview["upcoming_at"], seen.coupons) == ("half", "", [])  # and it is not taken


async def look_at_acts(client: Visitor, shop: Shop) -> None:
    """What pausing and cancelling come to, and that what is asked about stays as it was asked."""
    for act, state in (("pause", "paused"), ("cancel", "canceled")):
        seen, _ = await client.call(SubscriptionState, "ask", act)
        assert (seen.asking, seen.preview["state"]) == (act, state)
        assert seen.preview["upcoming_at"] == ""  # nothing comes but what the documents say
    seen, _ = await client.call(SubscriptionState, "weigh", {"at_once": "true"})
    assert (seen.preview["state"], seen.documents[0]["total"][0]) == ("ended", "-")
    async with shop.work() as uow:
        await subscriptions.pause(uow, seen.subscription["id"])
    seen, _ = await client.call(SubscriptionState, "follow")
    assert (seen.asking, seen.subscription["state"]) == ("cancel", "active")  # as it was asked about
    seen, _ = await client.call(SubscriptionState, "dismiss", False)
    assert (seen.asking, seen.documents) == ("", [])
    seen, _ = await client.call(SubscriptionState, "follow")
    assert (seen.subscription["state"], seen.just_done) == ("paused", "")  # something else was done since
    async with shop.work() as uow:
        await subscriptions.resume(uow, seen.subscription["id"])


async def test_a_plan_is_chosen_changed_and_left_with_the_money_in_sight(world: World, shop: Shop) -> None:
    sold = Subscribers(shop)
    seats = price(
        "seats", "seat", "30", quantity_min=Decimal(1), quantity_max=Decimal(9), proration="fixed_30"
    )
    team = await sold.plan(price("base", "flat", "60", proration="fixed_30"), seats)
    await sold.plan(price("base", "flat", "5", proration="fixed_30"), addon_to=(team.id,))
    client, _ = await sign_in(world, shop.customer, Role.BILLING)

    client.at = "/portal/plans"
    seen, _ = await client.call(PlansOnSaleState, "load")
    (card,), (extra,) = seen.plans, seen.addons
    assert (card["base"], card["had"], card["changes"], extra["needs_plan"]) == ("60", False, False, True)
    client.at = card["choose"]
    seen, _ = await client.call(ChoiceState, "load")
    assert (seen.preview["due"], seen.preview["total_minor"]) == ("107.1", 10_710)
    assert [line["amount"] for line in seen.documents[0]["lines"]] == ["60", "30"]
    seen, _ = await client.call(ChoiceState, "count", "seats", "2")
    assert seen.preview["due"] == "142.8"
    for wrong in ("-1", "many", "10"):
        seen, _ = await client.call(ChoiceState, "count", "seats", wrong)
        assert (seen.preview["due"] if seen.preview else "") != "142.8", wrong
    assert seen.preview == {}
    _, answer = await agree(client, ChoiceState)
    assert answer is None  # nothing is agreed to that is not shown
    await client.call(ChoiceState, "count", "seats", "2")
    seen, _ = await client.call(ChoiceState, "apply_coupon", {"coupon": "NONE"})
    assert (seen.coupon, list(seen.coupon_errors)) == ("", ["coupon"])
    assert seen.preview["due"] == "142.8"  # what it costs without one stays
    _, answer = await agree(client, ChoiceState)
    client.at = sent_to(answer)
    seen, _ = await client.call(SubscriptionState, "load")
    assert (seen.subscription["state"], seen.just_done) == ("active", "started")
    assert [(row["quantity"], row["amount"]) for row in seen.items] == [("1", "60"), ("2", "60")]
    assert [row["total"] for row in seen.invoices] == ["142.8"]

    client.at = "/portal/plans"
    seen, _ = await client.call(PlansOnSaleState, "load")
    assert seen.plans[0]["had"]
    client.at = seen.addons[0]["choose"]
    seen, _ = await client.call(ChoiceState, "load")
    assert [row["chosen"] for row in seen.addons] == [True]
    shown = seen.preview["total_minor"]
    _, answer = await agree(client, ChoiceState)
    client.at = sent_to(answer)
    seen, _ = await client.call(SubscriptionState, "load")
    assert (len(seen.items), seen.just_done) == (3, "changed")
    assert (await sold.invoices())[-1].total_minor == shown

    await look_at_a_coupon(client, sold)

    await look_at_acts(client, shop)
    client.at = "/portal/subscriptions"
    seen, _ = await client.call(SubscriptionsState, "load")
    assert [(row["name"], row["state"]) for row in seen.rows] == [(team.name, "active")]


async def test_an_add_on_is_taken_in_the_number_that_is_shown_and_billed(world: World, shop: Shop) -> None:
    sold = Subscribers(shop)
    team = await sold.plan(price("base", "flat", "60", proration="fixed_30"))
    desks = price("desks", "seat", "10", quantity_max=Decimal(5), proration="fixed_30")
    extra = await sold.plan(desks, addon_to=(team.id,))
    client, _ = await sign_in(world, shop.customer, Role.BILLING)
    client.at = f"/portal/subscribe?plan={team.id}&currency=EUR"
    await client.call(ChoiceState, "load")
    seen, _ = await client.call(ChoiceState, "tick", extra.id, True)
    assert [(one["id"], one["quantity"], one["max"]) for one in seen.addons[0]["counted"]] == [
        ("desks", "1", "5")
    ]
    assert seen.preview["due"] == "83.3"
    seen, _ = await client.call(ChoiceState, "count_addon", extra.id, "desks", "6")
    assert (seen.preview, seen.refusal != "") == ({}, True)
    seen, _ = await client.call(ChoiceState, "count_addon", extra.id, "desks", "3")
    assert seen.preview["due"] == "107.1"
    seen, answer = await client.call(ChoiceState, "confirm", seen.looked - 1)
    assert (answer, "while it was agreed" in seen.refusal) == (None, True)  # to what was shown before
    _, answer = await agree(client, ChoiceState)
    client.at = sent_to(answer)
    seen, _ = await client.call(SubscriptionState, "load")
    assert [(row["quantity"], row["amount"]) for row in seen.items] == [("1", "60"), ("3", "30")]
    client.at = f"/portal/subscriptions/{seen.subscription['id']}/change"
    seen, _ = await client.call(ChoiceState, "load")
    assert [one["quantity"] for one in seen.addons[0]["counted"]] == ["3"]


async def test_a_plans_price_is_what_is_flat_and_says_that_the_tax_is_in_it(world: World, shop: Shop) -> None:
    sold = Subscribers(shop)
    given = {"included_credits": Decimal(30), "tax_inclusive": True}
    await sold.plan(price("base", "flat", "60", **given), price("seats", "seat", "7"))
    client, _ = await sign_in(world, shop.customer, Role.BILLING)
    client.at = "/portal/plans"

    seen, _ = await client.call(PlansOnSaleState, "load")

    (card,) = seen.plans
    assert (card["base"], card["with_tax"]) == ("60", True)
    assert [line["what"] for line in card["charges"][0]["lines"]] == ["each"]


async def test_who_has_no_billing_profile_is_led_to_it(world: World, shop: Shop) -> None:
    sold = Subscribers(shop)
    plan = await sold.plan(price("base", "flat", "60"))
    other = await world.organization(currency="EUR")
    client, _ = await sign_in(world, other)
    client.at = f"/portal/subscribe?plan={plan.id}&currency=EUR"
    seen, _ = await client.call(ChoiceState, "load")
    assert (seen.needs_profile, seen.preview, seen.refusal) == (True, {}, "")
    client.at = "/portal/billing-profile"
    seen, _ = await client.call(BillingProfileState, "load")
    assert (seen.status, seen.version) == ("ready", 0)


async def test_another_organisations_subscription_is_not_there_and_staff_sees_it(
    world: World, shop: Shop
) -> None:
    sold = Subscribers(shop)
    plan = await sold.plan(price("base", "flat", "60"), price("seats", "seat", "5", quantity_min=Decimal(1)))
    one = await sold.start(plan, quantities={"seats": Decimal(2)})
    await sold.change(one, plan, quantities={"seats": Decimal(1)})
    client, _ = await sign_in(world, shop.customer, Role.BILLING)
    client.at = f"/portal/subscriptions/{one.id}"
    await client.call(SubscriptionState, "load")
    for values, kept in (({}, True), ({"at_once": "true"}, False)):
        await client.call(SubscriptionState, "ask", "cancel")
        seen, _ = await client.call(SubscriptionState, "weigh", values)
        assert (seen.preview["lapses_name"], seen.preview["lapses_kept"]) == (plan.name, kept)
    await sold.do(subscriptions.cancel, one)
    stranger, _ = await sign_in(world, await world.organization())
    viewer, _ = await sign_in(world, shop.customer, Role.VIEWER)
    for state, path in ((SubscriptionState, ""), (ChoiceState, "/change")):
        stranger.at = viewer.at = f"/portal/subscriptions/{one.id}{path}"
        assert (await stranger.call(state, "load"))[0].status == "missing"
        assert (await viewer.call(state, "load"))[0].status == "forbidden"

    staff, _ = await sign_in(world, await world.organization(OrganizationKind.OPERATOR), Role.SUPPORT)
    staff.at = "/governance/subscriptions"
    seen, _ = await staff.call(StaffSubscriptionsState, "load")
    assert [(row["organization"], row["state"]) for row in seen.rows] == [("Acme", "canceled")]
    staff.at = seen.rows[0]["href"]
    seen, _ = await staff.call(StaffSubscriptionState, "load")
    assert (seen.subscription["cancel_reason"], len(seen.items), len(seen.invoices)) == ("other", 2, 1)
    assert seen.subscription["scheduled_ends_first"]


async def test_staff_begins_one_for_a_customer_in_the_past_and_changes_and_ends_it(
    world: World, shop: Shop
) -> None:
    sold = Subscribers(shop)
    seats = price("seats", "seat", "30", quantity_max=Decimal(9), proration="fixed_30")
    team = await sold.plan(price("base", "flat", "60", proration="fixed_30"), seats, trial_days=14)
    staff, _ = await sign_in(world, await world.organization(OrganizationKind.OPERATOR), Role.OPERATOR)
    staff.at = f"/governance/organizations/{shop.customer.id}/subscribe"

    seen, _ = await staff.call(StaffChoiceState, "load")
    assert (seen.status, seen.organization["name"], seen.preview["state"]) == ("ready", "Acme", "trialing")
    for wrong, field in (
        ({"started_at": "2999-01-01T00:00:00Z"}, "started_at"),
        ({"started_at": "soon"}, "started_at"),
        ({"trial_days": 731}, "trial_days"),
        ({"trial_days": "-1"}, "trial_days"),
        ({"anchor": "2999-01-01T00:00:00Z"}, "anchor"),
        ({"collection": "keep"}, "collection"),
        ({"collection": "charge", "payment_days": 3}, "payment_days"),
        ({"collection": "send", "payment_days": 366}, "payment_days"),
    ):
        seen, _ = await staff.call(StaffChoiceState, "apply_terms", wrong)
        assert (seen.preview, list(seen.term_errors)) == ({}, [field]), wrong
    two_months_ago = (shop.now - timedelta(days=61)).isoformat()
    terms = {"started_at": two_months_ago, "trial_days": 0, "anchor": None}
    await staff.call(StaffChoiceState, "apply_terms", terms)
    seen, _ = await staff.call(StaffChoiceState, "count", "seats", "2")
    shown = seen.preview["total_minor"]
    assert len(seen.documents) >= 2  # a document for each period since, which says which
    starts = [one["period_start"] for one in seen.documents]
    assert starts == sorted({*starts} - {""})
    _, answer = await agree(staff, StaffChoiceState)
    staff.at = sent_to(answer)
    seen, _ = await staff.call(StaffSubscriptionState, "load")
    said = (seen.subscription["state"], seen.just_done, seen.subscription["name"])
    assert said == ("active", "started", team.name)
    assert sum(one.total_minor for one in await sold.invoices()) == shown

    here = seen.subscription["id"]
    staff.at = f"/governance/subscriptions/{here}/change"
    await staff.call(StaffChoiceState, "load")
    seen, _ = await staff.call(StaffChoiceState, "count", "seats", "5")
    at_once = seen.preview["due"]
    seen, _ = await staff.call(StaffChoiceState, "apply_terms", {"behaviour": "none"})
    assert (Decimal(at_once) > 0, seen.preview["due"], seen.preview["total_minor"]) == (True, "0", 0)
    _, answer = await agree(staff, StaffChoiceState)
    staff.at = sent_to(answer)
    seen, _ = await staff.call(StaffSubscriptionState, "load")
    assert [row["quantity"] for row in seen.items] == ["1", "5"]

    seen, _ = await staff.call(StaffSubscriptionState, "ask", "cancel")
    assert (seen.asking, seen.preview["state"], seen.documents) == ("cancel", "canceled", [])
    credited, kept = {"at_once": "true"}, {"at_once": "true", "credits_unused": False}
    seen, _ = await staff.call(StaffSubscriptionState, "weigh", credited)
    assert (seen.preview["state"], seen.preview["total_minor"] < 0) == ("ended", True)
    seen, _ = await staff.call(StaffSubscriptionState, "weigh", kept)
    assert (seen.preview["state"], seen.preview["total_minor"]) == ("ended", 0)
    for wrong in ("never", "2999-01-01T00:00:00Z", two_months_ago):
        seen, _ = await staff.call(StaffSubscriptionState, "weigh", {"cancel_at": wrong})
        assert (seen.preview, seen.refusal != "") == ({}, True), wrong

    support, _ = await sign_in(world, await world.organization(OrganizationKind.OPERATOR), Role.SUPPORT)
    support.at = staff.at
    assert (await support.call(StaffSubscriptionState, "load"))[0].status == "ready"
    _, refused = await support.call(StaffSubscriptionState, "ask", "cancel")
    assert "staff.subscriptions.write" in str(refused)
    support.at = f"/governance/organizations/{shop.customer.id}/subscribe"
    assert (await support.call(StaffChoiceState, "load"))[0].status == "forbidden"


async def test_staff_sells_an_older_version_from_a_day_to_come_on(world: World, shop: Shop) -> None:
    sold = Subscribers(shop)
    plan = await sold.plan(price("base", "flat", "60"), trial_days=14)
    await sold.publish(plan, price("base", "flat", "80"))
    staff, _ = await sign_in(world, await world.organization(OrganizationKind.OPERATOR), Role.OPERATOR)
    home = f"/governance/organizations/{shop.customer.id}/subscribe"
    staff.at = home
    seen, _ = await staff.call(StaffChoiceState, "load")
    assert ([one["id"] for one in seen.versions], seen.version, seen.preview["due"]) == (
        ["2", "1"],
        "",
        "95.2",
    )
    _, answer = await staff.call(StaffChoiceState, "choose_version", "1")
    staff.at = sent_to(answer)
    assert "version=1" in staff.at
    seen, _ = await staff.call(StaffChoiceState, "load")
    assert (seen.version, seen.plan["trial_days"], seen.preview["state"]) == ("1", 14, "trialing")

    begins = (shop.now + timedelta(days=40)).replace(microsecond=0).isoformat()
    terms = {"started_at": begins, "trial_days": 0, "collection": "send", "payment_days": 30}
    seen, _ = await staff.call(StaffChoiceState, "apply_terms", terms)
    assert (seen.preview["state"], seen.preview["is_later"], seen.preview["due"]) == ("scheduled", True, "0")
    assert [(one["total"], one["comes"], one["period_start"]) for one in seen.documents] == [
        ("71.4", True, "")
    ]
    _, answer = await agree(staff, StaffChoiceState)
    staff.at = sent_to(answer)
    seen, _ = await staff.call(StaffSubscriptionState, "load")
    shown = seen.subscription
    assert (shown["state"], shown["plan_version"], shown["collection"], shown["payment_days"]) == (
        "scheduled", 1, "send", 30,
    )  # fmt: skip
    staff.at = f"{home}?plan={plan.id}&version=9"
    assert (await staff.call(StaffChoiceState, "load"))[0].status == "missing"


async def test_who_keeps_an_older_version_is_shown_its_prices(world: World, shop: Shop) -> None:
    sold = Subscribers(shop)
    seats = price("seats", "seat", "30", quantity_max=Decimal(9), proration="fixed_30")
    old = await sold.plan(price("base", "flat", "60", proration="fixed_30"), seats)
    one = await sold.start(old, quantities={"seats": Decimal(2)})
    await sold.publish(old, price("base", "flat", "90", proration="fixed_30"), price("desks", "seat", "40"))
    client, _ = await sign_in(world, shop.customer, Role.BILLING)
    client.at = f"/portal/subscriptions/{one.id}/change"

    seen, _ = await client.call(ChoiceState, "load")

    assert [(row["id"], row["quantity"], row["charge"]["lines"][0]["amount"]) for row in seen.counted] == [
        ("seats", "2", "30")
    ]
    seen, _ = await client.call(ChoiceState, "count", "seats", "3")
    assert (seen.refusal, seen.preview != {}) == ("", True)


async def test_the_page_says_which_terms_subscribing_accepts_and_that_is_written_down(
    world: World, shop: Shop
) -> None:
    sold = Subscribers(shop)
    plan = await sold.plan(price("base", "flat", "60", proration="fixed_30"))
    client, _ = await sign_in(world, shop.customer, Role.OWNER)

    async def subscribe() -> int:
        """As on the page; which version of the terms it named."""
        client.at = f"/portal/subscribe?plan={plan.id}"
        seen, _ = await client.call(ChoiceState, "load")
        assert seen.preview
        named = seen.accepts
        _, answer = await agree(client, ChoiceState)
        client.at = f"{sent_to(answer).partition('?')[0]}/change"
        changed, _ = await client.call(ChoiceState, "load")
        assert changed.accepts == 0  # changing one accepts nothing anew
        return named

    async def accepted() -> list[terms_queries.AcceptanceRow]:
        async with crossing(Reason.STAFF, actor=Actor("acc_x", shop.customer.id, ALL)) as uow:
            return list(await listing_sql.select(uow, terms_queries.ACCEPTANCES, limit=9))

    async def publish(text: str) -> None:
        async with crossing(Reason.STAFF, actor=Actor("acc_staff", None, ALL)) as uow:
            await terms.publish(uow, text)

    assert (await subscribe(), await accepted()) == (0, [])
    await publish("Be fair.")
    assert (await subscribe(), await subscribe()) == (1, 1)
    (first,) = await accepted()
    assert (first.number, first.occasion, first.address) == (1, "subscribing", ADDRESS)
    await publish("Be fair, and pay in time.")
    assert await subscribe() == 2
    assert [row.number for row in await accepted()] == [2, 1]
