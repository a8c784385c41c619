"""Plans on pages: built from nothing in the governance console, compared in the portal."""

from __future__ import annotations

from typing import Any

import pytest

from models.identity import Organization
from models.types import OrganizationKind, Role
from services.catalog import plans
from services.core.crossing import Reason, crossing
from services.metering.service import ensure_platform_meters
from state.governance.plans import PlansState, PlanState
from state.portal.plans import PlansOnSaleState
from tests.integration.state.visitor import Visitor, said, sent_to, sign_in
from tests.world import World

BASE: dict[str, Any] = {
    "name": "Base", "key": "base", "kind": "flat", "model": "flat", "currency": "USD", "amount": "20",
    "interval": "month", "interval_count": "1", "timing": "advance", "proration": "day",
}  # fmt: skip
TOKENS: dict[str, Any] = {
    "name": "Tokens", "key": "tokens", "kind": "metered", "model": "graduated", "meter": "prompt_tokens",
    "currency": "USD", "interval": "month", "interval_count": "1", "tiers": "1000000 0\n* 0.000002 1",
}  # fmt: skip


@pytest.fixture
async def operator(world: World) -> Organization:
    async with crossing(Reason.DEMO) as uow:
        await ensure_platform_meters(uow)
    return await world.organization(OrganizationKind.OPERATOR)


async def begun(world: World, operator: Organization, slug: str = "team") -> Visitor:
    """Staff on the page of a plan with an empty draft."""
    staff, _ = await sign_in(world, operator, Role.OPERATOR)
    async with crossing(Reason.STAFF, actor=world.actor(operator, Role.OPERATOR)) as uow:
        product = await plans.create_product(uow, slug=f"of-{slug}", name="AI")
        plan = await plans.create_plan(uow, product_id=product.id, slug=slug, name=slug.title())
    staff.at = f"/governance/plans/{plan.id}"
    await staff.call(PlanState, "load")
    return staff


async def add(staff: Visitor, values: dict[str, Any]) -> PlanState:
    await staff.call(PlanState, "add_charge")
    await staff.call(PlanState, "choose_kind", values["kind"])
    return (await staff.call(PlanState, "save_charge", values))[0]


async def test_a_plan_is_built_published_and_compared(world: World, operator: Organization) -> None:
    staff = await begun(world, operator)
    seen = await staff.state(PlanState)
    assert seen.missing.startswith("Nothing here is billed")

    seen = await add(staff, {**TOKENS, "tiers": "1000000 0\n* 0.000002 1 2"})
    assert (seen.open_dialog, list(seen.errors)) == ("charge", ["tiers"])
    seen = await add(staff, {**TOKENS, "tiers": "1000000 0\n2000000 0.000002"})
    assert "would have no price" in seen.errors["tiers"]
    assert seen.charges == []
    for wrong, field in (
        ({"amount": "0.1234567890123"}, "amount"),
        ({"currency": "XXQ"}, "currency"),
        ({"interval_count": "61"}, "interval_count"),
        ({"amount": "many"}, "amount"),
        ({"key": "Base!"}, "key"),
    ):
        assert list((await add(staff, {**BASE, **wrong})).errors) == [field]
    await add(staff, BASE)
    await add(staff, {**BASE, "currency": "EUR"})
    seen = await add(staff, TOKENS)
    assert (seen.open_dialog, [row["key"] for row in seen.charges]) == ("", ["base", "base", "tokens"])
    assert seen.missing.startswith("'tokens' has no price in EUR")
    assert [line["what"] for line in seen.charges[2]["lines"]] == ["free", "tier"]
    edited, _ = await staff.call(PlanState, "ask_charge", seen.charges[2]["id"], "copy")
    assert edited.form["tiers"] == "1000000 0\n* 0.000002 1"
    seen, _ = await staff.call(PlanState, "save_charge", {"currency": "EUR"})
    assert (seen.missing, len(seen.charges)) == ("", 4)

    refused, _ = await staff.call(PlanState, "save_terms", {"trial_days": 731, "tax_code": "software"})
    assert (list(refused.terms_errors), refused.errors) == (["trial_days"], {})
    await staff.call(PlanState, "save_terms", {"trial_days": 14, "tax_code": "software"})
    await staff.call(
        PlanState, "save_entitlement", {"key": "sso", "name": "SSO", "kind": "flag", "value": "true"}
    )
    seen, _ = await staff.call(
        PlanState, "reckon", {"charge_id": seen.charges[2]["id"], "quantity": "3500000"}
    )
    assert (seen.estimate["total"], [step["amount"] for step in seen.steps]) == ("6", ["0", "6"])
    seen, _ = await staff.call(PlanState, "reckon", {"charge_id": seen.charges[2]["id"], "quantity": "-1"})
    assert "not negative" in seen.estimate_errors["quantity"]

    await staff.call(PlanState, "publish")
    seen, _ = await staff.call(PlanState, "load")
    assert (seen.version["state"], seen.versions[0]["charges"]) == ("published", 4)
    seen, answer = await staff.call(PlanState, "save_terms", {"trial_days": 1, "tax_code": "x"})
    assert seen.version["trial_days"] == 14
    assert "never changed" in said(answer)
    _, answer = await staff.call(PlanState, "draft")
    assert sent_to(answer) == seen.plan["href"]
    listed, _ = await staff.call(PlansState, "load")
    assert [(row["slug"], row["state"], row["published"], row["draft"]) for row in listed.rows] == [
        ("team", "published", 1, 2)
    ]

    client, _ = await sign_in(world, await world.organization(currency="EUR"), Role.VIEWER)
    client.at = "/portal/plans"
    shown, _ = await client.call(PlansOnSaleState, "load")
    (card,) = shown.plans
    assert (card["name"], card["sold"], card["trial_days"]) == ("Team", True, 14)
    assert (card["base"], [(row["key"], row["currency"]) for row in card["charges"]]) == (
        "20",
        [("tokens", "EUR")],
    )
    assert [(one["id"], one["chosen"]) for one in shown.currencies] == [("EUR", True), ("USD", False)]
    client.at = shown.currencies[1]["href"]
    shown, _ = await client.call(PlansOnSaleState, "load")
    assert {row["currency"] for row in shown.plans[0]["charges"]} == {"USD"}


