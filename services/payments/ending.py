"""What a payment becomes by what its provider says. With invoice and payment locked: called by the cashier, and for
what is watched on a chain."""

from __future__ import annotations

from models.billing import Invoice
from models.money import Money
from models.payment_cases import CaseAct, CaseKind
from models.payments import Payment, PaymentState
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.payments import applying, cases, methods, policies, rules
from services.payments.events import PaymentCanceled, PaymentFailed, PaymentWaits
from services.payments.providers import base, values
from services.payments.providers.values import Advice, DeclineKind

S = PaymentState
NEVER_ARRIVED, NOT_TAKEN, KEY = "never_arrived", "provider_unavailable", "key"
EXPIRED, PAID_IN_PART = "expired", "paid_in_part"
_STATES = {
    values.PaymentState.CREATED: S.REQUIRES_ACTION,
    values.PaymentState.ACTION_REQUIRED: S.REQUIRES_ACTION,
    values.PaymentState.APPROVED: S.PROCESSING,
    values.PaymentState.AUTHORIZED: S.PROCESSING,
    values.PaymentState.PROCESSING: S.PROCESSING,
    values.PaymentState.PAID: S.SUCCEEDED,
    values.PaymentState.CANCELED: S.CANCELED,
}


async def locked(
    uow: UnitOfWork, payment_id: str, *, known: Payment | None = None
) -> tuple[Payment, Invoice | None]:
    """The invoice is locked first, as everywhere: it stays the one that a payment `known` from before names. Raises
    NotFound."""
    payment = known or await policies.payment_for(uow, payment_id, Capability.PAYMENTS_WRITE)
    invoice = await policies.invoice_of(uow, payment)
    uow.owned.update(one.id for one in (payment, invoice) if one is not None)
    return await policies.payment_for(uow, payment_id, Capability.PAYMENTS_WRITE, lock=True), invoice


async def learn(uow: UnitOfWork, payment: Payment, invoice: Invoice | None, picture: values.Payment) -> None:
    """Write down what the provider says. A picture that changes nothing leaves nothing but the next look."""
    wanted = _STATES[picture.state]
    came = wanted is S.SUCCEEDED and payment.state != S.SUCCEEDED
    if came and picture.captured == Money(payment.minor, payment.currency):
        if payment.keep_method and picture.method is not None:
            payment.method_id = (
                await methods.keep(uow, payment.provider_account_id or "", picture.method)
            ).id
        await applying.succeed(uow, payment, invoice, provider_ref=picture.reference)
        return
    # A page of the provider stands for the payment until somebody begins to pay there.
    payment.provider_ref = picture.reference
    if picture.decline is not None and wanted is S.REQUIRES_ACTION and payment.method_id is not None:
        fail(uow, payment, picture.decline)  # its one method was declined: it waits for nobody
        return
    if came:
        await _other_amount(uow, payment, picture.captured)
        return
    if wanted is S.CANCELED and rules.may_become(S(payment.state), S.CANCELED):
        give_up(uow, payment)
        return
    if wanted in rules.UNDER_WAY and S(payment.state) in rules.UNDER_WAY:
        _wait(uow, payment, wanted, picture.action)


async def _other_amount(uow: UnitOfWork, payment: Payment, came: Money) -> None:
    """The provider took something else than it was asked for. The payment stays as it is, and nobody asks any more:
    what came is booked when somebody has looked, and accepts that."""
    payment.check_at = None
    uow.add(payment)
    asked = Money(payment.minor, payment.currency)
    is_bookable = came.currency == asked.currency and came.minor > 0
    await cases.open_case(
        uow,
        CaseKind.AMOUNT_DIFFERS,
        payment.id,
        cause="amount_differs" if came.currency == asked.currency else "currency_differs",
        organization_id=payment.organization_id,
        amount=came - asked if is_bookable else came,
        detail=f"{came.said()} came, {asked.said()} was asked for",
        proposal=cases.propose(CaseAct.PAYMENT, payment_id=payment.id, minor=came.minor)
        if is_bookable
        else None,
    )


def _wait(uow: UnitOfWork, payment: Payment, state: PaymentState, action: values.Action | None) -> None:
    if action is not None and action.url:  # who was declined goes on where they were
        payment.action = {"url": action.url}
    if payment.state != state:
        payment.state = state.value
        payment.version += 1
        uow.record(PaymentWaits(**_named(payment), state=state.value))
    check_later(uow, payment)


