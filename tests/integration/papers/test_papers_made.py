"""Papers of final documents: made once and for ever, whatever becomes of the worker, the press or the document."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pikepdf
import psycopg
import pytest
from psycopg import errors

from models.billing import Invoice
from models.money import Money
from models.papers import Form
from services.billing.discounts import Coupon, Redemption
from services.billing.lines import Debited, credit, debit, read_line
from services.billing.new_lines import item_line
from services.billing.proration import Ending
from services.core.actor import system
from services.core.crossing import Reason, crossing
from services.core.database import libpq_url
from services.documents import render
from services.documents.press import Press
from services.files.stores import FolderStore
from services.papers import queries, service, templates
from services.papers.designs import Design
from services.papers.keeping import PaperDamaged
from services.papers.service import ATTEMPTS_MAX, BACKOFF, LEASE, PaperIsThere, files_of
from services.wallets import wallets
from tests.documents import NO_FAULTS, en16931_faults, pdf_faults
from tests.integration.billing.shop import BUYER, MARCH, YEAR, Shop, line, open_shop
from tests.integration.billing.test_invoicing import NOTHING, RULER, TEAM
from tests.integration.papers.printing import Printer, hand_on
from tests.world import World


@pytest.fixture
async def shop(world: World) -> Shop:
    return await open_shop(world)


@pytest.fixture
async def press() -> AsyncIterator[Press]:
    made = Press()
    yield made
    await made.close()


@pytest.fixture
def printer(world: World, shop: Shop, press: Press, tmp_path: Path) -> Printer:
    return Printer(world.database, press, tmp_path)


class Killed(BaseException):
    """What `kill -9` looks like from inside: nothing after it is done."""


class DyingStore(FolderStore):
    """Its machine dies with the second file in it."""

    puts = 0

    async def put(self, file_id: str, source: Path, *, sha256: bytes) -> None:
        await super().put(file_id, source, sha256=sha256)
        self.puts += 1
        if self.puts == 2:
            raise Killed


class SlowStore(FolderStore):
    """Waits before each file until it is let go."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reached, self.go = asyncio.Event(), asyncio.Event()

    async def put(self, file_id: str, source: Path, *, sha256: bytes) -> None:
        self.reached.set()
        await self.go.wait()
        await super().put(file_id, source, sha256=sha256)


async def publish(shop: Shop, design: Design) -> str:
    async with crossing(Reason.STAFF, actor=system(), on=shop.world.database) as uow:
        draft = await templates.begin(uow, legal_entity_id=shop.entity.id)
        await templates.change(uow, draft.id, design, version=draft.version)
        await templates.publish(uow, draft.id)
    return draft.id


def attached(pdf: bytes) -> bytes:
    with pikepdf.open(io.BytesIO(pdf)) as document:
        return document.attachments["factur-x.xml"].get_file().read_bytes()


