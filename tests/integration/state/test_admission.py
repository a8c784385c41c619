"""Who may cause what: each event finds out anew, from the cookie, whatever page it says it comes from."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import reflex as rx

from models.types import OrganizationKind, Role
from services.core import database as databases
from services.core.crossing import Reason, crossing
from services.core.errors import Conflict, not_found
from services.core.permissions import Capability
from services.identity import sessions
from state.base import PageState, page_event
from state.governance.organizations import OrganizationsState, OrganizationState
from state.portal.keys import KeysState
from state.portal.overview import OverviewState
from state.session import SessionState
from tests.integration.state.visitor import Visitor, said, sent_to, sign_in
from tests.world import World


class Faulty(PageState, rx.State):
    """Fails as it is told."""

    @page_event(Capability.USAGE_READ, reads=True)
    async def read(self, kind: str) -> None:
        raise {
            "ours": Conflict("Two changes met.", next_step="Try again."),
            "bug": ZeroDivisionError("secret"),
        }[kind]

    @page_event(Capability.USAGE_READ)
    async def act(self, kind: str) -> None:
        raise {
            "ours": Conflict("Two changes met.", next_step="Try again."),
            "bug": ZeroDivisionError("secret"),
        }[kind]


class Shelf(PageState, rx.State):
    """One row, named by the address, and what is asked about it."""

    row: str = ""
    asking: str = ""
    told: str = ""

    @page_event(Capability.USAGE_READ, reads=True)
    async def load(self) -> None:
        row = self._address_id
        if row == "gone":
            raise not_found("row", row)
        self.row = row

    @page_event(Capability.USAGE_READ, reads=True)
    async def follow(self) -> None:
        """Reads nothing while something is asked."""

    @page_event(Capability.USAGE_READ)
    async def ask(self) -> None:
        self.asking = self.row
        self.told += self.row


async def test_who_is_not_signed_in_is_led_to_the_sign_in_page_and_back(world: World) -> None:
    state, answer = await Visitor(at="/portal/keys?ended=yes").call(KeysState, "load")

    assert sent_to(answer) == "/sign-in?next=%2Fportal%2Fkeys%3Fended%3Dyes"
    assert (state.status, state.rows) == ("loading", [])


@pytest.mark.parametrize("token", ["nonsense", "\u00fcnicode", "x" * 5_000])
async def test_a_cookie_that_is_nobodys_opens_nothing(world: World, token: str) -> None:
    _, answer = await Visitor(token, at="/portal").call(OverviewState, "load")

    assert sent_to(answer).startswith("/sign-in")


async def test_a_session_that_ended_is_told_at_the_next_event(world: World) -> None:
    visitor, _ = await sign_in(world, await world.organization())
    visitor.at = "/portal/keys"
    state, answer = await visitor.call(KeysState, "load")
    assert (state.status, answer) == ("ready", None)

    await sessions.sign_out(visitor.token)

    _, answer = await visitor.call(KeysState, "ask", "apikey_1", "revoke")
    assert sent_to(answer).startswith("/sign-in")


async def test_who_belongs_to_no_organisation_is_led_to_make_one(world: World) -> None:
    visitor, _ = await sign_in(world, None)

    for kind, handler in ((SessionState, "load"), (KeysState, "load")):
        _, answer = await visitor.call(kind, handler)
        assert sent_to(answer) == "/welcome"


@pytest.mark.parametrize(
    ("role", "status"),
    [(Role.OWNER, "ready"), (Role.DEVELOPER, "ready"), (Role.BILLING, "ready"), (Role.VIEWER, "forbidden")],
)
async def test_who_may_see_keys(world: World, role: Role, status: str) -> None:
    visitor, _ = await sign_in(world, await world.organization(), role)

    state, _ = await visitor.call(KeysState, "load")

    assert state.status == status
    if status == "forbidden":
        assert state.problem.permission == "keys.read"
        assert "developer" in state.problem.text  # names who has it


@pytest.mark.parametrize(
    ("kind", "role", "status"),
    [
        (OrganizationKind.OPERATOR, Role.OPERATOR, "ready"),
        (OrganizationKind.OPERATOR, Role.SUPPORT, "ready"),
        (OrganizationKind.CLIENT, Role.OWNER, "forbidden"),
        (OrganizationKind.CLIENT, Role.OPERATOR, "forbidden"),  # a staff role means nothing in a client's
    ],
)
async def test_who_may_see_all_organisations(
    world: World, kind: OrganizationKind, role: Role, status: str
) -> None:
    visitor, _ = await sign_in(world, await world.organization(kind), role)

    state, _ = await visitor.call(OrganizationsState, "load")

    assert state.status == status
    assert bool(state.rows) == (status == "ready")


async def test_staff_reads_another_organisation_and_a_client_does_not(world: World) -> None:
    own, other = await world.organization(), await world.organization(name="Other")
    staff, _ = await sign_in(world, await world.organization(OrganizationKind.OPERATOR), Role.OPERATOR)
    client, _ = await sign_in(world, own)
    staff.at = client.at = f"/governance/organizations/{other.id}"

    seen, _ = await staff.call(OrganizationState, "load")
    refused, _ = await client.call(OrganizationState, "load")

    assert (seen.status, seen.organization["name"]) == ("ready", "Other")
    assert (refused.status, refused.organization) == ("forbidden", {})


async def test_an_organisation_that_does_not_exist_is_not_there(world: World) -> None:
    staff, _ = await sign_in(world, await world.organization(OrganizationKind.OPERATOR), Role.OPERATOR)
    staff.at = "/governance/organizations/org_00000000000000000000000000"

    state, _ = await staff.call(OrganizationState, "load")

    assert state.status == "missing"


async def test_a_fault_while_reading_becomes_the_pages_problem(world: World) -> None:
    visitor, _ = await sign_in(world, await world.organization())

    state, answer = await visitor.call(Faulty, "read", "bug")

    assert (state.status, answer) == ("error", None)
    assert len(state.problem.reference) == 32
    assert "secret" not in f"{state.problem}"


async def test_a_fault_of_an_act_is_a_toast_with_the_next_step(world: World) -> None:
    visitor, _ = await sign_in(world, await world.organization())

    _, refused = await visitor.call(Faulty, "act", "ours")
    _, failed = await visitor.call(Faulty, "act", "bug")

    assert "Two changes met. Try again." in said(refused)
    assert "secret" not in said(failed)
    assert "reference" in said(failed)


async def test_a_page_that_was_read_again_has_no_problem_left(world: World) -> None:
    visitor, _ = await sign_in(world, await world.organization())
    state, _ = await visitor.call(KeysState, "load")
    state.status = "error"

    state, _ = await visitor.call(KeysState, "load")

    assert (state.status, state.problem.title) == ("ready", "")


async def test_the_actor_does_not_outlive_its_event(world: World) -> None:
    visitor, _ = await sign_in(world, await world.organization())
    state, _ = await visitor.call(KeysState, "load")

    assert state._caller is None
    assert "matrix_session" not in str(state.dict())


async def test_the_session_state_holds_who_is_there_and_nothing_secret(world: World) -> None:
    organization = await world.organization(name="Acme", timezone="Asia/Tokyo", currency="JPY")
    visitor, account = await sign_in(world, organization, Role.VIEWER)

    state, answer = await visitor.call(SessionState, "load")

    assert answer is None
    assert (state.organization_name, state.zone, state.currency) == ("Acme", "Asia/Tokyo", "JPY")
    assert (state.account_email, state.staff) == (account.email, False)
    assert "usage.read" in state.capabilities
    assert "keys.read" not in state.capabilities
    assert visitor.token not in str(state.dict())


async def test_a_database_that_is_away_is_said_and_survived(world: World) -> None:
    visitor, _ = await sign_in(world, await world.organization())
    away = databases.connect("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    databases.install(away)
    try:
        state, _ = await visitor.call(KeysState, "load")
    finally:
        databases.install(world.database)

    assert (state.status, state.problem.title) == ("error", "Not available at the moment")
    state, _ = await visitor.call(KeysState, "load")
    assert state.status == "ready"


async def test_suspended_organisations_can_still_read(world: World) -> None:
    organization = await world.organization()
    visitor, _ = await sign_in(world, organization)
    async with crossing(Reason.DEMO, on=world.database) as uow:
        await uow.execute(
            "update organization set suspended_at = :now where id = :id",
            now=datetime.now(UTC),
            id=organization.id,
        )

    state, _ = await visitor.call(KeysState, "load")
    _, refused = await visitor.call(KeysState, "ask", "apikey_1", "revoke")

    assert state.status == "ready"
    assert "keys.write" in said(refused)


async def test_an_act_sent_from_another_address_than_its_row_was_read_for_is_refused(world: World) -> None:
    """A click may be sent when the address is another's already, whose row is not read yet."""
    visitor, _ = await sign_in(world, await world.organization())
    visitor.at = "/shelves/one"
    await visitor.call(Shelf, "load")
    await visitor.call(Shelf, "ask")

    visitor.at = "/shelves/two"
    state, answer = await visitor.call(Shelf, "ask")

    assert "Wait until it shows what its address names" in said(answer)
    assert (state.asking, state.told) == ("one", "one")
    assert state.read_for == "/shelves/one"  # so that the browser shows none of it at the other


@pytest.mark.parametrize(
    ("handler", "at", "status", "row"),
    [
        ("load", "/shelves/two", "ready", "two"),
        ("load", "/shelves/gone", "missing", ""),
        ("follow", "/shelves/two", "ready", ""),
        ("follow", "/shelves/one/?after=3", "ready", "one"),  # another page of the same row
    ],
)
async def test_of_another_row_nothing_is_left(
    world: World, handler: str, at: str, status: str, row: str
) -> None:
    visitor, _ = await sign_in(world, await world.organization())
    visitor.at = "/shelves/one"
    await visitor.call(Shelf, "load")
    await visitor.call(Shelf, "ask")

    visitor.at = at
    state, _ = await visitor.call(Shelf, handler)

    same = at.startswith("/shelves/one")
    assert (state.status, state.row) == (status, row)
    assert (state.asking, state.told) == (("one", "one") if same else ("", ""))
    assert state.read_for == at.partition("?")[0].rstrip("/")