async def test_what_somebody_else_saved_meanwhile_is_not_overwritten(
    world: World, operator: Organization
) -> None:
    first = await begun(world, operator)
    second, _ = await sign_in(world, operator, Role.OPERATOR)
    second.at = first.at
    await second.call(PlanState, "load")
    await add(first, BASE)

    seen = await add(second, TOKENS)
    assert (seen.met["form"], seen.met["theirs"], seen.met["version"]) == ("charge", {}, 2)
    _, answer = await second.call(PlanState, "publish")
    assert "changed the version meanwhile" in said(answer)

    seen, _ = await second.call(PlanState, "load")
    assert ([row["key"] for row in seen.charges], seen.version["state"]) == (["base"], "draft")


async def test_both_values_are_shown_and_mine_go_over_theirs_and_nothing_else_of_theirs(
    world: World, operator: Organization
) -> None:
    first = await begun(world, operator)
    await add(first, BASE)
    seen = await add(first, BASE | {"currency": "EUR"})
    second, _ = await sign_in(world, operator, Role.OPERATOR)
    second.at = first.at
    await second.call(PlanState, "load")
    await second.call(PlanState, "ask_charge", seen.charges[1]["id"], "edit")
    await first.call(PlanState, "ask_charge", seen.charges[1]["id"], "edit")
    await first.call(PlanState, "save_charge", BASE | {"currency": "EUR", "amount": "21"})
    mine = BASE | {"currency": "EUR", "amount": "22"}

    seen, answer = await second.call(PlanState, "save_charge", mine)

    assert (answer, seen.open_dialog, seen.form["amount"]) == (None, "charge", "22")
    assert (seen.met["theirs"]["amount"], "@example.com" in seen.met["who"]) == ("21", True)
    terms = {"trial_days": 7, "tax_code": "software", "payment": "after"}
    await first.call(PlanState, "save_terms", terms)
    seen, _ = await second.call(PlanState, "save_charge", mine | {"version": seen.met["version"]})
    assert seen.met["times"] == 2  # what was shown is not the newest by now
    seen, _ = await second.call(PlanState, "save_charge", mine | {"version": seen.met["version"]})
    assert [(row["currency"], row["lines"][0]["amount"]) for row in seen.charges] == [
        ("USD", "20"), ("EUR", "22")
    ]  # fmt: skip
    assert (seen.open_dialog, seen.version["trial_days"]) == ("", 7)

    seen, _ = await first.call(PlanState, "save_terms", terms | {"trial_days": 9})
    assert (seen.met["form"], seen.met["theirs"]) == ("terms", terms)
    given = {"key": "help", "name": "Help", "kind": "text", "value": "by email"}
    await second.call(PlanState, "save_entitlement", given)
    seen, _ = await first.call(PlanState, "save_entitlement", given | {"value": "by phone"})
    assert (seen.met["form"], seen.met["theirs"]) == ("entitlement", given)
    seen, _ = await first.call(PlanState, "save_entitlement", given | {"version": seen.met["version"]})
    assert [row["key"] for row in seen.entitlements] == ["help"]


async def test_support_looks_and_changes_nothing(world: World, operator: Organization) -> None:
    staff = await begun(world, operator)
    await add(staff, BASE)
    support, _ = await sign_in(world, operator, Role.SUPPORT)
    support.at = staff.at

    seen, _ = await support.call(PlanState, "load")
    assert [row["key"] for row in seen.charges] == ["base"]
    for handler, arguments in (("publish", ()), ("remove_charge", ()), ("save_charge", (TOKENS,))):
        _, answer = await support.call(PlanState, handler, *arguments)
        assert "staff.plans.write" in said(answer)


async def test_the_dialog_that_renames_is_for_what_is_on_screen(world: World, operator: Organization) -> None:
    staff = await begun(world, operator)
    staff.at = "/governance/plans"
    seen, _ = await staff.call(PlansState, "load")
    (plan,), (product,) = seen.rows, seen.product_rows
    assert (product["name"], product["plans"]) == ("AI", 1)
    for kind, row in (("plan", plan), ("product", product)):
        seen, _ = await staff.call(PlansState, "ask_rename", kind, row["id"])
        assert (seen.open_dialog, seen.renaming["name"]) == (f"rename-{kind}", row["name"])
    seen, _ = await staff.call(PlansState, "ask_rename", "plan", product["id"])
    assert (seen.open_dialog, seen.renaming) == ("", {})
    seen, _ = await staff.call(PlansState, "changed", {})
    assert seen.open_dialog == ""
