"""What pages show is what happened: calls go in through the product's own verbs and come out of page states."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import reflex as rx

from matrix_app import pages
from matrix_app.arrivals import led_to
from matrix_app.pages.public.mailbox import in_html
from models.identity import Organization
from models.types import OrganizationKind, Role
from services.catalog import service as price_book
from services.core import database as databases
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.settings import settings
from services.core.work import unit_of_work
from services.gateway import upstreams
from services.identity import keys
from services.identity.cookies import session_cookie
from services.metering import queries as metering
from services.metering import rules, service
from state.account import ConfirmState
from state.governance.prices import PricesState
from state.governance.upstreams import UpstreamsState
from state.mailbox import MailboxState
from state.portal.keys import KeysState
from state.portal.models import ModelsState, PlaygroundState
from state.portal.overview import OverviewState
from state.portal.requests import RequestsState, RequestState
from state.portal.usage import UsageState
from tests.integration.state.visitor import Visitor, sent_to, sign_in
from tests.world import World

pages.load_all()

Client = tuple[Visitor, Organization]

MODEL = "smollm2-135m"
LONG_AGO = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
async def client(world: World) -> Client:
    """An owner of an organisation, in a house with a model, its prices and the platform's meters."""
    operator = await world.organization(OrganizationKind.OPERATOR)
    async with crossing(Reason.CATALOG) as uow:
        await service.ensure_platform_meters(uow)
        await upstreams.ensure_builtin(uow)
    staff = world.actor(operator, Role.OPERATOR)
    async with crossing(Reason.STAFF, actor=staff, clock=LONG_AGO) as uow:
        for meter, amount in (("prompt_tokens", "2"), ("completion_tokens", "8")):
            await price_book.set_price(
                uow, model=MODEL, meter=meter, currency="USD", unit_amount=Decimal(amount)
            )
    organization = await world.organization(name="Acme")
    visitor, _ = await sign_in(world, organization)
    return visitor, organization


async def called(
    organization: Organization,
    request_id: str,
    *,
    status: int = 200,
    ago: timedelta = timedelta(),
    key_id: str = "",
) -> None:
    """One call of the gateway, booked as its settlement books it."""
    event = rules.gateway_event(
        organization_id=organization.id, request_id=request_id, time=datetime.now(UTC) - ago, model=MODEL,
        key_id=key_id, prompt_tokens=100, completion_tokens=50, endpoint="chat", status=status,
    )  # fmt: skip
    async with crossing(Reason.GATEWAY_SETTLEMENT) as uow:
        recorded = await service.record(uow, [event])
        await uow.execute(
            "insert into request (organization_id, id, key_id, account_id, model, upstream_id, endpoint, streamed,"
            " status, error_code, prompt_tokens, completion_tokens, tokens_source, started_at, latency_ms, attempts,"
            " cost, currency, address, trace_id) values (:organization, :id, '', '', :model, '', 'chat', false,"
            " :status, '', 100, 50, 'upstream', :at, 12, 1, :cost, 'USD', '', 'trace')",
            organization=organization.id,
            id=request_id,
            model=MODEL,
            status=status,
            at=event.time,
            cost=recorded.outcomes[0].cost,
        )


async def test_the_overview_guides_from_no_key_to_the_first_call(client: Client, world: World) -> None:
    visitor, organization = client
    state, _ = await visitor.call(OverviewState, "load")
    assert (state.step, state.figures["today"]["requests"]) == ("key", 0)
    assert '"model": "smollm2-135m"' in state.example

    async with unit_of_work(world.actor(organization)) as uow:
        created = await keys.create_key(uow, name="First")
    state, _ = await visitor.call(OverviewState, "load")
    assert state.step == "call"
    assert created.secret not in str(state.dict())

    await called(organization, "req_1")
    state, _ = await visitor.call(OverviewState, "load")
    assert (state.step, state.figures["today"]["requests"]) == ("done", 1)
    assert state.figures["today"]["cost"] == "0.000600000000"
    assert [row["id"] for row in state.latest] == ["req_1"]


