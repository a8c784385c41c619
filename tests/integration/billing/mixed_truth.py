"""What must be true of a customer's money after every act of a mixed history, and what when all has come to rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from itertools import pairwise, product
from typing import TypeVar

from models.billing import Invoice, InvoiceLine, LineOrigin
from services.billing import explaining, given_back
from services.billing.new_lines import charged_line
from services.billing.usage_pieces import part_of
from services.catalog.charge_json import charge_from_json
from services.core import listing_sql
from services.core.work import unit_of_work
from services.ledger import queries as ledger
from services.ledger.rules import GROWS_BY_DEBITS, INSTANT
from tests.checks import assert_invariants, assert_money_agrees
from tests.integration.billing.mixed_history import BEGAN, History
from tests.integration.billing.mixed_market import PAYMENT_DAYS, TOKENS, WALL
from tests.integration.billing.test_billing_run import NOT_HERE

T = TypeVar("T")

# In which the last period ends, its usage comes in, and its document is made.
REST_HOURS, LONG_REST_HOURS = 24 * 70, 24 * 190
PAGE, ACCOUNTS_MAX = 9, 50  # of statements
# Of a customer, `id`, with so much `cash` of theirs; anything found is wrong.
_ALWAYS = """
select 'wallet' as what, w.id as id from wallet w left join wallet_lot l on l.wallet_id = w.id
  where w.organization_id = :id group by w.id
  having w.inbound_minor <> w.outbound_minor + w.breakage_minor + w.left_minor or w.left_minor < 0
    or w.left_minor <> coalesce(sum(l.left_minor), 0)
union all
select 'notes', i.id from invoice i cross join lateral (
    select coalesce(sum(n.total_minor), 0) as total, coalesce(sum(n.net_minor + n.tax_minor), 0) as parts,
      bool_or(n.number is null) as unnumbered
    from credit_note n where n.invoice_id = i.id) n
  where i.organization_id = :id
    and (n.total <> n.parts or n.total <> i.credited_minor or n.total > greatest(i.total_minor, 0) or n.unnumbered)
