"""Members, projects, service accounts and settings on their pages, and the page an invitation leads to."""

from __future__ import annotations

from datetime import UTC, datetime

from models.identity import Organization
from models.types import Role
from services.core.crossing import Reason, crossing
from services.core.work import unit_of_work
from services.identity import invitations, keys, members, organizations, projects, service_accounts
from state.invitation import InvitationState
from state.portal.keys import KeysState
from state.portal.members import InvitationsState, MembersState
from state.portal.projects import ProjectsState
from state.portal.service_accounts import ServiceAccountsState
from state.portal.settings import SettingsState
from state.session import SessionState
from tests.integration.state.visitor import Visitor, said, sign_in
from tests.world import World


async def token_of(organization: Organization, world: World, email: str) -> str:
    """The secret of a fresh invitation, as its mail would hold it."""
    owner = world.actor(organization, Role.OWNER, await world.account(member_of=organization))
    async with unit_of_work(owner) as uow:
        made = await invitations.invite(uow, email=email, role="viewer")
    async with crossing(Reason.MAIL) as uow:
        issued = await invitations.issue(uow, made.id, 1)
    assert issued is not None
    return issued.token


async def test_the_members_page_shows_who_is_here_and_who_was_asked(world: World) -> None:
    organization = await world.organization(name="Acme")
    owner, _ = await sign_in(world, organization)
    _, ben = await sign_in(world, organization, Role.DEVELOPER)
    await token_of(organization, world, "cleo@example.com")
    async with unit_of_work(world.actor(organization, Role.DEVELOPER, ben)) as uow:
        await keys.create_key(uow, name="bens")

    state, _ = await owner.call(MembersState, "load")
    shown = {row["email"]: row for row in state.rows}
    assert (shown[ben.email]["role"], shown[ben.email]["active_keys"]) == ("developer", 1)
    assert (state.leads, state.operates) == (True, False)

    state, _ = await owner.call(MembersState, "ask", ben.id, "suspend")
    assert (state.open_dialog, state.chosen["active_keys"]) == ("suspend", 1)
    state, _ = await owner.call(InvitationsState, "load")
    (asked,) = state.rows
    assert (asked["email"], state.leads, state.operates) == ("cleo@example.com", True, False)
    state, _ = await owner.call(InvitationsState, "ask", asked["id"], "resend")
    assert (state.open_dialog, state.chosen) == ("resend", asked)
    viewer, _ = await sign_in(world, organization, Role.VIEWER)
    seen, _ = await viewer.call(MembersState, "load")  # nothing of how others sign in, and of their keys
    assert {(row["two_step"], row["last_seen_at"], row["active_keys"]) for row in seen.rows} == {
        ("", "", None)
    }
    _, answer = await viewer.call(MembersState, "ask", ben.id, "suspend")
    assert "members.write" in said(answer)


async def test_a_suspended_member_is_told_whom_to_ask_and_sees_nothing(world: World) -> None:
    organization = await world.organization(name="Acme")
    visitor, ben = await sign_in(world, organization, Role.DEVELOPER)
    owner = world.actor(organization, Role.OWNER, await world.account(member_of=organization))
    async with unit_of_work(owner) as uow:
        await members.suspend_member(uow, ben.id)
        await uow.execute("update session set ended_at = null where account_id = :id", id=ben.id)

    state, _ = await visitor.call(KeysState, "load")
    assert (state.status, state.problem.title) == ("forbidden", "Your membership is suspended")
    assert "Ask an owner" in state.problem.text
    assert state.rows == []
    shell, _ = await visitor.call(SessionState, "load")
    assert (shell.organization_name, shell.capabilities) == ("Acme", [])


async def test_an_invitation_offers_the_way_in_that_fits_whoever_looks(world: World) -> None:
    organization = await world.organization(name="Acme")
    token = await token_of(organization, world, "ben@example.com")
    at = f"/invitation?token={token}"

    async def stage(visitor: Visitor) -> str:
        visitor.at = at
        state, _ = await visitor.call(InvitationState, "load")
        return state.stage

    assert await stage(Visitor()) == "sign_up"
    home = await world.organization()
    eve, _ = await sign_in(world, home)
    assert await stage(eve) == "other_address"
    ben, account = await sign_in(world, home)
    async with crossing(Reason.DEMO) as uow:
        await uow.execute(
            "update account set email = 'Ben@example.com', email_key = 'ben@example.com' where id = :id",
            id=account.id,
        )
    assert await stage(Visitor()) == "sign_in"
    assert await stage(ben) == "accept"

    async with crossing(Reason.DEMO) as uow:
        await uow.execute("update invitation set expires_at = :now", now=datetime.now(UTC))
    ben.at = at
    state, _ = await ben.call(InvitationState, "load")
    assert state.stage == "ended"
    assert "expired" in state.ended_text


async def test_projects_and_programs_on_their_pages(world: World) -> None:
    organization = await world.organization(name="Acme")
    owner, account = await sign_in(world, organization)
    actor = world.actor(organization, Role.OWNER, account)
    async with unit_of_work(actor) as uow:
        project = await projects.create_project(uow, name="Search")
        robot = await service_accounts.create_service_account(uow, name="Robot", role="developer")
        await keys.create_key(uow, name="k", project_id=project.id, service_account_id=robot.id)
        await keys.create_key(uow, name="other")

    state, _ = await owner.call(ServiceAccountsState, "load")
    assert [(row["name"], row["active_keys"], row["status"]) for row in state.rows] == [
        ("Robot", 1, "active")
    ]
    owner.at = f"/portal/keys?project_id={project.id}"
    state, _ = await owner.call(KeysState, "load")
    assert [(row["name"], row["project_name"], row["service_account_name"]) for row in state.rows] == [
        ("k", "Search", "Robot")
    ]
    assert [one["label"] for one in state.projects + state.service_accounts] == ["Search", "Robot"]

    owner.at = "/portal/projects"
    await owner.call(ProjectsState, "load")
    state, _ = await owner.call(ProjectsState, "ask", project.id, "archive")
    assert (state.open_dialog, state.chosen["active_keys"]) == ("archive", 1)
    async with unit_of_work(actor) as uow:
        await projects.archive_project(uow, project.id, end_keys=True)
    state, _ = await owner.call(ProjectsState, "load")
    assert state.rows == []
    owner.at = "/portal/projects?status[in]=active,archived"
    state, _ = await owner.call(ProjectsState, "load")
    assert [(row["name"], row["status"]) for row in state.rows] == [("Search", "archived")]
    owner.at = "/portal/keys"
    state, _ = await owner.call(KeysState, "load")
    assert [row["name"] for row in state.rows] == ["other"]


async def test_the_settings_page_knows_at_which_version_it_was_read(world: World) -> None:
    organization = await world.organization(name="Acme", timezone="Europe/Berlin", currency="EUR")
    owner, account = await sign_in(world, organization)
    first, _ = await owner.call(SettingsState, "load")
    assert (first.name, first.timezone, first.currency, first.version) == ("Acme", "Europe/Berlin", "EUR", 1)

    async with unit_of_work(world.actor(organization, Role.OWNER, account)) as uow:
        await organizations.update_organization(uow, name="Acme North", version=1)
    second, _ = await owner.call(SettingsState, "load")
    assert (second.name, second.version) == ("Acme North", 2)
