"""The audit log on pages: what was done through pages carries who and where, and filters live in the address."""

from __future__ import annotations

from models.types import PREFIXES, OrganizationKind, Role
from services.audit.names import names_of
from services.core import openings
from services.core.crossing import Reason, crossing
from services.core.crypto import PLATFORM, Place
from services.core.ids import new_id
from services.core.openings import Purpose
from services.core.work import unit_of_work
from state.governance.audit import StaffAuditState
from state.governance.openings import StaffOpeningsState
from state.governance.organizations import OrganizationState
from state.mailbox import MailboxState
from state.portal.audit import AuditState
from state.portal.openings import OpeningsState
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

    [row] = portal.rows
    assert (row["type"], row["actor_kind"], row["object_name"]) == ("personal_data.read", "other", "Acme")
    assert [(fact["name"], fact["kind"], fact["value"]) for fact in row["detail"]] == [
        ("what", "word", "members")
    ]
    assert [(row["object"], row["object_name"], row["actor"], row["address"]) for row in governance.rows] == [
        ("mailbox", "", sam.email, "192.0.2.30"),
        (acme.id, "Acme", sam.email, "192.0.2.30"),
    ]
    assert sam.email not in str(portal.rows)


async def test_names_are_of_what_the_reader_may_see(world: World) -> None:
    acme, other = await world.organization(name="Acme"), await world.organization(name="Other")
    _, ana = await sign_in(world, acme)
    stranger = await world.account("bob@example.com", member_of=other)
    ids = [acme.id, other.id, ana.id, stranger.id, "inv_nothing", "lot_nothing"]

    async with unit_of_work(world.actor(acme, account=ana)) as uow:
        assert await names_of(uow, ids) == {acme.id: "Acme", ana.id: ana.email}
        assert await names_of(uow, []) == {}
    async with crossing(Reason.STAFF, actor=world.actor(acme)) as uow:
        assert set(await names_of(uow, ids)) == {acme.id, other.id, ana.id, stranger.id}
        known = [new_id(prefix) for prefix in PREFIXES]
        assert await names_of(uow, known) == {}  # each of the tables can be asked


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
    for state in (AuditState, OpeningsState, StaffAuditState, StaffOpeningsState):
        seen, _ = await developer.call(state, "load")
        assert (seen.status, seen.rows) == ("forbidden", [])


async def test_staff_sees_who_opened_what_of_whom_and_finds_it_by_each(world: World) -> None:
    operators, acme = (
        await world.organization(OrganizationKind.OPERATOR),
        await world.organization(name="Acme"),
    )
    staff, _ = await sign_in(world, operators, Role.GOVERNANCE)
    owner = world.actor(acme, account=await world.account("ana@example.com", member_of=acme))
    method = Place(acme.id, "payment_method", "token", "paym_1")
    async with unit_of_work(owner) as uow:
        await openings.note(uow, method, Purpose.METHOD_CHARGED)
    async with crossing(Reason.KEYS) as uow:
        await openings.note(uow, Place(PLATFORM, "upstream", "api_key_sealed", "*"), Purpose.KEYS_ROTATED)

    async def seen(query: str) -> list[tuple[str, ...]]:
        staff.at = f"/governance/audit/openings?{query}"
        page, _ = await staff.call(StaffOpeningsState, "load")
        shown = ("actor", "actor_kind", "place", "purpose", "tenant", "tenant_kind", "row_id")
        return [tuple(row[name] for name in shown) for row in page.rows]

    charged = (
        "ana@example.com", "account", "payment_method.token", "method_charged", "Acme", "organization", "paym_1",
    )  # fmt: skip
    rotated = ("system", "system", "upstream.api_key_sealed", "keys_rotated", PLATFORM, PLATFORM, "*")
    assert await seen("sort=opened_at") == [charged, rotated]
    for query in (
        f"tenant={acme.id}", "purpose=method_charged", "place=payment_method.token", "row_id=paym_1",
        "actor=ANA@example.com", "opened_at[gte]=2020-01-01T00:00:00Z&purpose[ne]=keys_rotated",
    ):  # fmt: skip
        assert await seen(query) == [charged], query
    assert await seen("opened_at[lt]=2020-01-01T00:00:00Z") == []


async def test_an_owner_sees_who_opened_what_of_theirs(world: World) -> None:
    acme, other = await world.organization(name="Acme"), await world.organization()
    owner, ana = await sign_in(world, acme)
    async with crossing(Reason.KEYS) as uow:
        for tenant in (acme.id, other.id, PLATFORM, ana.id):
            place = Place(tenant, "payment_method", "token", f"paym_of_{tenant}")
            await openings.note(uow, place, Purpose.METHOD_CHARGED)

    owner.at = "/portal/audit/openings"
    page, _ = await owner.call(OpeningsState, "load")
    owner.at = f"/portal/audit/openings?tenant={other.id}"
    asked, _ = await owner.call(OpeningsState, "load")

    assert [(row["row_id"], row["actor"], row["purpose"]) for row in page.rows] == [
        (f"paym_of_{acme.id}", "system", "method_charged")
    ]
    assert asked.rows == page.rows
