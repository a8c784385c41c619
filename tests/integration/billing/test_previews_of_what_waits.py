"""What counts later has exact money, too: the first invoice on which it counts, as it will be billed."""

from __future__ import annotations

from decimal import Decimal

from models.billing import Invoice
from models.types import ProrationBehaviour as B
from services.subscriptions import subscriptions
from services.subscriptions.previewing import Preview, PreviewInvoice, preview
from services.subscriptions.selecting import Wanted
from tests.integration.billing.shop import open_shop
from tests.integration.billing.subscribers import Subscribers, price
from tests.world import World


def sums(of: PreviewInvoice | Invoice | None) -> tuple[int, ...]:
    assert of is not None
    return of.discount_minor, of.net_minor, of.tax_minor, of.total_minor


async def test_what_counts_later_is_shown_with_lines_coupon_and_tax_and_billed_so(world: World) -> None:
    shop = await open_shop(world)
    sold = Subscribers(shop)
    large, small = await sold.plan(price("base", "flat", "100")), await sold.plan(price("base", "flat", "40"))
    tried = await sold.plan(price("base", "flat", "50"), trial_days=14)
    await sold.coupon("FIFTH", rate=Decimal("0.2"), duration="forever")
    await sold.coupon("TENTH", rate=Decimal("0.1"), duration="once")

    async def seen(plan_id: str, behaviour: B | None = None) -> Preview:
        async with shop.work() as uow:
            wanted = Wanted(plan_id, "EUR", "month")
            return await preview(
                uow, lambda work: subscriptions.change(work, one.id, wanted, behaviour=behaviour)
            )

    sold.at(2026, 4, 1, 12)
    one = await sold.start(small, coupon="FIFTH")
    sold.at(2026, 4, 16, 12)
    (waits,) = (await seen(large.id, behaviour=B.NEXT_INVOICE)).invoices
    assert (waits.waits, sums(waits)) == (
        True,
        (1_000, 2_400, 456, 2_856),
    )  # 50 less a fifth, less 16 that were paid

    for to, whole, behaviour in ((large, 10_000, B.NEXT_PERIOD), (small, 4_000, None)):
        if behaviour is None:  # less waits by itself
            await sold.change(one, large)
        shown = await seen(to.id, behaviour)
        assert (shown.invoices, shown.total_minor) == ((), 0)
        first = shown.first_invoice
        assert first is not None
        assert first.billed_at == shown.effective_at
        assert [(line.description, line.amount_minor) for line in first.lines] == [("Base", whole)]
        assert sums(first)[:2] == (whole // 5, whole * 4 // 5)
        assert first.lines[0].steps[0].formula.startswith(f"{whole // 100} × ")
    await sold.change(one, small)
    less = (await seen(small.id)).first_invoice
    async with shop.work() as uow:
        act = await preview(uow, lambda work: subscriptions.take_coupon(work, one.id, "TENTH"))
    assert act.first_invoice is not None
    assert sums(act.first_invoice)[0] == 800 + 320  # a tenth of what the other leaves
    sold.at(2026, 5, 1, 12)
    await sold.run(one)
    assert sums(less) == sums((await sold.invoices())[-1])

    await shop.new_customer(name="New")  # who may try
    async with shop.work() as uow:
        wanted = Wanted(tried.id, "EUR", "month")
        act = await preview(uow, lambda work: subscriptions.start(work, wanted, key="try", coupon="FIFTH"))
    two = await sold.start(tried, coupon="FIFTH")
    sold.at(2026, 5, 15, 12)
    await sold.run(two)
    (made,) = [row for row in await sold.invoices() if row.subscription_id == two.id]
    assert sums(act.first_invoice) == sums(made) == (1_000, 4_000, 760, 4_760)


async def test_a_trial_is_shown_to_whoever_did_not_say_yet_to_whom_invoices_are_addressed(
    world: World,
) -> None:
    shop = await open_shop(world)
    sold = Subscribers(shop)
    tried = await sold.plan(price("base", "flat", "50"), trial_days=14)
    await shop.new_customer(profile=None)
    async with shop.work() as uow:
        wanted = Wanted(tried.id, "EUR", "month")
        shown = await preview(uow, lambda work: subscriptions.start(work, wanted, key="try"))
    assert (shown.state, shown.first_invoice) == ("trialing", None)
