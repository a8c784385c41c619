"""Cases: what somebody of the house has to look at, opened once for each thing however often it is met."""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects.postgresql import insert

from models.money import Money
from models.payment_cases import CaseAct, CaseKind, PaymentCase
from services.core.ids import new_id
from services.core.work import UnitOfWork
from services.payments.events import PaymentCaseOpened


def propose(act: CaseAct, **told: Any) -> dict[str, Any]:
    """What accepting a case does, as data."""
    return {"act": act.value, **told}


async def open_case(
    uow: UnitOfWork,
    kind: CaseKind,
    subject: str,
    *,
    cause: str,
    organization_id: str | None,
    amount: Money | None = None,
    detail: str = "",
    proposal: dict[str, Any] | None = None,
) -> bool:
    """Returns whether it is new. `amount` is what is at stake, signed as seen from us; `cause` a code.

    For verbs that were allowed what they do, and for what follows providers.
    """
    case_id = new_id("pcas")
    stored = await uow.execute(
        insert(PaymentCase)
        .values(
            id=case_id,
            organization_id=organization_id,
            kind=kind.value,
            subject=subject,
            currency=amount.currency if amount else None,
            minor=amount.minor if amount else None,
            cause=cause,
            detail=detail,
            proposal=proposal,
            state="open",
            note="",
            created_at=uow.wall_now,
            version=1,
        )
        .on_conflict_do_nothing(index_elements=["kind", "subject"])
    )
    if not stored.rowcount:
        return False
    uow.record(
        PaymentCaseOpened(
            aggregate_id=case_id,
            organization_id=organization_id,
            kind=kind.value,
            cause=cause,
            subject=subject,
        )
    )
    return True