async def test_a_viewer_sees_usage_and_no_cost(client: Client, world: World) -> None:
    _, organization = client
    await called(organization, "req_1")
    viewer, _ = await sign_in(world, organization, Role.VIEWER)
    viewer.at = "/portal/usage?measure=cost"

    overview, _ = await viewer.call(OverviewState, "load")
    usage, _ = await viewer.call(UsageState, "load")
    viewer.at = "/portal/requests/req_1"
    request, _ = await viewer.call(RequestState, "load")

    assert overview.figures["today"]["cost"] is None
    assert (overview.latest[0]["cost"], overview.step) == (None, "done")
    assert (usage.measure, usage.sums["cost"], usage.measures) == ("requests", "", ["requests", "tokens"])
    assert (request.request["cost"], request.lines) == ("", [])


async def test_the_sums_of_usage_are_the_sums_of_its_rows_and_of_the_overview(
    client: Client,
) -> None:
    visitor, organization = client
    for number in range(3):
        await called(organization, f"req_{number}", status=500 if number == 2 else 200)
    visitor.at = "/portal/usage?range=today&measure=cost"

    usage, _ = await visitor.call(UsageState, "load")
    overview, _ = await visitor.call(OverviewState, "load")

    today = overview.figures["today"]
    assert (
        (usage.sums["requests"], usage.sums["failed"])
        == (str(today["requests"]), str(today["failed"]))
        == ("3", "1")
    )
    assert Decimal(usage.sums["cost"]) == Decimal(today["cost"]) == Decimal("0.0018")
    assert sum(Decimal(row["s0"]) for row in usage.chart_rows) == Decimal("0.0018")
    assert usage.rows[0]["href"].startswith(f"/portal/requests?model={MODEL}&started_at%5Bgte%5D=")


async def test_keys_beyond_those_that_are_told_apart_are_one_last_row(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metering, "GROUPS_MAX", 2)
    visitor, organization = client
    for number, key_id in enumerate("aabbccd"):
        await called(organization, f"req_{number}", key_id=f"apikey_{key_id}")
    visitor.at = "/portal/usage?range=24h&group=key"

    usage, _ = await visitor.call(UsageState, "load")

    rows = [(row["group"], row["requests"], row["rest"]) for row in usage.rows]
    assert rows == [("apikey_a", "2", False), ("apikey_b", "2", False), ("", "3", True)]
    assert (usage.sums["requests"], usage.chart_total) == ("7", "7")
    assert [line["label"] for line in usage.chart_lines] == ["apikey_a", "apikey_b", "other"]


async def test_newer_usage_is_announced_and_waits(client: Client) -> None:
    visitor, organization = client
    await called(organization, "req_1")
    visitor.at = "/portal/usage?range=24h"
    await visitor.call(UsageState, "load")
    state, _ = await visitor.call(UsageState, "note_newer")
    assert state.newer is False

    await called(organization, "req_2")
    state, _ = await visitor.call(UsageState, "note_newer")
    assert (state.newer, state.sums["requests"]) == (True, "1")

    state, _ = await visitor.call(UsageState, "load")
    assert (state.newer, state.sums["requests"]) == (False, "2")


async def test_the_request_list_pages_filters_and_counts_what_is_new(
    client: Client,
) -> None:
    visitor, organization = client
    for number in range(51):
        await called(organization, f"req_{number:02}", ago=timedelta(seconds=100 - number))
    visitor.at = "/portal/requests"
    state, _ = await visitor.call(RequestsState, "load")
    assert (len(state.rows), state.rows[0]["id"], state.previous_place) == (50, "req_50", "")

    await called(organization, "req_51", status=429)
    state, _ = await visitor.call(RequestsState, "count_newer")
    assert (state.newer, state.rows[0]["id"]) == (1, "req_50")

    _, answer = await visitor.call(RequestsState, "next_page")
    visitor.at = sent_to(answer)
    state, _ = await visitor.call(RequestsState, "load")
    assert ([row["id"] for row in state.rows], state.next_place) == (["req_00"], "")
    assert (state.first_row, state.last_row, state.total, state.total_is_exact) == (52, 52, 52, True)
    _, answer = await visitor.call(RequestsState, "previous_page")
    visitor.at = sent_to(answer)
    state, _ = await visitor.call(RequestsState, "load")
    assert ([row["id"] for row in state.rows][::49], state.first_row) == (["req_50", "req_01"], 2)

    visitor.at = "/portal/requests?outcome=failed&colour=red"
    state, _ = await visitor.call(RequestsState, "load")
    assert ([row["id"] for row in state.rows], state.filtered) == (["req_51"], True)
    assert "colour" not in state.filters


