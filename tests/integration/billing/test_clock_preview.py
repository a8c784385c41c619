"""What turning a clock would make is what it makes, to the cent, and looking leaves nothing behind."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from models.identity import Organization
from models.types import ProrationBehaviour
from services.billing import profiles
from services.billing_runs import clock_preview, clock_turning
from services.billing_runs.clock_preview import ClockPreview
from services.core.crossing import Reason, crossing
from services.core.errors import Busy, Conflict, Forbidden, Invalid
from services.identity import clocks
from services.metering.service import record
from services.subscriptions import subscriptions
from services.subscriptions.selecting import Wanted
from tests.checks import MADE_BY_HAND, assert_invariants
from tests.integration.billing.papers_made import EVERYTHING, papers_made
from tests.integration.billing.shop import BUYER
from tests.integration.billing.subscribers import price
from tests.integration.billing.test_clock_turning import BEGAN, DAY, WALL, Trial, opened
from tests.integration.billing.test_clock_turning import _used as used
from tests.world import World

# What nobody may see of a look: rows, and how far numbers are drawn.
_LEFT = """
select (select count(*) from event) as events, (select count(*) from invoice) as invoices,
  (select count(*) from payment) as payments, (select count(*) from ledger_journal) as journals,
  (select coalesce(sum(last), 0) from number_series) as drawn,
  (select array_agg((id, version, next_at)::text order by id) from subscription) as subscriptions,
  (select array_agg((id, now_at, target_at)::text) from test_clock) as clocks
"""


async def left() -> dict[str, Any]:
    async with crossing(Reason.INVARIANTS) as uow:
        return dict((await uow.execute(_LEFT)).mappings().one())


async def look(trial: Trial, to: datetime, whose: int = 0) -> ClockPreview:
    before = await left(), await papers_made(trial.clock.id, of=EVERYTHING)
    async with crossing(Reason.STAFF, actor=trial.staff, clock=WALL) as uow:
        found = await clock_preview.preview(uow, trial.organizations[whose].id, to=to)
    assert (await left(), await papers_made(trial.clock.id, of=EVERYTHING)) == before
    return found


def shown(found: ClockPreview) -> list[tuple[Any, ...]]:
    """As `made`: what is on each document, in an order that does not depend on ids."""
    return sorted(
        (
            one.document.billed_at,
            one.document.waits,
            one.document.discount_minor,
            one.document.net_minor,
            one.document.tax_minor,
            one.document.total_minor,
            one.document.due_minor + one.document.credits_minor,
            [
                (
                    line.description,
                    line.amount_minor,
                    line.discount_minor,
                    line.net_minor,
                    line.tax_minor,
                    str(line.period_start),
                    str(line.period_end),
                )
                for line in one.document.lines
            ],
        )
        for one in found.documents
    )


_MADE = """
select coalesce(i.finalized_at, i.collect_until) as at, i.state = 'draft' as waits, i.id, i.discount_minor, i.net_minor,
  i.tax_minor, i.total_minor, greatest(i.total_minor, 0) as asked
