"""Paying on a chain from the portal: what is asked for, shown as people and wallets read it, and what came; what staff
says coins cost, and what it cannot give back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from models.refunds import RefundTo
from models.types import OrganizationKind, Role
from services.core.errors import Invalid
from services.payments import cashier as cashiers
from services.refunds import refunds
from services.refunds.refunds import Wanted
from state.governance.crypto_rates import CryptoRatesState
from state.governance.refunds import StaffPaymentState
from state.portal.invoices import InvoiceState
from state.portal.payments import PaymentState
from tests.fakes.anvil.running import CHAIN_ID, running_anvil
from tests.integration.billing.shop import line, open_shop
from tests.integration.payments.chain_till import open_chain_till
from tests.integration.state.visitor import sent_to, sign_in
from tests.world import World


async def test_a_payment_on_a_chain_shows_where_to_send_what_and_what_came(world: World) -> None:
    shop = await open_shop(world)
    with running_anvil(at=shop.now) as anvil:
        async with open_chain_till(shop, anvil) as till:
            cashiers.install(till.cashier)
            invoice = await shop.invoice(line("100"))
            owner, _ = await sign_in(world, shop.customer)
            owner.at = f"/portal/invoices/{invoice.id}"
            seen, _ = await owner.call(InvoiceState, "load")
            assert [(way["id"].rpartition(":")[2], way["label"]) for way in seen.ways] == [
                ("ETH", "Chain (ETH)"), ("USDX", "Chain (USDX)"),
            ]  # fmt: skip
            asked = await till.ask(invoice)
            _, answer = await owner.call(InvoiceState, "go_on", {"id": asked.payment_id})
            owner.at = sent_to(answer)
            assert owner.at == f"/portal/payments/{asked.payment_id}"
            seen, _ = await owner.call(PaymentState, "load")
            shown = seen.on_chain
            assert (shown["address"], shown["named"], shown["received"]) == (
                asked.address,
                "0.05 ETH",
                "0 ETH",
            )
            assert shown["uri"] == f"ethereum:{asked.address}@{CHAIN_ID}?value={asked.expected_units}"
            assert shown["picture"].startswith("data:image/svg+xml")

            whole = int(asked.expected_units)
            anvil.send(asked.address, 2 * whole // 5)
            await till.watch(1)
            seen, _ = await owner.call(PaymentState, "follow")
            assert (seen.payment["state"], seen.on_chain["missing"]) == ("processing", "0.03")
            assert seen.on_chain["uri"].endswith(f"?value={3 * whole // 5}")
            anvil.send(asked.address, 3 * whole // 5)
            await till.watch(1)
            seen, _ = await owner.call(PaymentState, "follow")
            assert (seen.payment["state"], seen.on_chain["received"]) == ("processing", "0.05 ETH")
            assert [(one["state"], one["confirmations"]) for one in seen.came] == [
                ("seen", "1/3"), ("seen", "2/3"),
            ]  # fmt: skip
            assert (seen.on_chain["depth"], seen.on_chain["missing"], seen.receipt) == (1, "0", {})
            await till.watch(2)
            seen, _ = await owner.call(PaymentState, "follow")

            assert (seen.payment["state"], seen.came[0]["confirmations"]) == ("succeeded", "3/3")
            assert seen.receipt["buyer"]
            assert seen.receipt["seller"]
            owner.at = f"/portal/invoices/{invoice.id}"
            seen, _ = await owner.call(InvoiceState, "follow")
            assert (seen.invoice["state"], seen.may_pay) == ("paid", False)

            staff, _ = await sign_in(
                world, await world.organization(OrganizationKind.OPERATOR), Role.OPERATOR
            )
            staff.at = f"/governance/payments/{asked.payment_id}"
            seen, _ = await staff.call(StaffPaymentState, "load")
            assert (seen.goes_back, seen.preview["amount"]) == (False, "119.00\u00a0EUR")
            async with shop.work() as uow:
                with pytest.raises(Invalid) as refused:
                    await refunds.start(uow, Wanted(asked.payment_id, "key", "Agreed"), above={})
                assert refused.value.field == "to"
                as_credit = Wanted(asked.payment_id, "key", "Agreed", RefundTo.CREDIT)
                assert (await refunds.start(uow, as_credit, above={"*": 2**40})).state == "succeeded"
            await cashiers.close()


async def test_staff_says_what_coins_cost_and_sees_what_it_said_before(world: World) -> None:
    operators = await world.organization(OrganizationKind.OPERATOR)
    staff, _ = await sign_in(world, operators, Role.OPERATOR)
    staff.at = "/governance/crypto-rates"
    seen, _ = await staff.call(CryptoRatesState, "load")
    assert (seen.status, seen.rows, seen.accounts) == ("ready", [], [])
    shop = await open_shop(world)
    with running_anvil(at=shop.now) as anvil:
        async with open_chain_till(shop, anvil) as till:
            till.clock.at = datetime.now(UTC) - timedelta(minutes=2)  # pages have the time of the wall
            await till.rate(Decimal(2_000))
            till.later(minutes=1)
            await till.rate(Decimal(2_100))

    seen, _ = await staff.call(CryptoRatesState, "load")

    assert [one["label"] for one in seen.assets] == ["ETH", "USDX"]
    assert {(row["name"], row["price"], row["state"]) for row in seen.rows} == {
        ("ETH/EUR", "2100", "counts"), ("ETH/EUR", "2000", "replaced"),
        ("ETH/EUR", "2380", "ended"), ("USDX/EUR", "1", "ended"),
    }  # fmt: skip
    (eth,) = [row for row in seen.rows if row["price"] == "2000"]
    seen, _ = await staff.call(CryptoRatesState, "begin", eth["id"])
    assert (seen.open_dialog, seen.begun["asset"], seen.begun["price"]) == ("say", "ETH", "2000")
    staff.at = "/governance/crypto-rates?state=ended"
    seen, _ = await staff.call(CryptoRatesState, "load")
    assert len(seen.rows) == 2
    support, _ = await sign_in(world, operators, Role.SUPPORT)
    support.at = staff.at
    seen, _ = await support.call(CryptoRatesState, "load")
    assert len(seen.rows) == 2
    seen, _ = await support.call(CryptoRatesState, "begin", "")
    assert seen.open_dialog == ""  # who looks on enters nothing
