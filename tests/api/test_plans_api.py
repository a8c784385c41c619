"""Plans over HTTP: built by staff from nothing, compared and estimated by clients."""

from __future__ import annotations

from typing import Any

import pytest

from models.identity import Organization
from models.types import Role
from services.core.crossing import Reason, crossing
from services.metering.service import ensure_platform_meters
from tests.api.conftest import Api, problem

FLAT: dict[str, Any] = {
    "key": "base", "name": "Base", "kind": "flat", "currency": "USD", "interval": "month",
    "definition": {"model": "flat", "amount": "20"},
}  # fmt: skip
TOKENS: dict[str, Any] = {
    "key": "tokens", "name": "Tokens", "kind": "metered", "meter": "prompt_tokens", "currency": "USD",
    "interval": "month",
    "definition": {"model": "graduated", "tiers": [
        {"up_to": "1000000", "unit_amount": "0"}, {"up_to": None, "unit_amount": "0.000002", "flat_amount": "1"},
    ]},
}  # fmt: skip
DRAFT: dict[str, Any] = {
    "charges": [FLAT, TOKENS],
    "entitlements": [{"key": "sso", "name": "Single sign-on", "kind": "flag", "value": "true"}],
    "trial_days": 14,
}


def refused_at(answer: Any) -> str:
    """The place in the body that was refused."""
    pointer = problem(answer, 422, "invalid_input")["errors"][0]["pointer"]
    return pointer.removeprefix("#/").replace("/", ".")


async def drafted(api: Api, operators: Organization) -> tuple[Any, str, str]:
    """Staff, the id of a plan, and that of its draft."""
    async with crossing(Reason.DEMO) as uow:
        await ensure_platform_meters(uow)
    staff = await api.browser(operators, Role.OPERATOR)
    product = (await staff.post("staff/products", json={"slug": "ai", "name": "AI"})).json()
    asked = {"product_id": product["id"], "slug": "team", "name": "Team"}
    first = await staff.post("staff/plans", json=asked, headers={"Idempotency-Key": "once"})
    again = await staff.post("staff/plans", json=asked, headers={"Idempotency-Key": "once"})
    assert (first.status_code, again.json()) == (201, first.json())
    plan_id = first.json()["id"]
    versions = (await staff.get("staff/plan-versions", params={"plan_id": plan_id})).json()["data"]
    return staff, plan_id, versions[0]["id"]


async def test_a_plan_goes_from_an_empty_catalogue_to_a_clients_estimate(
    api: Api, acme: Organization, operators: Organization
) -> None:
    staff, plan_id, version_id = await drafted(api, operators)
    client = await api.browser(acme, Role.VIEWER)
    path = f"staff/plan-versions/{version_id}"

    saved = await staff.put(path, json=DRAFT, headers={"If-Match": '"1"'})
    assert saved.status_code == 200, saved.text
    assert saved.json()["charges"][1]["definition"]["tiers"][1]["above"] == "1000000"
    assert saved.json()["charges"][1]["timing"] == "arrears"
    problem(await staff.put(path, json={**DRAFT, "version": 1}), 412, "stale_version")
    problem(await staff.post(f"{path}/publish", headers={"If-Match": '"1"'}), 412, "stale_version")
    assert (await client.get("plans")).json()["data"] == []
    problem(await client.get(path), 403, "not_allowed")

    published = await staff.post(f"{path}/publish", headers={"If-Match": saved.headers["etag"]})
    assert (published.status_code, published.json()["state"]) == (200, "published")
    problem(await staff.put(path, json=DRAFT), 409, "version_published")

    plan = (await client.get("plans")).json()["data"][0]
    assert (plan["slug"], plan["number"], plan["trial_days"]) == ("team", 1, 14)
    assert [one["key"] for one in plan["charges"]] == ["base", "tokens"]
    assert plan["entitlements"] == DRAFT["entitlements"]
    estimate = f"plans/{plan_id}/versions/1/estimate"
    asked = {"charge_id": plan["charges"][1]["id"], "quantity": "3500000.5"}
    answer = (await client.post(estimate, json=asked)).json()
    assert (answer["amount"], answer["total_minor"], answer["currency"]) == ("6.000001", 600, "USD")
    assert [(one["quantity"], one["amount"], one["up_to"]) for one in answer["steps"]] == [
        ("1000000", "0", "1000000"),
        ("2500000.5", "6.000001", None),
    ]
    for wrong, field in (
        ({**asked, "quantity": "-1"}, "quantity"),
        ({**asked, "charge_id": "pchg_x"}, "charge_id"),
    ):
        assert refused_at(await client.post(estimate, json=wrong)) == field
    problem(await client.post(f"plans/{plan_id}/versions/2/estimate", json=asked), 404, "not_found")

    second = await staff.post(f"staff/plans/{plan_id}/versions")
    assert (second.status_code, second.json()["number"], len(second.json()["charges"])) == (201, 2, 2)
    by_draft = {"charge_id": second.json()["charges"][0]["id"], "quantity": "1"}
    estimated = await staff.post(f"staff/plan-versions/{second.json()['id']}/estimate", json=by_draft)
    assert estimated.json()["total_minor"] == 2_000
    row = (await staff.get(f"staff/plans/{plan_id}")).json()
    assert (row["published"], row["draft"], row["product_name"]) == (1, 2, "AI")
    assert (await staff.post(f"{path}/retire")).json()["state"] == "retired"
    assert (await client.get("plans")).json()["data"] == []


