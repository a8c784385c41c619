"""Every page of the registry, as everybody who may open it: sound, named, narrow enough, and open to all."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote
from zlib import crc32

import pytest
import pytest_asyncio
from playwright.async_api import Page, WebSocketRoute, expect

from matrix_app import pages
from matrix_app.pages.registry import PAGES, Console
from models.disputes import Dispute
from models.dunning import DunningCase
from models.ledger import Purpose
from models.money import Money
from models.payment_cases import CaseKind
from models.payments import Payment, ProviderAccount
from models.plan_migrations import PlanMigration, PlanMigrationMove
from models.reconciliation import BankStatement, ProviderPayout
from models.subscriptions import Subscription
from models.tasks import Task
from services.billing import queries as billing
from services.core.actor import SYSTEM, system
from services.core.crossing import Reason, crossing
from services.core.ids import new_id
from services.core.work import UnitOfWork, unit_of_work
from services.ledger.rules import credit, debit
from services.payments import cases, links, transfers
from services.reconciliation import differences
from services.subscriptions import subscriptions
from services.subscriptions.selecting import Wanted
from tests.bench.parties import inside
from tests.bench.product import Product
from tests.e2e.browsing import (
    DESK,
    MARKS,
    OTHER_OWNER,
    OWNER,
    PHONE,
    REFLOW,
    STAFF,
    VIEWER,
    Faults,
    Person,
    Visitors,
    faint,
    go_on,
    settled,
    sideways,
    violations,
)
from tests.papers import account, campaign, reminded

pytestmark = MARKS

pages.load_all()
NOWHERE = "/there/is/no/such/page"
# Of the operations of the API, which are alike and drawn when they are opened, some are looked into.
UNFOLD = "document.querySelectorAll('details.operation:nth-of-type(3)').forEach(one => { one.open = true })"
ROLES = {"anonymous": None, "owner": OWNER, "viewer": VIEWER, "staff": STAFF}
Looks = tuple[tuple[dict[str, int], str], ...]
LOOKS: Looks = ((DESK, "light"), (PHONE, "dark"))
# Who sees a console's pages at their fullest. Of each page one look is examined for these, by its address and so always
# the same, and both where there is time (`make test-deep`), when axe looks at contrast too; for others it is the first.
AT_HOME = {Console.PORTAL: OWNER, Console.GOVERNANCE: STAFF}

# Of the pages that people see at home so many are loaded by their address, again always the same, and otherwise all.
LOADED_ONE_IN = 3  # not even, since looks are chosen alike


def _routes(console: Console | None = None) -> list[str]:
    chosen = [route for route, one in PAGES.items() if console is None or one.console is console]
    return sorted(NOWHERE if route == "404" else route for route in chosen)


def _console_of(route: str) -> Console:
    return PAGES["404" if route == NOWHERE else route].console


FIVE = Money(500, "EUR")


async def _billed(product: Product) -> dict[str, str]:
    """The invoice of the demo's first organisation, its journal, an account that this moves, a plan, a subscription
    to one, a payment on account, a link to pay by, a template, and a legal entity."""
    async with inside(product), unit_of_work(system(product.demo["organization"])) as uow:
        found = await uow.execute(
            "select i.id, i.journal_id, e.account_id from invoice i join ledger_entry e on e.journal_id = i.journal_id"
            " where i.number is not null order by i.created_at, i.id, e.line limit 1"
        )
        row = found.one()
        plan = await uow.execute("select id from plan order by slug limit 1")
        sold = await uow.execute("select id from plan where slug = 'team'")
        wanted = Wanted(sold.scalar_one(), "EUR", "month")
        subscription = await subscriptions.start(
            uow, wanted, key="every-page"
        )  # with a trial: nothing is billed
        payment = await transfers.record(uow, money=Money(500, "EUR"), key="every-page")
        path = await links.link_for(uow, await billing.invoice(uow, row.id))
    async with inside(product), crossing(Reason.INVARIANTS) as uow:
        template = await uow.execute("select id from template_version order by id limit 1")
        migration = await _migration(uow, subscription, product.demo["organization"])
        dispute = await _dispute(uow, payment)
        reminded_of = await _dunning(uow, row.id, product.demo["organization"])
        entity = await uow.execute("select id from legal_entity order by code limit 1")
        compared = await _compared(uow, payment)
    return {
        "[subscription_id]": subscription.id,
        "[invoice_id]": row.id,
        "[journal_id]": row.journal_id,
        "[ledger_account_id]": row.account_id,
        "[plan_id]": plan.scalar_one(),
        "[template_id]": template.scalar_one(),
        "[migration_id]": migration,
        "[payment_id]": payment.id,
        "[dispute_id]": dispute,
        "[dunning_case_id]": reminded_of,
        "[token]": path.rsplit("/", 1)[-1],
        "[legal_entity_id]": entity.scalar_one(),
        **compared,
    }


async def _dispute(uow: UnitOfWork, of: Payment) -> str:
    """One of a payment, through an account that is switched off; its id. Made once."""
    known = await uow.execute("select id from dispute where provider_ref = 'every-page'")
    if (there := known.scalar_one_or_none()) is not None:
        return there
    through = account(new_id("pacc"), "Every dispute")
    through.enabled = False
    uow.add(through)
    await uow.session.flush()
    dispute = Dispute(
        id=new_id("dsp"),
        organization_id=of.organization_id,
        payment_id=of.id,
        provider_account_id=through.id,
        provider_ref="every-page",
        state="needs_answer",
        reason="fraudulent",
        currency=of.currency,
        minor=of.minor,
        fee_currency=of.currency,
        opened_at=of.created_at,
        created_at=of.created_at,
    )
    uow.add(dispute)
    return dispute.id


async def _dunning(uow: UnitOfWork, invoice_id: str, organization_id: str) -> str:
    """A case that has taken a step and was skipped, of a campaign that is switched off; its id. Made once."""
    known = await uow.execute("select c.id from dunning_case c where c.invoice_id = :id", id=invoice_id)
    if (there := known.scalars().first()) is not None:
        return there
    by = campaign(new_id("dcmp"), "Every page")
    uow.add(by)
    await uow.session.flush()
    case, step, *_ = reminded(organization_id, by.id, invoice_id)
    assert isinstance(case, DunningCase)
    case.state, case.outcome, case.ended_at = "ended", "skipped", case.created_at
    for made in (case, step):
        uow.add(made)
        await uow.session.flush()
    return case.id


async def _compared(uow: UnitOfWork, about: Payment) -> dict[str, str]:
    """A case, a payout and a bank statement. Made once."""
    proposal = differences.book("", *(debit(Purpose.CASH, FIVE), credit(Purpose.SUSPENSE, FIVE)))
    named: Any = {"cause": "unknown_charge", "organization_id": about.organization_id, "amount": FIVE}
    if await cases.open_case(uow, CaseKind.DIFFERENCE, "every-page", proposal=proposal, **named):
        account = ProviderAccount(
            id=new_id("pacc"), provider="stripe", name="Every page", is_test=True, settings={}, secrets=b"",
            enabled=False, created_at=about.created_at,
        )  # fmt: skip
        payout = ProviderPayout(
            id=new_id("ppo"), provider_account_id=account.id, provider_ref="every-page", state="paid", currency="EUR",
            minor=500, traced=False, happened_at=about.created_at, arrives_at=about.created_at,
        )  # fmt: skip
        statement = BankStatement(
            id=new_id("bst"), name="every-page.xml", format="camt.053", sha256=b"every-page", lines=1, new_lines=0,
            imported_by="system", imported_at=about.created_at,
        )  # fmt: skip
        for row in (account, payout, statement):
            uow.add(row)
            await uow.session.flush()
    found = await uow.execute(
        "select (select id from payment_case where subject = 'every-page') as case_id,"
        " (select id from provider_payout where provider_ref = 'every-page') as payout_id,"
        " (select id from bank_statement where name = 'every-page.xml') as statement_id"
    )
    return {f"[{name}]": str(value) for name, value in found.mappings().one().items()}


async def _migration(uow: UnitOfWork, of: Subscription, organization_id: str) -> str:
    """One that is over and refused the subscription; its id. Made once."""
    known = await uow.execute("select id from plan_migration where key = 'every-page'")
    if (there := known.scalar_one_or_none()) is not None:
        return there
    named: Any = {"created_at": of.created_at, "created_by": None}
    task = Task(
        id=new_id("task"),
        organization_id=organization_id,
        asked_by=SYSTEM,
        kind="plan_migration",
        parameters={"title": "Team 1 to 2"},
        dedupe_key="every-page",
        state="done",
        done=1,
        total=1,
        due_at=of.created_at,
        created_at=of.created_at,
    )
    migration = PlanMigration(
        id=new_id("pmig"),
        key="every-page",
        plan_id=of.plan_id,
        from_version_id=of.plan_version_id,
        to_version_id=of.plan_version_id,
        behaviour="next_period",
        waiting_changes="keep",
        task_id=task.id,
        **named,
    )
    move = PlanMigrationMove(
        id=new_id("pmov"),
        migration_id=migration.id,
        subscription_id=of.id,
        state="refused",
        code="change_waits",
        reason="A change of this subscription waits already.",
        created_at=of.created_at,
    )
    for row in (task, migration, move):
        uow.add(row)
        await uow.session.flush()
    return migration.id


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def addresses(product: Product) -> dict[str, str]:
    """The address of each route; of those that name a row, of a row that exists."""
    answer = product.ask(
        "GET", "/api/v1/requests?limit=1", headers={"Authorization": f"Bearer {product.key}"}
    )
    rows = {
        "[request_id]": answer.json()["data"][0]["id"],
        "[organization_id]": product.demo["organization"],
        **await _billed(product),
    }
    found = {route: route for route in _routes()}
    for route in found:
        for name, row in rows.items():
            found[route] = found[route].replace(name, row)
    assert not [address for address in found.values() if "[" in address]
    return found


def _looks(person: Person | None, route: str, *, every: bool) -> Looks:
    if person is not AT_HOME.get(_console_of(route)):
        return LOOKS[:1]
    return LOOKS if every else (LOOKS[crc32(route.encode()) % len(LOOKS)],)


def _is_loaded(person: Person | None, route: str) -> bool:
    """Whether somebody like this comes by the page's address, and not from the page before, as one does mostly."""
    home = person is not None and person is AT_HOME.get(_console_of(route))
    return not home or crc32(route.encode()) % LOADED_ONE_IN == 0


