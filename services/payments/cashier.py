"""The cashier asks providers for payments that are written down, and keeps what they say.

A provider is asked outside of any transaction. What it says is a whole picture of the payment, so pictures may come
late, twice and in any order: whoever has one reads it again, and what has ended by money stays so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from models.money import Money
from models.payments import Initiator, Payment, PaymentState, ProviderAccount
from services.billing import policies as of_billing
from services.core import clock as clocks
from services.core.actor import Actor, system
from services.core.crossing import Reason, crossing
from services.core.database import Database
from services.core.errors import Unavailable
from services.core.logs import get_logger
from services.core.openings import Purpose
from services.core.permissions import Capability
from services.core.work import UnitOfWork, unit_of_work
from services.identity.proof import require_recent_proof
from services.payments import accounts, checking, ending, links, methods, policies, rules
from services.payments.providers import base, registry, values
from services.payments.providers.base import PaymentProvider

log = get_logger(__name__)

# A request that was on its way for so long does not arrive any more.
NEVER_ARRIVED_AFTER = timedelta(minutes=15)
# Whoever has not come back from a page of the provider by then does not come.
LEFT_AFTER = timedelta(hours=24)
S = PaymentState
_DUE = checking.to_check("payment")


@dataclass(frozen=True, slots=True)
class Case:
    """A payment that has not ended, as it was read. Opening its provider takes a transaction: hold none meanwhile."""

    payment: Payment
    account: ProviderAccount
    now: datetime  # on the wall


@dataclass(frozen=True, slots=True)
class Prepared:
    """A payment that was written down, and what its provider is to be asked. There is no order yet where the provider
    does not know the customer."""

    case: Case
    order: values.Order | None


@dataclass(frozen=True, slots=True)
class Opened:
    """An account as it was when its provider was opened."""

    id: str
    version: int
    provider: PaymentProvider


class Cashier:
    """Holds connections to providers; `close` ends them. `public_url` is where customers come back to, and `allowed`
    are the `host:port` pairs of providers that may be private."""

    def __init__(
        self,
        *,
        public_url: str,
        allowed: Collection[str] = (),
        on: Database | None = None,
        clock: clocks.Clock | None = None,
    ) -> None:
        self.public_url = public_url
        self._allowed = frozenset(allowed)
        self._on = on
        self._clock = clock or clocks.SystemClock()
        self._open: dict[str, Opened] = {}

    async def close(self) -> None:
        for there in self._open.values():
            await there.provider.close()
        self._open.clear()

    async def send(self, payment_id: str, organization_id: str) -> Payment:
        """Ask for a payment that was just started. An answer that is lost leaves it as it is: `check_due` finds out.

        Raises NotFound.
        """
        async with self._work(organization_id) as uow:
            payment = await policies.payment_for(uow, payment_id, Capability.PAYMENTS_READ)
            prepared = await self.prepare(uow, payment)
        return payment if prepared is None else await self.send_prepared(prepared)

    async def prepare(self, uow: UnitOfWork, payment: Payment) -> Prepared | None:
        """What the provider is to be asked once this work is committed; None where that is nothing."""
        if payment.state != S.SENDING or not _is_asked_for(payment):
            return None
        case = await _case_of(uow, payment)
        customer = await methods.customer_of(uow, case.account.id) if _needs_customer(payment) else ""
        is_stranger = _needs_customer(payment) and not customer
        return Prepared(case, None if is_stranger else await self._order(uow, case, customer))

    async def send_prepared(self, prepared: Prepared) -> Payment:
        """As `send`, of a payment whose intent is committed."""
        case = prepared.case
        try:
            order = prepared.order or await self._ordered(case)
            provider = await self.provider_of(case.account)
            return await self._keep(case, lambda: provider.create_or_confirm(order))
        except base.UnknownOutcome as error:
            log.warning("payment_outcome_unknown", payment_id=case.payment.id, error=error.message)
            return case.payment
        except (base.ProviderUnavailable, base.RefusedByProvider) as error:
            return await self._not_done(case, error)

    async def look(self, payment_id: str, organization_id: str) -> Payment:
        """Ask how a payment stands, also one that was thought to have failed.

        Raises NotFound, and what asking raises: that we were told nothing says nothing of the payment, so
        ProviderUnavailable, UnknownOutcome and RefusedByProvider leave it as it is.
        """
        case = await self._case(payment_id, organization_id, ended=True)
        if case is None:
            return await self.read(payment_id, organization_id)
        return await self._keep(case, lambda: self._picture(case))

    async def cancel(self, payment_id: str, organization_id: str, *, by: Actor | None = None) -> Payment:
        """Have the provider take no money for it any more; if it has already, the payment succeeds instead.

        Raises NotFound, PaymentStateConflict for one that has ended, and as `look`; Forbidden where `by`
        may not.
        """
        if by is not None:
            by.require(Capability.PAYMENTS_WRITE)
        case = await self._case(payment_id, organization_id)
        if case is None:
            async with self._work(organization_id, by) as uow:
                payment, _ = await ending.locked(uow, payment_id)
                rules.require_transition(S(payment.state), S.CANCELED)
                ending.give_up(uow, payment)
                return payment
        provider = await self.provider_of(case.account)
        return await self._keep(case, lambda: _canceled(case, provider), by=by)

    async def read(self, payment_id: str, organization_id: str) -> Payment:
        """Raises NotFound."""
        async with self._work(organization_id) as uow:
            return await policies.payment_for(uow, payment_id, Capability.PAYMENTS_READ)

    async def check_due(self) -> int:
        """Look at all payments whose time has come; returns how many. Safe to run twice and from many workers."""
        checked = 0
        async for row in checking.due(partial(self.across, Reason.PAYMENTS), _DUE):
            await self._check(row.id, row.organization_id)
            checked += 1
        return checked

    async def _check(self, payment_id: str, organization_id: str) -> None:
        """One that cannot be looked at now is looked at later, and holds up no other."""
        try:
            payment = await self.look(payment_id, organization_id)
            if payment.state == S.REQUIRES_ACTION and self._clock.now() - payment.asked_at > LEFT_AFTER:
                await self.cancel(payment_id, organization_id)
        except Unavailable as error:
            log.warning("payment_check_waits", payment_id=payment_id, error=error.message)
            await self._later(payment_id, organization_id)
        except Exception as error:
            log.error("payment_check_failed", payment_id=payment_id, exc_info=error)
            await self._later(payment_id, organization_id)

    async def _later(self, payment_id: str, organization_id: str) -> None:
        async with self._work(organization_id) as uow:
            payment = await policies.payment_for(uow, payment_id, Capability.PAYMENTS_WRITE, lock=True)
            if payment.check_at is not None:
                ending.check_later(uow, payment)

    async def forget(self, method_id: str, *, by: Actor) -> None:
        """Have the provider forget a method, and pay with it no more. Raises Forbidden, ProofNeeded, NotFound, and
        ProviderUnavailable, after which it is there as it was."""
        async with self._work("", by) as uow:
            method = await policies.method_for(uow, method_id, Capability.PAYMENTS_WRITE)
            require_recent_proof(uow)
            account = await policies.account_for(uow, method.provider_account_id, Capability.PAYMENTS_WRITE)
            token = await methods.token_of(uow, method, Purpose.METHOD_FORGOTTEN)
        provider = await self.provider_of(account)
        await provider.detach(token, key=f"{method_id}.detach")
        async with self._work("", by) as uow:
            await methods.remove_if_there(uow, method_id)  # who was told of it may have been quicker

    def within(self, organization_id: str) -> AbstractAsyncContextManager[UnitOfWork]:
        """The product's own work within an organisation, for what providers are asked besides payments."""
        return self._work(organization_id)

    def across(self, reason: Reason) -> AbstractAsyncContextManager[UnitOfWork]:
        """The same, across tenants."""
        return crossing(reason, on=self._on, clock=self._clock)

    def wall_now(self) -> datetime:
        return self._clock.now()

    def _work(self, organization_id: str, by: Actor | None = None) -> AbstractAsyncContextManager[UnitOfWork]:
        return unit_of_work(by or system(organization_id), on=self._on, clock=self._clock)

    # -- asking

    async def _case(self, payment_id: str, organization_id: str, *, ended: bool = False) -> Case | None:
        """None for a payment that has ended (`ended`: that succeeded), or that no provider is asked about. Raises
        NotFound."""
        async with self._work(organization_id) as uow:
            payment = await policies.payment_for(uow, payment_id, Capability.PAYMENTS_READ)
            state = S(payment.state)
            over = state is S.SUCCEEDED if ended else state not in rules.UNDER_WAY
            return None if over or not _is_asked_for(payment) else await _case_of(uow, payment)

    async def provider_of(self, account: ProviderAccount) -> PaymentProvider:
        """Opened once, and anew when staff has changed it."""
        there = self.opened(account.id)
        if there is not None and there.version == account.version:
            return there.provider
        async with self.across(Reason.PAYMENTS) as uow:
            secrets = await accounts.secrets_of(uow, account, Purpose.PROVIDER_CONNECTED)
        there = self.opened(account.id)  # somebody may have opened it meanwhile
        if there is not None and there.version == account.version:
            return there.provider
        provider = registry.kind(account.provider).open(
            base.Opening(
                account.id, account.settings, secrets, self._allowed, partial(self.across, Reason.PAYMENTS)
            )
        )
        self._open[account.id] = Opened(account.id, account.version, provider)
        if there is not None:
            await there.provider.close()
        return provider

    def opened(self, account_id: str) -> Opened | None:
        """What is open of an account already; staff may have changed it since."""
        return self._open.get(account_id)

    async def _ordered(self, case: Case) -> values.Order:
        """Where the provider may not know the customer yet. Raises what asking raises."""
        owner, customer = case.payment.organization_id, ""
        if _needs_customer(case.payment):
            customer = await self.customer_at(case.account, owner)
        async with self._work(owner) as uow:
            return await self._order(uow, case, customer)

    async def _order(self, uow: UnitOfWork, case: Case, customer: str) -> values.Order:
        """What the provider is asked, the same however often it is asked."""
        payment, token = case.payment, ""
        if payment.method_id is not None:
            method = await policies.method_for(uow, payment.method_id, Capability.PAYMENTS_READ)
            token = await methods.token_of(uow, method, Purpose.METHOD_CHARGED)
        return values.Order(
            key=payment.id,
            amount=Money(payment.minor, payment.currency),
            description=await _description(uow, payment),
            customer=customer,
            method=token,
            off_session=bool(token) and payment.initiator != Initiator.CUSTOMER,
            keep_method=payment.keep_method,
            return_url=f"{self.public_url}{await links.way_back(uow, payment)}",
            metadata={"account": case.account.id, "organization": payment.organization_id},
        )

    async def _picture(self, case: Case) -> values.Payment | None:
        """What the customer has approved is taken at once."""
        provider = await self.provider_of(case.account)
        picture = await _picture(case, provider)
        if picture is None or picture.state is not values.PaymentState.APPROVED:
            return picture
        order = replace(await self._ordered(case), reference=picture.reference)
        return await provider.create_or_confirm(order)

    async def customer_at(self, account: ProviderAccount, organization_id: str) -> str:
        """Under which name the provider knows who pays, made if it does not know them. Raises what asking raises."""
        async with self._work(organization_id) as uow:
            if known := await methods.customer_of(uow, account.id):
                return known
            organization = await of_billing.organization_of(uow)
        provider = await self.provider_of(account)
        made = await provider.keep_customer(
            values.Customer(name=organization.name, email="", organization=organization_id),
            key=f"{organization_id}.{account.id}",
        )
        async with self._work(organization_id) as uow:
            await methods.keep_customer(uow, account.id, made)
            return await methods.customer_of(uow, account.id)

    async def _not_done(
        self, case: Case, error: base.ProviderUnavailable | base.RefusedByProvider
    ) -> Payment:
        """Nothing was charged, and the customer may try again, or otherwise, at once."""
        log.warning("payment_not_done", payment_id=case.payment.id, error=error.message)
        async with self._work(case.payment.organization_id) as uow:
            row, _ = await ending.locked(uow, case.payment.id)
            if isinstance(error, base.RefusedByProvider):
                ending.refuse(uow, row, error)
            else:
                ending.not_taken(uow, row)
            return row

    async def _keep(
        self, case: Case, ask: Callable[[], Awaitable[values.Payment | None]], *, by: Actor | None = None
    ) -> Payment:
        """Ask, and write down what follows. Raises what asking raises, but for a decline."""
        payment, organization_id = case.payment, case.payment.organization_id
        picture: values.Payment | None = None
        declined: base.Declined | None = None
        try:
            picture = await ask()
        except base.Declined as error:
            declined = error
        async with self._work(organization_id, by) as uow:
            row, invoice = await ending.locked(uow, payment.id, known=payment)
            if declined is not None:
                ending.fail(uow, row, declined.decline, reference=declined.reference)
            elif picture is not None:
                await ending.learn(uow, row, invoice, picture)
            elif case.now - payment.asked_at > NEVER_ARRIVED_AFTER:
                ending.never_arrived(uow, row)
            else:
                ending.check_later(uow, row)
            return row