async def test_a_request_explains_its_cost(client: Client) -> None:
    visitor, organization = client
    await called(organization, "req_1")
    visitor.at = "/portal/requests/req_1"

    state, _ = await visitor.call(RequestState, "load")

    assert state.request["cost"] == "0.0006"
    assert {line["meter"]: line["amount"] for line in state.lines} == {
        "prompt_tokens": "0.0002",
        "completion_tokens": "0.0004",
    }


async def test_another_organisations_request_is_not_there(client: Client, world: World) -> None:
    _, organization = client
    await called(organization, "req_1")
    stranger, _ = await sign_in(world, await world.organization())

    for request_id in ("req_1", "req_none", "nonsense"):
        stranger.at = f"/portal/requests/{request_id}"
        state, _ = await stranger.call(RequestState, "load")
        assert (state.status, state.request) == ("missing", {})


async def test_filters_change_the_address_and_only_known_ones(client: Client) -> None:
    visitor, _ = client
    visitor.at = "/portal/requests?model=m"

    _, answer = await visitor.call(RequestsState, "narrow", "key_id", "apikey_1")
    assert sent_to(answer) == "/portal/requests?model=m&key_id=apikey_1"
    _, answer = await visitor.call(RequestsState, "narrow", "model", "")
    assert sent_to(answer) == "/portal/requests?key_id=apikey_1"
    _, answer = await visitor.call(RequestsState, "narrow", "colour", "red")
    assert answer is None


async def test_keys_are_listed_without_anything_secret(client: Client, world: World) -> None:
    visitor, organization = client
    async with unit_of_work(world.actor(organization)) as uow:
        created = await keys.create_key(uow, name="Production")
        ended = await keys.create_key(uow, name="Old")
        await keys.revoke_key(uow, ended.key.id)

    state, _ = await visitor.call(KeysState, "load")
    assert [row["name"] for row in state.rows] == ["Production"]
    assert created.secret not in str(state.dict())
    assert len(state.rows[0]["prefix"]) == 10

    visitor.at = "/portal/keys?status%5Bin%5D=active,revoked"
    state, _ = await visitor.call(KeysState, "load")
    assert {row["name"]: row["ended"] for row in state.rows} == {"Old": True, "Production": False}


async def test_a_dialog_opens_for_a_key_of_the_list_only(client: Client, world: World) -> None:
    visitor, organization = client
    async with unit_of_work(world.actor(organization)) as uow:
        created = await keys.create_key(uow, name="Production")
    await visitor.call(KeysState, "load")

    state, _ = await visitor.call(KeysState, "ask", created.key.id, "revoke")
    assert (state.open_dialog, state.chosen["name"]) == ("revoke", "Production")
    state, _ = await visitor.call(KeysState, "ask", "apikey_of_somebody_else", "revoke")
    assert (state.open_dialog, state.chosen) == ("", {})
    state, _ = await visitor.call(KeysState, "ask", created.key.id, "delete everything")
    assert state.open_dialog == ""


async def test_models_show_prices_in_the_organisations_currency(client: Client, world: World) -> None:
    visitor, _ = client
    state, _ = await visitor.call(ModelsState, "load")
    card = next(row for row in state.rows if row["slug"] == MODEL)
    assert (card["input"], card["output"], card["currency"]) == ("2", "8", "USD")

    japan, _ = await sign_in(world, await world.organization(currency="JPY"))
    state, _ = await japan.call(ModelsState, "load")
    assert {row["input"] for row in state.rows} == {""}  # no price is not a price of nothing


async def test_the_playground_offers_models_that_talk(client: Client, world: World) -> None:
    visitor, organization = client
    visitor.at = "/portal/playground?model=no-such-model"
    state, _ = await visitor.call(PlaygroundState, "load")
    assert ([one["id"] for one in state.models], state.model) == ([MODEL], "")

    viewer, _ = await sign_in(world, organization, Role.VIEWER)
    state, _ = await viewer.call(PlaygroundState, "load")
    assert state.status == "forbidden"


