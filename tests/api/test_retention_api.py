"""The offer to whoever is about to cancel, over HTTP and on pages."""

from __future__ import annotations

from models.identity import Organization
from models.types import Role
from state.governance.plans import PlanState
from state.portal.subscriptions import SubscriptionState
from tests.api.conftest import Api, problem
from tests.integration.billing.shop import open_shop
from tests.integration.billing.subscribers import Subscribers, price
from tests.integration.state.visitor import said, sign_in


async def test_staff_sets_an_offer_and_a_customer_who_would_cancel_takes_it(
    api: Api, operators: Organization
) -> None:
    shop = await open_shop(api.world)
    sold = Subscribers(shop)
    plan = await sold.plan(price("base", "flat", "60"))
    one = await sold.start(plan)
    staff, support = [await api.browser(operators, role) for role in (Role.OPERATOR, Role.SUPPORT)]
    at = f"staff/plans/{plan.id}/retention-offer"
    body = {"code": "STAY", "name": "Stay", "rate": "0.5", "duration": "once"}
    assert (await staff.post("staff/coupons", json=body)).status_code == 201
    assert problem(await support.put(at, json={"coupon": "STAY"}), 403, "not_allowed")
    assert problem(await staff.put(at, json={"coupon": "NONE"}), 422, "invalid_input")
    shown = (await staff.put(at, json={"coupon": "stay", "text": "Half of the next month?"})).json()
    assert (shown["retention_coupon"], shown["retention_text"]) == ("STAY", "Half of the next month?")
    desk, _ = await sign_in(api.world, operators, Role.OPERATOR)
    desk.at = f"/governance/plans/{plan.id}"
    seen, _ = await desk.call(PlanState, "load")
    assert seen.plan["retention_coupon"] == "STAY"
    before = {"coupon": "", "version": seen.plan["version"] - 1}
    current = problem(await staff.put(at, json=before), 412, "stale_version")["details"]["current"]
    assert (current["retention_coupon"], current["version"]) == ("STAY", seen.plan["version"])

    owner, viewer = [await api.browser(shop.customer, role) for role in (Role.OWNER, Role.VIEWER)]
    offer = (await owner.post(f"subscriptions/{one.id}/cancel/preview", json={})).json()["offer"]
    assert (offer["before_minor"], offer["after_minor"], offer["saves_minor"]) == (7_140, 3_570, 3_570)
    person, _ = await sign_in(api.world, shop.customer, Role.OWNER)
    person.at = f"/portal/subscriptions/{one.id}"
    page, _ = await person.call(SubscriptionState, "ask", "cancel")
    assert (page.offer["coupon"], page.offer["saves"], page.asking) == ("STAY", "35.7", "cancel")
    take = f"subscriptions/{one.id}/accept-offer"
    assert problem(await viewer.post(take, json={"coupon": "STAY"}), 403, "not_allowed")
    kept = await owner.post(take, json={"coupon": offer["coupon"]})
    assert ([row["code"] for row in kept.json()["coupons"]], kept.json()["state"]) == (["STAY"], "active")
    assert problem(await owner.post(take, json={"coupon": "STAY"}), 409, "offer_gone")
    _, told = await person.call(SubscriptionState, "stay")  # it is on screen still
    assert "not offered any more" in said(told)
    page, _ = await person.call(SubscriptionState, "ask", "cancel")
    assert page.offer == {}
