"""A case: an overdue invoice in a campaign. It takes one step after the other, and ends at once when nothing is owed.

The invoice is locked before its case, everywhere. Steps are done by the product itself, in work bound to the
organisation; each is written down once, whoever does it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from models.billing import Invoice, InvoiceState
from models.dunning import CaseState, DunningCampaign, DunningCase, DunningStep, Outcome, StepAction
from models.subscriptions import Subscription, SubscriptionState
from services.billing import contested, invoices
from services.billing import policies as of_billing
from services.billing.numbering import label_date
from services.core.errors import Conflict, MatrixError
from services.core.ids import new_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.dunning import blocking, holding, policies, rules
from services.dunning.events import (
    DunningBegan,
    DunningEnded,
    DunningMailDue,
    DunningPaused,
    DunningReminded,
    DunningResumed,
    DunningStepDone,
)
from services.dunning.rules import Step
from services.identity import organizations
from services.subscriptions import subscriptions

WRITE = Capability.STAFF_PAYMENTS_WRITE
S = SubscriptionState
CONTESTED_WAIT = timedelta(days=1)
MAY_PAUSE = frozenset({S.ACTIVE, S.PAST_DUE})


class DunningStateConflict(Conflict):
    """What was asked for does not fit the state that the case is in."""

    code = "dunning_state"
    title = "The case is not in a state for this"


async def begin(uow: UnitOfWork, invoice: Invoice, campaign: DunningCampaign) -> DunningCase:
    """Take up an overdue invoice, which is locked and has no case."""
    steps = rules.steps_from(campaign.steps)
    zone = _zone(invoice)
    today = label_date(uow.now, zone)
    base = rules.base_date(invoice.due_date or today, today, steps)
    case = DunningCase(
        id=new_id("dcas"),
        organization_id=invoice.organization_id,
        invoice_id=invoice.id,
        campaign_id=campaign.id,
        state=CaseState.ACTIVE.value,
        steps=campaign.steps,
        base_date=base,
        next_at=rules.step_at(base, steps[0], zone),
        currency=invoice.currency,
        created_at=uow.now,
    )
    uow.add(case)
    await uow.session.flush()
    uow.record(DunningBegan(**named(case), campaign_id=campaign.id))
    return case


def is_owed(invoice: Invoice) -> bool:
    return invoice.state == InvoiceState.FINALIZED and invoice.due_minor > 0


async def is_to_be_paid(uow: UnitOfWork, invoice: Invoice) -> bool:
    """Whether something of it is owed that nobody contests."""
    return is_owed(invoice) and await contested.collectable(uow, invoice) > 0


async def go_on(uow: UnitOfWork, case_id: str) -> bool:
    """Do the step that is due; while all that is owed is contested, or the customer is held, it waits. What comes after
    a step keeps its distance from it, however late that was. Returns whether anything was done; another worker may have
    been quicker. Raises what the step raises: then nothing of it was done."""
    found = await policies.case_for(uow, case_id, WRITE)
    invoice = await of_billing.invoice_for(uow, found.invoice_id, Capability.STAFF_INVOICES_WRITE)
    case = await policies.case_for(uow, case_id, WRITE, lock=True)
    if case.next_at is None or case.next_at > uow.now:
        return False
    stands = await holding.standing(uow, invoice)
    if not is_owed(invoice):
        await settle(uow, case, invoice)
        return True
    if stands.is_canceled:
        await give_up(uow, case)
        return True
    if stands.on_hold:
        return False
    if not await is_to_be_paid(uow, invoice):
        put_off(uow, case, uow.now + CONTESTED_WAIT)
        return False
    steps = rules.steps_from(case.steps)
    step = steps[case.position]
    today = label_date(uow.now, _zone(invoice))
    case.base_date = rules.base_date(case.base_date, today, steps[case.position :])
    await _do(uow, case, invoice, step)
    uow.add(
        DunningStep(
            case_id=case.id,
            position=case.position,
            organization_id=case.organization_id,
            action=step.action.value,
            done_at=uow.now,
        )
    )
    case.position += 1
    if step.action is StepAction.WRITE_OFF:
        _end(uow, case, Outcome.WRITTEN_OFF)
    elif case.position == len(steps):
        _end(uow, case, Outcome.ALL_DONE)
    else:
        case.next_at = rules.step_at(case.base_date, steps[case.position], _zone(invoice))
        keep(uow, case)
    await uow.session.flush()
    return True


async def _do(uow: UnitOfWork, case: DunningCase, invoice: Invoice, step: Step) -> None:
    number, about = invoice.number or "", named(case)
    match step.action:
        case StepAction.MAIL:
            uow.record(DunningMailDue(**about, number=number, position=case.position))
            return
        case StepAction.IN_APP:
            uow.record(DunningReminded(**about, number=number, position=case.position))
            return
        case StepAction.RESTRICT:
            await _restrict(uow, case)
        case StepAction.SUSPEND:
            await _restrict(uow, case)
            if (one := await subscription_of(uow, invoice)) is not None and S(one.state) in MAY_PAUSE:
                await subscriptions.pause(uow, one.id)
                case.paused_subscription = True
        case StepAction.CANCEL:
            if (one := await subscription_of(uow, invoice)) is not None and S(one.state) is not S.ENDED:
                await subscriptions.cancel(uow, one.id, now_at_once=True, comment="An invoice was not paid.")
                case.canceled_subscription = True
            case.paused_subscription = False
        case StepAction.WRITE_OFF:
            await invoices.mark_uncollectible(uow, invoice.id)
    uow.record(DunningStepDone(**about, position=case.position, action=step.action.value))


async def subscription_of(uow: UnitOfWork, invoice: Invoice) -> Subscription | None:
    if invoice.subscription_id is None:
        return None
    return await of_billing.subscription_for(
        uow, invoice.subscription_id, Capability.SUBSCRIPTIONS_READ, lock=False
    )


async def _restrict(uow: UnitOfWork, case: DunningCase) -> None:
    case.restricts = True
    await blocking.follow(uow, case)
    await organizations.forget_keys(uow, case.organization_id)


async def settle(uow: UnitOfWork, case: DunningCase, invoice: Invoice) -> None:
    """End a case whose invoice is owed no more, and take back what it did to the customer. Both are locked."""
    paid = invoice.state == InvoiceState.PAID
    if paid or case.state != CaseState.ENDED:
        _end(uow, case, Outcome.RECOVERED if paid else Outcome.NOT_OWED)
    await _let(uow, case)


async def give_up(uow: UnitOfWork, case: DunningCase) -> None:
    """Ask no more, and take back what it did to the customer, whose subscription was cancelled. It is locked."""
    if case.state != CaseState.ENDED:
        _end(uow, case, Outcome.CANCELED)
    await _let(uow, case)


async def _let(uow: UnitOfWork, case: DunningCase) -> None:
    """Have calls be answered again."""
    if case.restricts or case.lifted:
        case.restricts = case.lifted = False
        await blocking.follow(uow, case)
        await organizations.forget_keys(uow, case.organization_id)
    keep(uow, case)
    await uow.session.flush()


# -- what staff does about one


async def pause(uow: UnitOfWork, case_id: str) -> DunningCase:
    """Do nothing more, and charge nothing by itself, until it is resumed. In work bound to the organisation. Raises
    Forbidden, NotFound and DunningStateConflict."""
    case = await _open(uow, case_id)
    if case.state == CaseState.PAUSED:
        raise _refused(case, "is paused already", "Resume it when it is to go on.")
    case.state, case.next_at = CaseState.PAUSED.value, None
    keep(uow, case)
    uow.record(DunningPaused(**named(case)))
    await uow.session.flush()
    return case


async def resume(uow: UnitOfWork, case_id: str) -> DunningCase:
    """Go on with the next step, at once if its day has passed. Raises as `pause`."""
    case = await _open(uow, case_id)
    if case.state != CaseState.PAUSED:
        raise _refused(case, "is not paused", "It goes on by itself.")
    invoice = await of_billing.invoice_for(uow, case.invoice_id, Capability.STAFF_PAYMENTS_WRITE)
    step = rules.steps_from(case.steps)[case.position]
    case.state = CaseState.ACTIVE.value
    case.next_at = max(rules.step_at(case.base_date, step, _zone(invoice)), uow.now)
    keep(uow, case)
    uow.record(DunningResumed(**named(case)))
    await uow.session.flush()
    return case


async def skip(uow: UnitOfWork, case_id: str) -> DunningCase:
    """End it: somebody of the house takes care of this invoice. Calls are answered again. Raises as `pause`."""
    case = await _open(uow, case_id)
    _end(uow, case, Outcome.SKIPPED)
    await _let(uow, case)
    return case


async def _open(uow: UnitOfWork, case_id: str) -> DunningCase:
    found = await policies.case_for(uow, case_id, WRITE)
    await of_billing.invoice_for(uow, found.invoice_id, WRITE)
    case = await policies.case_for(uow, case_id, WRITE, lock=True)
    if case.state == CaseState.ENDED:
        raise _refused(case, "has ended", "Nothing more is done by itself about this invoice.")
    return case


def put_off(uow: UnitOfWork, case: DunningCase, until: datetime) -> None:
    """Try the step of a locked case again later."""
    case.next_at = until
    keep(uow, case)


def _end(uow: UnitOfWork, case: DunningCase, outcome: Outcome) -> None:
    case.state, case.outcome, case.next_at = CaseState.ENDED.value, outcome.value, None
    case.ended_at = uow.now
    keep(uow, case)
    uow.record(DunningEnded(**named(case), outcome=outcome.value))


def keep(uow: UnitOfWork, case: DunningCase) -> None:
    case.version += 1
    uow.add(case)


def _refused(case: DunningCase, what: str, next_step: str) -> MatrixError:
    return DunningStateConflict(f"This case {what}.", next_step=next_step, state=case.state)


def _zone(invoice: Invoice) -> str:
    zone: str = (invoice.policy or {}).get("timezone", "UTC")
    return zone


def named(case: DunningCase) -> dict[str, str]:
    return {
        "aggregate_id": case.id,
        "organization_id": case.organization_id,
        "invoice_id": case.invoice_id,
    }
