"""Dunning over HTTP: campaigns, the customers in them, and what a campaign would have done."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from models.identity import Organization
from models.money import Money
from models.types import Role
from services.core.clock import FixedClock
from services.dunning import running
from services.payments import transfers
from tests.api.conftest import Api, problem
from tests.integration.billing.shop import line, open_shop
from tests.integration.payments.failures import fail

CAMPAIGNS, CASES = "staff/dunning-campaigns", "staff/dunning"


async def test_staff_makes_a_campaign_and_decides_about_the_customers_in_it(
    api: Api, operators: Organization
) -> None:
    shop = await open_shop(api.world, payment_days=0)
    invoice = await shop.invoice(line("100"))
    staff, support = [await api.browser(operators, role) for role in (Role.OPERATOR, Role.SUPPORT)]
    body = {
        "name": "Usual",
        "enabled": True,
        "retry_days": "1, 3",
        "steps": "2 in app\n4 restrict\n30 write_off",
    }

    assert problem(await support.post(CAMPAIGNS, json=body), 403, "not_allowed")
    for wrong in ("", "4 mail\n2 mail", "x mail", "3 shout", "3", "2 write_off\n3 mail", "999 mail"):
        assert (await staff.post(CAMPAIGNS, json=body | {"steps": wrong})).status_code == 422, wrong
    assert problem(await staff.post(CAMPAIGNS, json=body | {"retry_days": [3, 1]}), 422, "invalid_input")
    assert problem(await staff.post(CAMPAIGNS, json=body | {"minimum_minor": 5}), 422, "invalid_input")
    made = await staff.post(CAMPAIGNS, json=body)
    assert made.status_code == 201, made.text
    assert made.json()["steps"][0] == {"after_days": 2, "action": "in_app"}
    assert problem(await staff.post(CAMPAIGNS, json=body), 409, "dunning_campaign_named")
    learned = (await support.get(f"{CAMPAIGNS}/learned-hours")).json()
    assert (learned["is_synthetic"], learned["fixed_percent"], learned["retries"]) == (True, "20.0", 10_000)
    home = f"{CAMPAIGNS}/{made.json()['id']}"
    changed = await staff.put(home, json=body | {"rank": 3}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.json()["rank"], changed.json()["version"]) == (200, 3, 2)
    assert problem(await staff.put(home, json=body, headers={"If-Match": '"1"'}), 412, "stale_version")

    for days in (1, 4):
        await running.remind_due(clock=FixedClock(shop.now + timedelta(days=days)))
    (case,) = (await support.get(CASES, params={"organization_id": shop.customer.id})).json()["data"]
    assert (case["invoice_number"], case["done"], case["next_action"], case["due_minor"]) == (
        invoice.number, 1, "restrict", 11_900,
    )  # fmt: skip
    at = f"{CASES}/{case['id']}"
    assert problem(await support.post(f"{at}/pause"), 403, "not_allowed")
    assert (await staff.post(f"{at}/pause")).json()["state"] == "paused"
    assert problem(await staff.post(f"{at}/pause"), 409, "dunning_state")
    assert (await staff.post(f"{at}/resume")).json()["state"] == "active"
    shown = (await support.get(at)).json()["each_step"]
    assert [(one["action"], one["done_at"] is not None, one["recovered_minor"]) for one in shown] == [
        ("in_app", True, 0), ("restrict", False, 0), ("write_off", False, 0),
    ]  # fmt: skip
    shop.now += timedelta(days=4)
    async with shop.work() as uow:
        await transfers.record(uow, money=Money(19_00, "EUR"), key="part", invoice_id=invoice.id)
    assert (await support.get(at)).json()["each_step"][0]["recovered_minor"] == 19_00
    assert (await staff.post(f"{at}/skip")).json()["outcome"] == "skipped"
    assert problem(await staff.get(f"{CASES}/dcas_x"), 404, "not_found")
    (listed,) = (await support.get(CAMPAIGNS)).json()["data"]
    assert (listed["open_cases"], listed["recovered"], listed["lost"]) == (0, {"EUR": 19_00}, {})
    assert listed["by_step"] == [
        {"position": 0, "action": "in_app", "currency": "EUR", "done": 1, "recovered_minor": 19_00}
    ]


async def test_staff_leaves_a_customer_alone_for_a_while(api: Api, operators: Organization) -> None:
    shop = await open_shop(api.world)
    staff, support = [await api.browser(operators, role) for role in (Role.OPERATOR, Role.SUPPORT)]
    home, said = f"staff/organizations/{shop.customer.id}/dunning-holds", {"reason": "We talk", "days": 3}

    assert problem(await support.post(home, json=said), 403, "not_allowed")
    for wrong in (
        {"reason": ""},
        {"days": 0},
        {"days": 400},
        {"until": "2020-01-01T00:00:00Z", "days": None},
    ):
        assert problem(await staff.post(home, json=said | wrong), 422, "invalid_input"), wrong
    assert problem(await staff.post("staff/organizations/org_x/dunning-holds", json=said), 404, "not_found")
    made = await staff.post(home, json=said)
    assert (made.status_code, made.json()["state"], made.json()["lifts"]) == (201, "open", False)
    assert problem(await staff.post(home, json=said), 409, "customer_held")

    at = f"staff/dunning-holds/{made.json()['id']}"
    assert problem(await support.post(f"{at}/release"), 403, "not_allowed")
    for _ in range(2):
        assert (await staff.post(f"{at}/release")).json()["state"] == "ended"
    (listed,) = (await support.get("staff/dunning-holds", params={"state": "ended"})).json()["data"]
    assert listed == (await support.get(at)).json()
    assert problem(await staff.get("staff/dunning-holds/dhld_x"), 404, "not_found")


async def test_a_campaign_is_tried_on_what_was_declined_in_its_segment(
    api: Api, operators: Organization
) -> None:
    shop = await open_shop(api.world, payment_days=0)
    support = await api.browser(operators, Role.SUPPORT)
    small, large = await shop.invoice(line("100")), await shop.invoice(line("1000"))
    for one in (small, large):
        await fail(shop, one, "provider_unavailable", days_ago=12)  # nobody was asked
        await fail(shop, one, "insufficient_funds", days_ago=11)
        await fail(shop, one, "insufficient_funds", days_ago=10)
    for code in ("provider_unavailable", "never_arrived", "expired", "paid_in_part"):
        await fail(shop, await shop.invoice(line("70")), code)
    await fail(shop, await shop.invoice(line("80")), "lost_card", days_ago=99)

    async def tried(**segment: object) -> Any:
        body = {"steps": "3 mail\n4 suspend", "retry_days": "1, 3", **segment}
        return (await support.post(f"{CAMPAIGNS}/simulate", json=body)).json()

    everybody = await tried()
    assert [everybody[name] for name in ("invoices", "retries", "mails", "suspended", "restricted")] == [
        2, 4, 2, 2, 0,
    ]  # fmt: skip
    assert everybody["sums"] == [{"currency": "EUR", "failed": 1_309_00, "came": 0, "expected": 609_50}]
    for segment, invoices in (
        ({"currency": "EUR"}, 2), ({"currency": "USD"}, 0), ({"country": "DE"}, 2), ({"country": "FR"}, 0),
        ({"currency": "EUR", "maximum_minor": 119_00}, 1), ({"currency": "EUR", "minimum_minor": 119_01}, 1),
    ):  # fmt: skip
        assert (await tried(**segment))["invoices"] == invoices, segment
    assert (await tried(plan_id="plan_x"))["code"] == "not_found"
    assert (await tried(minimum_minor=1))["code"] == "invalid_input"
