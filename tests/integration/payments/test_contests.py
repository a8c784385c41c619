"""What customers contest: not asked for until it is answered, once at a time, and on the record."""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import pytest

from models.billing import Invoice
from models.disputes import Contest
from models.disputes import ContestState as S
from services.billing.contested import collectable
from services.core.clock import FixedClock
from services.core.errors import Invalid, NotFound
from services.core.ids import new_id
from services.disputes import contest_rules, contests
from services.disputes.contest_rules import AlreadyContested, ContestStateConflict
from services.disputes.contests import Wanted
from tests.checks import MADE_BY_HAND, assert_invariants
from tests.integration.billing.shop import Shop, line, open_shop
from tests.world import World


@pytest.fixture
async def shop(world: World) -> Shop:
    return await open_shop(world)


async def contest(
    shop: Shop, invoice: Invoice, line_id: str | None = None, minor: int | None = None
) -> Contest:
    async with shop.work() as uow:
        return await contests.open_contest(uow, Wanted(invoice.id, "Not ordered", line_id, minor))


async def asked_for(shop: Shop, invoice: Invoice) -> int:
    async with shop.work() as uow:
        return await collectable(uow, await shop.read(invoice))


def test_only_what_is_open_is_answered_or_withdrawn() -> None:
    for before, after in product(S, S):
        may = before is S.OPEN and after is not S.OPEN
        assert (after in contest_rules.TRANSITIONS[before]) is may, (before, after)


async def test_what_is_contested_is_not_asked_for_until_it_is_answered(shop: Shop) -> None:
    invoice = await shop.invoice(line("100"), line("50"))
    first, second = await shop.lines(invoice)
    assert await asked_for(shop, invoice) == 178_50

    one = await contest(shop, invoice, second.id)
    part = await contest(shop, invoice, first.id, 19_00)
    assert (one.minor, part.due_at) == (59_50, shop.now + timedelta(days=14))
    assert await asked_for(shop, invoice) == 100_00
    with pytest.raises(AlreadyContested):
        await contest(shop, invoice, second.id)
    with pytest.raises(Invalid):
        await contest(shop, invoice, minor=100_01)  # all together no more than there is
    whole = await contest(shop, invoice)
    assert (whole.minor, await asked_for(shop, invoice)) == (100_00, 0)

    async with shop.work() as uow:
        await contests.withdraw(uow, whole.id)
        await contests.refuse(uow, part.id, answer="It was ordered on 3 March.")
        agreed = await contests.credit(uow, one.id, answer="Our mistake.", minor=50_00)
        assert (agreed.state, agreed.credited_minor) == ("credited", 50_00)

    after = await shop.read(invoice)
    assert (after.credited_minor, after.due_minor) == (50_00, 128_50)
    assert await asked_for(shop, invoice) == 128_50
    for ended, verb in product((whole, part, one), ("withdraw", "refuse", "credit")):
        said = {} if verb == "withdraw" else {"answer": "No."}
        async with shop.work() as uow:
            with pytest.raises(ContestStateConflict):
                await getattr(contests, verb)(uow, ended.id, **said)
    await contest(shop, invoice, first.id)  # what was refused may be contested anew
    await assert_invariants(shop.world.database, but=MADE_BY_HAND)


async def test_nonsense_and_what_is_anothers_is_refused(shop: Shop) -> None:
    draft, invoice = await shop.draft(line("1")), await shop.invoice(line("100"))
    for minor in (0, -1, 119_01):
        with pytest.raises(Invalid):
            await contest(shop, invoice, minor=minor)
    for strange in (new_id("invl"), "x", (await shop.lines(draft))[0].id):
        with pytest.raises(NotFound):
            await contest(shop, invoice, strange)
    with pytest.raises(NotFound):
        await contest(shop, draft)
    theirs = await contest(shop, invoice)
    with pytest.raises(Invalid):
        async with shop.work() as uow:
            await contests.refuse(uow, theirs.id, answer="  ")
    await shop.new_customer(name="Other")
    with pytest.raises(NotFound):
        async with shop.work() as uow:
            await contests.withdraw(uow, theirs.id)


async def test_staff_is_reminded_to_answer(shop: Shop) -> None:
    theirs = await contest(shop, await shop.invoice(line("100")))
    told = [
        await contests.remind(clock=FixedClock(theirs.due_at - timedelta(days=days)))
        for days in (8, 6, 6, 2, 1, 0, -1)  # and once more when it is late
    ]
    assert told == [0, 1, 0, 1, 1, 1, 0]