async def test_documents_get_their_files_after_they_are_final_and_keep_them_for_ever(
    shop: Shop, printer: Printer
) -> None:
    async with shop.work() as uow:  # what is open would take the credit that comes
        await wallets.grant(uow, money=Money(7_140, "EUR"), key="ahead")
    first = await shop.invoice(item_line("Team plan", debit(TEAM, RULER, RULER.period)))
    (row,) = await shop.lines(first)
    billed = Debited(
        row.id, read_line(row.facts), NOTHING, Money(6_000, "EUR"), Money(1_140, "EUR"), NOTHING, NOTHING
    )
    unused = credit(billed, datetime(2026, 3, 16, tzinfo=UTC), Ending.CHANGE)
    below = await shop.invoice(item_line("Unused time", unused, treatment=row.tax))
    draft = await shop.draft(line("33.335", "3", period=YEAR), line("119", inclusive=True), line("0.01", "7"))
    spring = Redemption("rd", Coupon("SPRING", Decimal("0.1")), MARCH)
    made = await shop.finalize(draft, redemptions=[spring])
    assert await printer.papers() == 0  # nothing of it happened in the finalising transaction
    note = await shop.credit(made, 1_000)
    assert made.paid_minor  # by what the document below zero left

    assert await printer.run() == 4

    paper = await printer.paper(made.id)
    pdf, ubl, html = [await printer.read(paper, form) for form in Form]
    assert (paper.state, paper.missing, paper.edition) == ("made", [], render.edition())
    assert pdf_faults(pdf) == NO_FAULTS
    assert (en16931_faults(ubl), en16931_faults(attached(pdf))) == (set(), set())
    due = (made.total_minor - made.paid_minor) / 100
    for said in (
        "Rechnung", "Acme AG", "DE1-2026-000003", "Rabatt SPRING", "33,335", "Verrechnetes Guthaben",
        f"{due:.2f}".replace(".", ",") + "\xa0€",
    ):  # fmt: skip
        assert said in html.decode(), said
    for one, words in ((note, "Rechnungskorrektur"), (below, "zu Ihren Gunsten"), (first, "Team plan")):
        other = await printer.paper(one.id)
        assert words in (await printer.read(other, Form.HTML)).decode()
        assert pdf_faults(await printer.read(other)) == NO_FAULTS
        assert en16931_faults(await printer.read(other, Form.UBL)) == set()

    await publish(shop, Design(accent="#aa0000"))
    await hand_on(printer.on)
    assert await printer.run() == 0
    assert await printer.paper(made.id) == paper
    async with await psycopg.AsyncConnection.connect(libpq_url(shop.world.database.url)) as connection:
        for change in ("edition = 'x'", "state = 'waiting', files = null, made_at = null"):
            await connection.execute("set role matrix_crossing")
            with pytest.raises(errors.RestrictViolation):
                await connection.execute(
                    f"update paper set {change} where document_id = '{made.id}'".encode()
                )
            await connection.rollback()


FOUR_SCRIPTS = ("Société Générale Ελλάς 未来株式会社 شركة الأفق " * 10)[:300].strip()


async def test_names_in_four_scripts_and_currencies_of_any_decimals_come_out_right(
    shop: Shop, printer: Printer
) -> None:
    made: list[tuple[Invoice, tuple[str, ...], bool]] = []
    for language, country, code, amount, shown, is_electronic in (
        ("ja", "FR", "JPY", "1234", ("請求書", "1,481"), True),
        ("ar", "FR", "KWD", "1.005", ("فاتورة", "1.206", 'dir="rtl"'), False),
        ("fr", "FR", "EUR", "1234.5", ("Facture", "1\u202f481,40"), True),
        ("en", "FR", "USD", "0.01", ("Invoice", "$0.01"), True),
    ):
        buyer = replace(BUYER, name=FOUR_SCRIPTS, language=language, country=country)
        await shop.new_customer(buyer)
        invoice = await shop.invoice(line(amount, currency=code), currency=code)
        made.append((invoice, shown, is_electronic))
    assert await printer.run() == len(made)

    for invoice, shown, is_electronic in made:
        paper = await printer.paper(invoice.id)
        pdf, view = await printer.read(paper), (await printer.read(paper, Form.HTML)).decode()
        for words in (*shown, FOUR_SCRIPTS):
            assert words in view, (invoice.currency, words)
        assert pdf_faults(pdf) == NO_FAULTS
        assert (Form.UBL in files_of(paper)) == is_electronic
        if is_electronic:
            assert en16931_faults(attached(pdf)) == set()
        else:
            assert "KWD has more" in paper.missing[0]


@pytest.mark.deep
async def test_five_thousand_lines_are_one_document_that_judges_accept(shop: Shop, printer: Printer) -> None:
    made = await shop.finalize(await shop.draft(*[line("0.07", "3")] * 5_000))
    assert await printer.run() == 1

    paper = await printer.paper(made.id)
    pdf = await printer.read(paper)
    assert pdf_faults(pdf) == NO_FAULTS
    assert (await printer.read(paper, Form.HTML)).count(b"Consulting") == 5_000
    # Tax of each line was rounded by itself: 0.04 of 0.0399, five thousand times.
    assert (made.net_minor, made.tax_minor) == (105_000, 20_000)
    assert paper.missing == []


