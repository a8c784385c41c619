"""Whatever happens in whatever order on a turned clock, money balances, documents explain themselves, and each token is
billed once.

A history that fails is printed as a `script`: put it into CASES, and it is played each time.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from models.billing import Invoice
from models.catalog import Price
from models.gateway import AiModel, Upstream
from models.money import Money
from models.plans import Plan
from models.types import ProrationBehaviour as B
from models.types import Role
from services.billing import customer_credits, explaining, finalizing, invoices, notes
from services.billing.notes import Asked
from services.billing_runs import clock_turning
from services.catalog.plan_rules import ChargeFields
from services.core.actor import Actor, system
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.errors import MatrixError, not_found
from services.core.work import UnitOfWork, unit_of_work
from services.gateway.calls import Call
from services.gateway.settlement import settle
from services.identity import clocks
from services.metering.rules import gateway_event
from services.metering.service import ensure_platform_meters, record
from services.subscriptions import subscriptions
from services.subscriptions.selecting import Wanted
from services.wallets import wallets
from tests.checks import assert_invariants
from tests.integration.billing.shop import Shop, line, open_shop
from tests.integration.billing.subscribers import Subscribers, price
from tests.integration.billing.test_billing_run import NOT_HERE
from tests.world import LONG_AGO, World

CURRENCIES = ("JPY", "KRW", "EUR", "USD", "KWD", "TND")
ZONES = ("UTC", "Europe/Berlin", "Asia/Kolkata", "America/New_York", "Pacific/Auckland")
WALL = FixedClock(datetime(2026, 3, 10, 9, tzinfo=UTC))
BEGAN = datetime(2026, 1, 31, 10, 30, tzinfo=UTC)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
LATE_DAYS = 20  # a document comes at least each month, and usage is looked at for 35 days
TOKENS = ("prompt_tokens", "completion_tokens")
Act = tuple[Any, ...]
_numbers = count()


def metered(code: str) -> ChargeFields:
    """What comes out, by volume: sixteen may cost less than fifteen."""
    tiers = [
        {"up_to": "100", "unit_amount": "0.5", "flat_amount": "0"},
        {"up_to": None, "unit_amount": "0.0333", "flat_amount": "3"},
    ]
    return ChargeFields(
        "out", "Out", "metered", code, {"model": "volume", "tiers": tiers}, interval="month", proration="day",
        meter="completion_tokens",
    )  # fmt: skip


class Market:
    """What all histories have in common: who sells, plans in each currency, and a price list."""

    def __init__(self, shop: Shop, staff: Actor) -> None:
        self.shop, self.staff, self.sold = shop, staff, Subscribers(shop)
        self.plans: list[Plan] = []

    @classmethod
    async def open(cls, world: World) -> Market:
        shop = await open_shop(world, is_test=True, payment_days=10, grace_hours=24)
        operator = await world.organization(name="House")
        market = cls(shop, world.actor(operator, Role.OPERATOR))
        async with crossing(Reason.CATALOG) as uow:
            await ensure_platform_meters(uow)
            uow.add(Upstream(id="ups_1", name="Up", created_at=LONG_AGO))
            await uow.session.flush()
            uow.add(
                AiModel(
                    id="model_m", slug="m", name="m", upstream_id="ups_1", upstream_model="m", context_tokens=1,
                    created_at=LONG_AGO,
                )
            )  # fmt: skip
            await uow.session.flush()
            for code in CURRENCIES:
                for meter, amount in zip(TOKENS, ("1.25", "7.77"), strict=True):
                    uow.add(
                        Price(
                            id=f"prc_{code}_{meter}", model="m", meter=meter, currency=code,
                            unit_amount=Decimal(amount), per_units=100, valid_from=LONG_AGO, created_at=LONG_AGO,
                        )
                    )  # fmt: skip
        for base, seat, policy, more in (
            ("19.99", "7.77", "second", [metered(code) for code in CURRENCIES]),
            ("150", "3.33", "day", []),
        ):
            fixed = [
                one
                for code in CURRENCIES
                for one in (
                    price("base", "flat", base, code, proration=policy),
                    price("seats", "seat", seat, code, proration=policy, quantity_min=Decimal(1)),
                )
            ]
            market.plans.append(await market.sold.plan(*fixed, *more))
        await market.sold.coupon("FIFTH", rate=Decimal("0.2"), duration="forever")
        return market


class History:
    """One customer on a clock of their own, and what happens to them. `script` is what was done."""

    def __init__(self, market: Market, code: str, zone: str) -> None:
        self.market, self.code, self.zone = market, code, zone
        self.script: list[Act] = []
        self.stated = {True: Counter[str](), False: Counter[str]()}  # tokens, by whether they were paid ahead
        self.calls = 0
        self.voided = False
        self.refused = Counter[str]()

    async def begin(self) -> None:
        shop = self.market.shop
        shop.now = BEGAN
        self.customer = await shop.new_customer(
            name=f"Customer {next(_numbers)}", currency=self.code, timezone=self.zone
        )
        async with crossing(Reason.STAFF, actor=self.market.staff, clock=WALL) as uow:
            self.clock = await clocks.create_test_clock(uow, self.customer.id, name="Trial", shows=BEGAN)
        self.shows = BEGAN

    def work(self) -> Any:
        return unit_of_work(system(self.customer.id), clock=WALL)

    async def play(self, *acts: Act) -> None:
        """Do it. What is refused in words changes nothing; anything else is a fault."""
        for name, *given in acts:
            self.script.append((name, *given))
            try:
                await getattr(self, name)(*given)
            except MatrixError as error:
                if error.status >= 500:
                    raise
                self.refused[name] += 1

    # What may happen

    async def turn(self, hours: int) -> None:
        to = self.shows + timedelta(hours=hours)
        async with crossing(Reason.STAFF, actor=self.market.staff, clock=WALL) as uow:
            await clock_turning.turn(uow, self.clock.id, to=to)
        while await clock_turning.go_on(self.clock.id, clock=WALL):
            pass
        self.shows = to

    async def moves(self, zone: str) -> None:
        async with crossing(Reason.STAFF, actor=self.market.staff, clock=WALL) as uow:
            await uow.execute(
                "update organization set timezone = :zone where id = :id", zone=zone, id=self.customer.id
            )

    async def calls_are_made(self, calls: Sequence[tuple[int, int, int]], ahead: bool, twice: bool) -> None:
        """So many minutes ago, with so many tokens in and out; told in this order, and perhaps again."""
        made: list[Call] = []
        for minutes, prompt, completion in calls:
            self.calls += 1
            at = max(self.shows - minutes * MINUTE, BEGAN)
            one = Call(f"r{self.calls}", self.customer.id, "", "", "chat", at, "", "", "m")
            one.status, one.prompt_tokens, one.completion_tokens = 200, prompt, completion
            one.reserved = "0" if ahead else ""
            made.append(one)
            self.stated[ahead].update(dict(zip(TOKENS, (prompt, completion), strict=True)))
        for _ in range(2 if twice else 1):
            if ahead:
                async with crossing(Reason.GATEWAY_SETTLEMENT, clock=WALL) as uow:
                    await settle(uow, made)
                continue
            events = [
                gateway_event(
                    organization_id=one.organization_id, request_id=one.id, time=one.started_at, model="m", key_id="",
                    prompt_tokens=one.prompt_tokens, completion_tokens=one.completion_tokens, endpoint="chat",
                    status=200,
                )
                for one in made
            ]  # fmt: skip
            async with crossing(Reason.DEMO, clock=WALL) as uow:
                await record(uow, [*events, *reversed(events)] if twice else events)

    async def pays_ahead(self, minor: int) -> None:
        async with self.work() as uow:
            await wallets.top_up(uow, money=Money(minor, self.code), payment_key=f"p{len(self.script)}")

    async def is_given(self, minor: int, days: int) -> None:
        async with self.work() as uow:
            money = Money(minor, self.code)
            await wallets.grant(
                uow, money=money, key=f"g{len(self.script)}", expires_at=self.shows + days * DAY
            )

    async def starts(self, plan: int, seats: int, days_ago: int, coupon: bool) -> None:
        async with self.work() as uow:
            await subscriptions.start(
                uow,
                self._wanted(plan, seats),
                key=f"s{len(self.script)}",
                coupon="FIFTH" if coupon else "",
                started_at=max(self.shows - days_ago * DAY, BEGAN) if days_ago else None,
            )

    async def changes(self, which: int, plan: int, seats: int, behaviour: B | None) -> None:
        async with self.work() as uow:
            await subscriptions.change(
                uow, await self._subscription(uow, which), self._wanted(plan, seats), behaviour=behaviour
            )

    async def pauses(self, which: int, days: int) -> None:
        async with self.work() as uow:
            await subscriptions.pause(
                uow, await self._subscription(uow, which), resume_at=self.shows + days * DAY
            )

    async def resumes(self, which: int) -> None:
        async with self.work() as uow:
            await subscriptions.resume(uow, await self._subscription(uow, which))

    async def cancels(self, which: int, at_once: bool) -> None:
        async with self.work() as uow:
            await subscriptions.cancel(uow, await self._subscription(uow, which), now_at_once=at_once)

    async def reactivates(self, which: int) -> None:
        async with self.work() as uow:
            await subscriptions.reactivate(uow, await self._subscription(uow, which))

    async def is_billed(self, minor: int) -> None:
        """By hand."""
        async with self.work() as uow:
            amount = f"{Money(minor, self.code).amount:f}"
            draft = await invoices.create_draft(uow, key=f"i{len(self.script)}", currency=self.code)
            await invoices.add_lines(uow, draft.id, [line(amount, currency=self.code)])
            await finalizing.finalize(uow, draft.id)

    async def is_credited(self, which: int, percent: int) -> None:
        one = await self._invoice(which)
        minor = (one.total_minor - one.credited_minor) * percent // 100
        async with self.work() as uow:
            await notes.issue(
                uow, one.id, key=f"n{len(self.script)}", reason="Agreed", asked=Asked(minor or None)
            )

    async def is_forgiven(self, which: int) -> None:
        one = await self._invoice(which)
        async with self.work() as uow:
            await invoices.void(uow, one.id, reason="Agreed")
        self.voided |= any(each.origin == "usage" for each in await self.market.shop.lines(one))

    async def pays(self, which: int, by_wallet: bool) -> None:
        one = await self._invoice(which)
        async with self.work() as uow:
            await (customer_credits.pay_by_wallet if by_wallet else customer_credits.pay_by_credits)(
                uow, one.id
            )

    def _wanted(self, plan: int, seats: int) -> Wanted:
        return Wanted(self.market.plans[plan].id, self.code, "month", quantities={"seats": Decimal(seats)})

    async def _subscription(self, uow: UnitOfWork, which: int) -> str:
        """The id of one of them; of nothing, if there is none yet."""
        found = await uow.execute(
            "select id from subscription where organization_id = :id order by created_at, id",
            id=self.customer.id,
        )
        ids = list(found.scalars())
        return ids[which % len(ids)] if ids else "sub_none"

    async def _invoices(self) -> list[Invoice]:
        async with self.work() as uow:
            found = await uow.execute(
                "select * from invoice where organization_id = :id order by created_at, key",
                id=self.customer.id,
            )
            return [Invoice(**row) for row in found.mappings()]

    async def _invoice(self, which: int) -> Invoice:
        """One of those with a number; raises NotFound if there is none yet."""
        numbered = [one for one in await self._invoices() if one.number]
        if not numbered:
            raise not_found("invoice", str(which))
        return numbered[which % len(numbered)]

    # What must hold

    async def balances(self) -> None:
        """At every moment: the book is even, and each wallet is what came in less what went and what was lost."""
        async with self.work() as uow:
            odd = await uow.execute(
                "select currency, sum(minor) from ledger_entry where organization_id = :id group by 1"
                " having sum(minor) <> 0",
                id=self.customer.id,
            )
            assert odd.all() == []
            lots = await uow.execute(
                "select w.inbound_minor - w.outbound_minor - w.breakage_minor - w.left_minor as off,"
                " w.left_minor - coalesce(sum(l.left_minor), 0) as lots, w.left_minor >= 0 as kept"
                " from wallet w left join wallet_lot l on l.wallet_id = w.id where w.organization_id = :id"
                " group by w.id",
                id=self.customer.id,
            )
            assert {tuple(one) for one in lots} <= {(0, 0, True)}

    async def end(self) -> None:
        """Let all of it come to rest, and look at everything."""
        async with self.work() as uow:
            found = await uow.execute(
                "select id from subscription where organization_id = :id", id=self.customer.id
            )
            count_of = len(found.all())
        await self.play(*[("cancels", which, True) for which in range(count_of)], ("turn", 24 * 70))
        self.script = self.script[: -count_of - 1]
        made = await self._invoices()
        assert all(one.number for one in made), [one.key for one in made if not one.number]
        async with self.work() as uow:
            parked = await uow.execute(
                "select parked_reason from subscription where organization_id = :id and parked_at is not null"
                " union all select parked_reason from usage_period where organization_id = :id"
                " and parked_at is not null",
                id=self.customer.id,
            )
            assert list(parked.scalars()) == []
            for one in made:
                for each in await self.market.shop.lines(one):
                    assert (await explaining.explain(uow, one, each)).agrees, (one.number, each.description)
        await self._each_token_is_billed_once(made)
        book = await self._book()
        standing = [one for one in made if one.state != "void"]
        assert book["receivable"] == sum(one.due_minor for one in standing)
        assert book["deferred_revenue"] == 0
        await self.balances()
        await assert_invariants(but=NOT_HERE)

    async def _book(self) -> Counter[str]:
        shop = self.market.shop
        shop.customer = self.customer
        return Counter(await shop.balances())

    async def _each_token_is_billed_once(self, made: Sequence[Invoice]) -> None:
        """By a wallet, a plan, or the price list. What was forgiven is asked for by nothing."""
        if self.voided:
            return
        last: dict[str, dict[str, Decimal]] = {}
        for one in made:
            for each in await self.market.shop.lines(one):
                base = each.key.partition(".late")[0]
                if each.facts["made_by"] == "price_list":
                    last[base] = {part["meter"]: Decimal(part["quantity"]) for part in each.facts["parts"]}
                elif each.metric is not None:
                    last[base] = {each.metric: each.quantity}
        billed = {
            meter: sum((one.get(meter, Decimal(0)) for one in last.values()), Decimal(0)) for meter in TOKENS
        }
        assert billed == {meter: self.stated[False][meter] for meter in TOKENS}


WHICH, SEATS = st.integers(0, 3), st.integers(1, 4)
PLAN = st.sampled_from([0, 0, 1])
CALL = st.tuples(st.integers(0, LATE_DAYS * 1_440), st.integers(0, 3_000), st.integers(0, 160))


class Mixed(RuleBasedStateMachine):
    """Random histories. `market` and `loop` are set by the test."""

    market: Market
    loop: asyncio.AbstractEventLoop

    def do(self, awaited: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(awaited, self.loop).result()

    @initialize(code=st.sampled_from(CURRENCIES), zone=st.sampled_from(ZONES), plan=PLAN)
    def begin(self, code: str, zone: str, plan: int) -> None:
        self.history = History(self.market, code, zone)
        self.do(self.history.begin())
        self.act("starts", plan, 2, 0, True)

    def act(self, name: str, *given: Any) -> None:
        async def then_look() -> None:
            await self.history.play((name, *given))
            await self.history.balances()

        self.do(then_look())

    @rule(hours=st.integers(1, 24 * 30))
    def turn(self, hours: int) -> None:
        self.act("turn", hours)

    @rule(calls=st.lists(CALL, min_size=1, max_size=4), ahead=st.booleans(), twice=st.booleans())
    def calls_are_made(self, calls: list[tuple[int, int, int]], ahead: bool, twice: bool) -> None:
        self.act("calls_are_made", calls, ahead, twice)

    @rule(plan=PLAN, seats=SEATS, days_ago=st.sampled_from([0, 0, 3, 20]), coupon=st.booleans())
    def starts(self, plan: int, seats: int, days_ago: int, coupon: bool) -> None:
        self.act("starts", plan, seats, days_ago, coupon)

    @rule(which=WHICH, plan=PLAN, seats=SEATS, behaviour=st.sampled_from([None, *B]))
    def changes(self, which: int, plan: int, seats: int, behaviour: B | None) -> None:
        self.act("changes", which, plan, seats, behaviour)

    @rule(which=WHICH, days=st.integers(1, 10))
    def pauses(self, which: int, days: int) -> None:
        self.act("pauses", which, days)

    @rule(which=WHICH, how=st.sampled_from(["resumes", "reactivates"]))
    def goes_on(self, which: int, how: str) -> None:
        self.act(how, which)

    @rule(which=WHICH, at_once=st.booleans())
    def cancels(self, which: int, at_once: bool) -> None:
        self.act("cancels", which, at_once)

    @rule(minor=st.integers(1, 50_000))
    def pays_ahead(self, minor: int) -> None:
        self.act("pays_ahead", minor)

    @rule(minor=st.integers(1, 5_000), days=st.integers(1, 40))
    def is_given(self, minor: int, days: int) -> None:
        self.act("is_given", minor, days)

    @rule(minor=st.integers(1, 30_000))
    def is_billed(self, minor: int) -> None:
        self.act("is_billed", minor)

    @rule(which=WHICH, percent=st.integers(1, 110))
    def is_credited(self, which: int, percent: int) -> None:
        self.act("is_credited", which, percent)

    @rule(which=WHICH)
    def is_forgiven(self, which: int) -> None:
        self.act("is_forgiven", which)

    @rule(which=WHICH, by_wallet=st.booleans())
    def pays(self, which: int, by_wallet: bool) -> None:
        self.act("pays", which, by_wallet)

    @rule(zone=st.sampled_from(ZONES))
    def moves(self, zone: str) -> None:
        self.act("moves", zone)

    def teardown(self) -> None:
        if hasattr(self, "history"):
            history = self.history
            note(f"script: {history.code!r}, {history.zone!r}, {history.script!r}")
            self.do(history.end())


# Histories that once went wrong, and one that does a little of everything.
CASES: list[tuple[str, str, list[Act]]] = [
    (
        "KWD",
        "Asia/Kolkata",
        [
            ("pays_ahead", 20_000), ("starts", 0, 2, 3, True), 
            ("calls_are_made", [(60, 500, 90), (5, 10, 20)], False, True),
            ("calls_are_made", [(30, 700, 50)], True, True), ("turn", 24 * 12), ("is_given", 900, 9),
            ("changes", 0, 1, 3, B.INVOICE_NOW), ("calls_are_made", [(20_000, 40, 40), (1, 900, 10)], False, False),
            ("moves", "America/New_York"), ("turn", 24 * 25), ("is_credited", 0, 40), ("changes", 0, 0, 1, None),
            ("pauses", 0, 6), ("calls_are_made", [(9_000, 3, 60)], False, False), ("turn", 24 * 30), ("is_billed", 777),
            ("pays", 1, True), ("cancels", 0, False), ("turn", 24 * 35),
            ("calls_are_made", [(28_000, 0, 9)], False, True),
        ],
    ),
    (
        "JPY",
        "UTC",
        [
            ("starts", 0, 2, 0, True), ("calls_are_made", [(0, 0, 1)], False, False), ("starts", 0, 1, 0, False),
            ("turn", 1),
        ],
    ),
]  # fmt: skip


async def machine(world: World, **how: Any) -> None:
    market, loop = await Market.open(world), asyncio.get_running_loop()
    mixed = type("Mixed", (Mixed,), {"market": market, "loop": loop})
    await asyncio.to_thread(run_state_machine_as_test, mixed, settings=settings(**how))


async def test_histories_that_once_went_wrong(world: World) -> None:
    market = await Market.open(world)
    for code, zone, script in CASES:
        history = History(market, code, zone)
        await history.begin()
        for act in script:
            await history.play(act)
            await history.balances()
        await history.end()


async def test_whatever_happens_money_balances_and_each_token_is_billed_once(world: World) -> None:
    await machine(world, max_examples=3, stateful_step_count=6, derandomize=True)


@pytest.mark.deep
@pytest.mark.timeout(3_600)
async def test_whatever_happens_money_balances_and_each_token_is_billed_once_many_times(world: World) -> None:
    await machine(world, max_examples=150, stateful_step_count=25)
