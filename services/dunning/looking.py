"""What a case does to a customer, brought in line with what there is by now.

It ends when nothing is owed or the customer has cancelled, restricts nobody over what waits for an answer, and gives a
subscription back that it paused."""

from __future__ import annotations

from models.billing import Invoice
from models.dunning import CaseState, DunningCase, Outcome
from models.subscriptions import SubscriptionState
from services.billing import policies as of_billing
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.dunning import blocking, cases, holding, policies
from services.dunning.events import DunningLifted, DunningRestored
from services.identity import organizations
from services.subscriptions import subscriptions

S = SubscriptionState


async def look(uow: UnitOfWork, case_id: str) -> bool:
    """Returns whether anything was to be done. In work bound to the organisation, done by the product itself."""
    found = await policies.case_for(uow, case_id, cases.WRITE)
    invoice = await of_billing.invoice_for(uow, found.invoice_id, Capability.STAFF_INVOICES_WRITE)
    case = await policies.case_for(uow, case_id, cases.WRITE, lock=True)
    done = await _end(uow, case, invoice)
    if case.state == CaseState.ENDED and case.paused_subscription and case.outcome != Outcome.WRITTEN_OFF:
        done = await _give_back(uow, case, invoice) or done
    return await _lift(uow, case, invoice) or done


async def _end(uow: UnitOfWork, case: DunningCase, invoice: Invoice) -> bool:
    if case.state == CaseState.ENDED and not case.restricts:
        return False
    if not cases.is_owed(invoice):
        if case.outcome == Outcome.WRITTEN_OFF:
            return False
        await cases.settle(uow, case, invoice)
        return True
    if (await holding.standing(uow, invoice)).is_canceled:
        await cases.give_up(uow, case)
        return True
    return False


async def _give_back(uow: UnitOfWork, case: DunningCase, invoice: Invoice) -> bool:
    """Resume what it paused, unless all its steps were done and it is owed still."""
    if case.outcome == Outcome.ALL_DONE and cases.is_owed(invoice):
        return False
    case.paused_subscription = False
    cases.keep(uow, case)
    one = await cases.subscription_of(uow, invoice)
    if one is not None and S(one.state) is S.PAUSED:
        await subscriptions.resume(uow, one.id)
    return True


async def _lift(uow: UnitOfWork, case: DunningCase, invoice: Invoice) -> bool:
    """Have what it restricts work while all of it is contested or staff holds it so, and not afterwards."""
    if not (case.restricts and cases.is_owed(invoice)):
        return False
    waits = not await cases.is_to_be_paid(uow, invoice)
    lifted = waits or (await holding.standing(uow, invoice)).lifts
    if lifted is case.lifted:
        return False
    case.lifted = lifted
    await blocking.follow(uow, case)
    cases.keep(uow, case)
    await organizations.forget_keys(uow, case.organization_id)
    one = await cases.subscription_of(uow, invoice) if case.paused_subscription else None
    if one is not None and lifted and S(one.state) is S.PAUSED:
        await subscriptions.resume(uow, one.id)
    if one is not None and not lifted and S(one.state) in cases.MAY_PAUSE:
        await subscriptions.pause(uow, one.id)
    event = DunningLifted if lifted else DunningRestored
    uow.record(event(**cases.named(case)))
    return True
