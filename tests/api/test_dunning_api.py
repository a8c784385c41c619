"""Dunning over HTTP: campaigns, the customers in them, and what a campaign would have done."""

from __future__ import annotations

from datetime import timedelta

from models.identity import Organization
from models.types import Role
from services.core.clock import FixedClock
from services.dunning import running
from tests.api.conftest import Api, problem
from tests.integration.billing.shop import line, open_shop

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
    assert (await staff.post(f"{at}/skip")).json()["outcome"] == "skipped"
    assert problem(await staff.get(f"{CASES}/dcas_x"), 404, "not_found")
    (listed,) = (await support.get(CAMPAIGNS)).json()["data"]
    assert (listed["open_cases"], listed["recovered"]) == (0, {})

    tried = (await support.post(f"{CAMPAIGNS}/simulate", json={"steps": "3 mail"})).json()
    assert (tried["invoices"], tried["sums"]) == (0, [])
