"""Since when and until when a case had calls refused, so that paid time is not blocked for nothing."""

from __future__ import annotations

from models.dunning import DunningCase
from services.core.work import UnitOfWork

_BEGIN = """
insert into dunning_block (case_id, started_at, organization_id, due)
select :case_id, :now, :organization_id, false
where not exists (select from dunning_block where case_id = :case_id and ended_at is null)
on conflict (case_id, started_at) do update set ended_at = null, due = false
"""
_END = "update dunning_block set ended_at = :now, due = true where case_id = :case_id and ended_at is null"


async def follow(uow: UnitOfWork, case: DunningCase) -> None:
    """Write down whether it has calls refused from now on. The case is locked; said twice is said once."""
    if case.restricts and not case.lifted:
        await uow.session.flush()
        await uow.execute(_BEGIN, case_id=case.id, organization_id=case.organization_id, now=uow.now)
    else:
        await uow.execute(_END, case_id=case.id, now=uow.now)
