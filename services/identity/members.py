"""Looking after the people of an organisation: their roles, their suspension, their leaving.

An organisation always keeps an active owner, an operator organisation an operator. Whoever would take that away holds
the organisation's row until the end, so that two who do it at once are judged one after the other. What somebody may do
is read again with each event and request; their sessions in this organisation end, too.
"""

from __future__ import annotations

from models.identity import Membership
from models.types import Role
from services.core.errors import Conflict, Forbidden, Invalid, StaleVersion
from services.core.permissions import Capability
from services.core.work import UnitOfWork
from services.identity import policies
from services.identity.events import (
    MembershipChanged,
    MembershipEnded,
    MembershipLeft,
    MembershipResumed,
    MembershipSuspended,
    SessionEnded,
)
from services.identity.proof import require_recent_proof

MEMBERSHIP_CHANGED = "membership_changed"  # why a session ended


async def change_role(
    uow: UnitOfWork, account_id: str, role: str, *, version: int | None = None
) -> Membership:
    """Give one of the organisation's people another role. The same role again changes nothing.

    Raises Forbidden for a role above one's own, for owners by others than owners and without a recent proof,
    Conflict for the last owner, StaleVersion, Invalid, NotFound.
    """
    kind, row = await _held(uow, account_id)
    require_recent_proof(uow)
    wanted = policies.fitting_role(role, kind=kind)
    if version is not None and version != row.version:
        raise StaleVersion("Somebody changed this member meanwhile.", next_step="Read the list again.")
    _require_may_change(uow, row, kind)
    if wanted == row.role:
        return row
    policies.require_may_hand_out(uow.actor, wanted, kind=kind)
    if wanted not in policies.roles_in_place_of(row.role, kind=kind):
        await _require_another_leader(uow, row, kind)
    row.role = wanted
    row.version += 1
    uow.record(
        MembershipChanged(
            aggregate_id=row.organization_id,
            organization_id=row.organization_id,
            account_id=account_id,
            role=wanted,
        )
    )
    await _end_sessions(uow, row)
    return row


async def suspend_member(uow: UnitOfWork, account_id: str) -> Membership:
    """Keep somebody out until `resume_member`; suspending twice changes nothing. Keys they made go on working.

    Raises as `change_role`, and Conflict for oneself.
    """
    kind, row = await _held(uow, account_id)
    require_recent_proof(uow)
    _require_may_change(uow, row, kind)
    if account_id == uow.actor.account_id:
        raise Conflict(
            "You cannot suspend yourself.", next_step="Leave the organisation, or ask another owner."
        )
    if row.suspended_at is not None:
        return row
    await _require_another_leader(uow, row, kind)
    row.suspended_at = uow.wall_now
    row.version += 1
    uow.record(
        MembershipSuspended(
            aggregate_id=row.organization_id, organization_id=row.organization_id, account_id=account_id
        )
    )
    await _end_sessions(uow, row)
    return row


async def resume_member(uow: UnitOfWork, account_id: str) -> Membership:
    """Undo a suspension. Raises Forbidden, also without a recent proof, NotFound."""
    kind, row = await _held(uow, account_id)
    require_recent_proof(uow)
    _require_may_change(uow, row, kind)
    if row.suspended_at is not None:
        row.suspended_at = None
        row.version += 1
        uow.record(
            MembershipResumed(
                aggregate_id=row.organization_id, organization_id=row.organization_id, account_id=account_id
            )
        )
    return row


async def remove_member(uow: UnitOfWork, account_id: str) -> None:
    """End somebody's membership. Keys they made go on working. Raises as `change_role`."""
    kind, row = await _held(uow, account_id)
    require_recent_proof(uow)
    _require_may_change(uow, row, kind)
    await _require_another_leader(uow, row, kind)
    await _end(uow, row)
    uow.record(
        MembershipEnded(
            aggregate_id=row.organization_id, organization_id=row.organization_id, account_id=account_id
        )
    )


async def leave(uow: UnitOfWork, *, named: str) -> None:
    """End the actor's own membership; any member may, a suspended one, too. `named` is the organisation's name.

    Raises Conflict for the last owner, Invalid for another name, Forbidden for keys and without a recent proof.
    """
    account_id = uow.actor.account_id
    if account_id is None:
        raise Forbidden("A key is no member and cannot leave.", next_step="Sign in in the browser.")
    require_recent_proof(uow)
    kind = await policies.hold_organization(uow)
    name = await uow.execute("select name from organization where id = :id", id=uow.organization_id)
    if named.strip() != name.scalar_one():
        raise Invalid(
            "This is not the name of the organisation you work in now.",
            field="name",
            next_step="Type its name as it is written at the top of the page.",
        )
    row = await policies.own_membership(uow, account_id)
    await _require_another_leader(uow, row, kind)
    await _end(uow, row)
    uow.record(
        MembershipLeft(
            aggregate_id=row.organization_id, organization_id=row.organization_id, account_id=account_id
        )
    )


async def _held(uow: UnitOfWork, account_id: str) -> tuple[str, Membership]:
    """The organisation's kind and one of its memberships, both locked, in this order everywhere."""
    uow.actor.require(Capability.MEMBERS_WRITE)
    kind = await policies.hold_organization(uow)
    return kind, await policies.member_for(uow, account_id, Capability.MEMBERS_WRITE)


def _require_may_change(uow: UnitOfWork, row: Membership, kind: str) -> None:
    """Raises Forbidden for somebody above the actor. A role nobody knows any more is above nobody."""
    if row.role in set(Role):
        policies.require_may_hand_out(uow.actor, Role(row.role), kind=kind)


async def _require_another_leader(uow: UnitOfWork, row: Membership, kind: str) -> None:
    """Raises Conflict when `row` is what the organisation must keep one of. Its row is locked by the caller."""
    would_do = policies.roles_in_place_of(row.role, kind=kind)
    if not would_do or row.suspended_at is not None:
        return
    others = await uow.execute(
        "select count(*) from membership m join account a on a.id = m.account_id"
        " where m.organization_id = :organization_id and m.id <> :id and m.role = any(:would_do)"
        " and m.suspended_at is null and a.suspended_at is null",
        organization_id=row.organization_id,
        id=row.id,
        would_do=sorted(would_do),
    )
    if others.scalar_one() == 0:
        raise Conflict(
            f"This is the organisation's last active {row.role}.",
            next_step=f"Make somebody else {row.role} first.",
            code="last_owner",
        )


async def _end(uow: UnitOfWork, row: Membership) -> None:
    # Sessions first: afterwards this person is nobody the organisation can see.
    await _end_sessions(uow, row)
    await uow.execute("delete from membership where id = :id", id=row.id)


async def _end_sessions(uow: UnitOfWork, row: Membership) -> None:
    """End the person's sessions that work in this organisation, but the one that acts right now."""
    ended = await uow.execute(
        "update session set ended_at = :now where account_id = :account_id"
        " and organization_id = :organization_id and ended_at is null and id <> :own returning id",
        now=uow.wall_now,
        account_id=row.account_id,
        organization_id=row.organization_id,
        own=uow.actor.session_id or "",
    )
    for session_id in ended.scalars().all():
        uow.record(
            SessionEnded(
                aggregate_id=session_id,
                organization_id=row.organization_id,
                account_id=row.account_id,
                reason=MEMBERSHIP_CHANGED,
            )
        )
