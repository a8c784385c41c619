"""Asking providers for disputes: what they tell of is read again, and all of them are listed again and again, so that
the order, doubling and loss of events do not matter. Answers are handed in here, too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

from models.disputes import Dispute, DisputeState
from models.money import Money
from models.payment_cases import CaseAct, CaseKind
from models.payments import PaymentState, ProviderAccount
from services.billing_runs import overdue
from services.core import clock as clocks
from services.core.actor import system
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.errors import Unavailable
from services.core.logs import get_logger
from services.core.permissions import Capability
from services.core.work import UnitOfWork, unit_of_work
from services.disputes import evidence_files, taking_back
from services.disputes import rules as dispute_rules
from services.payments import cases, checking, ending, policies
from services.payments.cashier import Cashier
from services.payments.events import DisputeAnswerDue, DisputeConceded
from services.payments.providers import values
from services.payments.providers.base import RefusedByProvider

log = get_logger(__name__)

LISTED_FOR = timedelta(days=180)  # banks decide within four months
PAGES_MAX = 200  # of one listing
BATCH = 100
_ACCOUNTS = "select id from provider_account where enabled and id > :after order by id limit :most"
_PAYMENT = "select id, organization_id from payment where provider_account_id = :id and provider_ref = :ref"
_DUE = f"""
select id, organization_id, due_at as at from dispute
where state in ('warning_needs_answer', 'needs_answer') and due_at > :now and due_at <= :until
  and conceded_at is null and (due_at, id) > (:after_at, :after_id)
  and coalesce(reminded_days, 99) > {min(dispute_rules.REMIND_DAYS)}
