"""Meters stand still while events are counted.

An event is counted by the meters there are when it is stored; a new meter counts the events there are when
it is made. Without this lock an event stored in between would be counted by neither.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from services.core.work import UnitOfWork

_CLASS = 4_301  # of advisory locks: no other code uses it
_SLOTS = 256  # organisations and event types share slots, so that a batch of many takes few locks
_PLATFORM = _SLOTS  # a slot of its own

_SHARE = sa.text(
    "select pg_advisory_xact_lock_shared(:class, slot) from"
    " (select distinct hashtext(name) & (:slots - 1) as slot from unnest(cast(:names as text[])) as name"
    " union select :platform order by 1) as slots"
)
_HOLD = sa.text("select pg_advisory_xact_lock(:class, hashtext(:name) & (:slots - 1))")
_HOLD_PLATFORM = sa.text("select pg_advisory_xact_lock(:class, :platform)")


async def share_meters(uow: UnitOfWork, feeds: Iterable[tuple[str, str]]) -> None:
    """Until commit no meter is made that events of these (organisation, event type) would feed."""
    names = [_name(organization_id, event_type) for organization_id, event_type in feeds]
    await uow.execute(_SHARE, {"class": _CLASS, "slots": _SLOTS, "platform": _PLATFORM, "names": names})


async def hold_meters(uow: UnitOfWork, organization_id: str, event_type: str) -> None:
    """Until commit no such event of the organisation is stored; waits for those being stored now."""
    name = _name(organization_id, event_type)
    await uow.execute(_HOLD, {"class": _CLASS, "slots": _SLOTS, "name": name})


async def hold_platform_meters(uow: UnitOfWork) -> None:
    """Until commit no event at all is stored; waits for those being stored now."""
    await uow.execute(_HOLD_PLATFORM, {"class": _CLASS, "platform": _PLATFORM})


def _name(organization_id: str, event_type: str) -> str:
    return f"{organization_id} {event_type}"