@pytest.mark.parametrize(
    ("role", "every_look"),
    [
        ("anonymous", False),
        ("owner", False),
        ("staff", False),
        pytest.param("owner", True, marks=pytest.mark.deep),
        pytest.param("staff", True, marks=pytest.mark.deep),
        pytest.param("viewer", True, marks=pytest.mark.deep),  # who sees less of the same
    ],
)
async def test_every_page_is_sound(
    role: str, every_look: bool, visitors: Visitors, addresses: dict[str, str]
) -> None:
    person: Person | None = ROLES[role]
    page = await (visitors.tab(person) if person else visitors.page())
    faults = Faults()
    faults.listen(page)
    problems: list[str] = []
    for place, route in enumerate(_shown_to(person)):
        await page.set_viewport_size(DESK)  # pyright: ignore[reportArgumentType]
        if place == 0 or every_look or _is_loaded(person, route):
            await page.goto(addresses[route])
            await settled(page)
        else:
            await go_on(page, addresses[route])
        await page.evaluate(UNFOLD)
        looks = _looks(person, route, every=every_look)
        found = await _problems(page, looks, contrast=every_look)
        problems += [f"{role} at {route}: {one}" for one in found]
    assert not problems, "\n".join(problems)
    assert not faults.found, "\n".join(faults.found)


