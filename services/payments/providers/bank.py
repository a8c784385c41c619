"""Being paid by transfer to an account of our own. Nobody is asked here: a bank tells by its statements, which staff
imports (services/reconciliation/statements.py), and those are read again as what moved the account's balance."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any, NoReturn

from models.currencies import CURRENCIES
from models.money import Money, Provider
from services.core.errors import Invalid
from services.payments.providers.base import Opening, RefusedByProvider, WebhookRefused
from services.payments.providers.capabilities import Capabilities, Flow, GivesBack
from services.payments.providers.values import (
    Customer,
    Dispute,
    Evidence,
    Method,
    Movement,
    MovementKind,
    Order,
    Page,
    Payment,
    Payout,
    ProviderEvent,
    Refund,
    RefundOrder,
    Setup,
    SetupOrder,
)

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


class BankProvider:
    """An account at a bank, by what its statements tell."""

    def __init__(self, given: Opening) -> None:
        self._account_id, self._work = given.account_id, given.work

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    async def close(self) -> None:
        return None

    async def keep_customer(self, customer: Customer, *, key: str) -> str:
        _refuse("keeps no customers for us")

    async def create_or_confirm(self, order: Order) -> Payment:
        _refuse("is told by its statements, and asked for nothing")

    async def capture(self, reference: str, *, key: str, amount: Money | None = None) -> Payment:
        _refuse("takes nothing later")

    async def cancel(self, reference: str, *, key: str) -> Payment:
        _refuse("is told by its statements, and asked for nothing")

    async def refund(self, order: RefundOrder) -> Refund:
        _refuse("sends nothing for us: staff makes the transfer, and records it as sent")

    async def setup(self, order: SetupOrder) -> Setup:
        _refuse("keeps no methods")

    async def methods(self, customer: str) -> tuple[Method, ...]:
        return ()

    async def read_method(self, reference: str) -> Method | None:
        return None

    async def detach(self, method: str, *, key: str) -> None:
        return None

    async def read(self, reference: str) -> Payment:
        _refuse("is told by its statements, and asked for nothing")

    async def read_setup(self, reference: str) -> Setup:
        _refuse("keeps no methods")

    async def read_refund(self, reference: str) -> Refund:
        _refuse("knows no refunds, only transfers")

    async def read_dispute(self, reference: str) -> Dispute:
        _refuse("knows no disputes: nobody takes a transfer back")

    async def read_payout(self, reference: str) -> Payout:
        _refuse("pays nothing out: what comes is yours at once")

    async def read_back(self, key: str, *, since: datetime, customer: str = "") -> Payment | None:
        return None

    async def read_back_refund(self, key: str, *, payment: str) -> Refund | None:
        return None

    async def verify_webhook(self, headers: Mapping[str, str], raw: bytes, *, now: datetime) -> ProviderEvent:
        raise WebhookRefused("a bank sends no events")

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

    async def payouts(self, *, since: datetime, cursor: str = "") -> Page[Payout]:
        return Page(())

    async def payout_movements(self, payout: str, *, cursor: str = "") -> Page[Movement]:
        return Page(())

    async def disputes(self, *, since: datetime, cursor: str = "") -> Page[Dispute]:
        return Page(())

    async def answer_dispute(self, reference: str, evidence: Evidence, *, key: str) -> Dispute:
        _refuse("knows no disputes: nobody takes a transfer back")


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


def _refuse(what: str) -> NoReturn:
    raise RefusedByProvider(f"A bank {what}.", reason="not_supported")