from invoice i where i.organization_id = :id and not i.id = any(:known)
"""
_LINES = """
select description, amount_minor, discount_minor, net_minor, tax_minor, period_start, period_end from invoice_line
where invoice_id = :id order by position
"""


async def made(whose: Organization, known: list[str]) -> list[tuple[Any, ...]]:
    async with crossing(Reason.INVARIANTS) as uow:
        found = (await uow.execute(_MADE, id=whose.id, known=known)).all()
        rows: list[tuple[Any, ...]] = []
        for one in found:
            lines = [
                (*row[:5], str(row.period_start), str(row.period_end))
                for row in await uow.execute(_LINES, id=one.id)
            ]
            rows.append(
                (one.at, one.waits, one.discount_minor, one.net_minor, one.tax_minor, one.total_minor, one.asked, lines)
            )  # fmt: skip
    return sorted(rows)


async def known(whose: Organization) -> list[str]:
    """Documents that are made already, and not gathering still."""
    query = "select id from invoice where organization_id = :id and state <> 'draft'"
    async with crossing(Reason.INVARIANTS) as uow:
        return list((await uow.execute(query, id=whose.id)).scalars())


async def much(world: World) -> Trial:
    """Two customers with trials, changes and pauses that wait, usage, wallets and a coupon."""
    sold = await opened(world)
    sold.shop.now = BEGAN
    await sold.coupon("THIRD", rate=Decimal("0.3333"), duration="periods", periods=2)
    trial = Trial(sold)
    await trial.begin()
    team = await sold.plan(price("base", "flat", "99.99"), price("seats", "seat", "7.77"))
    solo = await sold.plan(price("base", "flat", "19.99"))
    async with trial.work(trial.organizations[0]) as uow:
        wanted = Wanted(team.id, "EUR", "month", quantities={"seats": Decimal(3)})
        one = await subscriptions.start(uow, wanted, key="team", coupon="THIRD")
        down = Wanted(solo.id, "EUR", "month")
        await subscriptions.change(uow, one.id, down, behaviour=ProrationBehaviour.NEXT_PERIOD)
        two = await subscriptions.start(uow, wanted, key="ends")
        await subscriptions.cancel(uow, two.id, cancel_at=BEGAN + 47 * DAY)
    async with trial.work(trial.organizations[1]) as uow:
        await profiles.set_profile(uow, BUYER)
    async with crossing(Reason.DEMO) as uow:
        first, second = trial.organizations
        more = [used(first, 100 + n, BEGAN + n * 2 * DAY) for n in range(60)]
        more += [used(second, 200 + n, BEGAN + n * 4 * DAY) for n in range(30)]
        await record(uow, more)
    return trial


@pytest.mark.parametrize("whose", [0, 1])
async def test_what_is_shown_before_is_what_turning_makes(world: World, whose: int) -> None:
    trial = await much(world)
    to = BEGAN + 130 * DAY
    whom = trial.organizations[whose]
    before = await known(whom)
    found = await look(trial, to, whose)
    assert (found.shows, found.to, found.until, found.more) == (BEGAN, to, to, False)
    assert len(found.documents) > 3
    await trial.turn(to)
    there = [row for row in await made(whom, before) if not row[1]]
    assert [row for row in shown(found) if not row[1]] == there
    waiting = [one.document.billed_at for one in found.documents if one.document.waits]
    assert waiting == [row[0] for row in await made(whom, before) if row[1]]
    await assert_invariants(but=MADE_BY_HAND)


async def test_a_look_leads_on_from_where_the_last_one_ended(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = await much(world)
    to = BEGAN + 130 * DAY
    whole = await look(trial, to)
    monkeypatch.setattr(clock_preview, "DOCUMENTS_MAX", 3)
    part = await look(trial, to)
    assert part.more
    assert part.until < to
    assert shown(part) == shown(whole)[: len(part.documents)]
    monkeypatch.setattr(clock_preview, "DOCUMENTS_MAX", 100)
    monkeypatch.setattr(clock_preview, "LINES_MAX", 4)
    part = await look(trial, to)
    assert (part.more, part.until) == (True, part.documents[-1].document.billed_at)
    monkeypatch.setattr(clock_preview, "LOOK_S_MAX", -1)
    part = await look(trial, to)
    assert part.more
    assert BEGAN < part.until < to


async def test_who_may_look_and_when(world: World) -> None:
    trial = await much(world)
    first = trial.organizations[0]
    with pytest.raises(Forbidden):
        async with crossing(Reason.STAFF, actor=world.actor(first), clock=WALL) as uow:
            await clock_preview.preview(uow, first.id, to=BEGAN + DAY)
    with pytest.raises(Invalid, match="forward only"):
        await look(trial, BEGAN - DAY)
    with pytest.raises(Invalid):
        await look(trial, BEGAN + clocks.STEP_MAX + DAY)
    async with trial.work(first) as uow:
        await uow.execute(
            "update subscription set parked_at = next_at, parked_reason = 'Nobody is billed.',"
            " retry_at = next_at + interval '900 days' where organization_id = :id and next_at is not null",
            id=first.id,
        )
    assert (await look(trial, BEGAN + DAY)).parked == ("Nobody is billed.",)
    async with crossing(Reason.STAFF, actor=trial.staff, clock=WALL) as uow:
        await clock_turning.turn(uow, trial.clock.id, to=BEGAN + DAY)
    with pytest.raises(Conflict, match="is being turned to"):
        await look(trial, BEGAN + 2 * DAY)


async def test_a_look_waits_for_nobody(world: World) -> None:
    trial = await much(world)
    first = trial.organizations[0]
    async with trial.work(first) as uow:
        await uow.execute("select from subscription where organization_id = :id for update", id=first.id)
        with pytest.raises(Busy):
            async with crossing(Reason.STAFF, actor=trial.staff, clock=WALL) as other:
                await clock_preview.preview(other, first.id, to=BEGAN + timedelta(days=60))
