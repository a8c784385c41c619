"""The audit log: what people, keys and staff did, and what sealed things were opened for."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import Request
from pydantic import AwareDatetime, Field

from matrix_app.api.deps import AnyCaller, Member, staff_work
from matrix_app.api.v1.lists import Answer, Asked, answer, listed
from matrix_app.api.v1.shape import Shown, resource
from services.audit.queries import AUDIT, OPENINGS, STAFF_AUDIT, STAFF_OPENINGS
from services.core.permissions import Capability
from services.core.work import unit_of_work

router = resource("audit")
ActorKind = Literal["account", "key", "service_account", "system", "other"]


class AuditEntryShown(Shown):
    id: int
    recorded_at: AwareDatetime
    happened_at: AwareDatetime = Field(
        description="By the organisation's clock; differs on a test clock only"
    )
    type: str
    object_id: str = Field(description="What it happened to")
    organization_id: str | None
    organization_name: str
    actor_id: str
    actor_kind: ActorKind = Field(description="`other`: staff, or somebody who is no longer a member")
    actor_name: str
    address: str = Field(description="From where; empty when nobody at a door caused it")
    details: dict[str, Any]
    trace_id: str


class OpeningShown(Shown):
    id: str
    opened_at: AwareDatetime
    purpose: str = Field(description="Why it was opened")
    place: str = Field(description="The column in which it lies, as `payment_method.token`")
    row_id: str = Field(description="The row in which it lies; `*` for the whole column")
    tenant: str = Field(
        description="Whose it is: the id of an organisation or an account, or `platform` for the installation's"
    )
    tenant_kind: Literal["organization", "account", "platform", "other"] = Field(
        description="`other`: somebody who is gone"
    )
    tenant_name: str
    actor_id: str
    actor_kind: ActorKind = Field(description="`other`: somebody who is gone, or whom you may not see")
    actor_name: str
    trace_id: str


@router.get("/audit", **listed(AUDIT, AuditEntryShown))
async def list_audit(request: Request, who: Member, asked: Asked) -> Answer:
    """What happened in the organisation, the latest first. For owners and admins."""
    return await answer(request, AUDIT, AuditEntryShown, asked, lambda: unit_of_work(who.actor))


@router.get("/secret-openings", **listed(OPENINGS, OpeningShown))
async def list_own_secret_openings(request: Request, who: Member, asked: Asked) -> Answer:
    """What that is kept sealed of the organisation was opened in the last 400 days, by whom and why, the latest first.
    For owners and admins."""
    return await answer(request, OPENINGS, OpeningShown, asked, lambda: unit_of_work(who.actor))


@router.get("/staff/audit", tags=["staff"], **listed(STAFF_AUDIT, AuditEntryShown))
async def list_staff_audit(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """What happened in the whole installation, the latest first."""
    return await answer(
        request, STAFF_AUDIT, AuditEntryShown, asked, lambda: staff_work(who, Capability.STAFF_AUDIT_READ)
    )


@router.get("/staff/secret-openings", tags=["staff"], **listed(STAFF_OPENINGS, OpeningShown))
async def list_secret_openings(request: Request, who: AnyCaller, asked: Asked) -> Answer:
    """What sealed things were opened in the last 400 days, by whom and why, the latest first."""
    return await answer(
        request, STAFF_OPENINGS, OpeningShown, asked, lambda: staff_work(who, Capability.STAFF_AUDIT_READ)
    )
