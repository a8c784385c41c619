"""What may happen to one customer who is billed on a turned clock, pays, and is given money back.

Each act is a method with plain arguments, so that a history is a list that can be printed and played again. `which`
chooses among what is there, wherever it points.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from models.billing import Invoice
from models.money import Money
from models.payments import Payment
from models.refunds import Refund
from models.subscriptions import Collection, Subscription
from models.types import ProrationBehaviour
from services.billing import customer_credits, finalizing, invoices, notes, profiles
from services.billing.notes import Asked
from services.billing_runs import clock_turning
from services.core.actor import system
from services.core.crossing import Reason, crossing
from services.core.errors import MatrixError, not_found
from services.core.work import UnitOfWork, unit_of_work
from services.gateway.calls import Call
from services.gateway.settlement import settle
from services.identity import clocks, organizations
from services.metering.rules import gateway_event
from services.metering.service import record
from services.payments import transfers
from services.refunds import refunds
from services.subscriptions import collecting, subscriptions
from services.subscriptions.arranging import Arrangement
from services.subscriptions.selecting import Wanted
from services.wallets import wallets
from tests.integration.billing.mixed_market import PAYMENT_DAYS, TOKENS, WALL, Market
from tests.integration.billing.shop import BUYER, line
from tests.integration.payments.refund_ways import way

BEGAN = datetime(2026, 1, 31, 10, 30, tzinfo=UTC)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
ALONE = {"*": 10**12}  # staff gives back whatever it likes
WAITS = {
    "sends": "sending",
    "returns": "succeeded",
    "approves": "awaiting_approval",
    "rejects": "awaiting_approval",
    "gives_up": "sending",
}
# Of which the trial is not over when one looks, or was not at the look before.
_TRIALS = """
select s.id, greatest(s.started_at, k.now_at) as since, s.trial_end, m.meter, exists (
  select from subscription_item t join plan_charge c on c.id = t.price_id
  where t.subscription_id = s.id and t.ended_at is null and c.meter = m.meter) as metered
