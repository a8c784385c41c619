"""Wallets and budgets on pages: what is left and used, for those who handle money, and for nobody else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from models.budgets import BudgetMeasure, BudgetPeriod
from models.money import Money
from models.types import OrganizationKind, Role
from services.billing import finalizing
from services.budgets import budgets
from services.budgets.budgets import NewBudget
from services.core.actor import system
from services.core.crossing import Reason, crossing
from services.core.work import unit_of_work
from services.identity import keys
from services.papers import templates
from services.papers.designs import Design
from services.wallets import refills, wallets
from services.wallets.rules import TopUpRule
from state.governance.wallets import (
    StaffLotsState,
    StaffTopUpsState,
    StaffWalletDebitsState,
    StaffWalletsState,
    StaffWalletUsesState,
)
from state.portal.budgets import BudgetsState
from state.portal.invoices import InvoiceState
from state.portal.wallet import WalletDebitsState, WalletState, WalletTopUpsState, WalletUsesState
from tests.integration.billing.shop import line, open_shop
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


async def test_a_top_up_that_is_due_says_where_to_send_the_money(world: World) -> None:
    shop = await open_shop(world)
    await shop.new_customer(name="Acme", currency="EUR")
    async with shop.work() as uow:
        await refills.set_rule(uow, "EUR", TopUpRule(20_00, 50_00, 200_00))
    billing, _ = await sign_in(world, shop.customer, Role.BILLING)
    billing.at = "/portal/wallet/top-ups"
    seen, _ = await billing.call(WalletTopUpsState, "load")
    (due,) = seen.rows

    seen, _ = await billing.call(WalletTopUpsState, "pay_now", due["id"])

    assert (seen.open_dialog, seen.asked, seen.bank) == (
        "pay",
        "50.00\u00a0EUR",
        {},
    )  # nobody named an account
    operator = world.actor(await world.organization(OrganizationKind.OPERATOR), Role.OPERATOR)
    async with crossing(Reason.STAFF, actor=operator) as uow:
        draft = await templates.begin(uow, legal_entity_id=shop.entity.id)
        design = Design(account="DE02100500000054540402", account_name="Matrix GmbH")
        await templates.change(uow, draft.id, design, version=draft.version)
        await templates.publish(uow, draft.id)
    seen, _ = await billing.call(WalletTopUpsState, "pay_now", due["id"])
    assert seen.bank["account"] == "DE02100500000054540402"
    seen, _ = await billing.call(WalletTopUpsState, "pay_now", "wtop_of_nobody")
    assert seen.open_dialog == ""
    viewer, _ = await sign_in(world, shop.customer, Role.VIEWER)
    viewer.at = billing.at
    _, refused = await viewer.call(WalletTopUpsState, "pay_now", due["id"])
    assert "payments.write" in str(refused)


async def test_each_lot_is_traced_to_what_it_paid_for_on_pages_of_both_consoles(world: World) -> None:
    shop = await open_shop(world)
    await shop.new_customer(name="Acme", currency="EUR")
    shop.now = datetime.now(UTC)
    first = await shop.draft(line("60"))
    async with shop.work() as uow:
        for key, minor in (("a", 50_00), ("b", 40_00)):
            await wallets.grant(uow, money=Money(minor, "EUR"), key=key, note=key)
        await finalizing.finalize(uow, first.id)  # 71.40 with its tax: the wallet pays at once
    billing, _ = await sign_in(world, shop.customer, Role.BILLING)
    billing.at = "/portal/wallet/debits"

    seen, _ = await billing.call(WalletDebitsState, "load")

    (debit,) = seen.rows
    assert (debit["kind"], debit["minor"], debit["cause_href"]) == (
        "invoice", "71.4", f"/portal/invoices/{first.id}",
    )  # fmt: skip
    assert debit["cause"] == (await shop.read(first)).number
    billing.at = debit["href"]
    seen, _ = await billing.call(WalletUsesState, "load")
    assert sorted(row["minor"] for row in seen.rows) == ["21.4", "50"]
    billing.at = "/portal/wallet"
    seen, _ = await billing.call(WalletState, "load")
    lots = {row["note"]: row for row in seen.rows}
    billing.at = lots["b"]["href"]
    seen, _ = await billing.call(WalletUsesState, "load")
    assert [(row["lot_id"], row["minor"]) for row in seen.rows] == [(lots["b"]["id"], "21.4")]

    staff, _ = await sign_in(world, await world.organization(OrganizationKind.OPERATOR), Role.SUPPORT)
    for kind, path in (
        (StaffLotsState, "lots"),
        (StaffWalletDebitsState, "debits"),
        (StaffWalletUsesState, "uses"),
        (StaffTopUpsState, "top-ups"),
    ):
        staff.at = f"/governance/wallets/{path}?organization_id={shop.customer.id}"
        seen, _ = await staff.call(kind, "load")
        assert (seen.status, [row["organization_name"] for row in seen.rows]) == (
            "ready",
            ["Acme"] * {"debits": 1, "top-ups": 0}.get(path, 2),
        ), path
    _, refused = await staff.call(StaffWalletsState, "show", "grant", True)
    assert "staff.wallets.write" in str(refused)
    stranger, _ = await sign_in(world, await world.organization())
    for kind in (WalletDebitsState, WalletUsesState):
        stranger.at = f"/portal/wallet/uses?lot_id={lots['b']['id']}"
        assert (await stranger.call(kind, "load"))[0].rows == []


async def test_an_invoice_says_what_the_wallet_would_pay_of_it_and_pays_nothing_by_that(world: World) -> None:
    shop = await open_shop(world)
    await shop.new_customer(name="Acme", currency="EUR")
    shop.now = datetime.now(UTC)
    invoice = await shop.draft(line("60"))
    async with shop.work() as uow:
        await finalizing.finalize(uow, invoice.id)
    billing, _ = await sign_in(world, shop.customer, Role.BILLING)
    billing.at = f"/portal/invoices/{invoice.id}"
    seen, _ = await billing.call(InvoiceState, "load")
    assert seen.wallet == {}
    async with shop.work() as uow:
        await wallets.grant(uow, money=Money(50_00, "EUR"), key="a")

    seen, _ = await billing.call(InvoiceState, "load")

    assert (seen.wallet["pays"], seen.wallet["due"]) == ("50.00\u00a0EUR", "21.40\u00a0EUR")
    assert (await shop.read(invoice)).due_minor == 71_40
    async with shop.work() as uow:
        await wallets.grant(uow, money=Money(50_00, "EUR"), key="b")
    seen, _ = await billing.call(InvoiceState, "load")
    assert (seen.wallet["pays"], seen.wallet["due"]) == ("71.40\u00a0EUR", "")
