"""Being paid by transfer to an account of our own. Nobody is asked here: a bank tells by its statements, which staff
imports (services/reconciliation/statements.py), and those are read again as what moved the account's balance."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any

from models.currencies import CURRENCIES
from models.money import Money, Provider
from services.core.errors import Invalid
from services.payments.providers.base import Opening
from services.payments.providers.capabilities import Capabilities, Flow, GivesBack
from services.payments.providers.unasked import UnaskedProvider
from services.payments.providers.values import Movement, MovementKind, Page

NUMBER_CHARACTERS_MAX = 40
CAME, WENT = "came", "went_out"  # all that a line says of why
MOVEMENTS_A_PAGE = 500
# By when they were imported: a statement tells of days that are long over.
_LISTED = """
select l.id, l.bank_ref, l.booked_on, l.currency, l.minor
from bank_line l join bank_statement s on s.id = l.statement_id
where l.provider_account_id = :account_id and s.imported_at >= :since and s.imported_at < :until
  and (:before = '' or l.id < :before)
order by l.id desc limit :most
"""
CAPABILITIES = Capabilities(
    provider=Provider.BANK,
    flows=frozenset({Flow.TRANSFER}),
    currencies=frozenset(CURRENCIES),
    minimums={},
    keys_last=timedelta(0),
    keeps_methods=False,
    captures_later=False,
    lists_payouts=False,
    gives_back=GivesBack.BY_HAND,
    is_our_bank=True,
)


def number_of(text: str) -> str:
    """An account's number as it is compared: people and banks write an IBAN with blanks or without."""
    return "".join(text.split()).upper()


def check(settings: Mapping[str, str], secrets: Mapping[str, str], allowed: Collection[str]) -> None:
    """Raises Invalid naming the setting."""
    number = settings["number"]
    if number != number_of(number) or len(number) > NUMBER_CHARACTERS_MAX:
        raise Invalid(
            f"A number has 1 to {NUMBER_CHARACTERS_MAX} characters, no blanks and no small letters.",
            field="settings.number",
        )


class BankProvider(UnaskedProvider):
    """An account at a bank, by what its statements tell."""

    NAME = "A bank"
    TOLD = "is told by its statements"
    GIVES_NOTHING_BACK = "sends nothing for us: staff makes the transfer, and records it as sent"

    def __init__(self, given: Opening) -> None:
        self._account_id, self._work = given.account_id, given.work

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    async def close(self) -> None:
        return None

    async def movements(self, *, since: datetime, until: datetime, cursor: str = "") -> Page[Movement]:
        """The lines of the account that were imported in [since, until), as of the days they were booked on."""
        async with self._work() as uow:
            found = await uow.execute(
                _LISTED,
                account_id=self._account_id,
                since=since,
                until=until,
                before=cursor,
                most=MOVEMENTS_A_PAGE,
            )
            rows = found.all()
        return Page(tuple(map(_movement, rows)), rows[-1].id if len(rows) == MOVEMENTS_A_PAGE else "")


def _movement(row: Any) -> Movement:
    """What went out may be anything: that is never guessed. A transfer is known by the bank's name for the line."""
    gross, booked = Money(row.minor, row.currency), datetime.combine(row.booked_on, time(), UTC)
    came = row.minor > 0
    return Movement(
        reference=row.id,
        kind=MovementKind.CHARGE if came else MovementKind.OTHER,
        category=CAME if came else WENT,
        gross=gross,
        fee=Money(0, row.currency),
        net=gross,
        created=booked,
        available=booked,
        payment=row.bank_ref if came else "",
    )
