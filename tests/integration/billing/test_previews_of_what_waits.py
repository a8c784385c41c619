"""What counts later has exact money, too: the first invoice on which it counts, as it will be billed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from models.billing import Invoice
from models.types import ProrationBehaviour as B
from services.subscriptions import queries, subscriptions
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


# What is done with a plan of 60 a month and 9.99 for each of 3 seats, on which days of April after the 1st it began.
Step = tuple[int, str, dict[str, Any]]
HISTORIES: dict[str, tuple[dict[str, Any], list[Step]]] = {
    "nothing": ({}, []),
    "a coupon for once": ({"coupon": "TENTH"}, []),
    "a coupon for two periods": ({"coupon": "TWICE"}, []),
    "a coupon for ever": ({"coupon": "FIFTH"}, []),
    "a coupon of an amount": ({"coupon": "TWENTY"}, []),
    "a coupon that came later, and one before": ({"coupon": "FIFTH"}, [(3, "take_coupon", {"code": "TENTH"})]),
    "a coupon for a plan that it leaves": ({"coupon": "SMALL"}, [(5, "change", {"behaviour": B.NEXT_PERIOD})]),
    "a change that waits": ({"coupon": "FIFTH"}, [(5, "change", {"behaviour": B.NEXT_PERIOD})]),
    "a change that is billed later": ({"coupon": "TWICE"}, [(11, "change", {"behaviour": B.NEXT_INVOICE})]),
    "a trial": ({"coupon": "TENTH", "trial_days": 9}, []),
    "a trial that ends while it is cancelled": ({"trial_days": 9}, [(4, "cancel", {})]),
    "to begin later": ({"coupon": "FIFTH", "started_at": datetime(2026, 4, 20, 12, tzinfo=UTC)}, []),
    "to be tried later": ({"started_at": datetime(2026, 4, 20, 12, tzinfo=UTC), "trial_days": 9}, []),
    "a pause": ({"coupon": "FIFTH"}, [(11, "pause", {})]),
    "a pause that ends": ({"coupon": "TWICE"}, [(11, "pause", {"resume_at": datetime(2026, 4, 21, 12, tzinfo=UTC)})]),
    "resumed": ({"coupon": "FIFTH"}, [(11, "pause", {}), (13, "resume", {})]),
    "cancelled": ({"coupon": "FIFTH"}, [(11, "cancel", {})]),
    "cancelled within the period": ({}, [(11, "cancel", {"cancel_at": datetime(2026, 4, 21, 12, tzinfo=UTC)})]),
    "cancelled, and kept": ({"coupon": "FIFTH"}, [(11, "cancel", {}), (12, "reactivate", {})]),
}  # fmt: skip


async def test_what_is_said_to_come_is_what_turning_the_clock_makes(world: World) -> None:
    sold = Subscribers(await open_shop(world))
    seats = price("seats", "seat", "9.99")
    used = price("use", "metered", "0.01", meter="prompt_tokens")
    small = await sold.plan(price("base", "flat", "60"), seats, used)
    large = await sold.plan(price("base", "flat", "100"), seats)
    sold.at(2026, 4, 1, 12)
    await sold.coupon("TENTH", rate=Decimal("0.1"))
    await sold.coupon("TWICE", rate=Decimal("0.2"), duration="periods", periods=2)
    await sold.coupon("FIFTH", rate=Decimal("0.2"), duration="forever")
    await sold.coupon("TWENTY", amount=Decimal(20), currency="EUR", duration="forever")
    await sold.coupon("SMALL", rate=Decimal("0.5"), duration="forever", plans=(small.id,))
    said, made = {}, {}
    for name, (how, steps) in HISTORIES.items():
        sold.at(2026, 4, 1, 12)
        await sold.shop.new_customer(name=name)
        one = await sold.start(small, quantities={"seats": Decimal(3)}, **how)
        for day, verb, given in steps:
            sold.at(2026, 4, day, 12)
            if verb == "change":
                await sold.change(one, large, quantities={"seats": Decimal(3)}, **given)
            else:
                await sold.do(getattr(subscriptions, verb), one, **given)
        said[name], made[name] = [], []
        for number in range(3 if how.get("coupon") == "TWICE" else 2):
            before = len(await sold.numbered())
            async with sold.shop.work() as uow:
                comes = (await queries.detail(uow, one.id)).upcoming
            if comes is None:
                break
            assert comes.at > sold.shop.now
            if not number:
                sold.shop.now = comes.at - timedelta(seconds=1)
                await sold.run(one)
                assert len(await sold.numbered()) == before, name
            sold.shop.now = comes.at
            await sold.run(one)  # what has usage on it waits for more of it
            sold.shop.now += timedelta(hours=sold.shop.entity.grace_hours)
            await sold.run(one)
            lines = [line for row in (await sold.numbered())[before:] for line in await sold.shop.lines(row)]
            said[name].append(comes.amount_minor)
            made[name].append(sum(line.amount_minor - line.discount_minor for line in lines))
    assert said == made
    assert said["a coupon for two periods"] == [7_198, 8_997, 8_997]
    assert said["a trial"] == [8_097, 8_997]
    assert said["cancelled"] == [0]  # what was used
