"""Opening what is sealed: the one way to it, which writes down who opened what and why.

Written in the same work, so that what was opened in work that came to nothing is not on record, and neither did it
lead anywhere. Values that a process holds opened, as keys of upstreams, are written down once when it opens them.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

from services.core.clock import Clock
from services.core.crossing import Reason, crossing
from services.core.crypto import Place, vault
from services.core.database import Database
from services.core.ids import new_id
from services.core.retention import ROWS_PER_TURN_MAX
from services.core.work import UnitOfWork

KEPT = timedelta(days=400)  # the database lets go of none that is younger than 365

_NOTE = """
insert into secret_opening (id, opened_at, actor_id, purpose, tenant, table_name, column_name, row_id, trace_id)
values (:id, :at, :actor, :purpose, :tenant, :table, :column, :row, :trace)
"""
_FORGET = """
delete from secret_opening where id in (
  select id from secret_opening where opened_at < cast(:before as timestamptz) order by opened_at limit :most)
"""


class Purpose(StrEnum):
    """Why something sealed is opened."""

    CALLS_ROUTED = "calls_routed"  # a process of the gateway reads where models run, and holds it
    PROVIDER_CONNECTED = "provider_connected"  # a process begins to talk to a payment provider
    PROVIDER_CHANGED = "provider_changed"  # staff changes an account with one: what was not said stays
    CUSTOMER_NAMED = "customer_named"  # a payment provider is told who pays
    METHOD_CHARGED = "method_charged"
    METHOD_FORGOTTEN = "method_forgotten"
    CODE_CHECKED = "code_checked"  # of an authenticator app
    ANSWERED_AGAIN = "answered_again"  # to a request that was sent twice
    KEYS_ROTATED = "keys_rotated"  # data keys of a whole column were opened to be wrapped anew


async def opened(uow: UnitOfWork, sealed: bytes, place: Place, purpose: Purpose) -> bytes:
    """What `sealed` holds. Raises CannotOpen and KeysUnavailable."""
    plaintext = await vault().open(sealed, place)
    await note(uow, place, purpose)
    return plaintext


async def note(uow: UnitOfWork, place: Place, purpose: Purpose) -> None:
    """Write down that what is at `place` was opened; a row `*` means the whole column."""
    await uow.execute(
        _NOTE,
        id=new_id("sopn"),
        at=uow.wall_now,
        actor=uow.actor.id,
        purpose=purpose.value,
        tenant=place.tenant,
        table=place.table,
        column=place.column,
        row=place.row,
        trace=uow.actor.trace_id,
    )


async def forget_old(on: Database | None = None, *, clock: Clock | None = None) -> int:
    """Delete what was written down long ago. Returns how many rows went; the next turn takes what is left."""
    async with crossing(Reason.RETENTION, on=on, clock=clock) as uow:
        gone = await uow.execute(_FORGET, before=uow.wall_now - KEPT, most=ROWS_PER_TURN_MAX)
        return gone.rowcount
