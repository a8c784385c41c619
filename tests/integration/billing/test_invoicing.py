"""Invoices on their database: numbered once, exact to the cent, never changed, and booked as they say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import psycopg
import pytest
from psycopg import errors, sql

from models.money import Money
from models.types import BillingInterval, ProrationPolicy
from services.billing import customer_credits, entities, finalizing, invoices, queries, taxation
from services.billing.entities import NumbersBegun
from services.billing.finalizing import BillingProfileMissing
from services.billing.invoices import KeyMeansOther
from services.billing.issuers import LegalEntityMissing
from services.billing.lines import Debited, Terms, credit, debit, read_line
from services.billing.new_lines import item_line
from services.billing.numbering import Reset
from services.billing.periods import Calendar
from services.billing.proration import Ending, Ruler
from services.billing.series import SERIES
from services.billing.states import InvoiceStateConflict
from services.core import listing_sql
from services.core.actor import system
from services.core.crossing import Reason, crossing
from services.core.database import Database, libpq_url
from services.core.errors import Conflict, Invalid, MatrixError, NotFound, StaleVersion
from services.core.listing_grammar import read
from services.core.work import unit_of_work
from services.tax.rules import CheckedNumber, NumberState, RoundingLevel
from services.wallets import wallets
from tests.checks import MADE_BY_HAND, assert_invariants
from tests.integration.billing.shop import BUYER, GERMAN, MARCH, RATES, Shop, line, open_shop
from tests.world import World

_MONTHS = Calendar(datetime(2026, 3, 1, tzinfo=UTC), "UTC", BillingInterval.MONTH, 1)
RULER = Ruler(ProrationPolicy.DAY, _MONTHS, _MONTHS.period(0))
TEAM = Terms("prc_1", Decimal(2), Fraction(60), "EUR", BillingInterval.MONTH)
NOTHING = Money(0, "EUR")
YEAR = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))


@pytest.fixture
async def shop(world: World) -> Shop:
    return await open_shop(world)


async def test_a_draft_becomes_a_document_that_says_why_it_asks_for_what_it_does(shop: Shop) -> None:
    draft = await shop.draft(line("33.335", "3"), line("0.01"))
    assert (draft.state, draft.number, draft.collect_until) == ("draft", None, MARCH + timedelta(days=1))
    async with shop.work() as uow:
        before = await queries.explain(uow, draft, (await finalizing.lines_of(uow, draft))[0].id)
        assert (before.amount_minor, before.tax_minor, before.agrees) == (10_001, 0, True)

    made = await shop.finalize(draft)

    assert (made.state, made.number, str(made.label_date)) == ("finalized", "DE1-2026-000001", "2026-03-10")
    assert (made.net_minor, made.tax_minor, made.total_minor, made.due_minor) == (
        10_002,
        1_900,
        11_902,
        11_902,
    )
    assert made.seller is not None
    assert made.buyer is not None
    assert made.seller["tax_ids"] == [{"kind": "VAT", "number": "DE123456788"}]
    assert made.buyer["name"] == "Acme AG"
    assert await shop.balances() == {"receivable": 11_902, "revenue": 10_002, "tax_owed": 1_900}
    first, _ = await shop.lines(made)
    async with shop.work() as uow:
        told = await queries.explain(uow, made, first.id)
        events = await uow.execute("select type from event where aggregate_id = :id order by id", id=made.id)
    assert told.agrees
    assert [(step.formula, step.amount) for step in told.steps] == [("3 × 33.335", "100.005")]
    assert [(tax.name, tax.rate, tax.source, tax.tax_minor) for tax in told.taxes] == [
        ("VAT", "0.19", "UStG", 1_900)
    ]
    assert list(events.scalars()) == ["invoice.drafted", "invoice.lines_added", "invoice.finalized"]

    for act in (finalizing.finalize, lambda u, i: invoices.remove_line(u, i, first.id)):
        async with shop.work() as uow:
            with pytest.raises(InvoiceStateConflict):
                await act(uow, made.id)
    assert await shop.read(made) == made
    await assert_invariants(but=MADE_BY_HAND)


async def test_the_same_key_is_the_same_document_and_the_same_line(shop: Shop) -> None:
    draft = await shop.draft(line("5", key="seat"), key="month-3")
    again = await shop.draft(line("5", key="seat"), line("7"), key="month-3")
    assert (again.id, [one.amount_minor for one in await shop.lines(draft)]) == (draft.id, [500, 700])
    for attempt in (
        shop.draft(line("6", key="seat"), key="month-3"),
        shop.draft(currency="USD", key="month-3"),
    ):
        with pytest.raises(KeyMeansOther):
            await attempt
    last = (await shop.lines(draft))[-1]
    async with shop.work() as uow:
        await invoices.remove_line(uow, draft.id, last.id)
    assert (await shop.finalize(draft)).net_minor == 500


async def test_notes_take_back_to_the_last_cent_and_no_further(shop: Shop) -> None:
    made = await shop.invoice(line("10.01"), line("0.05", "3"), line("99.99"))
    first, second, _ = await shop.lines(made)

    by_line = await shop.credit(made, lines={first.id: None, second.id: 5}, key="one")
    again = await shop.credit(made, lines={first.id: None, second.id: 5}, key="one")
    by_amount = await shop.credit(made, 3_333)
    assert (again.id, by_line.number, by_amount.number) == (
        by_line.id,
        "DE1-CN-2026-000001",
        "DE1-CN-2026-000002",
    )
    with pytest.raises(KeyMeansOther):
        await shop.credit(made, 5, key="one")
    left = (await shop.read(made)).due_minor
    with pytest.raises(Invalid) as refused:
        await shop.credit(made, left + 1)
    assert refused.value.error_code == "credit_exceeds_invoice"
    rest = await shop.credit(made)

    now = await shop.read(made)
    assert (now.state, now.credited_minor, now.due_minor) == ("paid", made.total_minor, 0)
    assert rest.total_minor == left
    assert sum(n.tax_minor for n in (by_line, by_amount, rest)) == made.tax_minor
    assert all(n.offset_minor == n.total_minor for n in (by_line, by_amount, rest))  # off what was due
    assert await shop.balances() == {}
    with pytest.raises(Invalid, match="Nothing of this invoice is left"):
        await shop.credit(made)
    await assert_invariants(but=MADE_BY_HAND)


async def test_what_a_document_below_zero_owes_pays_the_next_and_comes_back_when_that_is_void(
    shop: Shop,
) -> None:
    async with shop.work() as uow:
        await wallets.grant(uow, money=Money(7_140, "EUR"), key="ahead")
    first = await shop.invoice(item_line("Team plan", debit(TEAM, RULER, RULER.period)))
    (row,) = await shop.lines(first)
    billed = Debited(
        row.id, read_line(row.facts), NOTHING, Money(6_000, "EUR"), Money(1_140, "EUR"), NOTHING, NOTHING
    )
    unused = credit(billed, datetime(2026, 3, 16, tzinfo=UTC), Ending.CHANGE)
    below = await shop.invoice(item_line("Unused time", unused, treatment=row.tax))
    assert (below.state, below.net_minor, below.tax_minor, below.due_minor) == ("paid", -3_097, -588, 0)
    async with shop.work() as paying, shop.work() as meanwhile:
        assert await customer_credits.available(paying, first)
        free = await meanwhile.execute("select id from customer_credit for update skip locked")
        assert free.all() == []  # whoever looks what there is keeps others off it

    third = await shop.invoice(line("100"))
    assert (third.paid_minor, third.due_minor) == (3_685, 11_900 - 3_685)
    other = await shop.invoice(line("10"))
    async with shop.work() as uow:
        voided = await invoices.void(uow, third.id, reason="Wrong customer")
        again = await customer_credits.pay_by_credits(uow, other.id)
    assert (voided.state, voided.number, voided.due_minor) == ("void", "DE1-2026-000003", 0)
    assert (again.state, again.paid_minor) == ("paid", 1_190)
    note = await shop.credit(first, 7_140)
    assert (note.offset_minor, (await shop.read(first)).state) == (0, "paid")
    fourth = await shop.invoice(line("1"))
    assert (fourth.state, fourth.paid_minor, fourth.number) == ("paid", 119, "DE1-2026-000005")
    async with shop.work() as uow:
        with pytest.raises(InvoiceStateConflict):
            await invoices.void(uow, fourth.id, reason="It is paid")
    for one in (first, below):
        for each in await shop.lines(one):
            async with shop.work() as uow:
                told = await queries.explain(uow, one, each.id)
            assert told.agrees
            assert told.period_end == RULER.period.end
    assert told.steps[0].formula == "-60 × 16 / 31 ≤ 60.00"
    await shop.earn(until=YEAR[1])
    await assert_invariants(but=MADE_BY_HAND)


async def test_what_is_given_up_is_written_off_and_what_is_void_was_never_owed(shop: Shop) -> None:
    lost, wrong = await shop.invoice(line("100")), await shop.invoice(line("7", period=YEAR))
    async with shop.work() as uow:
        await invoices.mark_uncollectible(uow, lost.id)
    await shop.earn(until=MARCH)
    async with shop.work() as uow:
        await invoices.void(uow, wrong.id, reason="Typed twice")

    assert await shop.balances() == {"revenue": 10_000, "tax_owed": 1_900, "write_offs": 11_900}
    for act in (invoices.mark_uncollectible, lambda u, i: invoices.void(u, i, reason="x")):
        for one in (lost, wrong):
            async with shop.work() as uow:
                with pytest.raises(InvoiceStateConflict):
                    await act(uow, one.id)
    with pytest.raises(InvoiceStateConflict):
        await shop.credit(lost)
    await assert_invariants(but=MADE_BY_HAND)


async def test_revenue_is_deferred_over_the_service_period_and_taken_back_from_what_is_left(
    shop: Shop,
) -> None:
    made = await shop.invoice(line("365", period=YEAR), line("1"))
    assert await shop.balances() == {
        "receivable": 43_554, "revenue": 100, "deferred_revenue": 36_500, "tax_owed": 6_954,
    }  # fmt: skip
    shop.now = YEAR[0] + timedelta(days=73)
    await shop.earn(until=shop.now)
    first, _ = await shop.lines(made)
    await shop.credit(made, lines={first.id: None})
    await shop.earn(until=YEAR[1])

    assert await shop.balances() == {"receivable": 119, "revenue": 100, "tax_owed": 19}
    await assert_invariants(but=MADE_BY_HAND)


async def test_buyers_elsewhere_are_taxed_as_their_evidence_says(shop: Shop) -> None:
    number = CheckedNumber("AT", "ATU12345675", NumberState.VALID, MARCH, "VIES", "WAPIAAAA")
    cases = [
        (replace(BUYER, country="FR"), 2_000, ["S"]),
        (replace(BUYER, country="AT", tax_number=number), 0, ["AE"]),
        (replace(BUYER, country="US"), 0, ["O"]),
    ]
    for profile, tax, categories in cases:
        await shop.new_customer(profile)
        made = await shop.invoice(line("100"))
        assert (made.tax_minor, [one["category"] for one in made.taxes or []]) == (tax, categories)
        (row,) = await shop.lines(made)
        async with shop.work() as uow:
            assert (await queries.explain(uow, made, row.id)).agrees
        reasons = [one.tax["reason_code"] for one in await shop.lines(made) if one.tax]
    assert reasons == ["VATEX-EU-O"]


async def test_sixteen_who_finalise_at_once_leave_no_gap_and_no_double(shop: Shop) -> None:
    """Every third fails after its number was drawn, and is tried again by nobody."""
    drafts = [await shop.draft(line("1"), line("2")) for _ in range(16)]

    async def finaliser(place: int) -> str | None:
        try:
            async with shop.work() as uow:
                made = await finalizing.finalize(uow, drafts[place].id)
                if place % 3 == 0:
                    raise Conflict("Struck by lightning.")
                return made.number
        except Conflict:
            return None

    numbers = [one for one in await asyncio.gather(*map(finaliser, range(16))) if one]

    assert sorted(numbers) == [f"DE1-2026-{n:06}" for n in range(1, 11)]
    assert [(await shop.read(one)).state for one in drafts[::3]] == ["draft"] * 6
    notes = await asyncio.gather(*(shop.credit(one, 1) for one in drafts if drafts.index(one) % 3))
    assert sorted(note.sequence for note in notes) == list(range(1, 11))
    async with crossing(Reason.STAFF, actor=system()) as uow:
        report = await listing_sql.select(uow, SERIES)
    assert [(one.series, one.last, one.issued, one.has_no_gap) for one in report] == [
        ("credit_note", 10, 10, True),
        ("invoice", 10, 10, True),
    ]
    await assert_invariants(but=MADE_BY_HAND)


async def test_two_who_credit_at_once_never_take_back_more_than_there_was(shop: Shop) -> None:
    made = await shop.invoice(line("100"))
    results = await asyncio.gather(*(shop.credit(made, 5_000) for _ in range(4)), return_exceptions=True)
    assert sorted(isinstance(one, Invalid) for one in results) == [False, False, True, True]
    assert (await shop.read(made)).credited_minor == 10_000


ATTEMPTS: list[tuple[str, Callable[[Shop], Coroutine[Any, Any, Any]], str]] = [
    ("negative quantity", lambda s: s.draft(line("1", "-1")), "quantity"),
    ("quantity of 10^12 that costs too much", lambda s: s.draft(line("2", str(10**12))), ""),
    ("price of 15 decimals", lambda s: s.draft(line("0.123456789012345")), "unit_amount"),
    ("another currency", lambda s: s.draft(line("1", currency="USD")), "lines.0.currency"),
    ("no currency there is", lambda s: s.draft(currency="ABC"), "currency"),
    ("end before start", lambda s: s.draft(line("1", period=YEAR[::-1])), "lines.0.period_end"),
    ("5,001 lines", lambda s: s.draft(*[line("1")] * 5_001), "lines"),
    ("no lines", lambda s: s.invoice(), "lines"),
]  # fmt: skip


async def test_bad_input_is_refused_by_name_and_leaves_nothing_behind(shop: Shop) -> None:
    for name, attempt, field in ATTEMPTS:
        with pytest.raises(Invalid) as refused:
            await attempt(shop)
        assert refused.value.field == field or not field, name
    async with crossing(Reason.INVARIANTS) as uow:
        left = await uow.execute(
            "select (select count(*) from invoice_line), (select count(*) from number_series)"
        )
        assert tuple(left.one()) == (0, 0)
    nobody = await shop.world.organization(name="No profile")
    shop.customer = nobody
    with pytest.raises(BillingProfileMissing):
        await shop.invoice(line("1"))


async def test_what_is_large_or_written_in_four_scripts_is_right(shop: Shop) -> None:
    name = ("Ωmega Łódź Жук 株式会社" * 20)[:299] + "社"
    await shop.new_customer(replace(BUYER, name=name))
    made = await shop.invoice(line("0.01", str(10**12)))
    assert (made.net_minor, made.buyer and made.buyer["name"]) == (10**12, name)
    many = await shop.invoice(*[line("0.01")] * 5_000)
    assert (many.lines, many.net_minor) == (5_000, 5_000)
    with pytest.raises(Invalid):
        await shop.new_customer(replace(BUYER, name=name + "x"))


async def test_a_document_is_changed_by_nobody(shop: Shop, owner_url: str, database: Database) -> None:
    made = await shop.invoice(line("10"))
    note = await shop.credit(made, 100)
    statements: list[tuple[Any, type[errors.Error]]] = [
        (f"update invoice set total_minor = 1, net_minor = 1, tax_minor = 0 where id = '{made.id}'", errors.Error),
        (f"update invoice set buyer = '{{}}' where id = '{made.id}'", errors.RestrictViolation),
        (f"update invoice set state = 'draft' where id = '{made.id}'", errors.CheckViolation),
        ("update invoice_line set description = 'x'", errors.RestrictViolation),
        ("delete from invoice_line", errors.Error),
        ("insert into invoice_line select 'x' || id, organization_id, invoice_id, 'x', 9, origin, description, quantity"
         " from invoice_line", errors.Error),
        # A document may come whole, but not without its lines.
        ("insert into invoice select (jsonb_populate_record(i, jsonb_build_object('id', 'x', 'key', 'x', 'number', 'x',"
         " 'sequence', 99))).* from invoice i", errors.CheckViolation),
        (f"update credit_note set total_minor = 1 where id = '{note.id}'", errors.Error),
        ("delete from credit_note_line", errors.RestrictViolation),
        (f"update invoice set credited_minor = 5000 where id = '{made.id}'", errors.CheckViolation),
    ]  # fmt: skip
    for url, role in ((database.url, "matrix_app"), (database.url, "matrix_crossing"), (owner_url, None)):
        async with await psycopg.AsyncConnection.connect(libpq_url(url), autocommit=True) as connection:
            if role is not None:
                await connection.execute(sql.SQL("set role {}").format(sql.Identifier(role)))
                await connection.execute("select set_config('matrix.scope', %s, false)", (shop.customer.id,))
            for statement, refused in statements:
                with pytest.raises(errors.Error if role else refused):
                    await connection.execute(statement)
    assert (await shop.read(made)).total_minor == made.total_minor


async def test_another_tenant_finds_nothing_of_it(shop: Shop) -> None:
    made = await shop.invoice(line("10"))
    await shop.new_customer(name="Stranger")
    for act in (finalizing.finalize, queries.invoice, invoices.mark_uncollectible):
        async with shop.work() as uow:
            with pytest.raises(NotFound):
                await act(uow, made.id)
    with pytest.raises(NotFound):
        await shop.credit(made)


async def test_trials_take_no_number_of_a_real_series(shop: Shop) -> None:
    async with crossing(Reason.STAFF, actor=system()) as uow:
        await uow.execute("insert into test_clock values ('clk_1', 'Trial', :now, false, :now)", now=MARCH)
        await uow.execute(
            "update organization set test_clock_id = 'clk_1' where id = :id", id=shop.customer.id
        )
    with pytest.raises(LegalEntityMissing):
        await shop.draft()
    async with crossing(Reason.STAFF, actor=system()) as uow:
        await entities.add_entity(uow, replace(GERMAN, code="TEST", is_test=True))
    assert (await shop.invoice(line("1"))).number == "TEST-2026-000001"
    async with shop.work() as uow:
        with pytest.raises(Invalid):
            await invoices.create_draft(uow, key="real", legal_entity_id=shop.entity.id)
    await shop.new_customer(name="Real")
    assert (await shop.invoice(line("1"))).number == "DE1-2026-000001"


async def test_an_entity_keeps_what_its_numbers_are_made_by(shop: Shop) -> None:
    async with crossing(Reason.STAFF, actor=system()) as uow:
        monthly = replace(
            GERMAN,
            invoice_pattern="{entity}-{year}-{month}-{seq:3}",
            invoice_reset=Reset.MONTHLY,
            zero_documents=entities.ZeroDocuments.DROP,
            tax_rounding=RoundingLevel.DOCUMENT,
        )
        await entities.change_entity(uow, shop.entity.id, monthly, version=1)
    assert (await shop.invoice(line("0.03"), line("0.03"), line("0.03"))).tax_minor == 2
    shop.now = datetime(2026, 3, 31, 22, 30, tzinfo=UTC)  # April in Berlin
    made = await shop.invoice(line("1"))
    assert (made.number, str(made.label_date)) == ("DE1-2026-04-001", "2026-04-01")
    (row,) = await shop.lines(made)
    async with shop.work() as uow:
        assert (await queries.explain(uow, made, row.id)).agrees
    nothing = await shop.invoice(line("0"))
    assert (nothing.state, nothing.number) == ("void", None)

    async def change(version: int, **changed: Any) -> None:
        async with crossing(Reason.STAFF, actor=system()) as uow:
            await entities.change_entity(uow, shop.entity.id, replace(monthly, **changed), version=version)

    with pytest.raises(StaleVersion):
        await change(1, name="Other")
    with pytest.raises(NumbersBegun):
        await change(2, invoice_pattern="{entity}-{seq}", invoice_reset=Reset.NEVER)
    await change(2, name="Matrix SE")
    assert (await shop.read(made)).seller == made.seller
    bad: list[dict[str, Any]] = [
        {"note_pattern": monthly.invoice_pattern, "note_reset": Reset.MONTHLY},
        {"country": "Germany"},
        {"timezone": "Mars"},
        {"address": " \n "},
        {"grace_hours": -1},
        {"registrations": ("germany",)},
    ]
    for changed in bad:
        with pytest.raises(Invalid):
            await change(3, **changed)


async def test_a_tax_has_one_rate_a_day(shop: Shop) -> None:
    async with crossing(Reason.STAFF, actor=system()) as uow:
        later = replace(RATES[0], rate=Decimal("0.21"), valid_from=date(2026, 4, 1))
        await taxation.add_tax_rate(uow, later)
        with pytest.raises(MatrixError):
            await taxation.add_tax_rate(uow, replace(later, valid_from=date(2026, 3, 1)))
    assert (await shop.invoice(line("1"))).tax_minor == 19
    shop.now = datetime(2026, 4, 2, tzinfo=UTC)
    assert (await shop.invoice(line("1"))).tax_minor == 21


async def test_the_first_page_of_many_invoices_is_read_from_its_index(shop: Shop, owner_url: str) -> None:
    async with crossing(Reason.DEMO) as uow:
        await uow.execute(
            "insert into invoice (id, organization_id, legal_entity_id, brand_id, key, state, currency, memo, lines,"
            " next_position, number, sequence, series_brand, series_period, charged_minor, discount_minor, net_minor,"
            " tax_minor, total_minor, credited_minor, offset_minor, paid_minor, written_off_minor, due_minor,"
            " created_at, collect_until, finalized_at)"
            " select 'inv_' || n, :o, b.legal_entity_id, b.id, 'k' || n, 'finalized', 'EUR', '', 0, 1, 'N' || n, n, '',"
            " '2026', 0, 0, 0, 0,"
            " 0, 0, 0, 0, 0, 0, :now + n * interval '1 second', :now, :now from brand b, generate_series(1, 20000) n"
            " where b.legal_entity_id = :e",
            o=shop.customer.id, e=shop.entity.id, now=MARCH,
        )  # fmt: skip
    async with await psycopg.AsyncConnection.connect(libpq_url(owner_url), autocommit=True) as owner:
        await owner.execute("analyze invoice")
    async with unit_of_work(system(shop.customer.id)) as uow:
        plan = str(await listing_sql.plan(uow, read(queries.INVOICES, []), limit=50))
    assert "'Index Name': 'ix_invoice_organization_id'" in plan
    assert "'Sort Key': ['i.created_at" not in plan  # the rows come in their order
