"""Checks over a whole database that any test may end with."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from services.core import database as databases
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.invariants.book import BOOK, EveryEventIsPositioned, EveryOrganizationHasAnOwner
from services.invariants.check import evidence_against
from services.invariants.rule import Invariant
from services.payments.rules import CHECK_WAITS

EVIDENCE_MAX = 10

_KEY = "organization_id, meter_id, bucket, model, key_id"
_SUMS = "events, quantity, smallest, largest, cost, unpriced"

# What each event states to each meter whose sums are kept, worked out from the event alone: quantity by its
# properties, cost by the prices it names. Written apart from the product's own SQL, to disagree with it.
_STATED = """
    select e.organization_id, m.id as meter_id, date_trunc('minute', e.time, 'UTC') as bucket, e.model, e.key_id,
           e.cost is null as unpriced, m.slug, m.organization_id is null as platform, e.price_ids,
           case
             when m.aggregation = 'count' then 1
             when jsonb_typeof(e.properties -> m.value_property) = 'number'
               then round((e.properties -> m.value_property)::numeric, 12)
             when jsonb_typeof(e.properties -> m.value_property) = 'string'
               and e.properties ->> m.value_property ~ '^[0-9]+([.][0-9]{1,12})?$'
               then (e.properties ->> m.value_property)::numeric
           end as quantity
    from usage_event e
    join meter m on m.event_type = e.type and coalesce(m.organization_id, e.organization_id) = e.organization_id
    where m.aggregation in ('count', 'sum', 'max', 'average')
"""
_FROM_EVENTS = f"""
    select {_KEY}, count(*) as events, sum(quantity) as quantity, min(quantity) as smallest,
           max(quantity) as largest, count(*) filter (where unpriced) as unpriced,
           coalesce(sum(round(quantity * unit_amount / per_units, 12)) filter (where not unpriced), 0) as cost
    from ({_STATED}) as stated
    left join lateral (select p.unit_amount, p.per_units from price p
                       where stated.platform and p.meter = stated.slug and p.id = any(stated.price_ids)) as p on true
    where quantity between 0 and 1000000000000000000
    group by {_KEY}
"""
_FROM_ROLLUPS = f"""
    select {_KEY}, sum(events) as events, sum(quantity) as quantity, min(smallest) as smallest,
           max(largest) as largest, sum(cost) as cost, sum(unpriced) as unpriced
    from (select {_KEY}, {_SUMS} from usage_minute union all select {_KEY}, {_SUMS} from usage_delta) as kept
    group by {_KEY}
"""
_COARSER = """
    select organization_id, meter_id, date_trunc('{unit}', bucket, 'UTC') as bucket, model, key_id,
           sum(events) as events, sum(quantity) as quantity, min(smallest) as smallest,
           max(largest) as largest, sum(cost) as cost, sum(unpriced) as unpriced
    from usage_minute group by 1, 2, 3, 4, 5
"""

# What invoices, credits, payments and refunds say against the ledger and each other; anything found is wrong.
_MONEY = """
select 'unbalanced' as what, organization_id as id, sum(minor) as ours, 0 as theirs
  from ledger_entry group by organization_id, currency having sum(minor) <> 0
union all
select 'receivable', coalesce(b.currency, d.currency), coalesce(b.minor, 0), coalesce(d.minor, 0) from (
    select e.currency, sum(e.minor) as minor from ledger_entry e join ledger_account a on a.id = e.account_id
    where a.purpose = 'receivable' group by e.currency) b
  full join (select currency, sum(due_minor) as minor from invoice where number is not null group by currency) d
    on d.currency = b.currency
  where coalesce(b.minor, 0) <> coalesce(d.minor, 0)
union all
select 'credit', coalesce(b.currency, d.currency), coalesce(b.minor, 0), coalesce(d.minor, 0) from (
    select e.currency, -sum(e.minor) as minor from ledger_entry e join ledger_account a on a.id = e.account_id
    where a.purpose = 'customer_credit' group by e.currency) b
  full join (select currency, sum(minor) as minor from (
      select currency, left_minor as minor from customer_credit
      union all select currency, minor from refund where state = 'sending') one group by currency) d
    on d.currency = b.currency
  where coalesce(b.minor, 0) <> coalesce(d.minor, 0)
union all
select 'state', id, due_minor, total_minor from invoice
  where state = 'paid' and due_minor + written_off_minor <> 0 or state = 'finalized' and due_minor = 0