async def _case_of(uow: UnitOfWork, payment: Payment) -> Case:
    account = await policies.account_for(uow, payment.provider_account_id or "", Capability.PAYMENTS_READ)
    return Case(payment, account, uow.wall_now)


async def _picture(case: Case, provider: PaymentProvider) -> values.Payment | None:
    """By the provider's name for it if we know that, else by our key."""
    if case.payment.provider_ref is not None:
        return await provider.read(case.payment.provider_ref)
    return await provider.read_back(case.payment.id, since=case.payment.asked_at)


def _is_asked_for(payment: Payment) -> bool:
    """Whether there is a provider to be asked about it: to a bank and a chain money comes by itself."""
    return not registry.kind(payment.provider).watched


async def _description(uow: UnitOfWork, payment: Payment) -> str:
    """What the customer reads at the provider."""
    if payment.top_up_id is not None:
        return f"Top-up {payment.top_up_id}"
    invoice_id = payment.invoice_id or ""
    invoice = await of_billing.invoice_for(uow, invoice_id, Capability.PAYMENTS_READ, lock=False)
    return f"Invoice {invoice.number}"


def _needs_customer(payment: Payment) -> bool:
    """Methods are kept under a customer whom the provider knows."""
    return payment.keep_method or payment.method_id is not None


async def _canceled(case: Case, provider: PaymentProvider) -> values.Payment | None:
    picture = await _picture(case, provider)
    if picture is None or picture.state in (values.PaymentState.PAID, values.PaymentState.CANCELED):
        return picture
    try:
        return await provider.cancel(picture.reference, key=f"{case.payment.id}.cancel")
    except base.RefusedByProvider:
        return await provider.read(picture.reference)  # it was paid meanwhile


_cashier: Cashier | None = None


def install(cashier: Cashier) -> None:
    """For this process, until `close`."""
    global _cashier
    _cashier = cashier


async def close() -> None:
    global _cashier
    installed, _cashier = _cashier, None
    if installed is not None:
        await installed.close()


def installed() -> Cashier | None:
    """That of this process, where there is one."""
    return _cashier


def cashier() -> Cashier:
    """That of this process. Raises RuntimeError where none was installed."""
    if _cashier is None:
        raise RuntimeError("No cashier was installed in this process.")
    return _cashier
