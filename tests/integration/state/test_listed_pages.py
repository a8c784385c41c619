"""Pages over declared lists: the address says all of it, and the file to download is what is on screen."""

from __future__ import annotations

import csv
import io
from urllib.parse import parse_qsl, urlsplit

import pytest

from models.identity import Organization
from models.types import Role
from services.core import listing_sql
from services.core.errors import Malformed
from services.core.listing_csv import lines
from services.core.listing_grammar import read
from services.core.work import unit_of_work
from services.identity import invitations, keys, members, projects, service_accounts
from services.identity.key_queries import KEYS
from state.base import ADDRESS_CHARACTERS_MAX
from state.listed import ListedState
from state.portal.audit import AuditState
from state.portal.keys import KeysState
from state.portal.members import InvitationsState, MembersState
from state.portal.projects import ProjectsState
from state.portal.service_accounts import ServiceAccountsState
from tests.integration.state.visitor import Visitor, sent_to, sign_in
from tests.world import World


@pytest.fixture
async def berlin(world: World) -> Organization:
    return await world.organization(timezone="Europe/Berlin")


@pytest.fixture
async def owner(world: World, berlin: Organization) -> Visitor:
    return (await sign_in(world, berlin))[0]


async def test_a_header_sorts_and_sorts_back(owner: Visitor, world: World, berlin: Organization) -> None:
    async with unit_of_work(world.actor(berlin)) as uow:
        for name in ("b", "a", "c"):
            await keys.create_key(uow, name=name)

    async def shown() -> tuple[str, list[str]]:
        state, _ = await owner.call(KeysState, "load")
        return state.sort, [row["name"] for row in state.rows]

    owner.at = "/portal/keys?name[contains]=&at=gone-by-sorting"
    for sort, address, names in (
        ("name", "/portal/keys?sort=name", ["a", "b", "c"]),
        ("-name", "/portal/keys?sort=-name", ["c", "b", "a"]),
    ):
        _, answer = await owner.call(KeysState, "order", "name")
        assert sent_to(answer) == address
        owner.at = address
        assert await shown() == (sort, names)
    assert (await owner.call(KeysState, "order", "version"))[1] is None
    owner.at = "/portal/keys"
    assert (await shown())[0] == "-created_at"


async def test_an_address_longer_than_servers_take_is_not_read(owner: Visitor) -> None:
    owner.at = f"/portal/keys?{'&'.join(f'a{n}=x' for n in range(ADDRESS_CHARACTERS_MAX // 6))}"
    state, _ = await owner.call(KeysState, "load")
    assert (state.status, state.problem.title) == ("error", Malformed.title)


async def test_days_are_the_organisations_and_the_address_has_instants(owner: Visitor) -> None:
    """On 29 March 2026 clocks in Berlin go forward: the day has 23 hours."""
    owner.at = "/portal/audit?type=api_key.created"
    for key in ("recorded_at[gte]", "recorded_at[lt]"):
        _, answer = await owner.call(AuditState, "narrow", key, "2026-03-29")
        owner.at = sent_to(answer)
    asked = dict(parse_qsl(urlsplit(owner.at).query))
    assert asked["recorded_at[gte]"] == "2026-03-28T23:00:00Z"
    assert asked["recorded_at[lt]"] == "2026-03-29T22:00:00Z"

    state, _ = await owner.call(AuditState, "load")
    assert {state.filters[key] for key in ("recorded_at[gte]", "recorded_at[lt]")} == {"2026-03-29"}
    chips = [(chip["column"], chip["operator"], chip["value"]) for chip in state.chips]
    assert chips == [
        ("recorded_at", "gte", "2026-03-28T23:00:00Z"),
        ("recorded_at", "lt", "2026-03-29T22:00:00Z"),
        ("type", "eq", "api_key.created"),
    ]
    _, answer = await owner.call(AuditState, "narrow", "type", "")
    assert "type" not in dict(parse_qsl(urlsplit(sent_to(answer)).query))
    for day in ("2026-02-30", "yesterday", "0001-01-01"):
        owner.at = "/portal/audit"
        _, answer = await owner.call(AuditState, "narrow", "recorded_at[lt]", day)
        owner.at = sent_to(answer)
        state, _ = await owner.call(AuditState, "load")
        assert (state.status, state.chips) == ("ready", []), day


async def test_the_file_is_what_is_on_screen(owner: Visitor, world: World, berlin: Organization) -> None:
    async with unit_of_work(world.actor(berlin)) as uow:
        for name in ("b", "a", "other"):
            created = await keys.create_key(uow, name=name)
        await keys.revoke_key(uow, created.key.id)
    for address in ("/portal/keys?sort=name", "/portal/keys?status=revoked", "/portal/keys"):
        owner.at = address
        state, _ = await owner.call(KeysState, "load")
        assert state.csv_href.startswith("/api/v1/keys?")
        asked = [pair for pair in parse_qsl(urlsplit(state.csv_href).query) if pair[0] != "format"]
        async with unit_of_work(world.actor(berlin)) as uow:
            found = await listing_sql.page(uow, read(KEYS, asked), limit=100)
        written = list(csv.reader(io.StringIO(lines(KEYS, found.rows))))
        assert [row[0] for row in written] == [row["id"] for row in state.rows]


