"""Billing: arithmetic of lines on one core, the preview of a change, and the first page of many invoices."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from models.money import Money
from models.types import BillingInterval, OrganizationKind, ProrationPolicy
from services.billing import entities, profiles, queries, taxation
from services.billing.lines import Debited, Terms, credit, debit
from services.billing.periods import Calendar, Span
from services.billing.profiles import ProfileFields
from services.billing.proration import Ending, Ruler
from services.catalog.charge_json import charge_from_json
from services.catalog.rating import rate
from services.core import crypto, listing_sql, migrations
from services.core import database as databases
from services.core.actor import system
from services.core.crossing import Reason, crossing
from services.core.listing_grammar import read
from services.core.work import unit_of_work
from services.demo.invoicing import RATE, SELLER
from services.demo.offers import publish_plans
from services.identity import accounts, organizations
from services.metering.service import ensure_platform_meters
from services.subscriptions import subscriptions
from services.subscriptions.arranging import Arrangement
from services.subscriptions.previewing import preview
from services.subscriptions.selecting import Wanted
from tests.bench.figures import Figure, Result, median_figure, percentile
from tests.bench.servers import postgres

NAME = "billing"
LINES, REPEATS = 10_000, 5
LINES_PER_S_MIN = 20_000
PREVIEWS = 120
PREVIEW_MS_MAX = 50
INVOICES = 100_000
PAGES = 100
PAGE_MS_MAX = 50
_TIERS = [
    {"up_to": "1000", "unit_amount": "0.02"},
    {"up_to": "100000", "unit_amount": "0.011"},
    {"up_to": None, "unit_amount": "0.0004"},
]
_FILL = """
insert into invoice (id, organization_id, legal_entity_id, brand_id, key, state, currency, memo, lines, next_position,
  number, series_brand, series_period, sequence, finalized_at, label_date, due_date,
  charged_minor, discount_minor, net_minor, tax_minor, total_minor, credited_minor, offset_minor, paid_minor,
  written_off_minor, due_minor, created_at, collect_until)
select 'inv_bench' || lpad(n::text, 8, '0'), :organization, b.legal_entity_id, b.id, 'bench-' || n, 'paid', 'EUR', '',
  0, 1, 'B-' || n, 'bench', '', n, :since, cast(:since as timestamptz)::date, cast(:since as timestamptz)::date,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, cast(:since as timestamptz) + n * interval '1 minute', :since