def _shown_to(person: Person | None) -> list[str]:
    """Without those that lead somebody like this on to another page. The gallery has tests of its own.

    Of the pages that all see alike one is enough: who may open none of a console is shown the same at each.
    """
    if person is None:
        return [route for route in _routes(Console.PUBLIC) if route != "/welcome"]
    if person is STAFF:  # who sees the portal's pages as their owner does
        return _routes(Console.GOVERNANCE)
    own = [*_routes(Console.PORTAL), *_routes(Console.ACCOUNT), _routes(Console.GOVERNANCE)[0]]
    return own if person is VIEWER else [*own, "/welcome", "/mailbox", NOWHERE]


async def _problems(page: Page, looks: Looks, *, contrast: bool) -> list[str]:
    found: list[str] = []
    if (headings := await page.locator("h1").count()) != 1:
        found.append(f"{headings} headings of the first level")
    for size, theme in LOOKS:
        found += await _too_wide(page, size)
        look = f"{size['width']} px, {theme}"
        await _theme(page, theme)
        found += await faint(page, look)
        if (size, theme) in looks:
            found += await violations(page, look, contrast=contrast)
    await _theme(page, "light")
    return found + await _too_wide(page, REFLOW)


async def _theme(page: Page, theme: Any) -> None:
    await page.emulate_media(color_scheme=theme)
    await expect(page.locator("html")).to_have_attribute("data-theme", theme)


