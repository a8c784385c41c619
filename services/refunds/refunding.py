"""Asking providers for refunds that are written down, as the cashier does for payments.

A provider is asked outside of any transaction, by a key that was committed before. What it says is written down in
another one. A refund whose answer is lost is looked for by its key, and if the provider does not have it, asked for
again with the same key: it is given once, however often it is asked for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial

from models.money import Money
from models.refunds import Refund, RefundState
from services.core import clock as clocks
from services.core.actor import system
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.errors import Unavailable
from services.core.logs import get_logger
from services.core.permissions import Capability
from services.core.work import UnitOfWork, unit_of_work
from services.payments import checking, policies
from services.payments.cashier import Cashier
from services.payments.providers import base, registry, values
from services.payments.providers.base import PaymentProvider
from services.payments.providers.capabilities import GivesBack
from services.refunds import giving_back

log = get_logger(__name__)

S = RefundState
_Answer = values.Refund | str | None  # what it is now, why it is not given, or that there is none
_DUE = checking.to_check("refund")


@dataclass(frozen=True, slots=True)
class _Case:
    """A refund that was sent or is to be, as it was read, and the provider's name for its payment."""

    refund: Refund
    payment_ref: str
    provider: PaymentProvider

    @property
    def order(self) -> values.RefundOrder:
        """The same however often it is asked for."""
        money = Money(self.refund.minor, self.refund.currency)
        return values.RefundOrder(self.refund.id, self.payment_ref, money)


class Refunding:
    """Asks through the accounts that a cashier can open."""

    def __init__(
        self, cashier: Cashier, on: Database | None = None, clock: clocks.Clock | None = None
    ) -> None:
        self._cashier = cashier
        self._on = on
        self._clock = clock or clocks.SystemClock()

    async def send(self, refund_id: str, organization_id: str) -> Refund:
        """Ask for a refund that was just started. An answer that is lost, or a provider that is busy, leaves it as it
        is: `check_due` finds out. What no provider sends stays, too. Raises NotFound."""
        case = await self._case(refund_id, organization_id)
        if case is None or case.refund.state != S.SENDING:
            return await self._read(refund_id, organization_id)
        try:
            return await self._keep(case, lambda: _given(case))
        except Unavailable as error:
            log.warning("refund_waits", refund_id=refund_id, error=error.message)
            return case.refund

    async def look(self, refund_id: str, organization_id: str) -> Refund:
        """Ask how a refund stands, also one that has ended: some come back days later.

        Raises NotFound, and what asking raises: ProviderUnavailable, UnknownOutcome and RefusedByProvider leave it
        as it is.
        """
        case = await self._case(refund_id, organization_id)
        if case is None:
            return await self._read(refund_id, organization_id)
        return await self._keep(case, lambda: _picture(case))

    async def check_due(self) -> int:
        """Look at all refunds whose time has come; returns how many. Safe to run twice and from many workers."""
        across, checked = partial(crossing, Reason.PAYMENTS, on=self._on, clock=self._clock), 0
        async for row in checking.due(across, _DUE):
            await self._check(row.id, row.organization_id)
            checked += 1
        return checked

    async def _check(self, refund_id: str, organization_id: str) -> None:
        """One that cannot be looked at now is looked at later, and holds up no other."""
        try:
            await self.look(refund_id, organization_id)
        except Exception as error:
            if isinstance(error, Unavailable):
                log.warning("refund_check_waits", refund_id=refund_id, error=error.message)
            else:
                log.error("refund_check_failed", refund_id=refund_id, exc_info=error)
            async with self._work(organization_id) as uow:
                row = await policies.refund_for(uow, refund_id, Capability.PAYMENTS_WRITE, lock=True)
                giving_back.check_later(uow, row)

    async def _case(self, refund_id: str, organization_id: str) -> _Case | None:
        """None for one that no provider sends, or that was not begun to be sent. Raises NotFound."""
        async with self._work(organization_id) as uow:
            refund = await policies.refund_for(uow, refund_id, Capability.PAYMENTS_READ)
            payment = await policies.payment_for(uow, refund.payment_id, Capability.PAYMENTS_READ)
            if (
                refund.asked_at is None
                or registry.gives_back(payment.provider) is not GivesBack.ASKED
                or payment.provider_account_id is None
                or payment.provider_ref is None
            ):
                return None
            account = await policies.account_for(uow, payment.provider_account_id, Capability.PAYMENTS_READ)
        return _Case(refund, payment.provider_ref, await self._cashier.provider_of(account))

    async def _keep(self, case: _Case, ask: Callable[[], Awaitable[_Answer]]) -> Refund:
        """Ask, and write down what follows. Raises what asking raises."""
        answer = await ask()
        async with self._work(case.refund.organization_id) as uow:
            what = await giving_back.locked(uow, case.refund.id, Capability.PAYMENTS_WRITE)
            if isinstance(answer, values.Refund):
                await giving_back.learn(uow, what, answer)
            elif answer is not None and what.refund.state == S.SENDING:
                await giving_back.fail(uow, what, answer)
            return what.refund

    async def _read(self, refund_id: str, organization_id: str) -> Refund:
        async with self._work(organization_id) as uow:
            return await policies.refund_for(uow, refund_id, Capability.PAYMENTS_READ)

    def _work(self, organization_id: str) -> AbstractAsyncContextManager[UnitOfWork]:
        return unit_of_work(system(organization_id), on=self._on, clock=self._clock)


async def _picture(case: _Case) -> _Answer:
    """By the provider's name for it if we know that, else by our key; asked for again if the provider has none."""
    if case.refund.provider_ref is not None:
        return await case.provider.read_refund(case.refund.provider_ref)
    there = await case.provider.read_back_refund(case.refund.id, payment=case.payment_ref)
    return await _given(case) if there is None and case.refund.state == S.SENDING else there


async def _given(case: _Case) -> _Answer:
    """A refusal to give it is an answer; one to read is none, and says nothing of the refund."""
    try:
        return await case.provider.refund(case.order)
    except base.RefusedByProvider as error:
        return error.reason
    except base.Declined as error:
        return error.decline_code