order by due_at, id limit :most
"""


class Disputing:
    """Asks through the accounts that a cashier can open."""

    def __init__(
        self, cashier: Cashier, on: Database | None = None, clock: clocks.Clock | None = None
    ) -> None:
        self._cashier = cashier
        self._on = on
        self._clock = clock or clocks.SystemClock()

    async def follow(self, account_id: str, reference: str) -> None:
        """Read a dispute again that a provider told of. Raises what asking raises."""
        async with self._crossing() as uow:
            account = await policies.any_account(uow, account_id)
        provider = await self._cashier.provider_of(account)
        await self.keep(account, await provider.read_dispute(reference))

    async def warned(self, payment_id: str, organization_id: str) -> None:
        """A bank thinks that a card was stolen: giving the money back now may spare a dispute."""
        async with self._work(organization_id) as uow:
            payment = await policies.payment_for(uow, payment_id, Capability.PAYMENTS_READ)
            await cases.open_case(
                uow,
                CaseKind.FRAUD_WARNING,
                payment_id,
                cause="early_fraud_warning",
                organization_id=organization_id,
                amount=Money(payment.refunded_minor - payment.minor, payment.currency),
                detail="The bank thinks that the card was stolen. A refund now may spare a dispute.",
                proposal=cases.propose(CaseAct.REFUND, payment_id=payment_id),
            )

    async def list_all(self) -> int:
        """Go through the disputes of all accounts; returns how many were read. Safe to run twice and at once.

        An account whose provider is away now holds up no other.
        """
        read = 0
        async for account in self._accounts():
            try:
                read += await self._list(account)
            except (Unavailable, RefusedByProvider) as error:
                log.warning("disputes_wait", account_id=account.id, error=error.message)
        return read

    async def _list(self, account: ProviderAccount) -> int:
        provider = await self._cashier.provider_of(account)
        since, cursor, read = self._clock.now() - LISTED_FOR, "", 0
        for _ in range(PAGES_MAX):
            page = await provider.disputes(since=since, cursor=cursor)
            for picture in page.items:
                await self.keep(account, picture)
            read += len(page.items)
            cursor = page.cursor
            if not cursor:
                break
        return read

    async def _accounts(self) -> AsyncIterator[ProviderAccount]:
        after = ""
        while True:
            async with self._crossing() as uow:
                ids = list((await uow.execute(_ACCOUNTS, after=after, most=BATCH)).scalars())
                batch = [await policies.any_account(uow, one) for one in ids]
            for account in batch:
                yield account
            if len(batch) < BATCH:
                return
            after = ids[-1]

    async def keep(self, account: ProviderAccount, picture: values.Dispute) -> None:
        """Write down what the provider says of a dispute."""
        found = await self._payment(account.id, picture.payment) if picture.payment else None
        if found is None:
            await self._unknown(account, picture)
            return
        payment_id, organization_id = found
        payment = await self._cashier.read(payment_id, organization_id)
        if payment.state != PaymentState.SUCCEEDED:  # the bank was faster than what told us of the payment
            payment = await self._cashier.look(payment_id, organization_id)
        if payment.state != PaymentState.SUCCEEDED:
            await self._unknown(account, picture)
            return
        async with self._work(organization_id) as uow:
            row, invoice = await ending.locked(uow, payment_id)
            await taking_back.learn(uow, row, invoice, picture)
            subscription_id = None if invoice is None else invoice.subscription_id
        if subscription_id is not None:
            # By itself: whoever bills a subscription locks it before its invoices.
            async with self._work(organization_id) as uow:
                await overdue.mark(uow, subscription_id)

    async def _payment(self, account_id: str, reference: str) -> tuple[str, str] | None:
        async with self._crossing() as uow:
            row = (await uow.execute(_PAYMENT, id=account_id, ref=reference)).one_or_none()
        return None if row is None else (row.id, row.organization_id)

    async def _unknown(self, account: ProviderAccount, picture: values.Dispute) -> None:
        async with self._crossing() as uow:
            await cases.open_case(
                uow,
                CaseKind.UNKNOWN_DISPUTE,
                f"{account.id}:{picture.reference}",
                cause="no_such_payment",
                organization_id=None,
                amount=-picture.amount,
                detail=f"{account.name} tells of the dispute {picture.reference} of a payment that nobody knows.",
            )

    async def remind(self) -> int:
        """Tell staff of disputes that have to be answered soon, once for each of REMIND_DAYS; returns how many."""
        told, until = 0, self._clock.now() + timedelta(days=max(dispute_rules.REMIND_DAYS))
        async for row in checking.due(self._crossing, _DUE, until=until):
            async with self._work(row.organization_id) as uow:
                told += await _remind(uow, row.id)
        return told

    def _crossing(self) -> AbstractAsyncContextManager[UnitOfWork]:
        return crossing(Reason.PAYMENTS, on=self._on, clock=self._clock)

    def _work(self, organization_id: str) -> AbstractAsyncContextManager[UnitOfWork]:
        return unit_of_work(system(organization_id), on=self._on, clock=self._clock)


async def _remind(uow: UnitOfWork, dispute_id: str) -> bool:
    row = await policies.dispute_for(uow, dispute_id, Capability.PAYMENTS_WRITE, lock=True)
    if row.due_at is None or DisputeState(row.state) not in dispute_rules.ASKS or row.conceded_at is not None:
        return False
    days = dispute_rules.reminder(row.due_at, uow.wall_now, reminded=row.reminded_days)
    if days is None:
        return False
    row.reminded_days = days
    uow.add(row)
    uow.record(DisputeAnswerDue(**taking_back.named(row), days=days))
    return True


async def concede(uow: UnitOfWork, dispute_id: str) -> Dispute:
    """Decide not to answer: nobody is reminded any more, and the bank decides when the time is over.

    Raises Forbidden, NotFound, AnswerUnderWay, and DisputeStateConflict for what asks for no answer.
    """
    row = await policies.dispute_for(uow, dispute_id, Capability.STAFF_PAYMENTS_WRITE, lock=True)
    dispute_rules.require_answerable(DisputeState(row.state), due_at=row.due_at, now=uow.wall_now)
    evidence_files.require_none_under_way(row)
    if row.conceded_at is None:
        row.conceded_at = uow.wall_now
        row.version += 1
        uow.add(row)
        uow.record(DisputeConceded(**taking_back.named(row)))
    return row
