"""What tasks are writing, as others count it: on the disk, and no file yet."""

from __future__ import annotations

from services.core.work import UnitOfWork

MADE = "made"  # in a checkpoint: the work is done, and its file is on its way to the store

_HELD = """
select coalesce(sum(greatest((checkpoint->>'bytes')::bigint, :least)), 0)::bigint from task
where organization_id = :organization_id and state in ('waiting', 'running')
  and checkpoint ? 'bytes' and not checkpoint ? :made and id <> :but_of
"""


async def held_bytes(uow: UnitOfWork, *, least: int, but_of: str = "") -> int:
    """Bytes of the organisation's drafts as their last steps left them, each `least` or more; without the one of the
    task `but_of`, and without those that have the row of a file."""
    found = await uow.execute(
        _HELD, organization_id=uow.organization_id, least=least, made=MADE, but_of=but_of
    )
    return found.scalar_one()