async def furnish(world: World, organization: Organization) -> None:
    """Two developers of whom one is suspended, two invitations, two projects of which one is archived, two programs."""
    actor = world.actor(organization, Role.OWNER, await world.account(member_of=organization))
    await world.account("ben@example.com", member_of=organization, role=Role.DEVELOPER)
    cleo = await world.account("cleo@example.com", member_of=organization, role=Role.DEVELOPER)
    async with unit_of_work(actor) as uow:
        await members.suspend_member(uow, cleo.id)
        for name in ("dora", "emil"):
            await invitations.invite(uow, email=f"{name}@example.com", role="viewer")
        for name in ("Search", "Billing"):
            project = await projects.create_project(uow, name=name)
        await projects.archive_project(uow, project.id, end_keys=True)
        for name, role in (("Reader", "viewer"), ("Writer", "developer")):
            await service_accounts.create_service_account(uow, name=name, role=role)


@pytest.mark.parametrize(
    ("page", "column", "addresses"),
    [
        (MembersState, "email", {
            "/portal/members?role=developer&sort=-email": ["cleo@example.com", "ben@example.com"],
            "/portal/members?search=BEN@": ["ben@example.com"],
            "/portal/members?status=suspended&two_step=false": ["cleo@example.com"],
        }),
        (InvitationsState, "email", {
            "/portal/members/invitations?role=viewer": ["emil@example.com", "dora@example.com"],
            "/portal/members/invitations?email[contains]=dora": ["dora@example.com"],
            "/portal/members/invitations?status=expired": [],
        }),
        (ProjectsState, "name", {
            "/portal/projects": ["Search"],
            "/portal/projects?status[in]=active,archived": ["Billing", "Search"],
            "/portal/projects?status[in]=archived&name[contains]=SEARCH": [],
        }),
        (ServiceAccountsState, "name", {
            "/portal/service-accounts?sort=-name": ["Writer", "Reader"],
            "/portal/service-accounts?role=viewer&status=active": ["Reader"],
        }),
    ],
)  # fmt: skip
async def test_lists_of_an_organisation_show_and_save_what_the_address_asks_for(
    page: type[ListedState],
    column: str,
    addresses: dict[str, list[str]],
    owner: Visitor,
    world: World,
    berlin: Organization,
) -> None:
    await furnish(world, berlin)
    for address, expected in addresses.items():
        owner.at = address
        state, _ = await owner.call(page, "load")
        assert (state.status, [row[column] for row in state.rows]) == ("ready", expected), address
        filters = [name for name, _ in parse_qsl(urlsplit(address).query) if name != "sort"]
        assert sorted(chip["key"] for chip in state.chips) == sorted(filters)
        listing = page._listing  # pyright: ignore[reportPrivateUsage]
        asked = [pair for pair in parse_qsl(urlsplit(state.csv_href).query) if pair[0] != "format"]
        async with unit_of_work(world.actor(berlin)) as uow:
            saved = await listing_sql.page(uow, read(listing, asked), limit=100)
        assert [getattr(row, column) for row in saved.rows] == expected, address


async def test_a_filter_without_a_control_of_its_own_is_a_chip_all_the_same(owner: Visitor) -> None:
    owner.at = (
        "/portal/keys?expires_at%5Bis_null%5D=true&created_at%5Blte%5D=2026-01-01T00%3A00%3A00Z&nonsense=1"
    )
    state, _ = await owner.call(KeysState, "load")
    assert state.status == "ready"
    assert [(chip["key"], chip["kind"]) for chip in state.chips] == [
        ("expires_at[is_null]", "flag"),
        ("created_at[lte]", "instant"),
    ]


async def test_typing_on_makes_no_second_entry_in_the_history(owner: Visitor) -> None:
    owner.at = "/portal/keys"
    _, first = await owner.call(KeysState, "narrow", "name[contains]", "l")
    owner.at = sent_to(first)
    _, second = await owner.call(KeysState, "narrow", "name[contains]", "la")
    _, away = await owner.call(KeysState, "narrow", "name[contains]", "")
    replaced = [
        {str(name): str(value) for name, value in one.args}["replace"] for one in (first, second, away)
    ]
    assert replaced == ["false", "true", "false"]
    assert sent_to(away) == "/portal/keys"


async def test_what_is_chosen_before_the_page_has_followed_keeps_what_was_chosen_first(
    owner: Visitor,
) -> None:
    owner.at = "/portal/keys"
    await owner.call(KeysState, "narrow", "name[contains]", "l")
    _, second = await owner.call(KeysState, "narrow", "expires_at[is_null]", "true")
    _, third = await owner.call(KeysState, "order", "name")
    both = "/portal/keys?name%5Bcontains%5D=l&expires_at%5Bis_null%5D=true"
    assert (sent_to(second), sent_to(third)) == (both, f"{both}&sort=name")

    owner.at = sent_to(third)
    await owner.call(KeysState, "load")
    owner.at = "/portal/keys"  # by going back
    _, anew = await owner.call(KeysState, "narrow", "expires_at[is_null]", "true")
    assert sent_to(anew) == "/portal/keys?expires_at%5Bis_null%5D=true"


async def test_a_page_whose_rows_are_gone_shows_the_beginning(
    owner: Visitor, world: World, berlin: Organization
) -> None:
    async with unit_of_work(world.actor(berlin)) as uow:
        created = await keys.create_key(uow, name="one")
        query = read(KEYS, [])
        (row,) = (await listing_sql.page(uow, query, limit=1)).rows
    place = listing_sql.Position(row.created_at, row.id)
    for gone in (place, listing_sql.Position(row.created_at, row.id, before=True)):
        owner.at = f"/portal/keys?at={gone.text}"
        state, _ = await owner.call(KeysState, "load")
        assert ([row["id"] for row in state.rows], state.first_row) == ([created.key.id], 1)