async def _too_wide(page: Page, size: dict[str, int]) -> list[str]:
    await page.set_viewport_size(size)  # pyright: ignore[reportArgumentType]
    wider = await sideways(page)
    return [f"at {size['width']} px wide it scrolls sideways by {wider}"] if wider > 0 else []


def _first_of_each_kind(routes: list[str]) -> list[str]:
    """One route that names a row, and one that names none."""
    return list({"[" in route: route for route in reversed(routes)}.values())


@pytest.mark.parametrize("chosen", [_first_of_each_kind, pytest.param(list, marks=pytest.mark.deep)])
async def test_strangers_are_led_to_signing_in_and_back(
    chosen: Callable[[list[str]], list[str]], visitors: Visitors, addresses: dict[str, str]
) -> None:
    page = await visitors.page()
    for console in AT_HOME:
        for route in chosen(_routes(console)):
            await page.goto(addresses[route])
            await expect(page).to_have_url(f"/sign-in?next={quote(addresses[route], safe='')}")
            await expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


async def test_another_organisations_rows_look_like_nonsense(
    visitors: Visitors, addresses: dict[str, str]
) -> None:
    page = await visitors.page(OTHER_OWNER)
    seen: list[str] = []
    for address in (
        addresses["/portal/requests/[request_id]"],
        "/portal/requests/req_00000000000000000000000000",
    ):
        await page.goto(address)
        await settled(page)
        await expect(page.get_by_role("heading", name="Not found")).to_be_visible()
        seen.append(await page.locator("main").inner_text())
    assert seen[0] == seen[1]


async def test_a_row_shows_nothing_of_the_one_looked_at_before(visitors: Visitors) -> None:
    """While its own is still on the way: what the server says is kept back for as long as that is looked at."""
    page = await visitors.page(STAFF)
    held: list[str | bytes] = []
    holds = False

    def relay(ours: WebSocketRoute) -> None:
        theirs = ours.connect_to_server()

        def tell(message: str | bytes) -> None:
            held.append(message) if holds else ours.send(message)

        theirs.on_message(tell)
        release.append(lambda: [ours.send(one) for one in held])

    release: list[Callable[[], Any]] = []
    await page.route_web_socket(re.compile("/_event"), relay)
    await page.goto("/governance/plans")
    await settled(page)
    names = await page.get_by_role("table").get_by_role("link").all_inner_texts()
    heading, waits = page.get_by_role("heading", level=1), page.locator("main .skeleton")
    await page.get_by_role("link", name=names[0], exact=True).click()
    await expect(heading).to_have_text(names[0])
    await page.go_back()
    await expect(heading).to_have_text("Plans")
    await settled(page)

    holds = True
    await page.get_by_role("link", name=names[1], exact=True).click()
    await expect(heading).to_have_text("Plan")
    await expect(waits).to_be_attached()
    assert names[0] not in await page.locator("main").inner_text()

    holds = False
    release[-1]()
    await expect(heading).to_have_text(names[1])
    await expect(waits).to_have_count(0)
