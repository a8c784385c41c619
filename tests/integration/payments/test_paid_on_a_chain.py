"""Payments on a chain: a real node, whose blocks come, and go again, as a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from models.refunds import RefundTo
from services.billing.invoices import KeyMeansOther
from services.core.actor import system
from services.core.errors import Invalid
from services.core.work import unit_of_work
from services.crypto.rates import NoRate
from services.crypto.watching import BLOCKS_A_TURN, Watcher
from services.payments.charging import PaymentUnderWay, TopUpNotDue
from services.payments.providers import base
from services.payments.providers.crypto_keys import PrivateKeyGiven, address_of
from services.payments.providers.values import RefundOrder
from services.refunds import refunds
from services.refunds.rules import NothingToRefund
from services.wallets import refills
from services.wallets.rules import TopUpRule
from tests.checks import MADE_BY_HAND, assert_invariants
from tests.fakes.anvil.running import CHAIN_ID, KEY, running_anvil
from tests.integration.billing.shop import line, open_shop
from tests.integration.payments.chain_till import ETH, ChainTill, open_chain_till
from tests.integration.payments.refund_desk import ALONE
from tests.world import World

COIN = 10**18
OWED = 5 * COIN // 100  # 119 at 2,380 for a coin
TOP_UP = 119_00


@pytest.fixture
async def till(world: World) -> AsyncIterator[ChainTill]:
    shop = await open_shop(world)
    with running_anvil(at=shop.now) as anvil:
        async with open_chain_till(shop, anvil) as till:
            yield till


@pytest.mark.parametrize(("asset", "units"), [("ETH", OWED), ("USDX", 119_000_000)])
async def test_a_payment_counts_when_it_is_deep_enough(till: ChainTill, asset: str, units: int) -> None:
    invoice = await till.shop.invoice(line("100"))
    asked = await till.ask(invoice, asset)
    assert (int(asked.expected_units), asked.derivation_index) == (units, 0)
    assert asked.address == "0x8C8d35429F74ec245F8Ef2f4Fd1e551cFF97d650"  # the first of that wallet

    if asset == "ETH":
        till.anvil.send(asked.address, units)
    else:
        till.anvil.send_token(till.token, asked.address, units)
    await till.watch(2)
    assert await till.transfers() == [("seen", units)]
    assert (await till.payment(asked)).state == "processing"
    assert (await till.shop.read(invoice)).due_minor == 11_900
    await till.watch(1)

    assert await till.transfers() == [("confirmed", units)]
    assert (await till.payment(asked)).state == "succeeded"
    assert (await till.shop.read(invoice)).state == "paid"
    assert await till.shop.balances() == {"clearing": 11_900, "revenue": 10_000, "tax_owed": 1_900}
    await till.watch(3)
    assert await till.payments() == [("succeeded", 11_900, 11_900)]
    await assert_invariants(till.shop.world.database, but=MADE_BY_HAND)


async def test_what_is_over_is_a_credit_and_what_follows_pays_on_top(till: ChainTill) -> None:
    asked = await till.ask(await till.shop.invoice(line("100")))

    till.anvil.send(asked.address, OWED)
    till.anvil.send(asked.address, COIN // 1_000)
    await till.watch(3)
    assert await till.payments() == [("succeeded", 11_900, 11_900), ("succeeded", 238, 0)]
    till.anvil.send(asked.address, COIN // 500)
    await till.watch(3)

    assert await till.payments() == [
        ("succeeded", 11_900, 11_900), ("succeeded", 238, 0), ("succeeded", 476, 0),
    ]  # fmt: skip
    assert (await till.shop.balances())["customer_credit"] == 714
    till.anvil.send(asked.address, 1)
    await till.watch(3)
    assert (await till.transfers())[-1] == ("too_small", 1)
    await assert_invariants(till.shop.world.database, but=MADE_BY_HAND)


async def test_a_part_waits_for_the_rest_until_the_rate_is_over_and_is_a_part_then(till: ChainTill) -> None:
    whole, part = await till.shop.invoice(line("100")), await till.shop.invoice(line("100"))
    topped_up, short = await till.ask(whole), await till.ask(part)
    assert [topped_up.derivation_index, short.derivation_index] == [0, 1]
    for one in (topped_up, short):
        till.anvil.send(one.address, 2 * COIN // 100)
    await till.watch(3)
    assert (await till.payment(short)).state == "processing"
    till.anvil.send(topped_up.address, 3 * COIN // 100)
    await till.watch(1)  # in time, and not deep enough yet
    till.later(minutes=20)
    await till.watch(1)
    assert (await till.payment(topped_up)).state == "processing"
    await till.watch(1)

    assert (await till.payment(topped_up)).state == "succeeded"
    ended = await till.payment(short)
    assert (ended.state, ended.decline_code) == ("failed", "paid_in_part")
    assert (await till.shop.read(whole)).state == "paid"
    now = await till.shop.read(part)
    assert (now.state, now.paid_minor, now.due_minor) == ("finalized", 4_760, 7_140)
    assert (await till.ask(part)).derivation_index == 2
    await assert_invariants(till.shop.world.database, but=MADE_BY_HAND)


async def test_what_comes_late_counts_at_the_rate_of_then(till: ChainTill) -> None:
    invoice = await till.shop.invoice(line("100"))
    asked = await till.ask(invoice)
    await till.watch(1)
    till.later(minutes=70)  # no rate stands any more
    await till.watch(3)
    assert (await till.payment(asked)).decline_code == "expired"
    till.anvil.send(asked.address, OWED)
    await till.watch(3)
    assert await till.cases() == ["no_rate"]
    assert (await till.shop.read(invoice)).due_minor == 11_900

    await till.rate(ETH / 2)
    await till.watch(1)

    assert await till.payments() == [("failed", 11_900, 0), ("succeeded", 5_950, 5_950)]
    assert (await till.shop.read(invoice)).due_minor == 5_950
    await till.watch(1)
    assert await till.cases() == ["no_rate"]
    await assert_invariants(till.shop.world.database, but=MADE_BY_HAND)


async def test_what_came_in_time_is_seen_by_a_watcher_that_was_away_for_longer(till: ChainTill) -> None:
    invoice = await till.shop.invoice(line("100"))
    asked = await till.ask(invoice)
    await till.watch(1)
    till.anvil.send(asked.address, OWED)
    till.anvil.mine(3, at=till.clock.at)

    till.later(days=40)
    await till.watch(1)

    assert (await till.payment(asked)).state == "succeeded"
    assert (await till.shop.read(invoice)).state == "paid"


async def test_a_block_that_goes_takes_what_came_in_it(till: ChainTill) -> None:
    invoice = await till.shop.invoice(line("100"))
    asked = await till.ask(invoice)
    sent = till.anvil.raw(till.anvil.send(asked.address, OWED))
    await till.watch(2)
    till.anvil.forget(2)
    await till.watch()
    assert await till.transfers() == [("orphaned", OWED)]
    assert (await till.payment(asked)).state == "requires_action"
    assert await till.cases() == []  # nothing had counted

    till.anvil.send_again(sent)
    await till.watch(3)
    assert await till.transfers() == [("confirmed", OWED)]
    assert (await till.shop.read(invoice)).state == "paid"
    till.anvil.forget(3)
    await till.watch()

    assert await till.transfers() == [("orphaned", OWED)]
    assert await till.cases() == ["taken_back"]
    now = await till.shop.read(invoice)
    assert (now.state, now.paid_minor, now.due_minor, now.paid_at) == ("finalized", 0, 11_900, None)
    assert "clearing" not in await till.shop.balances()
    await assert_invariants(till.shop.world.database, but=MADE_BY_HAND)

    till.anvil.send_again(sent)
    await till.watch(3)
    assert (await till.shop.read(invoice)).state == "paid"
    assert (await till.shop.balances())["clearing"] == 11_900
    await assert_invariants(till.shop.world.database, but=MADE_BY_HAND)


async def test_whoever_is_ended_goes_on_from_the_last_kept_block_and_two_count_once(till: ChainTill) -> None:
    """The second watcher has nothing in memory of the first, as after a kill; then both read the same at once."""
    one, other = await till.shop.invoice(line("100")), await till.shop.invoice(line("100"))
    first, second = await till.ask(one), await till.ask(other, "USDX")
    await till.watch()
    till.anvil.send(first.address, OWED)
    till.anvil.send_token(till.token, second.address, 119_000_000)
    cut_off = Watcher(till.cashier, clock=till.clock)
    till.anvil.mine(2 * BLOCKS_A_TURN)
    assert await cut_off.watch_all() == BLOCKS_A_TURN  # bounded
    reading = [Watcher(till.cashier, clock=till.clock) for _ in range(3)]

    for _ in range(3):
        await asyncio.gather(*(one.watch_all() for one in reading))

    await till.watch()
    assert sorted(await till.transfers()) == [("confirmed", 119_000_000), ("confirmed", OWED)]
    assert await till.payments() == [("succeeded", 11_900, 11_900)] * 2
    assert (await till.shop.balances())["clearing"] == 23_800
    await assert_invariants(till.shop.world.database, but=MADE_BY_HAND)


async def test_addresses_are_given_in_order_without_gaps_however_many_ask(till: ChainTill) -> None:
    invoices = [await till.shop.invoice(line("10")) for _ in range(4)]
    till.later(hours=2)
    with pytest.raises(NoRate):
        await till.ask(invoices[0])
    await till.rate()

    asked = await asyncio.gather(*(till.ask(one) for one in invoices))

    assert sorted(one.derivation_index for one in asked) == [0, 1, 2, 3]
    assert {one.address for one in asked} == {address_of(KEY, index) for index in range(4)}
    again = await till.ask(invoices[0], key=(await till.payment(asked[0])).key)
    assert again.payment_id == asked[0].payment_id
    with pytest.raises(KeyMeansOther):
        await till.ask(invoices[0], "USDX", key=(await till.payment(asked[0])).key)


async def test_what_is_given_up_takes_money_still_and_a_node_that_is_away_ends_nothing(
    till: ChainTill,
) -> None:
    invoice = await till.shop.invoice(line("100"))
    asked = await till.ask(invoice)
    till.anvil.ask("anvil_setChainId", 1)
    till.later(minutes=20)
    await till.watch()
    assert (await till.payment(asked)).state == "requires_action"  # nobody knows what came
    till.anvil.ask("anvil_setChainId", CHAIN_ID)
    till.clock.at -= timedelta(minutes=20)

    await till.cashier.cancel(asked.payment_id, asked.organization_id)
    assert (await till.payment(asked)).state == "canceled"
    till.anvil.send(asked.address, OWED)
    await till.watch(3)

    assert await till.payments() == [("canceled", 11_900, 0), ("succeeded", 11_900, 11_900)]
    assert (await till.shop.read(invoice)).state == "paid"


async def top_up(till: ChainTill) -> str:
    """The id of one over TOP_UP that is due."""
    async with till.shop.work() as uow:
        await refills.set_rule(uow, "EUR", TopUpRule(1_00, TOP_UP, 500_00))
        return (await uow.execute("select id from wallet_top_up where state = 'due'")).scalar_one()


async def wallet(till: ChainTill) -> tuple[int, str, int]:
    """What is in it, the state of its last top-up, and what is a credit."""
    async with till.shop.work() as uow:
        found = await uow.execute(
            "select (select coalesce(sum(left_minor), 0) from wallet), (select state from wallet_top_up order by id"
            " desc limit 1), (select coalesce(sum(left_minor), 0) from customer_credit)"
        )
        return tuple(found.one())  # pyright: ignore[reportReturnType]


async def test_a_top_up_is_filled_by_what_was_asked_for_and_what_is_unused_of_it_becomes_a_credit(
    till: ChainTill,
) -> None:
    due = await top_up(till)
    asked = await till.ask_for_top_up(due)
    till.anvil.send(asked.address, OWED * 13 // 10)
    await till.watch(2)
    assert await wallet(till) == (0, "due", 0)
    await till.watch(1)

    assert await till.payments() == [("succeeded", TOP_UP, 0), ("succeeded", 35_70, 0)]
    assert await wallet(till) == (TOP_UP, "paid", 35_70)
    with pytest.raises(TopUpNotDue):
        await till.ask_for_top_up(due)
    await till.shop.invoice(line("40"))  # 47.60: what is over goes first
    left = TOP_UP - (47_60 - 35_70)
    assert await wallet(till) == (left, "paid", 0)

    async with unit_of_work(replace(system(till.shop.customer.id), id="staff"), clock=till.clock) as uow:
        wanted = refunds.Wanted(asked.payment_id, "all", "Agreed")
        with pytest.raises(Invalid, match="cannot be given back from here"):
            await refunds.start(uow, wanted, above=ALONE)
        await refunds.start(uow, replace(wanted, key="part", to=RefundTo.CREDIT, amount=7_10), above=ALONE)
        with pytest.raises(Invalid, match="left of this top-up"):
            await refunds.start(
                uow, replace(wanted, key="more", to=RefundTo.CREDIT, amount=left), above=ALONE
            )
        rest = await refunds.start(uow, replace(wanted, to=RefundTo.CREDIT), above=ALONE)
        assert (rest.state, rest.minor, rest.credit_note_id) == ("succeeded", left - 7_10, None)
        with pytest.raises(NothingToRefund):
            await refunds.start(uow, replace(wanted, key="again", to=RefundTo.CREDIT), above=ALONE)
    assert await wallet(till) == (0, "paid", left)
    assert await till.shop.balances() == {
        "clearing": TOP_UP + 35_70, "customer_credit": left, "revenue": 40_00, "tax_owed": 7_60,
    }  # fmt: skip
    await assert_invariants(till.shop.world.database, but=MADE_BY_HAND)


async def test_a_part_of_a_top_up_or_what_comes_late_is_a_credit_and_the_top_up_stays_due(
    till: ChainTill,
) -> None:
    due = await top_up(till)
    short = await till.ask_for_top_up(due)
    till.anvil.send(short.address, OWED * 4 // 10)
    await till.watch(3)
    with pytest.raises(PaymentUnderWay):
        await till.ask_for_top_up(due)
    till.later(minutes=20)
    await till.watch(1)
    assert ((await till.payment(short)).decline_code, await wallet(till)) == (
        "paid_in_part", (0, "due", 47_60),
    )  # fmt: skip

    late = await till.ask_for_top_up(due)
    till.later(minutes=20)
    await till.watch(1)
    await till.rate(ETH / 2)
    till.anvil.send(late.address, OWED)
    await till.watch(3)
    assert ((await till.payment(late)).decline_code, await wallet(till)) == (
        "expired", (0, "due", 47_60 + TOP_UP // 2),
    )  # fmt: skip

    whole = await till.ask_for_top_up(due, "USDX")
    till.anvil.send_token(till.token, whole.address, TOP_UP * 10_000)
    await till.watch(3)
    assert await wallet(till) == (TOP_UP, "paid", 47_60 + TOP_UP // 2)
    till.anvil.forget(3)
    await till.watch()
    assert (await wallet(till), await till.cases()) == ((0, "paid", 47_60 + TOP_UP // 2), ["taken_back"])
    await assert_invariants(till.shop.world.database, but=MADE_BY_HAND)


async def test_an_account_says_what_is_wrong_with_it_and_keeps_no_private_key(till: ChainTill) -> None:
    private = (  # of the first test vector of BIP-32
        "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi"
    )
    for settings, field in (
        ({"key": private}, "settings.key"),
        ({"key": KEY[:-1] + "u"}, "settings.key"),
        ({"chain_id": "0x1"}, "settings.chain_id"),
        ({"assets": "ETH, ETH"}, "settings.assets"),
        ({"assets": "USDX=0x8C8d35429F74ec245F8Ef2f4Fd1e551cFF97d651:6"}, "settings.assets"),
        ({"assets": f"USDX={till.token}"}, "settings.assets"),
        ({"confirmations": "0"}, "settings.confirmations"),
    ):
        with pytest.raises(Invalid) as refused:
            async with open_chain_till(till.shop, till.anvil, **settings):
                pass
        assert refused.value.field == field
        assert isinstance(refused.value, PrivateKeyGiven) is (settings.get("key") == private)
        assert not any(said in str(refused.value) for said in settings.values() if len(said) > 50)
    request = await till.ask(await till.shop.invoice(line("100")))
    with pytest.raises(base.RefusedByProvider):
        await (await till.cashier.provider_of(till.account)).refund(RefundOrder("key", request.payment_id))