async def test_staff_sees_prices_and_upstreams_without_keys(client: Client, world: World) -> None:
    operator = await world.organization(OrganizationKind.OPERATOR)
    async with crossing(Reason.STAFF, actor=world.actor(operator, Role.OPERATOR)) as uow:
        added = await upstreams.add_upstream(
            uow, upstreams.UpstreamFields("Elsewhere", "https://models.example/v1"), api_key="sk-very-secret"
        )
    staff, _ = await sign_in(world, operator, Role.OPERATOR)

    prices, _ = await staff.call(PricesState, "load")
    await staff.call(UpstreamsState, "load")
    state, _ = await staff.call(UpstreamsState, "ask_upstream", added.id, "toggle")

    assert [(row["meter"], row["per_million"]) for row in prices.rows] == [
        ("prompt_tokens", "2"),
        ("completion_tokens", "8"),
    ]
    assert {row["name"]: row["key"] for row in state.rows} == {
        "Built-in server": "builtin",
        "Elsewhere": "set",
    }
    assert (state.sent["enabled"], state.sent["api_key"], state.open_dialog) == (False, None, "toggle")
    assert "very-secret" not in str(state.dict())


async def test_the_price_book_comes_in_pages_of_what_was_chosen(client: Client, world: World) -> None:
    operator = await world.organization(OrganizationKind.OPERATOR)
    actor = world.actor(operator, Role.OPERATOR)
    async with crossing(Reason.STAFF, actor=actor, clock=LONG_AGO) as uow:
        for day in range(60):
            starts = uow.wall_now + timedelta(days=day)
            await price_book.set_price(
                uow,
                model=MODEL,
                meter="requests",
                currency="USD",
                unit_amount=Decimal(day),
                valid_from=starts,
            )
    staff, _ = await sign_in(world, operator, Role.OPERATOR)
    staff.at = "/governance/prices"

    state, _ = await staff.call(PricesState, "load")
    assert [row["unit_amount"] for row in state.rows] == ["2", "8", "59"]  # however many ended before
    assert (state.next_place, state.previous_place) == ("", "")

    staff.at = "/governance/prices?state=ended"
    state, _ = await staff.call(PricesState, "load")
    assert [row["unit_amount"] for row in state.rows] == [str(day) for day in range(58, 8, -1)]
    _, answer = await staff.call(PricesState, "next_page")
    staff.at = sent_to(answer)
    assert staff.at.startswith("/governance/prices?state=ended&at=")
    state, _ = await staff.call(PricesState, "load")
    assert [row["unit_amount"] for row in state.rows] == [str(day) for day in range(8, -1, -1)]
    assert (state.next_place, state.previous_place != "") == ("", True)


async def test_a_mailbox_shows_one_address_to_anyone_and_all_to_staff_only(
    client: Client, world: World
) -> None:
    _visitor, _ = client
    async with crossing(Reason.MAIL) as uow:
        await uow.execute(
            "insert into mail (id, dedupe_key, recipient, subject, body, html, created_at, error) values"
            " ('mail_1', 'one', 'ana@example.com', 'Confirm', 'See http://localhost:3000/confirm?token=abc',"
            " '<head><title>Confirm</title></head><p>See</p>', now(), '')"
        )
    stranger = Visitor(at="/mailbox")
    assert (await stranger.call(MailboxState, "load"))[0].rows == []

    stranger.at = "/mailbox?address=Ana%40example.com"
    state, _ = await stranger.call(MailboxState, "load")
    assert [row["link"] for row in state.rows] == ["/confirm?token=abc"]
    assert state.rows[0]["html"] == '<head><base target="_blank"><title>Confirm</title></head><p>See</p>'

    staff, _ = await sign_in(world, await world.organization(OrganizationKind.OPERATOR), Role.OPERATOR)
    staff.at = "/mailbox"
    assert len((await staff.call(MailboxState, "load"))[0].rows) == 1


def test_the_html_of_a_mail_is_drawn_where_it_can_run_nothing_and_reach_nothing() -> None:
    drawn = str(in_html(rx.Var.create({"html": "<p>", "subject": "Hello"})))
    frame = drawn[drawn.index('jsx("iframe"') :]
    assert 'sandbox:"allow-popups allow-popups-to-escape-sandbox"' in frame
    assert ("srcDoc:" in frame, "src:" in frame, "allow-scripts" in drawn, "allow-same-origin" in drawn) == (
        True, False, False, False
    )  # fmt: skip


