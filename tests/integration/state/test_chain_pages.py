"""Paying on a chain from the portal: what is asked for, shown as people and wallets read it, and what came."""

from __future__ import annotations

from services.payments import cashier as cashiers
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

            anvil.send(asked.address, int(asked.expected_units))
            await till.watch(2)
            seen, _ = await owner.call(PaymentState, "follow")
            assert (seen.payment["state"], seen.on_chain["received"]) == ("processing", "0.05 ETH")
            assert [(one["state"], one["confirmations"]) for one in seen.came] == [("seen", "2/3")]
            await till.watch(1)
            seen, _ = await owner.call(PaymentState, "follow")

            assert (seen.payment["state"], seen.came[0]["confirmations"]) == ("succeeded", "3/3")
            await cashiers.close()
