"""What must be true of money after every act, and what when all has come to rest."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from models.money import Money
from models.payments import Payment
from services.payments.providers.base import PaymentProvider
from services.payments.providers.values import Dispute, Movement, MovementKind
from services.reconciliation import payout_queries
from tests.checks import MADE_BY_HAND, assert_invariants, assert_money_agrees
from tests.integration.payments import chain_truth
from tests.integration.payments.money_chain import CONFIRMATIONS
from tests.integration.payments.money_history import CURRENCIES, History
from tests.integration.payments.money_house import BANK, CHAIN, PAYPAL, STRIPE, Nothing
from tests.integration.payments.stripe_kit import sdk

ROUNDS = (
    5  # in which all that was begun ends: a page is closed after a day, a movement is looked for on the next
)
ROUND_HOURS = 26
CHARGED_WHILE_DISPUTED = """
select p.id, p.created_at, d.created_at, d.state from payment p
join payment before on before.invoice_id = p.invoice_id and before.id <> p.id
join dispute d on d.payment_id = before.id
where p.initiator = 'schedule' and d.created_at <= p.created_at
  and (d.state not in ('won', 'warning_closed') or p.created_at < d.ended_at)
union all
select p.id, p.created_at, d.taken_at, d.state from payment p
join payment before on before.method_id = p.method_id and before.id <> p.id
join dispute d on d.payment_id = before.id
where p.initiator = 'schedule' and d.taken_at <= p.created_at
"""


async def holds(history: History) -> None:
    """After every act."""
    await assert_money_agrees(now=history.house.clock.at)


async def come_to_rest(history: History) -> None:
    """Nothing goes wrong any more; what was told is heard, and everybody does what they do every day."""
    house = history.house
    house.clock.dying = 0
    for kit in house.kits.values():
        kit.fake.act("clear")
    await history.is_another_chain(for_now=False)
    await history.says_rates()
    for _ in range(ROUNDS):
        await history.turn(ROUND_HOURS)
        await history.mines(CONFIRMATIONS)
        await chain_truth.watch_all(history)
        await house.deliver(even_later=True)
        await house.inbox.follow_due()
        await history.looks_after()
        await history.sends()
        with suppress(Nothing):
            await history.bank_tells(again=1)
        await history.reads_books()


async def agrees(history: History) -> None:
    """Once all has come to rest."""
    await holds(history)
    await _nothing_is_left_open(history)
    for who in (STRIPE, PAYPAL):
        await _payments_are_those_of(who, history)
        await _disputes_are_those_of(who, history)
    await _what_names_an_invoice_pays_it(history)
    await _books_are_equal(history, on_chain=await chain_truth.agrees(history))
    await _nobody_paid_twice(history)
    await assert_invariants(but=MADE_BY_HAND)


async def _nothing_is_left_open(history: History) -> None:
    left = await history.house.rows(
        "select 'payment' as what, id, state from payment where state in ('sending', 'requires_action', 'processing')"
        " union all select 'refund', id, state from refund where state in ('sending', 'processing')"
        " union all select 'event', id, coalesce(reason, kind) from provider_event where due_at is not null"
        " union all select 'pull', provider_account_id, reason from provider_pull where reason is not null"
    )
    assert not left, "\n".join(str(tuple(row)) for row in left)


async def _payments_are_those_of(who: str, history: History) -> None:
    house = history.house
    account, provider = house.accounts[who], await house.provider(who)
    ours = {one.id: one for one in await history.payments() if one.provider_account_id == account.id}
    taken = Counter[str]()
    for moved in await _moved(provider, history):
        if moved.kind is MovementKind.CHARGE:
            assert moved.key in ours, f"{who} took money for {moved.key!r}, which nobody asked for"
            taken[moved.key] += moved.gross.minor
    for one in ours.values():
        booked = one.minor if one.state == "succeeded" else 0
        assert taken[one.id] == booked, f"{who} took {taken[one.id]} for {_told(one)}"
        if booked and one.provider_ref is not None:
            picture = await provider.read(one.provider_ref)
            assert picture.captured == Money(one.minor, one.currency), _told(one)
            assert picture.refunded == Money(one.refunded_minor, one.currency), _told(one)


async def _moved(provider: PaymentProvider, history: History) -> list[Movement]:
    """All of it, however long ago."""
    found, cursor = list[Movement](), ""
    while True:
        page = await provider.movements(since=_begin(history), until=history.house.clock.at, cursor=cursor)
        found += page.items
        cursor = page.cursor
        if not cursor:
            return found


async def _disputes_are_those_of(who: str, history: History) -> None:
    provider = await history.house.provider(who)
    theirs = {one.reference: one for one in (await provider.disputes(since=_begin(history))).items}
    ours = await history.house.rows(
        "select provider_ref, state, currency, minor, taken_at is not null and returned_at is null as gone,"
        " taken_invoice_minor + taken_credit_minor + taken_unknown_minor as taken_minor from dispute"
        " where provider_account_id = :id",
        id=history.house.accounts[who].id,
    )
    assert {row.provider_ref: (row.state, Money(row.minor, row.currency)) for row in ours} == {
        name: (one.state.value, one.amount) for name, one in theirs.items()
    }
    for row in ours:
        assert row.gone == _is_gone(theirs[row.provider_ref]), tuple(row)
        assert not row.gone or row.taken_minor == row.minor, tuple(row)


def _is_gone(dispute: Dispute) -> bool:
    """Whether the bank has the money now."""
    return not dispute.state.value.startswith("warning") and dispute.state.value != "won"


async def _books_are_equal(history: History, *, on_chain: Counter[str]) -> None:
    """By currency what each provider says we have there is what our ledger says; else a case says why."""
    async with history.house.staff_work(None) as uow:
        rows = {(row.provider_account_id, row.currency): row for row in await payout_queries.clearing(uow)}
    held = {CHAIN: on_chain, BANK: history.bank.holds()}
    for who, account_id in (await _accounts(history)).items():
        for currency in CURRENCIES:
            there = held[who][currency] if who in held else _balance(history, who, currency)
            row = rows.get((account_id, currency))
            if row is None:
                assert there == 0, f"{who} has {there} {currency}, and our ledger has none"
                continue
            assert row.provider_minor == there, (who, row)
            assert row.difference_minor == row.explained_minor, (who, row)
    cases = await history.house.rows(
        "select cause, detail, minor from payment_case c where kind = 'difference' and state = 'open'"
        # Two transfers back of one amount are told apart by no bank.
        " and not exists (select from refund r join payment p on p.id = r.payment_id"
        " where r.id = c.subject and p.provider = 'bank')"
        # What a chain took away and could not be undone here is told of itself and of what was over with it.
        " and not (exists (select from provider_movement m where m.id = c.subject and m.kind = 'reversal')"
        " and exists (select from payment_case t where t.cause = 'taken_and_spent'))"
    )
    assert history.unheard or not cases, cases


async def _accounts(history: History) -> dict[str, str]:
    """Ids by whom they are with; that with our bank is added by its first statement."""
    found = await history.house.rows("select id, provider from provider_account order by id")
    return {row.provider: row.id for row in found}


async def _what_names_an_invoice_pays_it(history: History) -> None:
    """Once and in full, whatever became of the invoice; and a line of a statement is no more than one payment."""
    made = {one.key: one for one in await history.payments() if one.provider == BANK}
    for one in history.bank.entries[: history.bank.told]:
        if one.names is not None:
            paid = made[one.ref]
            assert (paid.state, paid.invoice_id) == ("succeeded", one.names), _told(paid)
            assert Money(paid.minor, paid.currency) == one.money, _told(paid)
    shown = Counter(one.provider_ref for one in made.values() if one.provider_ref)
    assert set(shown) <= {one.ref for one in history.bank.entries}
    assert set(shown.values()) <= {1}


def _balance(history: History, who: str, currency: str) -> int:
    kit = history.house.kits[who]
    if who == PAYPAL and currency == "KWD":
        return 0
    if who == STRIPE:
        told = sdk(kit.fake).v1.balance.retrieve()  # pyright: ignore[reportArgumentType]
        if not any(one.currency == currency.lower() for one in [*told.available, *told.pending]):
            return 0
    try:
        return kit.balance(currency).minor
    except StopIteration:
        return 0


async def _nobody_paid_twice(history: History) -> None:
    """Providers were asked for more than an invoice comes to only as far as a bank took something back of what paid
    it, and then by somebody: never by the schedule, while the bank decided or once it had decided against us."""
    taken = Counter[str]()
    for one in await history.payments():
        if one.invoice_id is not None and one.state == "succeeded" and one.provider in (STRIPE, PAYPAL):
            taken[one.invoice_id] += one.minor
    freed = Counter[str]()
    for row in await history.house.rows(
        "select p.invoice_id as id, d.taken_invoice_minor as minor from dispute d join payment p on p.id = d.payment_id"
    ):
        freed[row.id] += row.minor
    for invoice in await history.invoices():
        assert taken[invoice.id] <= invoice.total_minor + freed[invoice.id], (
            [_told(one) for one in await history.payments() if one.invoice_id == invoice.id], freed[invoice.id],
        )  # fmt: skip
    again = await history.house.rows(CHARGED_WHILE_DISPUTED)
    assert not again, f"charged by the schedule while its bank had the money: {again}"


def _begin(history: History) -> datetime:
    return datetime.now(UTC) - timedelta(days=1)


def _told(payment: Payment) -> dict[str, Any]:
    shown = ("id", "state", "provider", "provider_ref", "currency", "minor", "refunded_minor", "decline_code")
    return {name: getattr(payment, name) for name in shown}
