"""Taking money for an invoice, or for a top-up of a wallet, through a provider, once.

    payment = await charging.start(uow, ...)            # written down, and committed by the door
    await cashier.send(payment.id, organization_id)     # the provider is asked; what it says is kept
    await cashier.look(payment.id, organization_id)     # at any time: what does the provider say of it now?

Between the steps anything may end. What was written down and has not ended is looked at again by the worker, which
asks the provider by our key: see cashier.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from models.billing import Invoice, InvoiceState
from models.money import Money
from models.payments import Initiator, Payment, PaymentMethod, PaymentState, ProviderAccount
from models.terms import Occasion
from models.wallets import TopUpState, WalletTopUp
from services.billing import contested, states
from services.billing import policies as of_billing
from services.billing.invoices import KeyMeansOther, require_key
from services.core.errors import Conflict, Invalid
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.crypto import requests as crypto_requests
from services.identity import clocks
from services.payments import policies
from services.payments.events import PaymentStarted
from services.payments.providers import registry
from services.terms import service as terms
from services.wallets import policies as of_wallets

ANSWER_WITHIN = timedelta(seconds=90)  # longer than any call to a provider takes

_STANDING = f"""
select (select id from payment where invoice_id = i.id and state in ('sending', 'requires_action', 'processing'))
  as under_way, {contested.CONTESTED} as contested_minor
from invoice i where i.id = :id
"""
_STANDING_OF_TOP_UP = """
select id from payment where top_up_id = :id and state in ('sending', 'requires_action', 'processing')
"""


class PaymentUnderWay(Conflict):
    """An invoice or a top-up is paid by one payment at a time: two could both succeed."""

    code = "payment_under_way"
    title = "A payment of this is under way"


class AllContested(Conflict):
    """What is contested is not asked for until it is answered."""

    code = "invoice_contested"
    title = "What is due of this invoice is contested"


class TopUpNotDue(Conflict):
    """A top-up is paid once, and not any more where the rule that asked for it was changed."""

    code = "top_up_not_due"
    title = "The top-up is not due"


class AccountDisabled(Conflict):
    code = "provider_account_disabled"
    title = "This way to pay is switched off"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A payment as it is asked for: all that an invoice is owed and nobody contests, or all of the top-up that
    `top_up_id` names instead; by a kept method, or by one that the customer gives on the provider's page.
    `account_id` is that of a way to pay: on a chain <account>:<asset>."""

    invoice_id: str | None
    account_id: str
    key: str
    method_id: str | None = None
    keep_method: bool = False
    initiator: Initiator = Initiator.CUSTOMER
    link_id: str | None = None  # where somebody pays by a link
    top_up_id: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """Which payment of an invoice or a top-up is under way, and what of it may be asked for, in minor units."""

    under_way: str | None
    collectable_minor: int


async def standing(uow: UnitOfWork, invoice: Invoice) -> Standing:
    """Of an invoice that the caller was let to."""
    found = (await uow.execute(_STANDING, id=invoice.id)).one()
    return Standing(found.under_way, contested.collectable_minor(invoice.due_minor, found.contested_minor))


async def start(uow: UnitOfWork, wanted: Wanted, *, locked: Invoice | None = None) -> Payment:
    """Write down that an invoice is to be paid, which the caller may have `locked`, or a top-up. The same key is the
    payment that is there.

    Raises Forbidden, NotFound, InvoiceStateConflict for what asks for nothing, TopUpNotDue, AllContested,
    AccountDisabled, PaymentUnderWay, KeyMeansOther, and Invalid for what the provider does not take.
    """
    require_key(wanted.key)
    account_id, _, asset = wanted.account_id.partition(":")
    debt = locked or await _debt(uow, wanted)
    uow.read.append(debt)
    if (there := await known(uow, wanted.key)) is not None:
        asked_with = (
            None if there.keep_method else there.method_id
        )  # what it was kept as, is known afterwards
        if (there.invoice_id, there.top_up_id, there.provider_account_id, asked_with) != (
            wanted.invoice_id, wanted.top_up_id, account_id, wanted.method_id,
        ) or not await crypto_requests.asks_for(uow, there.id, asset):  # fmt: skip
            raise KeyMeansOther(
                f"{wanted.key!r} is the key of another payment.", next_step="Give another act another key."
            )
        return there
    if isinstance(debt, WalletTopUp):
        require_due(debt)
        stands, owed = await _standing_of(uow, debt), await of_wallets.money_of(uow, debt)
    else:
        stands = await standing(uow, debt)
        owed = owed_of(debt, stands)
    account = await policies.account_for(uow, account_id, Capability.PAYMENTS_WRITE)
    require_open(uow, account)
    _require_taken(account, owed)
    uow.read.append(account)
    if wanted.method_id is not None:
        uow.read.append(await _kept_method(uow, wanted.method_id, account))
    _require_no_other(stands)
    if wanted.initiator is Initiator.CUSTOMER:
        await terms.accept(uow, Occasion.PAYING)
    payment = await _written(uow, wanted, account, owed)
    if registry.kind(account.provider).watched:
        await crypto_requests.ask(uow, payment, account, asset)
    return payment


async def _debt(uow: UnitOfWork, wanted: Wanted) -> Invoice | WalletTopUp:
    """What is to be paid, locked."""
    if wanted.top_up_id is not None:
        return await of_wallets.top_up_for(uow, wanted.top_up_id, Capability.PAYMENTS_WRITE, lock=True)
    return await of_billing.invoice_for(uow, wanted.invoice_id or "", Capability.PAYMENTS_WRITE)


