"""Learned hours: what they are worth is told from real retries, and switched on they move a retry."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from models.billing import Invoice
from models.dunning import StepAction
from services.collection import history
from services.collection.collecting import Collector
from services.core.actor import system
from services.core.crossing import Reason, crossing
from services.dunning import campaigns
from services.dunning.campaigns import CampaignFields
from services.dunning.rules import Step
from services.payments import methods
from services.payments.providers.values import Customer, SetupOrder
from tests.fakes.stripe.running import RunningStripe, running_stripe
from tests.integration.billing.shop import line, open_shop
from tests.integration.payments.till import Till, open_till
from tests.world import World

HOUR = timedelta(hours=1)
# On Wednesdays: in the morning a retry never worked, in the evening it always did.
_LIVED = """
insert into payment (id, organization_id, invoice_id, provider, key, state, initiator, currency, minor, applied_minor,
  refunded_minor, decline_code, decline_hard, decline_kind, decline_advice, created_at, asked_at, succeeded_at,
  keep_method, message, reference, checks, version)
select 'pay_' || lpad(n::text, 26, '0'), :organization_id, :invoice_id, 'stripe', 'k' || n,
  case when came then 'succeeded' else 'failed' end, 'schedule', 'EUR', 1, 0, 0,
  case when not came then 'insufficient_funds' end, case when not came then false end,
  case when not came then 'funds' end, case when not came then 'retry_later' end, at, at,
  case when came then at end, false, '', '', 0, 1
from (
  select n, (n / 2) % 2 = 1 and n % 2 = 1 as came,
    timestamptz '2026-01-07 09:00Z' + (n / 600) * interval '7 days' + (n % 600) * interval '1 second'
      + case when (n / 2) % 2 = 1 then interval '9 hours' else interval '0' end as at
  from generate_series(0, 4799) n
) one
"""


@pytest.fixture(scope="module")
def stripe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStripe]:
    with running_stripe(tmp_path_factory.mktemp("stripe")) as fake:
        yield fake


@pytest.fixture
async def till(world: World, stripe: RunningStripe) -> AsyncIterator[Till]:
    async with open_till(await open_shop(world, payment_days=0), stripe) as till:
        yield till


async def keep(till: Till) -> None:
    provider, owner = await till.cashier.provider_of(till.account), till.shop.customer.id
    customer = await provider.keep_customer(Customer("Acme", "", owner), key=owner)
    setup = await provider.setup(SetupOrder(f"{owner}.visa", customer, "pm_card_visa"))
    assert setup.method is not None
    async with till.shop.work() as uow:
        await methods.keep_customer(uow, till.account.id, customer)
        await methods.keep(uow, till.account.id, setup.method)


async def lived(till: Till) -> None:
    """Months of retries, of one who pays no more."""
    paying = till.shop.customer
    await till.shop.new_customer(name="Before")
    old: Invoice = await till.shop.draft(line("1"))
    async with crossing(Reason.PAYMENTS) as uow:
        await uow.execute(_LIVED, organization_id=old.organization_id, invoice_id=old.id)
    till.shop.customer = paying


async def test_a_retry_waits_for_the_hour_that_worked_before(till: Till) -> None:
    await keep(till)
    await lived(till)
    steps = (Step(30, StepAction.MAIL),)
    async with crossing(Reason.STAFF, actor=system(), clock=till.clock) as uow:
        judged = await history.learned_hours_judged(uow)
        await campaigns.create(uow, CampaignFields("Usual", steps, enabled=True, learned_hours=True))
    assert judged.is_synthetic is False
    assert judged.score.learned_percent > 90
    assert judged.score.fixed_percent < 40
    assert judged.score.agreeing < judged.score.retries

    collector = Collector(till.cashier, 1, clock=till.clock)
    await till.shop.invoice(line("100"))  # on a Tuesday at nine in the morning
    till.stripe.act("declines", codes=["insufficient_funds"])
    assert await collector.collect_due() == 1

    async with till.shop.work() as uow:
        (waits,) = (await uow.execute("select next_at, reason from invoice_collection")).all()
    assert tuple(waits) == (datetime(2026, 3, 11, 18, tzinfo=UTC), "retry")
    till.later(24 * HOUR)  # when the fixed schedule would
    assert await collector.collect_due() == 0
    till.later(9 * HOUR)
    assert await collector.collect_due() == 1
