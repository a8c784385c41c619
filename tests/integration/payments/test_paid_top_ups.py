"""Top-ups that customers pay at once: what comes is in the wallet, once, and what is not used can be given back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from secrets import token_hex
from typing import Any

import pytest

from models.money import Money
from models.payments import Payment
from services.billing import customer_credits
from services.core.errors import Invalid, NotFound
from services.core.work import unit_of_work
from services.disputes.disputing import Disputing
from services.payments import charging, link_paying, links
from services.payments.charging import PaymentUnderWay, TopUpNotDue, Wanted
from services.wallets import queries, refills
from services.wallets.rules import TopUpRule
from tests.fakes.stripe.running import RunningStripe, running_stripe
from tests.integration.billing.shop import line, open_shop
from tests.integration.payments.refund_desk import SECRET, Desk, desk_of
from tests.integration.payments.till import Till, open_till, pay_on_page
from tests.world import World

ASKED = 40_00


@pytest.fixture(scope="module")
def stripe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStripe]:
    with running_stripe(tmp_path_factory.mktemp("stripe")) as fake:
        yield fake


@pytest.fixture
async def desk(world: World, stripe: RunningStripe) -> AsyncIterator[Desk]:
    async with open_till(await open_shop(world), stripe, secret=SECRET) as till:
        till.stripe.act("clear")
        yield desk_of(till)


async def asked_for(till: Till, refill: int = ASKED) -> str:
    """The id of a top-up that is due."""
    async with till.shop.work() as uow:
        await refills.set_rule(uow, "EUR", TopUpRule(20_00, refill, 500_00))
        found = await uow.execute("select id from wallet_top_up where state = 'due'")
        return found.scalar_one()


async def begin(till: Till, top_up_id: str, **more: Any) -> Payment:
    async with till.shop.work() as uow:
        wanted = Wanted(None, till.account.id, token_hex(6), top_up_id=top_up_id, **more)
        return await charging.start(uow, wanted)


async def paid(desk: Desk, top_up_id: str) -> Payment:
    waiting = await desk.till.send(await begin(desk.till, top_up_id))
    pay_on_page(waiting)
    return await desk.till.look(waiting)


async def wallet(desk: Desk) -> tuple[int, list[str]]:
    """What is left in it, and the states of its top-ups."""
    async with desk.work() as uow:
        left = (await queries.wallet(uow, "EUR")).left_minor
        return left, list((await uow.execute("select state from wallet_top_up order by id")).scalars())


async def spend(desk: Desk, net: str) -> None:
    """An invoice that the wallet pays as it is finalised."""
    await desk.till.shop.invoice(line(net))


async def test_what_is_paid_is_in_the_wallet_once_and_answers_the_top_up(desk: Desk) -> None:
    top_up = await asked_for(desk.till)

    payment = await paid(desk, top_up)
    again = await desk.till.look(payment)

    assert (payment.state, payment.invoice_id, again.version) == ("succeeded", None, payment.version)
    assert await wallet(desk) == (ASKED, ["paid"])
    assert await desk.till.shop.balances() == {"clearing": ASKED, "prepaid_wallet": ASKED}
    async with desk.work() as uow:
        lot = await uow.execute("select l.key from wallet_top_up t join wallet_lot l on l.id = t.lot_id")
        assert lot.scalar_one() == f"payment:{payment.id}"
    with pytest.raises(TopUpNotDue):
        await begin(desk.till, top_up)
    await desk.still_sound()


async def test_one_is_under_way_at_a_time_and_strangers_find_none(desk: Desk) -> None:
    top_up = await asked_for(desk.till)
    tried = await asyncio.gather(*(begin(desk.till, top_up) for _ in range(6)), return_exceptions=True)

    (begun,) = [one for one in tried if isinstance(one, Payment)]
    assert all(isinstance(one, PaymentUnderWay) for one in tried if one is not begun)
    stranger = await desk.till.shop.world.organization(name="Other")
    with pytest.raises(NotFound):
        async with unit_of_work(desk.till.shop.world.actor(stranger)) as uow:
            await charging.start(uow, Wanted(None, desk.till.account.id, "k", top_up_id=top_up))
    begun = await desk.till.send(begun)
    canceled = await desk.till.cashier.cancel(begun.id, begun.organization_id)
    assert (canceled.state, await wallet(desk)) == ("canceled", (0, ["due"]))


async def test_who_paid_for_one_that_was_withdrawn_has_it_in_the_wallet_all_the_same(desk: Desk) -> None:
    waiting = await desk.till.send(await begin(desk.till, await asked_for(desk.till)))
    async with desk.till.shop.work() as uow:
        await refills.set_rule(uow, "EUR", None)
    pay_on_page(waiting)
    await desk.till.look(waiting)

    assert await wallet(desk) == (ASKED, ["withdrawn"])
    await desk.still_sound()


async def test_what_is_not_used_goes_back_and_no_more(desk: Desk) -> None:
    payment = await paid(desk, await asked_for(desk.till))
    await spend(desk, "20")  # 23.80 with tax
    left = ASKED - 23_80

    with pytest.raises(Invalid, match="left of this top-up"):
        await desk.start(payment, amount=left + 1)
    part = await desk.give(payment, amount=6_20)
    assert (part.state, part.credit_note_id) == ("succeeded", None)
    assert (await wallet(desk))[0] == left - 6_20
    rest = await desk.give(payment)
    assert (rest.minor, (await wallet(desk))[0]) == (left - 6_20, 0)
    assert await desk.given_back(payment) == left
    assert await desk.till.shop.balances() == {"clearing": 23_80, "revenue": 20_00, "tax_owed": 3_80}
    await desk.still_sound()


async def test_a_refund_that_waits_to_be_approved_leaves_the_wallet_alone(desk: Desk) -> None:
    payment = await paid(desk, await asked_for(desk.till))

    waits = await desk.start(payment, above={"*": 1})

    assert (waits.state, (await wallet(desk))[0]) == ("awaiting_approval", ASKED)
    async with desk.work() as uow:
        assert await customer_credits.is_unused(uow, payment.id) is False  # it is in the wallet


async def test_what_a_bank_takes_back_comes_out_of_the_wallet_as_far_as_it_is_there(desk: Desk) -> None:
    payment = await paid(desk, await asked_for(desk.till))
    await spend(desk, "20")
    reference = desk.till.stripe.act("dispute", payment_intent=payment.provider_ref)["id"]

    for _ in range(2):
        await Disputing(desk.till.cashier, clock=desk.till.clock).follow(desk.till.account.id, reference)

    assert (await wallet(desk))[0] == 0
    async with desk.work() as uow:
        found = await uow.execute("select taken_credit_minor, taken_unknown_minor from dispute")
        assert tuple(found.one()) == (ASKED - 23_80, 23_80)
    assert ("dispute", "dispute_without_place") in await desk.cases()
    await desk.still_sound()


async def test_a_link_pays_one_top_up_and_leads_nowhere_else(desk: Desk) -> None:
    desk.till.shop.now = desk.till.clock.at
    top_up = await asked_for(desk.till)
    async with desk.till.shop.work() as uow:
        ours = await links.top_up(uow, top_up)
        path = await links.link_for(uow, ours)
        assert await links.link_for(uow, ours) == path
    token = path.rsplit("/", 1)[-1]
    link = await links.opened(token, clock=desk.till.clock)

    async with links.work(link, clock=desk.till.clock) as uow:
        seen = await link_paying.see(uow, link)
        begun = await link_paying.start(uow, link, desk.till.account.id, key="k")
    assert (seen.invoice, seen.asked, [way.name for way in seen.ways]) == (
        None,
        Money(ASKED, "EUR"),
        ["Cards"],
    )
    waiting = await desk.till.send(begun)
    assert pay_on_page(waiting).endswith(path)
    await desk.till.look(waiting)

    assert await wallet(desk) == (ASKED, ["paid"])
    async with links.work(link, clock=desk.till.clock) as uow:
        seen = await link_paying.see(uow, link)
        assert (seen.ways, seen.top_up is not None and seen.top_up.state) == ([], "paid")
    async with desk.till.shop.work() as uow:
        with pytest.raises(TopUpNotDue):
            await links.link_for(uow, await links.top_up(uow, top_up))
        assert await links.revoke(uow, await links.top_up(uow, top_up)) == 1
