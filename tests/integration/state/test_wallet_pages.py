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
from services.wallets import wallets
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