from brand b, generate_series(1, :many) n where b.legal_entity_id = :entity
"""


async def run() -> Result:
    arithmetic = (_rated_per_s(), _prorated_per_s())
    with postgres() as server:
        server.ensure_database(NAME)
        migrations.migrate(server.owner_url(NAME))
        crypto.install(crypto.file_vault(server.data_dir))
        on = databases.connect(server.app_url(NAME), pool_size=4)
        databases.install(on)
        try:
            organization = await _customer()
            shown = await _previews(organization)
            pages = await _pages(organization)
        finally:
            databases.install(None)
            await on.close()
    return Result(NAME, (*arithmetic, *shown, pages))


def _rated_per_s() -> Figure:
    """Graduated prices of three tiers."""
    charge = charge_from_json({"model": "graduated", "tiers": _TIERS})
    quantities = [Decimal(n * 37 % 250_000) for n in range(LINES)]
    found: list[float] = []
    for _ in range(REPEATS):
        began = time.process_time()
        for quantity in quantities:
            rate(charge, quantity)
        found.append(LINES / (time.process_time() - began))
    return median_figure(
        "usage rated on one core", found, "lines/s", goal=LINES_PER_S_MIN, more_is_better=True
    )


def _prorated_per_s() -> Figure:
    """Half of them debits of a rest of a month, half credits of it, by the second; with what is kept of each."""
    calendar = Calendar(datetime(2026, 1, 31, tzinfo=UTC), "Europe/Berlin", BillingInterval.MONTH)
    period = calendar.period(3)
    ruler = Ruler(ProrationPolicy.SECOND, calendar, period)
    terms = Terms("pchg_1", Decimal(7), Fraction("87.43"), "EUR", BillingInterval.MONTH)
    moments = [period.start + timedelta(seconds=n * 131 % 2_000_000) for n in range(LINES // 2)]
    nothing = Money(0, "EUR")
    found: list[float] = []
    for _ in range(REPEATS):
        began = time.process_time()
        for at in moments:
            line = debit(terms, ruler, Span(at, period.end))
            credit(Debited("1", line, nothing, line.amount, nothing, nothing, nothing), at, Ending.CHANGE)
        found.append(LINES / (time.process_time() - began))
    return median_figure(
        "debits and credits on one core", found, "lines/s", goal=LINES_PER_S_MIN, more_is_better=True
    )


async def _customer() -> str:
    async with crossing(Reason.DEMO) as uow:
        await ensure_platform_meters(uow)
        owner = await accounts.add_confirmed(
            uow, email="owner@bench.example", name="Owner", password_hash="!"
        )
        row = await organizations.found_organization(
            uow, owner_id=owner, kind=OrganizationKind.CLIENT, name="Measured", currency="EUR"
        )
    async with crossing(Reason.CATALOG) as uow:
        await entities.add_entity(uow, SELLER)
        await taxation.add_tax_rate(uow, RATE)
        await publish_plans(uow, {})
    async with unit_of_work(system(row.id)) as uow:
        await profiles.set_profile(uow, ProfileFields(name="Buyer", address="Street 1", country="DE"))
    return row.id


async def _previews(organization: str) -> tuple[Figure, Figure]:
    """Of a change from one plan to a dearer one with seats, and what the act itself takes."""
    async with unit_of_work(system(organization)) as uow:
        found = await uow.execute("select id from plan where slug in ('team', 'scale') order by slug desc")
        team, scale = found.scalars().all()
        one = await subscriptions.start(
            uow, Wanted(team, "EUR", "month"), key="bench", arranged=Arrangement(trial_days=0)
        )
    took: list[float] = []
    for seats in range(PREVIEWS):
        wanted = Wanted(scale, "EUR", "month", quantities={"seats": Decimal(2 + seats % 40)})
        began = time.perf_counter()
        async with unit_of_work(system(organization)) as uow:
            await preview(uow, lambda work, to=wanted: subscriptions.change(work, one.id, to))
        took.append((time.perf_counter() - began) * 1_000)
    began = time.perf_counter()
    async with unit_of_work(system(organization)) as uow:
        await subscriptions.change(uow, one.id, wanted)
    act = (time.perf_counter() - began) * 1_000
    return (
        Figure("preview of a change, p95", percentile(took, 95), "ms", goal=PREVIEW_MS_MAX),
        Figure("the change itself", act, "ms"),
    )


async def _pages(organization: str) -> Figure:
    """The newest fifty of an organisation's invoices."""
    async with crossing(Reason.DEMO) as uow:
        entity = (await uow.execute("select id from legal_entity")).scalar_one()
        await uow.execute(
            _FILL,
            organization=organization,
            entity=entity,
            many=INVOICES,
            since=datetime(2026, 1, 1, tzinfo=UTC),
        )
    took: list[float] = []
    for _ in range(PAGES):
        async with unit_of_work(system(organization)) as uow:
            began = time.perf_counter()
            shown = await listing_sql.page(uow, read(queries.INVOICES, []), limit=50)
            took.append((time.perf_counter() - began) * 1_000)
        if len(shown.rows) != 50:
            raise RuntimeError(f"The first page had {len(shown.rows)} rows, so this measures nothing.")
    return Figure(f"first page of {INVOICES:,} invoices, p95", percentile(took, 95), "ms", goal=PAGE_MS_MAX)
