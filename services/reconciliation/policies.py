"""The way to cases, payouts and bank lines. All of it is staff's, in work across tenants."""

from __future__ import annotations

from models.payment_cases import PaymentCase
from models.reconciliation import BankLine, BankStatement, ProviderMovement, ProviderPayout
from services.core.errors import not_found
from services.core.ids import is_id
from services.core.permissions import Capability
from services.core.work import UnitOfWork


async def case_for(uow: UnitOfWork, case_id: str, needs: Capability, *, lock: bool = False) -> PaymentCase:
    """Raises Forbidden and NotFound."""
    uow.actor.require(needs)
    row = await uow.get(PaymentCase, case_id, lock=lock) if is_id(str(case_id), "pcas") else None
    if row is None:
        raise not_found("case", case_id)
    return row


async def payout_for(uow: UnitOfWork, payout_id: str, needs: Capability) -> ProviderPayout:
    """Raises Forbidden and NotFound."""
    uow.actor.require(needs)
    row = await uow.get(ProviderPayout, payout_id) if is_id(str(payout_id), "ppo") else None
    if row is None:
        raise not_found("payout", payout_id)
    return row


async def statement_for(uow: UnitOfWork, statement_id: str, needs: Capability) -> BankStatement:
    """Raises Forbidden and NotFound."""
    uow.actor.require(needs)
    row = await uow.get(BankStatement, statement_id) if is_id(str(statement_id), "bst") else None
    if row is None:
        raise not_found("bank statement", statement_id)
    return row


async def line_of(uow: UnitOfWork, movement_id: str) -> BankLine:
    """The line of a statement that a movement is, for verbs that were let to its case, which they have locked. Raises
    NotFound."""
    moved = await uow.get(ProviderMovement, movement_id) if is_id(movement_id, "mvt") else None
    row = None if moved is None else await uow.get(BankLine, moved.provider_ref)
    if row is None:
        raise not_found("bank line", movement_id)
    return row
