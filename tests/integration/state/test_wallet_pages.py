"""Wallets and budgets on pages: what is left and used, for those who handle money, and for nobody else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from models.budgets import BudgetMeasure, BudgetPeriod
from models.money import Money
from models.types import OrganizationKind, Role
from services.budgets import budgets
from services.budgets.budgets import NewBudget
from services.core.actor import system
from services.core.work import unit_of_work
from services.identity import keys
from services.wallets import refills, wallets
from services.wallets.rules import TopUpRule
from state.governance.wallets import StaffWalletsState
from state.portal.budgets import BudgetsState
from state.portal.wallet import WalletState
from tests.integration.state.visitor import sign_in
from tests.world import World


async def test_what_is_paid_ahead_and_what_may_be_spent_is_seen_by_who_handles_money(world: World) -> None:
    acme, other = await world.organization(name="Acme"), await world.organization(name="Other")
    async with unit_of_work(system(acme.id)) as uow:
        await wallets.top_up(uow, money=Money(50_00, "USD"), payment_key="wire")
        soon = datetime.now(UTC) + timedelta(days=9)
        await wallets.grant(uow, money=Money(500, "JPY"), key="hello", expires_at=soon, note="Hello")
        await budgets.create_budget(
            uow, NewBudget("All", BudgetMeasure.TOKENS, BudgetPeriod.DAY, Decimal(1_000))
        )
    billing, _ = await sign_in(world, acme, Role.BILLING)
    billing.at = "/portal/wallet?source=promotion"

    seen, _ = await billing.call(WalletState, "load")

    assert {(row["currency"], row["left_minor"]) for row in seen.balances} == {("USD", "50"), ("JPY", "500")}
    assert [(row["left_minor"], row["note"]) for row in seen.rows] == [("500", "Hello")]
    billing.at = "/portal/budgets?state=open"
    seen, _ = await billing.call(BudgetsState, "load")
    assert [(row["spent"], row["limit_amount"], row["used_percent"]) for row in seen.rows] == [
        ("0", "1000", 0)
    ]

    staff, _ = await sign_in(world, await world.organization(OrganizationKind.OPERATOR), Role.SUPPORT)
    staff.at = "/governance/wallets?currency=USD"
    seen, _ = await staff.call(StaffWalletsState, "load")
    assert [(row["organization_name"], row["left_minor"]) for row in seen.rows] == [("Acme", "50")]
    stranger, _ = await sign_in(world, other)
    for kind, path in ((WalletState, "/portal/wallet"), (BudgetsState, "/portal/budgets")):
        stranger.at = path
        seen, _ = await stranger.call(kind, "load")
        assert seen.rows == []
    seen, _ = await stranger.call(StaffWalletsState, "load")
    assert seen.rows == []


async def test_a_budget_is_made_and_ended_on_its_page_and_refused_at_its_field(world: World) -> None:
    acme = await world.organization(name="Acme", currency="EUR")
    async with unit_of_work(world.actor(acme)) as uow:
        made = (await keys.create_key(uow, name="laptop")).key
    billing, _ = await sign_in(world, acme, Role.BILLING)
    billing.at = "/portal/budgets"
    seen, _ = await billing.call(BudgetsState, "load")
    assert (seen.currency, [one["id"] for one in seen.keys]) == ("EUR", [made.id])
    await billing.call(BudgetsState, "show", "new", True)
    given = {"name": "Laptop", "key_id": made.id, "limit": "50.25", "thresholds": "50, 100 %"}
    for wrong, field in (
        ({"limit": "0"}, "limit"),
        ({"limit": "1e3"}, "limit"),
        ({"measure": "tokens"}, "limit"),
        ({"thresholds": "80, a lot"}, "thresholds"),
        ({"thresholds": "0"}, "thresholds"),
        ({"name": " "}, "name"),
        ({"model": "nothing"}, "model"),
        ({"period": "year"}, "period"),
        ({"action": "throttle"}, "requests_per_minute"),
        ({"action": "throttle", "requests_per_minute": "few"}, "requests_per_minute"),
    ):
        seen, _ = await billing.call(BudgetsState, "save", given | wrong)
        assert (list(seen.errors), seen.error, seen.open_dialog) == ([field], "", "new"), wrong
        await billing.call(BudgetsState, "show", "new", True)
    seen, _ = await billing.call(BudgetsState, "save", given | {"key_id": "apikey_nothing"})
    assert (seen.errors, seen.open_dialog) == ({}, "new")
    assert "apikey_nothing" in seen.error

    seen, answer = await billing.call(BudgetsState, "save", given)
    assert (seen.open_dialog, answer) == ("", BudgetsState.load)
    seen, _ = await billing.call(BudgetsState, "load")
    (row,) = seen.rows
    assert (row["limit_amount"], row["currency"], row["measure"], row["period"], row["thresholds"]) == (
        "50.25",
        "EUR", "cost", "month", "50, 100",
    )  # fmt: skip
    seen, _ = await billing.call(BudgetsState, "ask", row["id"], "edit")
    assert (seen.form["name"], seen.form["limit"], seen.form["action"]) == ("Laptop", "50.25", "notify")
    developer, _ = await sign_in(world, acme, Role.DEVELOPER)
    developer.at = billing.at
    seen, _ = await developer.call(BudgetsState, "load")
    assert len(seen.rows) == 1
    _, refused = await developer.call(BudgetsState, "save", given)
    assert "budgets.write" in str(refused)
    await billing.call(BudgetsState, "ask", row["id"], "archive")
    await billing.call(BudgetsState, "archive")
    seen, _ = await billing.call(BudgetsState, "load")
    assert seen.rows[0]["state"] == "archived"


async def test_a_rule_for_top_ups_is_asked_for_where_there_is_a_wallet_and_where_there_is_none(
    world: World,
) -> None:
    acme = await world.organization(name="Acme", currency="EUR")
    billing, _ = await sign_in(world, acme, Role.BILLING)
    billing.at = "/portal/wallet"
    seen, _ = await billing.call(WalletState, "load")
    assert (seen.balances, seen.may_begin) == ([], True)
    seen, _ = await billing.call(WalletState, "ask_rule", "", "rule")
    assert (seen.open_dialog, seen.chosen["currency"], seen.chosen["version"]) == ("rule", "EUR", None)
    async with unit_of_work(system(acme.id)) as uow:
        await refills.set_rule(uow, "EUR", TopUpRule(20_00, 50_00, 200_00))
    seen, _ = await billing.call(WalletState, "changed")
    seen, _ = await billing.call(WalletState, "load")
    assert (seen.open_dialog, seen.may_begin) == ("", False)
    assert [(one["threshold_minor"], one["refill_minor"], one["ceiling_minor"]) for one in seen.balances] == [
        ("20", "50", "200")
    ]
    seen, _ = await billing.call(WalletState, "ask_rule", "EUR", "remove")
    assert (seen.open_dialog, seen.chosen["version"]) == ("remove", 2)
    viewer, _ = await sign_in(world, acme, Role.VIEWER)
    viewer.at = billing.at
    _, refused = await viewer.call(WalletState, "ask_rule", "EUR", "rule")
    assert "wallet.write" in str(refused)