union all
select 'refunded', p.id, p.refunded_minor, coalesce(sum(r.minor), 0) from payment p
  left join refund r on r.payment_id = p.id and r.destination = 'source'
    and r.state in ('sending', 'processing', 'succeeded')
  where not exists (select from ledger_journal j where j.reverses = p.journal_id)  -- its chain took it back
  group by p.id having p.refunded_minor <> coalesce(sum(r.minor), 0) or p.refunded_minor > p.minor
union all
select 'twice under way', invoice_id, count(*), 1 from payment
  where state in ('sending', 'requires_action', 'processing') group by invoice_id having count(*) > 1
union all
select 'nobody will ask', id, 0, 0 from (
    select id, check_at from payment
      where provider <> 'crypto' and state in ('sending', 'requires_action', 'processing')
        and provider_account_id is not null
    union all select r.id, r.check_at from refund r join payment p on p.id = r.payment_id
      where p.provider <> 'bank' and r.state in ('sending', 'processing')) one
  where check_at is null or check_at > cast(:now as timestamptz) + cast(:bound as interval)
"""


async def assert_rollups_equal_raw(on: Database | None = None) -> None:
    """Minutes and waiting deltas equal the raw events, hours and days equal the minutes, costs add up."""
    comparisons = {
        "minutes and deltas against raw events": (_FROM_ROLLUPS, _FROM_EVENTS),
        "hours against minutes": (f"select {_KEY}, {_SUMS} from usage_hour", _COARSER.format(unit="hour")),
        "days against minutes": (f"select {_KEY}, {_SUMS} from usage_day", _COARSER.format(unit="day")),
        "costs of meters against costs of events": (
            "select organization_id, sum(cost) as cost from"
            " (select organization_id, cost from usage_day union all select organization_id, cost from usage_delta)"
            " as kept group by 1 having sum(cost) <> 0",
            "select organization_id, sum(cost) as cost from usage_event group by 1 having sum(cost) <> 0",
        ),
    }
    async with crossing(Reason.INVARIANTS, on=on) as uow:
        # One snapshot for all comparisons: compactors and writers may be at work.
        await uow.execute("set transaction isolation level repeatable read")
        for what, (one, other) in comparisons.items():
            columns = "organization_id, cost" if what.startswith("costs") else f"{_KEY}, {_SUMS}"
            found = await uow.execute(
                f"(select 'kept', d.* from (select {columns} from ({one}) a except select {columns} from ({other}) b) d"
                f" union all select 'true', d.* from"
                f" (select {columns} from ({other}) b except select {columns} from ({one}) a) d) limit {EVIDENCE_MAX}"
            )
            differing = [tuple(row) for row in found]
            assert not differing, f"{what}:\n" + "\n".join(map(str, differing))


# What tests leave open that make their organisations by hand: nobody is a member, and no relay runs.
MADE_BY_HAND = (EveryOrganizationHasAnOwner, EveryEventIsPositioned)


async def assert_invariants(on: Database | None = None, *, but: Iterable[type[Invariant]] = ()) -> None:
    """Every invariant that production checks holds, `but` for those that the test does not care about."""
    broken: list[str] = []
    for rule in BOOK:
        if rule not in set(but):
            async with crossing(Reason.INVARIANTS, on=on) as uow:
                found = await evidence_against(rule, uow)
            broken += [f"{rule.name}: {row}" for row in found]
    assert not broken, "\n".join(broken)


def assert_invariants_at(url: str, *, within_s: float = 30.0) -> None:
    """Every invariant holds in the database at `url`, now or in a while: somebody may still be at work there.

    For where no event loop runs, or another one.
    """

    async def hold() -> None:
        on = databases.connect(url, pool_size=1)
        ends = asyncio.get_running_loop().time() + within_s
        try:
            while True:
                try:
                    return await assert_invariants(on)
                except AssertionError:
                    if asyncio.get_running_loop().time() >= ends:
                        raise
                await asyncio.sleep(0.5)  # between looks: nobody tells when what is at work is done
        finally:
            await on.close()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, hold()).result()


async def assert_money_agrees(on: Database | None = None, *, now: datetime) -> None:
    """What is due, owed, paid and given back agrees with the ledger, whoever's it is; and of what is with a provider
    `now`, by the wall, somebody will ask."""
    async with crossing(Reason.INVARIANTS, on=on) as uow:
        found = [tuple(row) for row in await uow.execute(_MONEY, now=now, bound=CHECK_WAITS[-1])]
    assert not found, "\n".join(map(str, found))