async def test_products_and_plans_are_renamed_and_keep_their_slugs(
    api: Api, acme: Organization, operators: Organization
) -> None:
    staff, plan_id, _ = await drafted(api, operators)
    plan = (await staff.get(f"staff/plans/{plan_id}")).json()
    for path, slug in ((f"staff/plans/{plan_id}", "team"), (f"staff/products/{plan['product_id']}", "ai")):
        for given in (
            {"name": "Crew", "description": "For many"},
            {"description": "For all"},
            {"name": " Crew "},
        ):
            answer = await staff.patch(path, json=given)
            assert answer.status_code == 200, answer.text
        said = answer.json()
        assert (said["name"], said["description"], said["slug"]) == ("Crew", "For all", slug)
        assert refused_at(await staff.patch(path, json={"name": " "})) == "name"
        problem(await staff.patch(f"{path[:-4]}none", json={"name": "Crew"}), 404, "not_found")
        reader = await api.browser(operators, Role.SUPPORT)
        problem(await reader.patch(path, json={"name": "Crew"}), 403, "not_allowed")
        kind = path.split("/")[1].removesuffix("s")
        events = (await staff.get("staff/audit", params={"type": f"{kind}.renamed"})).json()["data"]
        assert len(events) == 2  # the last changed nothing


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"definition": {"model": "flat", "amount": "0.1234567890123"}}, "charges.0.definition.amount"),
        ({"definition": {"model": "flat", "amount": 0.1}}, "charges.0.definition.amount"),
        ({"definition": {"model": "flat", "amount": "1", "rate": "1"}}, "charges.0.definition.rate"),
        ({"definition": {"model": "flat"}}, "charges.0.definition.amount"),
        ({"currency": "EURO"}, "charges.0.currency"),
        ({"interval": "fortnight"}, "charges.0.interval"),
        ({"kind": "metered", "meter": "requests", "definition": {"model": "volume", "tiers": [
            {"up_to": "5", "unit_amount": "1"}, {"above": "4", "up_to": None, "unit_amount": "1"}]}},
         "charges.0.definition.tiers.1.above"),
    ],
)  # fmt: skip
async def test_a_draft_that_is_unsound_is_refused_at_its_place(
    api: Api, operators: Organization, change: dict[str, Any], field: str
) -> None:
    staff, _, version_id = await drafted(api, operators)

    refused = await staff.put(f"staff/plan-versions/{version_id}", json={"charges": [{**FLAT, **change}]})

    assert refused_at(refused) == field
    assert (await staff.get(f"staff/plan-versions/{version_id}")).json()["charges"] == []


async def test_a_coupon_is_offered_and_archived(
    api: Api, acme: Organization, operators: Organization
) -> None:
    staff = await api.browser(operators, Role.OPERATOR)
    asked = {"code": "Spring-25", "name": "Spring", "rate": "0.25", "duration": "periods", "periods": 3}
    made = await staff.post("staff/coupons", json=asked)
    assert (made.status_code, made.json()["rate"], made.json()["state"]) == (201, "0.25", "active")
    path = f"staff/coupons/{made.json()['id']}"
    assert (await staff.get(path)).json()["periods"] == 3
    assert refused_at(await staff.post("staff/coupons", json={**asked, "code": "x", "rate": "2"})) == "rate"
    problem(await staff.post("staff/coupons", json={**asked, "code": "SPRING-25"}), 409, "conflict")
    assert (await staff.post(f"{path}/archive")).json()["state"] == "archived"
    listed = await staff.get("staff/coupons", params={"state": "archived"})
    assert [one["code"] for one in listed.json()["data"]] == ["Spring-25"]
    for role in (Role.OWNER, Role.BILLING):
        problem(await (await api.browser(acme, role)).get("staff/coupons"), 403, "not_allowed")
