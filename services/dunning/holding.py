"""What is not to be charged by itself, and not asked for: the one rule that collection and dunning go by.

It is read from what there is whenever it is asked, so that a cancellation, a pause or a hold works at once.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.billing import Invoice
from services.core.work import UnitOfWork


def on_hold(organization_id: str, *, lifting: str = "") -> str:
    """SQL: whether the organisation is held at `:now`; `lifting` asks for more of the hold `h`."""
    return (
        f"exists (select from dunning_hold h where h.organization_id = {organization_id} and h.ended_at is null"
        f" and (h.until is null or h.until > :now){lifting})"
    )


def ended_under(invoice: str, *, but: str = "") -> str:
    """SQL: whether the subscription of an invoice ended when the invoice was due already. What is billed after that,
    falls due after it, or is owed anew since then, is a debt like any other."""
    return f"""
exists (select from subscription b where b.id = {invoice}.subscription_id
  and b.ended_at > coalesce({invoice}.reopened_at, {invoice}.finalized_at)
  and {invoice}.due_date
    <= cast(b.ended_at at time zone coalesce({invoice}.policy->>'timezone', 'UTC') as date){but})
"""


_NOT_BY_DUNNING = """
  and not exists (select from dunning_case x join invoice y on y.id = x.invoice_id
    where y.subscription_id = b.id and x.canceled_subscription)"""


def canceled(invoice: str) -> str:
    """SQL: whether the customer or staff ended its subscription so; not where a campaign did."""
    return ended_under(invoice, but=_NOT_BY_DUNNING)


def held(invoice: str) -> str:
    """SQL: whether an invoice is not charged by itself at `:now`."""
    return f"""
({on_hold(f"{invoice}.organization_id")} or {ended_under(invoice)}
  or exists (select from dunning_case k where k.invoice_id = {invoice}.id and k.reopened_at is null
    and (k.state = 'paused' or k.outcome in ('skipped', 'canceled'))))
"""


async def is_held(uow: UnitOfWork, invoice: Invoice) -> bool:
    """Of an invoice that the caller was let to, now by the clock of its organisation."""
    found = await uow.execute(
        f"select {held('s')} from invoice s where s.id = :id", id=invoice.id, now=uow.now
    )
    return found.scalar_one()


@dataclass(frozen=True, slots=True)
class Held:
    """`lifts`: what was restricted works meanwhile. `is_canceled`: the customer or staff ended the subscription."""

    on_hold: bool
    lifts: bool
    is_canceled: bool


async def standing(uow: UnitOfWork, invoice: Invoice) -> Held:
    """What of it is to be heeded by dunning, of an invoice that the caller was let to."""
    found = await uow.execute(
        f"select {on_hold('s.organization_id')}, {on_hold('s.organization_id', lifting=' and h.lifts')},"
        f" {canceled('s')} from invoice s where s.id = :id",
        id=invoice.id,
        now=uow.now,
    )
    return Held(*found.one())
