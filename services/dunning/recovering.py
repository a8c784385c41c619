"""What cases brought in, and what was lost of it again. Nothing here can fail the payment that it is about.

Each is called with the invoice locked, in the transaction that books the money. What a case recovered stays its own: a
debt that comes back is for another case.
"""

from __future__ import annotations

from models.billing import Invoice, InvoiceState
from models.dunning import CaseState, Outcome
from services.core.work import UnitOfWork
from services.dunning import cases, policies
from services.dunning.events import DunningLost, DunningRecovered, DunningReopened

_NOT_OURS = (Outcome.SKIPPED, Outcome.NOT_OWED, Outcome.CANCELED)


async def money_came(uow: UnitOfWork, invoice: Invoice, minor: int) -> None:
    """`minor` of a payment paid an invoice, which is locked: it is the last step's, if it had a case. Paid in full,
    the case ends. Nothing here can fail the payment: a subscription is resumed afterwards, by the product."""
    case = await policies.case_of(uow, invoice.id)
    if case is None or case.outcome in _NOT_OURS:
        return
    case.recovered_minor += minor
    position = case.position - 1 if case.position else None
    if position is not None:
        await uow.execute(
            "update dunning_step set recovered_minor = recovered_minor + :minor"
            " where case_id = :id and position = :position",
            minor=minor,
            id=case.id,
            position=position,
        )
    uow.record(DunningRecovered(**cases.named(case), currency=case.currency, minor=minor, position=position))
    if invoice.state == InvoiceState.PAID:
        await cases.settle(uow, case, invoice)
    else:
        cases.keep(uow, case)
        await uow.session.flush()


async def money_went(uow: UnitOfWork, invoice: Invoice, minor: int) -> None:
    """`minor` of what had paid an invoice was taken back. A case that had ended with it is history: whoever looks for
    what is overdue takes the invoice up anew."""
    case = await policies.case_of(uow, invoice.id)
    if case is None:
        return
    lost = min(minor, case.recovered_minor - case.lost_minor)
    was_settled = invoice.due_minor == minor
    case.lost_minor += lost
    if lost:
        uow.record(DunningLost(**cases.named(case), currency=case.currency, minor=lost))
    if case.state == CaseState.ENDED and cases.is_owed(invoice) and was_settled:
        case.reopened_at = uow.now
        uow.record(DunningReopened(**cases.named(case)))
    cases.keep(uow, case)
    await uow.session.flush()


async def money_returned(uow: UnitOfWork, invoice: Invoice, minor: int) -> None:
    """A bank gave back `minor` that it had taken: where no other case asked for it meanwhile, it is as if it had never
    gone. Money that is returned to a case that goes on came to it as any other."""
    if await policies.case_of(uow, invoice.id) is not None:
        return
    case = await policies.last_history_of(uow, invoice.id)
    if case is None:
        return
    case.lost_minor -= min(minor, case.lost_minor)
    if not cases.is_owed(invoice):
        case.reopened_at = None
    cases.keep(uow, case)
    await uow.session.flush()