async def test_signing_up_leads_to_the_mail_and_from_there_to_confirming(world: World) -> None:
    visitor = Visitor(at="/sign-up")

    _, answer = await visitor.call(
        ConfirmState, "signed_up", {"mailbox": "/mailbox?address=ana%40example.com"}
    )
    assert sent_to(answer) == "/confirm?address=ana%40example.com"
    _, answer = await visitor.call(ConfirmState, "signed_up", {})
    assert sent_to(answer) == "/confirm"

    visitor.at = "/confirm?token=abc"
    state, _ = await visitor.call(ConfirmState, "load")
    assert (state.token, state.address) == ("abc", "")


async def arriving(who: Visitor, at: str) -> str | None:
    """Where the web process sends who asks for a page at `at`, before it draws one."""
    path, _, query = at.partition("?")
    cookie = f"{session_cookie(settings().public_url)}={who.token}".encode()
    headers = [(b"cookie", b"theme=dark"), (b"cookie", cookie)] if who.token else []
    return await led_to({"type": "http", "path": path, "query_string": query.encode(), "headers": headers})


async def test_people_are_led_to_the_right_page_before_another_is_drawn(client: Client, world: World) -> None:
    visitor, _ = client
    staff, _ = await sign_in(world, await world.organization(OrganizationKind.OPERATOR), Role.SUPPORT)
    homeless, _ = await sign_in(world, None)
    stranger, ended = Visitor(), Visitor("of-a-session-that-ended")
    wrong: list[str] = []
    for who, at, leads_to in (
        (visitor, "/", "/portal"),
        (visitor, "/sign-in", "/portal"),
        (visitor, "/sign-in/code", "/portal"),
        (visitor, "/sign-up/", "/portal"),
        (visitor, "/sign-in?next=%2Fportal%2Fusage%3Fperiod%3Dmonth", "/portal/usage?period=month"),
        (visitor, "/sign-in?next=https%3A%2F%2Fevil.example", "/portal"),
        (visitor, "/sign-in?next=%2F%2Fevil.example", "/portal"),
        (visitor, "/sign-in?next=%2Fa%0D%0Aset-cookie:x", "/portal"),
        (visitor, "/sign-in?next=%2Fportal%2Fn%C3%A4he", "/portal/n\u00e4he"),
        (visitor, "/portal/requests/req_1", None),
        (visitor, "/governance/health", None),  # says that it is not theirs
        (visitor, "/reset", None),
        (staff, "/", "/governance/organizations"),
        (homeless, "/", "/welcome"),
        (homeless, "/sign-in?next=%2Finvitation%3Ftoken%3Dabc", "/invitation?token=abc"),
        (homeless, "/portal/keys", "/welcome"),
        (homeless, "/portal/requests/req_1", "/welcome"),
        (homeless, "/welcome", None),
        (homeless, "/account", None),
        (homeless, "/account/sign-ins", None),
        (stranger, "/", None),
        (stranger, "/sign-in?next=%2Fportal", None),
        (stranger, "/portal/keys?ended=yes", "/sign-in?next=%2Fportal%2Fkeys%3Fended%3Dyes"),
        (stranger, "/portal/requests/req_1", "/sign-in?next=%2Fportal%2Frequests%2Freq_1"),
        (stranger, "/account", "/sign-in?next=%2Faccount"),
        (stranger, "/welcome", "/sign-in?next=%2Fwelcome"),
        (stranger, "/docs/api", None),
        (stranger, "/assets/app-12345678.js", None),
        (ended, "/portal", "/sign-in?next=%2Fportal"),
        (ended, "/", None),
    ):
        led = await arriving(who, at)
        if led != leads_to:
            wrong.append(f"{at} leads to {led}, not to {leads_to}")
    assert not wrong, "\n".join(wrong)


async def test_a_page_is_drawn_though_nobody_can_say_who_asks_for_it(client: Client, world: World) -> None:
    """The page says itself that the database is away, and goes on when it is back."""
    visitor, _ = client
    away = databases.connect("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    databases.install(away)
    try:
        assert await arriving(visitor, "/portal") is None
    finally:
        databases.install(world.database)
