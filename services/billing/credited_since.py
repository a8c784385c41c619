"""What other documents take back of an invoice's lines by lines of their own: unused time that a change credited, and
usage of a period that came to less when it was counted again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from models.billing import Invoice
from models.money import Money
from services.billing import given_back, offsetting
from services.billing.given_back import Debited
from services.billing.new_lines import NewLine
from services.core.errors import Conflict
from services.core.work import UnitOfWork

# Credits of each line on other documents that stand: not taken back, and without what notes took of them.
_TIME = """
select s.id as line_id,
  cast(coalesce(n.net, 0) as bigint) - c.amount_minor as net,
  cast(coalesce(n.tax, 0) as bigint) - coalesce(c.given_tax_minor, 0) as tax
from invoice_line s
join invoice i on i.subscription_id = :subscription_id and i.state <> 'void' and i.id <> s.invoice_id
join invoice_line c on c.invoice_id = i.id and c.facts ->> 'kind' = 'credit' and c.facts ->> 'source' = s.key
left join lateral (
  select sum(net_minor) as net, sum(tax_minor) as tax from credit_note_line where invoice_line_id = c.id
) n on true
where s.invoice_id = :id and not exists (
  select from invoice o join invoice_line r on r.invoice_id = o.id
  where o.subscription_id = :subscription_id and o.state <> 'void'
    and r.facts ->> 'kind' = 'restore' and r.facts ->> 'source' = c.key
)
order by s.id, c.id
"""
# Documents that may hold lines of the same usage: of a subscription, or of the price list, by their keys.
_SUBSCRIBED = "{0}.subscription_id = :subscription_id"
_BY_LIST = "{0}.organization_id = :organization_id and {0}.key >= 'uper_' and {0}.key < 'uper`'"
# What lines of usage on other documents that stand gave back of those of an invoice, unless notes took that.
_GIVEN = """
select s.id as line_id, b.net, b.tax
from invoice i join invoice_line c on c.invoice_id = i.id and c.origin = 'usage'
cross join jsonb_to_recordset(c.facts #> '{{back,lines}}') as b(line text, net bigint, tax bigint)
join invoice_line s on s.id = b.line and s.invoice_id = :id
where {whose} and i.state <> 'void' and i.created_at >= :since
  and not exists (select from credit_note_line where invoice_line_id = c.id)
order by s.id, c.id
"""
# Lines that asked for usage of which the whole is known now, the last first, and what was taken back of each.
_DEBITED = """
select s.id, s.key, s.amount_minor - s.billed_before_minor as asked, s.net_minor, s.tax_minor, s.tax, s.invoice_id,
  cast(coalesce(n.net, 0) as bigint) as noted, cast(coalesce(n.tax, 0) as bigint) as noted_tax,
  cast(coalesce(g.minor, 0) as bigint) as given, cast(coalesce(g.net, 0) as bigint) as given_net,
  cast(coalesce(g.tax, 0) as bigint) as given_tax
from invoice i join invoice_line s on s.invoice_id = i.id
left join lateral (
  select sum(net_minor) as net, sum(tax_minor) as tax from credit_note_line where invoice_line_id = s.id
) n on true
left join lateral (
  select sum(b.minor) as minor, sum(b.net) as net, sum(b.tax) as tax
  from invoice j join invoice_line c on c.invoice_id = j.id and c.origin = 'usage'
  cross join jsonb_to_recordset(c.facts #> '{{back,lines}}') as b(line text, minor bigint, net bigint, tax bigint)
  where {theirs} and j.state <> 'void' and j.created_at >= i.created_at and c.key <> :key and b.line = s.id
    and not exists (select from credit_note_line where invoice_line_id = c.id)
) g on true
where {whose} and i.state not in ('draft', 'void') and s.origin = 'usage' and s.amount_minor > s.billed_before_minor
  and case when cast(:price as text) is null then split_part(s.key, '.late', 1) = :base
    else (s.facts #>> '{{pieces,price}}', s.facts #>> '{{pieces,period_start}}') = (:price, :base) end
order by i.created_at desc, i.id desc, s.position desc
"""
# A line that asks for less than was billed before, of a usage that a line of the invoice billed.
_USAGE = """
select exists (
  select from invoice_line s
  join invoice i on i.organization_id = :organization_id and i.state <> 'void' and i.id <> s.invoice_id
  join invoice_line c on c.invoice_id = i.id and c.origin = 'usage' and c.amount_minor < c.billed_before_minor
  where s.invoice_id = :id and s.origin = 'usage' and i.created_at >= :since and (
    split_part(c.key, '.late', 1) = split_part(s.key, '.late', 1)
    or (c.facts #>> '{pieces,price}', c.facts #>> '{pieces,period_start}')
      = (s.facts #>> '{pieces,price}', s.facts #>> '{pieces,period_start}')))
"""


class CreditedElsewhere(Conflict):
    """Another document gave back a part of what the invoice asked for: undone as well, that would be given twice."""

    code = "invoice_credited_elsewhere"
    title = "Another document credited a part of this invoice"


async def of_time(uow: UnitOfWork, invoice: Invoice) -> Sequence[Any]:
    """Net and tax that each credit of a line stands for, above zero."""
    if invoice.subscription_id is None:
        return []
    found = await uow.execute(_TIME, id=invoice.id, subscription_id=invoice.subscription_id)
    return found.all()


async def of_usage(uow: UnitOfWork, invoice: Invoice) -> Sequence[Any]:
    """Net and tax that each line which gave something back stands for, above zero."""
    found = await uow.execute(
        _GIVEN.format(whose=_whose(invoice.subscription_id).format("i")),
        id=invoice.id,
        organization_id=invoice.organization_id,
        subscription_id=invoice.subscription_id,
        since=invoice.created_at,
    )
    return found.all()


def _whose(subscription_id: str | None) -> str:
    return _BY_LIST if subscription_id is None else _SUBSCRIBED


async def against(
    uow: UnitOfWork,
    line: NewLine,
    standing: int,
    *,
    whole: tuple[str, ...],
    subscription_id: str | None,
    locks: bool = False,
) -> NewLine:
    """A line that says the whole of a usage, of which `standing` was billed before: less than that, it gives back of
    the lines that billed it, as they were debited. `locks` these, for a document that is finalised."""
    code = line.amount.currency
    if line.amount.minor >= standing:
        return replace(line, billed_before=Money(standing, code))
    *of_price, base = whole  # a price in a period, or what is before a key's LATE_MARK
    price = of_price[0] if of_price else None
    named = {
        "organization_id": uow.organization_id,
        "subscription_id": subscription_id,
        "price": price,
        "base": base,
        "key": line.key,
    }
    whose = _whose(subscription_id)
    query = _DEBITED.format(whose=whose.format("i"), theirs=whose.format("j"))
    found = (await uow.execute(query, named)).all()
    if locks and found:
        await offsetting.lock_owed(uow, code, subscription_id, beside=[one.invoice_id for one in found])
        found = (await uow.execute(query, named)).all()  # as notes left them that came before
    debited = [
        Debited(
            one.id, one.key, one.asked, one.net_minor, one.tax_minor, one.noted, one.noted_tax,
            one.given, one.given_net, one.given_tax,
        )
        for one in found
    ]  # fmt: skip
    parts = given_back.give_back(debited, standing - line.amount.minor)
    net, tax = sum(part.net for part in parts), sum(part.tax for part in parts)
    # Of lines that were taxed unlike, one that bore tax can say it of all.
    taxed = {part.line: part.tax for part in parts}
    treatments = sorted((one for one in found if one.id in taxed), key=lambda one: not taxed[one.id])
    return replace(
        line,
        facts={**line.facts, "back": given_back.facts_of(standing, parts)},
        billed_before=Money(line.amount.minor + net + (tax if line.inclusive else 0), code),
        discountable=False,
        tax=Money(-tax, code),
        treatment=treatments[0].tax if treatments else None,
    )


async def require_nothing(uow: UnitOfWork, invoice: Invoice) -> None:
    """Raises CreditedElsewhere."""
    usage = await uow.execute(
        _USAGE, id=invoice.id, organization_id=invoice.organization_id, since=invoice.created_at
    )
    if usage.scalar_one() or any(row.net or row.tax for row in await of_time(uow, invoice)):
        raise CreditedElsewhere(
            f"A later document credits a part of {invoice.number or 'this draft'}.",
            next_step="Issue a credit note: it takes back what is left of each line.",
        )