union all
select 'line', l.id from invoice_line l join invoice i on i.id = l.invoice_id and i.state not in ('draft', 'void')
  left join lateral (
    select sum(net_minor) as net, sum(tax_minor) as tax from credit_note_line where invoice_line_id = l.id) n on true
  left join lateral (
    select sum(b.net) as net, sum(b.tax) as tax from invoice j join invoice_line c on c.invoice_id = j.id
    cross join jsonb_to_recordset(c.facts #> '{back,lines}') as b(line text, net bigint, tax bigint)
    where j.organization_id = :id and j.state <> 'void' and b.line = l.id
      and not exists (select from credit_note_line where invoice_line_id = c.id)) g on true
  where i.organization_id = :id and l.origin = 'usage' and l.net_minor >= 0
    and (coalesce(n.net, 0) + coalesce(g.net, 0) > l.net_minor or coalesce(n.tax, 0) + coalesce(g.tax, 0) > l.tax_minor)
union all
select 'paid', i.id from invoice i
  where i.organization_id = :id and i.state <> 'void' and i.paid_minor <> (
    select coalesce(sum(minor), 0) from (
      select applied_minor as minor from payment where invoice_id = i.id and state = 'succeeded'
      union all select minor from credit_use where invoice_id = i.id and given_back_at is null
      union all select minor from wallet_debit where cause_id = i.id and given_back_at is null) one)
union all
select 'cash', cast(sum(e.minor) as text) from ledger_entry e join ledger_account a on a.id = e.account_id
  where e.organization_id = :id and a.purpose = 'cash' having coalesce(sum(e.minor), 0) <> :cash
union all
select 'refund', r.id from refund r join payment p on p.id = r.payment_id
  left join credit_note n on n.id = r.credit_note_id
  cross join lateral (
    select coalesce(sum(cast(c.value as bigint)), 0) as minor,
      coalesce(sum(cast(c.value as bigint)) filter (where k.source_id = n.id), 0) as noted,
      bool_or(k.source_id <> p.id and not exists (
        select from credit_note o where o.id = k.source_id and o.invoice_id = p.invoice_id)) as others
    from jsonb_each_text(r.credits) c join customer_credit k on k.id = c.key) held
  where r.organization_id = :id and (n.invoice_id <> p.invoice_id or held.others or not case
    when r.asked_at is not null then (held.minor, held.noted) = (r.minor, coalesce(n.total_minor, 0))
    when r.state = 'succeeded' then coalesce(n.total_minor, 0) = r.minor
    else n.id is null end)
union all
select 'brand', i.id from invoice i join brand b on b.id = i.brand_id left join credit_note n on n.invoice_id = i.id
  where i.organization_id = :id and (i.series_brand <> b.code or strpos(i.number, '-' || b.code || '-2') = 0
    or i.seller #>> '{brand,code}' <> b.code or strpos(n.number, '-' || b.code || '-C2') = 0)
union all
select 'entity', l.id from invoice i join invoice_line l on l.invoice_id = i.id
  join invoice_line s on s.key = l.facts ->> 'source' and s.organization_id = i.organization_id
  join invoice d on d.id = s.invoice_id
  where i.organization_id = :id and l.facts ->> 'made_by' = 'item' and d.legal_entity_id <> i.legal_entity_id
union all
select 'tax', i.id from invoice i join legal_entity e on e.id = i.legal_entity_id
  cross join lateral (select sum(net_minor) as net, count(*) as lines from invoice_line where invoice_id = i.id) l
  where i.organization_id = :id and i.number is not null and not exists (
      select from invoice_line where invoice_id = i.id and facts ? 'back')
    and abs(i.tax_minor - l.net * case when e.registrations ? 'DE' then 0.19 else 0 end) > case
      when e.registrations ? 'DE' then l.lines else 0 end
"""
_PARKED = """
select parked_reason as why from subscription where organization_id = :id and parked_at is not null
union all select parked_reason from usage_period where organization_id = :id and parked_at is not null
"""


async def holds(history: History) -> None:
    """After every act: the book is even, and invoices, notes, payments, refunds and wallets agree with it and with
    each other."""
    assert await history.rows(_ALWAYS, cash=history.cash) == []
    await assert_money_agrees(now=WALL.now())
    (owed,) = await history.rows(
        "select cast(coalesce(sum(due_minor), 0) as bigint) as minor from invoice where organization_id = :id"
    )
    history.owed[history.shows] = owed["minor"]


async def come_to_rest(history: History) -> None:
    """All is cancelled, and what was used is billed; transfers back that wait are sent."""
    script = [*history.script]
    history.owed.pop(history.shows, None)  # more is done at this moment
    begun = len(await history.rows("select id from subscription where organization_id = :id"))
    waiting = len(
        await history.rows("select id from refund where organization_id = :id and state = 'sending'")
    )
    await history.play(
        *[("cancels", which, True) for which in range(begun)],
        *[("refund_goes_on", 0, "sends")] * waiting,
        ("turn", LONG_REST_HOURS if history.has_long_periods else REST_HOURS),
    )
    history.script = script


async def agrees(history: History) -> None:
    """Once all has come to rest."""
    made = await history.invoices()
    assert all(one.number for one in made), [one.key for one in made if not one.number]
    assert await history.rows(_PARKED) == []
    async with history.work() as uow:
        for one in made:
            for each in await history.market.shop.lines(one):
                assert (await explaining.explain(uow, one, each)).agrees, (one.number, each.description)
    _were_agreed(history, made)
    await _each_token_is_billed_once(history, made)
    await _each_period_is_billed_once(history, made)
    await _usage_gives_back_what_was_debited(history, made)
    ours = await book(history)
    standing = [one for one in made if one.state != "void"]
    assert ours["receivable"] == sum(one.due_minor for one in standing)
    assert ours["deferred_revenue"] == 0
    noted = await history.rows("select tax_minor from credit_note where organization_id = :id")
    taxed = sum(one.tax_minor for one in standing) - sum(row["tax_minor"] for row in noted)
    assert ours["tax_owed"] == taxed, dict(ours)
    assert not await history.rows("select id from refund where organization_id = :id and state = 'sending'")
    await _statements_say_what_was_owed(history)
    await holds(history)
    await assert_invariants(but=NOT_HERE)


async def _statements_say_what_was_owed(history: History) -> None:
    """At each moment at which somebody looked, whatever was booked since; and page by page, each line the balance that
    the entries before it come to."""
    async with unit_of_work(history.market.shop.world.actor(history.customer), clock=WALL) as uow:
        for account in await listing_sql.select(uow, ledger.ACCOUNTS, limit=ACCOUNTS_MAX):
            if account.purpose == "receivable":
                for at, owed in history.owed.items():
                    said = await ledger.statement(uow, account.id, before=at + INSTANT, limit=1)
                    assert said.closing_minor == owed, at
            grows = 1 if account.kind in GROWS_BY_DEBITS else -1
            page = await ledger.statement(uow, account.id, limit=PAGE)
            lines = [*page.lines]
            while page.next is not None:
                page = await ledger.statement(uow, account.id, after=page.next, limit=PAGE)
                lines += page.lines
            balance = 0
            for one in reversed(lines):
                balance += grows * (one.debit_minor - one.credit_minor)
                assert one.balance_minor == balance, (account.purpose, one)
            assert balance == account.balance_minor


def _were_agreed(history: History, made: Sequence[Invoice]) -> None:
    """Each document is under the brand that billed when its draft was begun, unless its entity only credits what it
    had billed before, and due as its subscription had it when it was finalised."""
    market, billed = history.market, set[str]()
    for one in made:
        under = (
            {history.by_hand[one.key]}
            if one.key in history.by_hand
            else _then(history.brands, one.created_at)
        )
        assert market.entity_of[one.brand_id] == one.legal_entity_id
        credits_before = one.net_minor <= 0 and one.legal_entity_id in billed
        assert one.brand_id in under or (
            credits_before and market.default_of(one.legal_entity_id) == one.brand_id
        )
        billed.add(one.legal_entity_id)
        assert one.due_date is not None
        assert one.label_date is not None
        assert one.finalized_at is not None
        agreed = history.days.get(one.subscription_id or "", [(BEGAN, PAYMENT_DAYS)])
        assert (one.due_date - one.label_date).days in _then(agreed, one.finalized_at), (one.number, agreed)


def _then(said: Sequence[tuple[datetime, T]], at: datetime) -> set[T]:
    """What counted at that time, by what was said in this order; and all that was said in its very moment."""
    before = [what for since, what in said if since < at]
    return {*before[-1:], *(what for since, what in said if since == at)}


async def book(history: History) -> Counter[str]:
    """Balances by purpose, in minor units; a debit is above zero."""
    shop = history.market.shop
    shop.customer = history.customer
    return Counter(await shop.balances())


async def _each_period_is_billed_once(history: History, made: Sequence[Invoice]) -> None:
    """However a period was cut, what its lines ask for together is what the last of them says of the whole, and what
    notes and coupons had given back already."""
    if history.voided:
        return
    asked: Counter[tuple[str, ...]] = Counter()
    whole: dict[tuple[str, ...], tuple[int, list[list[str]]]] = {}
    for one in made:
        for each in await history.market.shop.lines(one):
            if each.metric is not None:
                base = part_of(each.facts, each.key)
                back = sum(part.minor for part in given_back.parts_from(each.facts))
                falls = "back" in each.facts
                asked[base] += -back if falls else each.amount_minor - each.billed_before_minor
                standing = given_back.standing_after(each.facts, each.amount_minor)
                assert standing >= each.amount_minor
                whole[base] = (standing, each.facts["pieces"]["spans"])
    assert asked == {base: minor for base, (minor, _) in whole.items()}
    for _, spans in whole.values():
        assert all(before[1] <= after[0] for before, after in pairwise(spans)), spans


async def _usage_gives_back_what_was_debited(history: History, made: Sequence[Invoice]) -> None:
    """Of a price in a period, notes and lines below zero take back no more than lines above it asked for."""
    noted = {
        row["invoice_line_id"]: (row["net"], row["tax"])
        for row in await history.rows(
            "select invoice_line_id, cast(sum(net_minor) as bigint) as net, cast(sum(tax_minor) as bigint) as tax"
            " from credit_note_line where organization_id = :id group by invoice_line_id"
        )
    }
    net: Counter[tuple[str, ...]] = Counter()
    tax: Counter[tuple[str, ...]] = Counter()
    for one in (one for one in made if one.state != "void"):
        for each in await history.market.shop.lines(one):
            if each.origin == "usage":
                base, (less_net, less_tax) = part_of(each.facts, each.key), noted.get(each.id, (0, 0))
                net[base] += each.net_minor - less_net
                tax[base] += each.tax_minor - less_tax
    assert all(minor >= 0 for minor in (*net.values(), *tax.values())), (net, tax)


async def _each_token_is_billed_once(history: History, made: Sequence[Invoice]) -> None:
    """By a wallet, a plan, or the price list. What was forgiven is asked for by nothing; what comes late and changes no
    sum, as below a minimum, is in no line."""
    if history.voided:
        return
    last: dict[tuple[str, ...], dict[str, Decimal]] = {}
    charged: dict[tuple[str, ...], InvoiceLine] = {}
    for one in made:
        for each in await history.market.shop.lines(one):
            base = part_of(each.facts, each.key)
            if each.facts["made_by"] == "price_list":
                last[base] = {part["meter"]: Decimal(part["quantity"]) for part in each.facts["parts"]}
            elif each.metric is not None:
                last[base] = {each.metric: each.quantity}
                charged[base] = each
    for meter, asked in _asked_for(history).items():
        billed = sum((one.get(meter, Decimal(0)) for one in last.values()), Decimal(0))
        more = asked - billed
        lines = [line for line in charged.values() if line.metric == meter]
        assert not more or (more > 0 and any(_costs_as_much(line, more) for line in lines)), (meter, more)


def _costs_as_much(line: InvoiceLine, more: Decimal) -> bool:
    """With so much more of it, in minor units. Nobody can say so of a price that looks at each event."""
    facts, charge = line.facts, charge_from_json(line.facts["charge"])
    if charge.needs_events:
        return False
    with_more = charged_line(
        LineOrigin.USAGE, "", charge, line.quantity + more, facts["currency"], metric=line.metric
    )
    return with_more.amount.minor == line.amount_minor


def _asked_for(history: History) -> dict[str, int]:
    """What nobody paid ahead, and no trial gave free. Plans are billed by whole minutes."""
    tried = {meter: [] for meter in TOKENS}
    for (_, meter), spans in history.tried.items():
        tried[meter] += [(_minute(start), _minute(end)) for start, end in spans]
    asked: dict[str, int] = dict.fromkeys(TOKENS, 0)
    for made, ahead in history.told:
        for one, meter in product(() if ahead else made, TOKENS):
            if not any(start <= one.started_at < end for start, end in tried[meter]):
                asked[meter] += getattr(one, meter)
    return asked


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)