from subscription s join organization o on o.id = s.organization_id join test_clock k on k.id = o.test_clock_id
cross join unnest(cast(:meters as text[])) as m(meter)
where s.organization_id = :id and s.trial_end > k.now_at
"""
Act = tuple[Any, ...]
_numbers = count()


class History:
    """One customer on a clock of their own, and what happens to them. `script` is what was done."""

    def __init__(self, market: Market, code: str, zone: str) -> None:
        self.market, self.code, self.zone = market, code, zone
        self.script: list[Act] = []
        self.told: list[tuple[list[Call], bool]] = []  # calls, and whether they were paid ahead
        self.tried: dict[
            tuple[str, str], list[list[datetime]]
        ] = {}  # when a trial metered something, by subscription and meter
        self.cash = 0  # what is on our bank account of theirs, in minor units
        self.brands: list[tuple[datetime, str]] = []  # which bills them, since when
        self.is_named = False  # the entity that bills, in their profile
        self.days: dict[str, list[tuple[datetime, int]]] = {}  # to pay in, by subscription
        self.owed: dict[datetime, int] = {}  # by when the clock showed what, in minor units
        self.by_hand: dict[str, str] = {}  # the brand that one was billed under, by the key of the draft
        self.paid = self.asked_back = self.voided = self.has_long_periods = self.tries = False
        self.refused = Counter[str]()

    async def begin(self) -> None:
        shop = self.market.shop
        shop.now = BEGAN
        self.customer = await shop.new_customer(
            name=f"Customer {next(_numbers)}", currency=self.code, timezone=self.zone
        )
        async with crossing(Reason.STAFF, actor=self.market.staff, clock=WALL) as uow:
            self.clock = await clocks.create_test_clock(uow, self.customer.id, name="Trial", shows=BEGAN)
        self.shows, self.usual = BEGAN, self.market.entities[0]
        self.brands.append((BEGAN, self.market.brands[0]))
        await self.market.make_usual(self.market.entities[0])

    def work(self, who: str = "") -> AbstractAsyncContextManager[UnitOfWork]:
        actor = system(self.customer.id)
        return unit_of_work(replace(actor, id=who) if who else actor, clock=WALL)

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
            await self._see_trials()

    async def _see_trials(self) -> None:
        """A plan is changed in a trial by acts only, so its meters are free from one act until another."""
        if not self.tries:
            return
        for row in await self.rows(_TRIALS, meters=list(TOKENS)):
            seen = self.tried.setdefault((row["id"], row["meter"]), [])
            is_open = bool(seen) and seen[-1][1] == row["trial_end"]
            if row["metered"] and not is_open:
                seen.append([row["since"], row["trial_end"]])
            elif is_open and not row["metered"] and self.shows < row["trial_end"]:
                seen[-1][1] = self.shows

    # What may happen

    async def turn(self, hours: int) -> None:
        to = self.shows + timedelta(hours=hours)
        async with crossing(Reason.STAFF, actor=self.market.staff, clock=WALL) as uow:
            await clock_turning.turn(uow, self.clock.id, to=to)
        while await clock_turning.go_on(self.clock.id, clock=WALL):
            pass
        self.shows = to

    async def moves(self, zone: str) -> None:
        async with self.work() as uow:
            await organizations.update_organization(uow, timezone=zone)

    async def calls_are_made(self, calls: Sequence[tuple[int, int, int]], ahead: bool, twice: bool) -> None:
        """So many minutes ago, with so many tokens in and out; told in this order, and perhaps again."""
        made: list[Call] = []
        before = sum(len(each) for each, _ in self.told)
        for number, (minutes, prompt, completion) in enumerate(calls, before + 1):
            at = max(self.shows - minutes * MINUTE, BEGAN)
            one = Call(f"r{number}", self.customer.id, "", "", "chat", at, "", "", "m")
            one.status, one.prompt_tokens, one.completion_tokens = 200, prompt, completion
            one.reserved = "0" if ahead else ""
            made.append(one)
        self.told.append((made, ahead))
        for _ in range(2 if twice else 1):
            await self._tell(made, ahead, doubled=twice)

    async def calls_are_told_again(self, which: int) -> None:
        """As by a sender that comes back with what it kept, whenever that was, the last of it first."""
        if self.told:
            made, ahead = self.told[which % len(self.told)]
            await self._tell([*reversed(made)], ahead, doubled=False)

    async def _tell(self, made: list[Call], ahead: bool, *, doubled: bool) -> None:
        if ahead:
            async with crossing(Reason.GATEWAY_SETTLEMENT, clock=WALL) as uow:
                await settle(uow, made)
            return
        events = [
            gateway_event(
                organization_id=one.organization_id, request_id=one.id, time=one.started_at, model="m", key_id="",
                prompt_tokens=one.prompt_tokens, completion_tokens=one.completion_tokens, endpoint="chat",
                status=200,
            )
            for one in made
        ]  # fmt: skip
        async with crossing(Reason.DEMO, clock=WALL) as uow:
            await record(uow, [*events, *reversed(events)] if doubled else events)

    async def pays_ahead(self, minor: int) -> None:
        async with self.work() as uow:
            await wallets.top_up(uow, money=Money(minor, self.code), payment_key=f"p{len(self.script)}")
        self.cash += minor

    async def is_given(self, minor: int, days: int) -> None:
        async with self.work() as uow:
            money = Money(minor, self.code)
            await wallets.grant(
                uow, money=money, key=f"g{len(self.script)}", expires_at=self.shows + days * DAY
            )

    async def starts(self, plan: int, seats: int, days_ago: int, coupon: str, extra: bool = False) -> None:
        async with self.work() as uow:
            await subscriptions.start(
                uow,
                self._wanted(plan, seats, extra),
                key=f"s{len(self.script)}",
                coupon=self._code(coupon),
                arranged=Arrangement(max(self.shows - days_ago * DAY, BEGAN) if days_ago else None),
            )

    async def is_sold(
        self, plan: int, version: int | None, days: int, pay_in: int | None, coupon: str = ""
    ) -> None:
        """By staff: to begin in so many days, or so many ago, perhaps in an older version, and perhaps paid by invoices
        that are sent."""
        async with self.work() as uow:
            made = await subscriptions.start(
                uow,
                self._wanted(plan, 2, extra=False),
                key=f"s{len(self.script)}",
                coupon=self._code(coupon),
                arranged=Arrangement(
                    max(self.shows + days * DAY, BEGAN),
                    plan_version=version,
                    collection=None if pay_in is None else Collection.SEND,
                    payment_days=pay_in,
                ),
            )
            sold = await uow.execute(
                "select number from plan_version where id = :id", id=made.plan_version_id
            )
            assert sold.scalar_one() == (version or self.market.plans[plan].version)
        assert (made.state == "scheduled") is (days > 0)
        self._is_paid_in(made)

    async def is_collected(self, which: int, pay_in: int | None) -> None:
        """From now on by invoices that are sent, to be paid within so many days, or by itself."""
        async with self.work() as uow:
            how = Collection.CHARGE if pay_in is None else Collection.SEND
            self._is_paid_in(
                await collecting.collect(uow, await self._subscription(uow, which), how, payment_days=pay_in)
            )

    def _is_paid_in(self, one: Subscription) -> None:
        """An entity says it for those who have no terms of their own."""
        days = PAYMENT_DAYS if one.payment_days is None else one.payment_days
        self.days.setdefault(one.id, [(BEGAN, PAYMENT_DAYS)]).append((self.shows, days))

    async def comes_under(self, brand: int) -> None:
        """Another brand, and with it perhaps another entity, from the next draft on; the first is the default one of
        whoever bills."""
        async with self.work() as uow:
            await profiles.set_brand(uow, self.market.brands[brand] if brand else None)
        billed_by = self.market.entity_of[self.brands[-1][1]]
        self.brands.append(
            (self.shows, self.market.brands[brand] if brand else self.market.default_of(billed_by))
        )
        self.is_named |= brand > 0

    async def is_moved(self, entity: int | None) -> None:
        """To another legal entity, or to whichever is the usual one."""
        billed_by = None if entity is None else self.market.entities[entity]
        async with self.work() as uow:
            await profiles.set_profile(uow, replace(BUYER, legal_entity_id=billed_by))
        self.is_named = entity is not None
        self.brands.append((self.shows, self.market.default_of(billed_by or self.usual)))

    async def another_is_usual(self, entity: int) -> None:
        self.usual = self.market.entities[entity]
        await self.market.make_usual(self.usual)
        if not self.is_named:
            self.brands.append((self.shows, self.market.default_of(self.usual)))

    async def changes(
        self, which: int, plan: int, seats: int, behaviour: str | None, extra: bool = False
    ) -> None:
        async with self.work() as uow:
            how = ProrationBehaviour(behaviour) if behaviour else None
            await subscriptions.change(
                uow, await self._subscription(uow, which), self._wanted(plan, seats, extra), behaviour=how
            )

    async def takes_coupon(self, which: int, coupon: str) -> None:
        async with self.work() as uow:
            await subscriptions.take_coupon(uow, await self._subscription(uow, which), self._code(coupon))

    async def pauses(self, which: int, days: int | None) -> None:
        """For so many days, or until somebody resumes it."""
        async with self.work() as uow:
            until = None if days is None else self.shows + days * DAY
            await subscriptions.pause(uow, await self._subscription(uow, which), resume_at=until)

    async def resumes(self, which: int) -> None:
        async with self.work() as uow:
            await subscriptions.resume(uow, await self._subscription(uow, which))

    async def cancels(self, which: int, at_once: bool) -> None:
        async with self.work() as uow:
            await subscriptions.cancel(uow, await self._subscription(uow, which), now_at_once=at_once)

    async def reactivates(self, which: int) -> None:
        async with self.work() as uow:
            await subscriptions.reactivate(uow, await self._subscription(uow, which))

    async def is_billed(self, minor: int, brand: int | None = None) -> None:
        """By hand, perhaps under a brand that is asked for."""
        async with self.work() as uow:
            amount, key = f"{Money(minor, self.code).amount:f}", f"i{len(self.script)}"
            asked = None if brand is None else self.market.brands[brand]
            draft = await invoices.create_draft(uow, key=key, currency=self.code, brand_id=asked)
            self.by_hand[key] = asked or self.brands[-1][1]
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

    async def is_given_up(self, which: int) -> None:
        """What is due will not come."""
        one = await self._invoice(which)
        async with self.work() as uow:
            await invoices.mark_uncollectible(uow, one.id)

    async def transfers(self, which: int, percent: int, known: bool) -> None:
        """Part of what is due came to our bank, all, or more, of an invoice or on account; it is recorded twice."""
        one = await self._invoice(which)
        minor = max(1, (one.due_minor or one.total_minor) * percent // 100)
        for _ in range(2):
            async with self.work() as uow:
                await transfers.record(
                    uow,
                    money=Money(minor, self.code),
                    key=f"t{len(self.script)}",
                    invoice_id=one.id if known else None,
                )
        self.paid = True
        self.cash += minor

    async def pays(self, which: int, by_wallet: bool) -> None:
        one = await self._invoice(which)
        async with self.work() as uow:
            await (customer_credits.pay_by_wallet if by_wallet else customer_credits.pay_by_credits)(
                uow, one.id
            )

    async def gives_back(self, which: int, how: str, percent: int, alone: bool) -> None:
        """Of a transfer, in one of the `way`s, as was shown before; if not `alone`, it waits for another of staff."""
        payment = await self._payment(which)
        rows = await self.rows(
            "select id from invoice_line where organization_id = :id and invoice_id = :invoice_id order by position",
            invoice_id=payment.invoice_id,
        )
        asked = way(payment, how, percent, [row["id"] for row in rows])
        wanted = refunds.Wanted(payment.id, f"b{len(self.script)}", "Agreed", **asked)
        above = ALONE if alone else {}
        async with self.work() as uow:
            shown = await refunds.preview(uow, wanted, above=above)
        async with self.work() as uow:
            begun = await refunds.start(uow, wanted, above=above)
            found = await uow.execute(
                "select total_minor, tax_minor from credit_note where id = :id", id=begun.credit_note_id
            )
            note = found.one_or_none()
        self.asked_back = True
        assert 0 < begun.minor == asked.get("amount", begun.minor) <= payment.minor - payment.refunded_minor
        assert (begun.minor, begun.state == "awaiting_approval") == (shown.minor, not alone)
        assert shown.needs_approval is not alone
        noted = (shown.credited_minor, shown.tax_minor) if alone else (0, 0)
        assert (tuple(note) if note else (0, 0)) == noted

    async def refund_goes_on(self, which: int, what: str) -> None:
        """Staff approves or rejects it, sends the transfer or gives it up, or the bank sends it back."""
        refund = await self._refund(which, WAITS.get(what))
        async with self.work("second" if what in ("approves", "rejects") else "") as uow:
            match what:
                case "approves":
                    await refunds.approve(uow, refund.id)
                case "rejects":
                    await refunds.reject(uow, refund.id, reason="No")
                case "sends":
                    await refunds.record_sent(uow, refund.id)
                case "returns":
                    await refunds.record_returned(uow, refund.id)
                case _:
                    await refunds.cancel(uow, refund.id)
        self.cash += {"sends": -refund.minor, "returns": refund.minor}.get(what, 0)

    def _wanted(self, plan: int, seats: int, extra: bool) -> Wanted:
        offered = self.market.plans[plan]
        self.has_long_periods |= offered.interval == "half_year"
        self.tries |= offered.is_tried
        return Wanted(
            offered.plan.id,
            self.code,
            offered.interval,
            offered.interval_count,
            quantities={"seats": Decimal(seats)},
            addons={one: {} for one in offered.extra} if extra else {},
        )

    def _code(self, coupon: str) -> str:
        """Of an amount there is one in each currency."""
        return f"LESS-{self.code}" if coupon == "LESS" else coupon

    async def rows(self, query: str, **named: Any) -> list[dict[str, Any]]:
        """Of the customer, `id`."""
        async with self.work() as uow:
            found = await uow.execute(query, id=self.customer.id, **named)
            return [dict(row) for row in found.mappings()]

    async def _subscription(self, uow: UnitOfWork, which: int) -> str:
        """The id of one of them; of nothing, if there is none yet."""
        rows = await self.rows(
            "select id from subscription where organization_id = :id order by created_at, key"
        )
        return rows[which % len(rows)]["id"] if rows else "sub_none"

    async def _payment(self, which: int) -> Payment:
        """One of their transfers; raises NotFound if there is none yet."""
        rows = await self.rows("select * from payment where organization_id = :id order by created_at, key")
        if not rows:
            raise not_found("payment", str(which))
        return Payment(**rows[which % len(rows)])

    async def _refund(self, which: int, state: str | None) -> Refund:
        """One in that state, or in any; raises NotFound if there is none."""
        rows = await self.rows(
            "select * from refund where organization_id = :id and state = coalesce(:state, state)"
            " order by created_at, key",
            state=state,
        )
        if not rows:
            raise not_found("refund", str(which))
        return Refund(**rows[which % len(rows)])

    async def invoices(self) -> list[Invoice]:
        rows = await self.rows("select * from invoice where organization_id = :id order by created_at, key")
        return [Invoice(**row) for row in rows]

    async def _invoice(self, which: int) -> Invoice:
        """One of those with a number; raises NotFound if there is none yet."""
        numbered = [one for one in await self.invoices() if one.number]
        if not numbered:
            raise not_found("invoice", str(which))
        return numbered[which % len(numbered)]

    def printed(self) -> str:
        """As it is put into CASES."""
        acts = "".join(f"        {act!r},\n" for act in self.script)
        return f"(\n    {self.code!r}, {self.zone!r},\n    [\n{acts}    ],\n)"
