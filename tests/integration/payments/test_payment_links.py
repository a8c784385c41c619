"""Links by which a stranger sees and pays one invoice, and nothing else."""

from __future__ import annotations

from datetime import timedelta

import pytest

from models.billing import Invoice
from services.core.actor import Actor
from services.core.clock import FixedClock
from services.core.errors import Forbidden, MatrixError, NotFound
from services.core.permissions import Capability
from services.core.work import unit_of_work
from services.payments import links
from services.payments.links import FRESH_FOR, PAGE, VALID_FOR, LinkEnded
from tests.integration.billing.shop import Shop, line, open_shop
from tests.world import World


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
        assert await links.revoke(uow, invoice.id) == 1
        assert await links.revoke(uow, invoice.id) == 0

    assert await refused(token, shop) is LinkEnded
    again = await link_to(shop, invoice)
    assert again != token
    assert (await links.opened(again, clock=FixedClock(shop.now))).invoice_id == invoice.id
    reader = Actor("x", shop.customer.id, frozenset({Capability.INVOICES_READ}))
    async with unit_of_work(reader) as uow:
        with pytest.raises(Forbidden):
            await links.make(uow, invoice.id)