async def _standing_of(uow: UnitOfWork, top_up: WalletTopUp) -> Standing:
    found = await uow.execute(_STANDING_OF_TOP_UP, id=top_up.id)
    return Standing(found.scalar_one_or_none(), top_up.minor)


def require_due(top_up: WalletTopUp) -> None:
    """Raises TopUpNotDue."""
    if top_up.state != TopUpState.DUE:
        raise TopUpNotDue(
            f"This top-up is {top_up.state}.",
            next_step="Look at the wallet: another one may be due.",
            state=top_up.state,
        )


def is_owed(invoice: Invoice) -> bool:
    return invoice.state == InvoiceState.FINALIZED and invoice.due_minor > 0


def owed_of(invoice: Invoice, stands: Standing) -> Money:
    """What is due and not contested. Raises InvoiceStateConflict for what asks for nothing, and AllContested."""
    if not is_owed(invoice):
        raise states.refused(InvoiceState(invoice.state), "asks for no payment")
    if not stands.collectable_minor:
        raise AllContested(
            "All that is due of this invoice is contested, so nobody asks for it.",
            next_step="Wait for the answer, or withdraw the contest to pay.",
        )
    return Money(stands.collectable_minor, invoice.currency)


def _require_no_other(stands: Standing) -> None:
    """What is paid is locked: nobody else writes one meanwhile."""
    if stands.under_way is not None:
        raise PaymentUnderWay(
            "Another payment of this has not ended yet.",
            next_step="Finish it, or cancel it first.",
            payment_id=stands.under_way,
        )


def require_open(uow: UnitOfWork, account: ProviderAccount) -> None:
    """What is tried on a test clock costs nobody anything. Raises AccountDisabled, and Invalid for real money there."""
    if not account.enabled:
        raise AccountDisabled(f"{account.name} is switched off.", next_step="Choose another way to pay.")
    if clocks.is_trial(uow) and not account.is_test:
        raise Invalid(
            f"{account.name} takes real money, and this organisation is on a test clock.",
            field="provider_account_id",
            next_step="Choose a way to pay with play money, or have staff record a transfer.",
            code="provider_account_kind",
        )


def _require_taken(account: ProviderAccount, money: Money) -> None:
    able = registry.kind(account.provider).capabilities
    if able.is_our_bank:
        raise Invalid(
            f"Nobody is asked for what comes to {account.name}.",
            field="provider_account_id",
            next_step="Make a transfer by the bank details of the invoice.",
        )
    if money.currency not in able.currencies:
        raise Invalid(f"{account.name} does not take {money.currency}.", field="provider_account_id")
    if money < able.minimum(money.currency):
        raise Invalid(
            f"{account.name} takes {able.minimum(money.currency).said()} or more.",
            field="provider_account_id",
            next_step="Pay it by bank transfer, or with the next invoice.",
        )


async def _kept_method(uow: UnitOfWork, method_id: str, account: ProviderAccount) -> PaymentMethod:
    """Its name at one provider says nothing to another, and is told to none."""
    method = await policies.method_for(uow, method_id, Capability.PAYMENTS_WRITE)
    if method.provider_account_id != account.id:
        raise Invalid(
            f"{account.name} does not keep this method.",
            field="payment_method_id",
            next_step="Pay with it where it is kept, or choose another one.",
        )
    return method


async def _written(uow: UnitOfWork, wanted: Wanted, account: ProviderAccount, owed: Money) -> Payment:
    watched = registry.kind(account.provider).watched  # then nobody is asked, and money comes by itself
    payment = Payment(
        id=new_id("pay"),
        organization_id=uow.organization_id,
        invoice_id=wanted.invoice_id,
        top_up_id=wanted.top_up_id,
        provider_account_id=account.id,
        provider=account.provider,
        method_id=wanted.method_id,
        keep_method=wanted.keep_method and wanted.method_id is None,
        link_id=wanted.link_id,
        key=wanted.key,
        state=(PaymentState.REQUIRES_ACTION if watched else PaymentState.SENDING).value,
        initiator=wanted.initiator.value,
        currency=owed.currency,
        minor=owed.minor,
        created_at=uow.now,
        asked_at=uow.wall_now,
        check_at=None if watched else uow.wall_now + ANSWER_WITHIN,
    )
    uow.add(payment)
    uow.owned.add(payment.id)
    await uow.session.flush()
    started(uow, payment)
    return payment


async def known(uow: UnitOfWork, key: str, needs: Capability = Capability.PAYMENTS_WRITE) -> Payment | None:
    """The organisation's payment with this key."""
    found = await uow.execute(
        "select id from payment where organization_id = :organization_id and key = :key",
        organization_id=uow.organization_id,
        key=key,
    )
    payment_id = found.scalar_one_or_none()
    return None if payment_id is None else await policies.payment_for(uow, payment_id, needs)


def started(uow: UnitOfWork, payment: Payment) -> None:
    uow.record(
        PaymentStarted(
            aggregate_id=payment.id,
            organization_id=payment.organization_id,
            currency=payment.currency,
            invoice_id=payment.invoice_id,
            minor=payment.minor,
            provider=payment.provider,
            initiator=payment.initiator,
        )
    )
