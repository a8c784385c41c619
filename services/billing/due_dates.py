"""When an invoice is overdue: the one rule that lists, pages, the API, subscriptions and dunning go by.

It is once the day after its due date has begun where it was issued, by the clock of the organisation, while something
is due of it that nobody contests. That is no state of an invoice: it comes with time, and goes with a payment.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from models.billing import Invoice
from services.billing.contested import WAITS
from services.billing.numbering import label_date
from services.billing.periods import day_begins
from services.core.listing import Column, Kind, Operator
from services.core.work import UnitOfWork

DAY = timedelta(days=1)
DAYS_MAX = 36_525  # what is asked for beyond a hundred years is asked for at a hundred

# Of an invoice `i`; `:now` is what the clock on the wall shows, and counts where the organisation is on no other.
_OPEN = "i.state = 'finalized' and i.due_minor > 0"
UNPAID = f"{_OPEN} and i.due_minor > {WAITS}"
_SHOWN = """
coalesce((select case when c.follows_wall and c.now_at >= :now then :now else c.now_at end
  from organization whose join test_clock c on c.id = whose.test_clock_id where whose.id = i.organization_id), :now)
"""
_ON_CLOCKS = "matrix_on_clocks()"


@dataclass(frozen=True, slots=True)
class Lateness:
    """The rule in SQL, for what reads the invoices of many.

    `today` is the day that it is where one was issued. It is worked out for each and so is nothing that an index can go
    by. What filters say besides is: nowhere on earth is it a day later or earlier than a day from that of `clock` in
    UTC. `elsewhere` is where that clock says nothing.
    """

    today: str
    clock: str
    elsewhere: str = "false"

    @property
    def overdue(self) -> str:
        return f"({UNPAID} and i.due_date < {self.today})"

    @property
    def days(self) -> str:
        return f"(case when {self.overdue} then {self.today} - i.due_date end)"

    def columns(self) -> tuple[Column, Column]:
        """Whether one is, and for how many days: what lists show and filter by."""
        days = f"cast(greatest(least({{value}}, {DAYS_MAX}), -{DAYS_MAX}) as integer)"
        at_least = self._found(
            f"({self._long_past(days)} or i.due_date <= {self.today} - {days})", until=f" - {days}"
        )
        at_most = self._found(f"i.due_date >= {self.today} - {days}", since=f" - {days}")
        is_late = self._found()
        is_so = f"({{value}} and {is_late}) or (not {{value}} and {self.overdue} is not true)"
        return (
            Column(
                "overdue",
                f"({self.overdue} is true)",
                Kind.FLAG,
                text="Due, uncontested, and its due date has passed",
                filterable=True,
                conditions={Operator.EQ: is_so},
            ),
            Column(
                "days_overdue",
                self.days,
                Kind.INTEGER,
                nullable=True,
                operators=(Operator.GTE, Operator.LTE),
                conditions={
                    Operator.GTE: at_least,
                    Operator.LTE: at_most,
                    Operator.IS_NULL: f"({{value}} and {self.overdue} is not true) or (not {{value}} and {is_late})",
                },
            ),
        )

    def _found(self, *and_: str, since: str = "", until: str = "") -> str:
        """Those that are overdue, by an index first. `since` and `until` are added to the day that it is.

        What an index finds is nearly always so. PostgreSQL expects as much of what is not null; of the bare rule it
        expects that a row in thirty is, and works it out for all that the index finds to have the newest fifty. What
        was due before yesterday is so in every zone, which takes half as long to say: counts look at ten thousand.
        """
        within = f"i.due_date <= {self._day} + 1{until}"
        within += f" and i.due_date >= {self._day} - 1{since}" if since else ""
        overdue = f"{UNPAID} and ({self._long_past('0')} or i.due_date < {self.today})"
        exactly = f"(case when {' and '.join((overdue, *and_))} then 1 end) is not null"
        return f"({_OPEN} and (({within}) or {self.elsewhere}) and {exactly})"

    @property
    def _day(self) -> str:
        return f"cast(cast({self.clock} as timestamptz) at time zone 'UTC' as date)"

    def _long_past(self, days: str) -> str:
        """More than so many days ago in every zone."""
        return f"(i.due_date < {self._day} - 1 - {days} and not {self.elsewhere})"


def _today(clock: str) -> str:
    return f"cast(cast({clock} as timestamptz) at time zone coalesce(i.policy->>'timezone', 'UTC') as date)"


# What one organisation sees of its own, by its own clock.
OWN = Lateness(_today(":business_now"), ":business_now")
# What staff sees of all. Organisations on clocks of their own are looked at one by one: the array is cheap to ask row
# by row, the function tells the planner how few they are.
EVERYBODY = Lateness(
    _today(_SHOWN.replace(":now", "cast(:now as timestamptz)")),
    ":now",
    f"(i.organization_id = any((select {_ON_CLOCKS})::text[]) and i.organization_id = any({_ON_CLOCKS}))",
)
OVERDUE, DAYS_OVERDUE = EVERYBODY.overdue, EVERYBODY.days


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