async def test_a_worker_that_dies_leaves_its_document_to_the_next(shop: Shop, printer: Printer) -> None:
    made = await shop.invoice(line("10"))
    await hand_on(printer.on)
    with pytest.raises(Killed):
        await printer.maker(store=DyingStore(printer.folder / "files")).make_due(printer.on)
    before = printer.kept_names()

    assert await printer.run() == 0  # the dead one may still be at it
    printer.now += LEASE
    assert await printer.run() == 1

    kept = {one.file_id for one in files_of(await printer.paper(made.id)).values()}
    assert len(before) == 2
    assert before < kept == printer.kept_names()  # the same bytes have the same name
    assert printer.left_behind() == set()


async def test_made_twice_it_is_the_first_that_was_kept(shop: Shop, printer: Printer) -> None:
    made = await shop.invoice(line("10"))
    await hand_on(printer.on)
    slow = SlowStore(printer.folder / "files")
    late = asyncio.create_task(printer.maker(store=slow).make_due(printer.on))
    await slow.reached.wait()
    template_id = await publish(shop, Design(accent="#aa0000"))
    printer.now += LEASE
    assert await printer.run() == 1
    kept = await printer.paper(made.id)
    slow.go.set()
    assert await late == 1

    assert await printer.paper(made.id) == kept
    assert kept.template_version_id == template_id
    assert b"#aa0000" in await printer.read(kept, Form.HTML)
    # What the late one made is gone, but for what is the same in both: its UBL has no colour.
    assert printer.kept_names() == {one.file_id for one in files_of(kept).values()}


async def test_what_cannot_be_made_is_tried_again_then_parked_and_shown_with_its_reason(
    shop: Shop, printer: Printer
) -> None:
    made = await shop.invoice(line("10"))
    await hand_on(printer.on)
    hasty = Press(set_s_max=0.001)
    try:
        for attempt in range(ATTEMPTS_MAX):
            assert await printer.maker(press=hasty).make_due(printer.on) == 1
            paper = await printer.paper(made.id)
            assert (paper.attempts, "0.001 seconds" in paper.error) == (attempt + 1, True)
            printer.now += BACKOFF * 2**attempt
    finally:
        await hasty.close()
    assert paper.state == "parked"
    assert await printer.run() == 0
    async with crossing(Reason.STAFF, actor=system(), on=printer.on) as uow:
        with pytest.raises(queries.PaperIsParked):
            queries.kept_file(await queries.invoice_paper(uow, made.id, staff=True), Form.PDF)
        await service.retry(uow, made.id)

    printer.now += LEASE
    assert await printer.run() == 1
    assert (await printer.paper(made.id)).state == "made"
    async with crossing(Reason.STAFF, actor=system(), on=printer.on) as uow:
        with pytest.raises(PaperIsThere):
            await service.retry(uow, made.id)
        events = await uow.execute("select type from event where aggregate_id = :id order by id", id=made.id)
        assert list(events.scalars())[-3:] == ["paper.parked", "paper.retried", "paper.made"]


async def test_a_seller_without_a_tax_number_gets_a_document_that_says_why_no_machine_reads_it(
    world: World, press: Press, tmp_path: Path
) -> None:
    shop = await open_shop(world, tax_ids=())
    made = await shop.invoice(line("10"))
    printer = Printer(world.database, press, tmp_path)
    assert await printer.run() == 1
    paper = await printer.paper(made.id)
    assert paper.missing[0] == "The seller has no tax number."
    assert pdf_faults(await printer.read(paper)) == NO_FAULTS
    with pytest.raises(queries.NoElectronicInvoice, match="no tax number"):
        queries.kept_file(paper, Form.UBL)

    kept = files_of(paper)[Form.PDF]
    (there,) = printer.folder.glob(f"files/*/{kept.file_id}")
    there.write_bytes(
        there.read_bytes()[:-1] + b"x"
    )  # whatever did that, it is not handed out as the document
    with pytest.raises(PaperDamaged):
        await printer.read(paper)
