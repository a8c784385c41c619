"""The audit log on pages: what was done through pages carries who and where, and filters live in the address."""

from __future__ import annotations

from models.types import OrganizationKind, Role
from state.governance.audit import StaffAuditState
from state.governance.organizations import OrganizationState
from state.mailbox import MailboxState
from state.portal.audit import AuditState
from tests.integration.state.visitor import sign_in
from tests.world import World


async def test_staff_looking_through_pages_is_seen_by_those_looked_at(world: World) -> None:
    operators = await world.organization(OrganizationKind.OPERATOR)
    acme = await world.organization(name="Acme")
    staff, sam = await sign_in(world, operators, Role.OPERATOR)
    owner, _ = await sign_in(world, acme)
    staff.at = f"/governance/organizations/{acme.id}"
    await staff.call(OrganizationState, "load")
    staff.at = "/mailbox"
    await staff.call(MailboxState, "load")

    owner.at = "/portal/audit"
    portal, _ = await owner.call(AuditState, "load")
    staff.at = "/governance/audit?type=personal_data.read"
    governance, _ = await staff.call(StaffAuditState, "load")

    assert [(row["type"], row["actor_kind"], row["detail"]) for row in portal.rows] == [
        ("personal_data.read", "other", "what: members")
    ]
    assert [(row["object"], row["actor"], row["address"]) for row in governance.rows] == [
        ("mailbox", sam.email, "192.0.2.30"),
        (acme.id, sam.email, "192.0.2.30"),
    ]
    assert sam.email not in str(portal.rows)


async def test_an_address_typed_by_anyone_is_no_fault(world: World) -> None:
    owner, _ = await sign_in(world, await world.organization())
    for query in (
        "type=%01&actor=%0a",
        "recorded_at%5Bgte%5D=yesterday&recorded_at%5Blt%5D=1970",
        "colour=red&sort=x",
    ):
        owner.at = f"/portal/audit?{query}"
        state, _ = await owner.call(AuditState, "load")
        assert (state.status, state.rows, state.total) == ("ready", [], 0)
    owner.at = "/portal/audit?at=nonsense"
    state, _ = await owner.call(AuditState, "load")
    assert (state.status, state.problem.title) == ("error", "The input is not valid")


async def test_those_who_may_not_read_the_log_are_told_so(world: World) -> None:
    acme = await world.organization()
    developer, _ = await sign_in(world, acme, Role.DEVELOPER)
    for state in (AuditState, StaffAuditState):
        seen, _ = await developer.call(state, "load")
        assert (seen.status, seen.rows) == ("forbidden", [])
