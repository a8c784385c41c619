"""When an invoice is overdue: the one rule that lists, pages, the API, subscriptions and dunning go by.

It is once the day after its due date has begun where it was issued, by the clock of the organisation, while something
is due of it that nobody contests. That is no state of an invoice: it comes with time, and goes with a payment.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from models.billing import Invoice
from services.billing.contested import WAITS
from services.billing.numbering import label_date
from services.billing.periods import day_begins
from services.core.work import UnitOfWork

DAY = timedelta(days=1)

# Of an invoice `i`; `:now` is what the clock on the wall shows, and counts where the organisation is on no other.
UNPAID = f"i.state = 'finalized' and i.due_minor > 0 and i.due_minor > {WAITS}"
_SHOWN = """
coalesce((select case when c.follows_wall and c.now_at >= :now then :now else c.now_at end
  from organization whose join test_clock c on c.id = whose.test_clock_id where whose.id = i.organization_id), :now)
"""
_TODAY = f"cast(cast({_SHOWN} as timestamptz) at time zone coalesce(i.policy->>'timezone', 'UTC') as date)".replace(
    ":now", "cast(:now as timestamptz)"
)
OVERDUE = f"({UNPAID} and i.due_date < {_TODAY})"
DAYS_OVERDUE = f"(case when {OVERDUE} then {_TODAY} - i.due_date end)"


def is_past(due_date: date, zone: str, now: datetime) -> bool:
    """Whether the day after it has begun by `now`."""
    return label_date(now, zone) > due_date


def passes_at(due_date: date, zone: str) -> datetime:
    """When the day after it begins, in UTC."""
    return day_begins(due_date + DAY, zone)


async def days_overdue(uow: UnitOfWork, invoice: Invoice) -> int | None:
    """Of an invoice that the caller was let to; None for one that is not overdue. One day is the day after."""
    found = await uow.execute(
        f"select {DAYS_OVERDUE} from invoice i where i.id = :id", id=invoice.id, now=uow.wall_now
    )
    return found.scalar_one()