def coming(uow: UnitOfWork, payment: Payment) -> None:
    """Money was seen that does not count yet. Said once."""
    if payment.state == S.REQUIRES_ACTION:
        payment.state = S.PROCESSING.value
        payment.version += 1
        uow.add(payment)
        uow.record(PaymentWaits(**_named(payment), state=S.PROCESSING.value))


def vanished(uow: UnitOfWork, payment: Payment) -> None:
    """What was seen is not there any more: it waits for the customer again."""
    if payment.state == S.PROCESSING:
        payment.state = S.REQUIRES_ACTION.value
        payment.version += 1
        uow.add(payment)
        uow.record(PaymentWaits(**_named(payment), state=S.REQUIRES_ACTION.value))


def expire(uow: UnitOfWork, payment: Payment, *, in_part: bool) -> None:
    """Not all that was asked for came while the rate stood."""
    told = "What came was counted; the rest is due still." if in_part else "Nothing came in time."
    _failed(uow, payment, _decline(PAID_IN_PART if in_part else EXPIRED, Advice.ASK_CUSTOMER, told))


def fail(uow: UnitOfWork, payment: Payment, decline: values.Decline, *, reference: str = "") -> None:
    payment.provider_ref = payment.provider_ref or reference or None
    _failed(uow, payment, decline)


def refuse(uow: UnitOfWork, payment: Payment, error: base.RefusedByProvider) -> None:
    """The provider will not do it, however often it is asked: the customer may pay otherwise. Where it does not accept
    our key it was asked nothing."""
    is_ours = error.reason == KEY
    advice, kind = (
        (Advice.RETRY_LATER, DeclineKind.TRY_LATER)
        if is_ours
        else (Advice.OTHER_METHOD, DeclineKind.NOT_ALLOWED)
    )
    _failed(uow, payment, _decline(error.reason, advice, "Please choose another way to pay.", kind))


def not_taken(uow: UnitOfWork, payment: Payment) -> None:
    """The provider was busy or away, and did nothing."""
    told = "Nothing was charged. Please try again in a moment."
    _failed(uow, payment, _decline(NOT_TAKEN, Advice.RETRY_LATER, told))


def never_arrived(uow: UnitOfWork, payment: Payment) -> None:
    """The provider knows nothing of it, and will not any more."""
    _failed(
        uow, payment, _decline(NEVER_ARRIVED, Advice.RETRY_LATER, "Nothing was charged. Please try again.")
    )


def _decline(
    code: str, advice: Advice, told: str, kind: DeclineKind = DeclineKind.TRY_LATER
) -> values.Decline:
    """One that no bank said."""
    return values.Decline(code, kind, hard=False, advice=advice, told=told)


def give_up(uow: UnitOfWork, payment: Payment) -> None:
    """Nobody waits for it any more. One that has ended stays as it is."""
    if not rules.may_become(S(payment.state), S.CANCELED):
        return
    _end(uow, payment, S.CANCELED)
    uow.record(PaymentCanceled(**_named(payment), invoice_id=payment.invoice_id))


def _failed(uow: UnitOfWork, payment: Payment, decline: values.Decline) -> None:
    if not rules.may_become(S(payment.state), S.FAILED):
        return
    _end(uow, payment, S.FAILED)
    payment.decline_code, payment.decline_hard, payment.message = decline.code, decline.hard, decline.told
    payment.decline_kind, payment.decline_advice = decline.kind.value, decline.advice.value
    uow.record(
        PaymentFailed(
            **_named(payment),
            invoice_id=payment.invoice_id,
            code=decline.code,
            hard=decline.hard,
            kind=decline.shown_kind.value,
            advice=decline.advice.value,
            initiator=payment.initiator,
            currency=payment.currency,
            minor=payment.minor,
        )
    )


def _end(uow: UnitOfWork, payment: Payment, state: PaymentState) -> None:
    payment.state, payment.ended_at = state.value, uow.wall_now
    payment.action = payment.check_at = None
    payment.version += 1
    uow.add(payment)


def check_later(uow: UnitOfWork, payment: Payment) -> None:
    """Of one that has ended nobody asks by himself any more; if money comes after all, the provider tells."""
    if S(payment.state) not in rules.UNDER_WAY:
        return
    payment.check_at = uow.wall_now + rules.check_wait(payment.checks)
    payment.checks += 1
    uow.add(payment)


def _named(payment: Payment) -> dict[str, str]:
    return {"aggregate_id": payment.id, "organization_id": payment.organization_id}
