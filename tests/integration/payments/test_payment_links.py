"""Links by which a stranger sees and pays one invoice, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from models.billing import Invoice
from models.payments import Payment
from services.core.actor import Actor
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.errors import Forbidden, MatrixError, NotFound
from services.core.permissions import Capability
from services.core.work import unit_of_work
from services.payments import cashier as cashiers
from services.payments import link_paying, links
from services.payments.charging import PaymentUnderWay
from services.payments.links import FRESH_FOR, PAGE, VALID_FOR, LinkEnded
from state.payment_link import PaymentLinkState
from tests.fakes.anvil.running import running_anvil
from tests.fakes.stripe.running import RunningStripe, running_stripe
from tests.integration.billing.shop import Shop, line, open_shop
from tests.integration.payments.chain_till import open_chain_till
from tests.integration.payments.till import ADDRESS, Till, open_till, pay_on_page
from tests.integration.state.visitor import Visitor, sent_to
from tests.world import World


@pytest.fixture(scope="module")
def stripe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStripe]:
    with running_stripe(tmp_path_factory.mktemp("stripe")) as fake:
        yield fake


@pytest.fixture
async def till(world: World, stripe: RunningStripe) -> AsyncIterator[Till]:
    shop = await open_shop(world)
    shop.now = datetime.now(UTC)  # a link is opened by the wall
    async with open_till(shop, stripe) as till:
        cashiers.install(till.cashier)
        yield till
        await cashiers.close()


async def link_to(shop: Shop, invoice: Invoice) -> str:
    """The token of a link, as a mail would carry it."""
    async with shop.work() as uow:
        path = await links.link_for(uow, invoice)
    assert path.startswith(f"{PAGE}/")
    return path.removeprefix(f"{PAGE}/")


async def refused(token: str, shop: Shop, *, later: timedelta = timedelta()) -> type[MatrixError]:
    with pytest.raises(MatrixError) as caught:
        await links.opened(token, clock=FixedClock(shop.now + later))
    return type(caught.value)


async def test_a_link_leads_to_its_invoice_until_it_ends_and_a_changed_one_nowhere(world: World) -> None:
    shop = await open_shop(world)
    invoice, other = await shop.invoice(line("100")), await shop.invoice(line("200"))

    token, foreign = await link_to(shop, invoice), await link_to(shop, other)

    assert token != foreign
    assert await link_to(shop, invoice) == token  # a link that is fresh is handed out again
    found = await links.opened(token, clock=FixedClock(shop.now))
    assert (found.invoice_id, found.organization_id) == (invoice.id, shop.customer.id)
    flipped = token[:-1] + ("A" if token[-1] != "A" else "B")
    half = links.TOKEN_CHARACTERS - 32
    wrong = (
        flipped,
        token[:half] + foreign[half:],
        token[:half],
        "",
        "é" * 58,
        invoice.id,
        token + "A",
        "\0",
    )
    assert {await refused(one, shop) for one in wrong} == {NotFound}
    assert await refused(token, shop, later=VALID_FOR) is LinkEnded
    shop.now += VALID_FOR - FRESH_FOR
    assert await link_to(shop, invoice) != token  # the one before would end too soon


async def test_a_link_that_is_taken_back_has_ended_and_the_next_one_is_another(world: World) -> None:
    shop = await open_shop(world)
    invoice = await shop.invoice(line("100"))
    token = await link_to(shop, invoice)

    async with shop.work() as uow:
        ours = await links.invoice(uow, invoice.id)
        assert [await links.revoke(uow, ours) for _ in range(2)] == [1, 0]

    assert await refused(token, shop) is LinkEnded
    again = await link_to(shop, invoice)
    assert again != token
    assert (await links.opened(again, clock=FixedClock(shop.now))).invoice_id == invoice.id
    reader = Actor("x", shop.customer.id, frozenset({Capability.INVOICES_READ}))
    async with unit_of_work(reader) as uow:
        with pytest.raises(Forbidden):
            await links.invoice(uow, invoice.id)


async def begin(till: Till, token: str, key: str = "k") -> Payment:
    link = await links.opened(token)
    async with links.work(link) as uow:
        payment = await link_paying.start(uow, link, till.account.id, key=key)
    return await till.cashier.send(payment.id, link.organization_id)


async def test_a_stranger_pays_by_the_link_even_for_a_suspended_customer_and_comes_back_to_it(
    till: Till,
) -> None:
    invoice = await till.shop.invoice(line("100"))
    token = await link_to(till.shop, invoice)
    async with crossing(Reason.DEMO) as uow:
        await uow.execute(
            "update organization set suspended_at = now() where id = :id", id=till.shop.customer.id
        )
    stranger = Visitor(at=f"{PAGE}/{token}")

    seen, _ = await stranger.call(PaymentLinkState, "load")
    assert (seen.stage, seen.invoice["number"], seen.invoice["due"]) == ("pay", invoice.number, "119")
    assert seen.ways == [{"id": till.account.id, "label": "Cards"}]
    assert [row["net"] for row in seen.lines] == ["100"]
    # Who has the link pays twice at once: it is one payment.
    tried = await asyncio.gather(*(begin(till, token, key) for key in "ab"), return_exceptions=True)
    (waiting,) = [one for one in tried if isinstance(one, Payment)]
    assert [type(one) for one in tried if not isinstance(one, Payment)] == [PaymentUnderWay]
    _, answer = await stranger.call(PaymentLinkState, "go_on", {})
    assert waiting.action is not None
    assert sent_to(answer) == waiting.action["url"]
    assert (await stranger.call(PaymentLinkState, "load"))[0].stage == "waiting"
    assert pay_on_page(waiting) == f"{ADDRESS}{PAGE}/{token}"
    seen, _ = await stranger.call(PaymentLinkState, "load")

    assert (seen.stage, seen.invoice["due"], seen.ways) == ("paid", "0", [])
    assert (await till.shop.read(invoice)).state == "paid"


async def test_a_stranger_learns_nothing_of_a_payment_begun_in_the_portal_nor_by_a_wrong_link(
    till: Till,
) -> None:
    token = await link_to(till.shop, invoice := await till.shop.invoice(line("100")))
    waiting = await till.pay(invoice)
    stranger = Visitor(at=f"{PAGE}/{token}")

    seen, answer = await stranger.call(PaymentLinkState, "load")
    assert (seen.stage, seen.payment["action_url"], seen.ways) == ("elsewhere", "", [])
    assert waiting.id not in str(seen.dict())
    link = await links.opened(token)
    async with links.work(link) as uow:
        with pytest.raises(NotFound):
            await link_paying.begun(uow, link)
    async with till.shop.work() as uow:
        await links.revoke(uow, await links.invoice(uow, invoice.id))
    seen, answer = await stranger.call(PaymentLinkState, "load")
    assert (seen.stage, seen.invoice, seen.lines, answer) == ("ended", {}, [], None)
    stranger.at = f"{PAGE}/{token[:-3]}AAA"
    statuses = [(await stranger.call(PaymentLinkState, "load"))[0] for _ in range(25)]
    assert {one.status for one in statuses} <= {"missing", "error"}
    assert statuses[-1].invoice == {}


async def test_a_stranger_pays_on_a_chain_and_sees_what_came(world: World) -> None:
    shop = await open_shop(world)
    shop.now = datetime.now(UTC)  # a link is opened by the wall
    with running_anvil(at=shop.now) as anvil:
        async with open_chain_till(shop, anvil) as till:
            cashiers.install(till.cashier)
            invoice = await shop.invoice(line("100"))
            token = await link_to(shop, invoice)
            stranger = Visitor(at=f"{PAGE}/{token}")
            seen, _ = await stranger.call(PaymentLinkState, "load")
            way = f"{till.account.id}:ETH"
            assert way in [one["id"] for one in seen.ways]
            link = await links.opened(token, clock=till.clock)
            async with links.work(link, clock=till.clock) as uow:
                begun = await link_paying.start(uow, link, way, key="k")

            seen, _ = await stranger.call(PaymentLinkState, "load")
            assert (seen.stage, seen.on_chain["missing"], seen.on_chain["asset"]) == (
                "waiting",
                "0.05",
                "ETH",
            )
            anvil.send(seen.on_chain["address"], 10**16)
            await till.watch(1)
            seen, _ = await stranger.call(PaymentLinkState, "load")
            assert (seen.on_chain["missing"], [one["state"] for one in seen.came]) == ("0.04", ["seen"])
            anvil.send(seen.on_chain["address"], 4 * 10**16)
            await till.watch(3)
            seen, _ = await stranger.call(PaymentLinkState, "load")

            assert (seen.stage, seen.ways) == ("paid", [])
            assert (await till.cashier.read(begun.id, shop.customer.id)).state == "succeeded"
            other = await shop.invoice(line("10"))
            asked = await till.ask(other)  # in the portal
            stranger.at = f"{PAGE}/{await link_to(shop, other)}"
            seen, _ = await stranger.call(PaymentLinkState, "load")
            assert (seen.stage, seen.on_chain, asked.address in str(seen.dict())) == ("elsewhere", {}, False)
            await cashiers.close()
