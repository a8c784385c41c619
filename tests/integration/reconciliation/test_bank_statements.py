"""Bank statements as banks send them: each line once, matched with invoices and payouts, the rest to be looked at."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from models.billing import Invoice
from models.payments import ProviderAccount
from services.billing import entities
from services.core import listing_sql
from services.core.actor import Actor
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.errors import Invalid
from services.core.permissions import ROLE_CAPABILITIES, Role
from services.files import content
from services.files.rules import FileRefused, Kind
from services.identity import clocks
from services.payments.cashier import Cashier
from services.reconciliation import accepting, queries, statement_queries, statements
from services.reconciliation.bank_csv import Mapped
from services.reconciliation.bank_lines import FILE, ParsedLine, StatementRefused
from services.reconciliation.pulling import Puller
from services.reconciliation.queries import CaseRow
from services.reconciliation.statement_queries import LineRow, StatementRow
from services.reconciliation.statements import Doors
from tests.checks import MADE_BY_HAND, assert_invariants
from tests.integration.billing.shop import GERMAN as ENTITY
from tests.integration.billing.shop import MARCH, Shop, line, open_shop
from tests.world import World

HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08">'
    "<BkToCstmrStmt><Stmt><Acct><Id><IBAN>DE02120300000000202051</IBAN></Id></Acct>"
)
FOOT = "</Stmt></BkToCstmrStmt></Document>"


def entry(
    amount: str, reference: str, wrote: str = "", way: str = "CRDT", status: str = "BOOK", parts: str = ""
) -> str:
    details = parts or (
        f"<TxDtls><RltdPties><Dbtr><Pty><Nm>Acme AG</Nm></Pty></Dbtr></RltdPties>"
        f"<RmtInf><Ustrd>{wrote}</Ustrd></RmtInf></TxDtls>"
    )
    return (
        f'<Ntry><Amt Ccy="EUR">{amount}</Amt><CdtDbtInd>{way}</CdtDbtInd><Sts><Cd>{status}</Cd></Sts>'
        f"<BookgDt><Dt>2026-03-12</Dt></BookgDt><AcctSvcrRef>{reference}</AcctSvcrRef>"
        f"<NtryDtls>{details}</NtryDtls></Ntry>"
    )


def part(amount: str, wrote: str) -> str:
    return (
        f'<TxDtls><Amt Ccy="EUR">{amount}</Amt><CdtDbtInd>CRDT</CdtDbtInd>'
        f"<RmtInf><Ustrd>{wrote}</Ustrd></RmtInf></TxDtls>"
    )


@dataclass
class Desk:
    """Staff of the house that reads statements."""

    shop: Shop

    @property
    def clock(self) -> FixedClock:
        return FixedClock(self.shop.now + timedelta(days=3))

    @property
    def puller(self) -> Puller:
        """A moment later."""
        clock = FixedClock(self.clock.at + timedelta(seconds=1))
        return Puller(Cashier(public_url="http://shop.test", clock=clock), clock=clock)

    def within(self, organization_id: str | None) -> Any:
        actor = Actor("acc_staff", organization_id, ROLE_CAPABILITIES[Role.OPERATOR])
        return crossing(Reason.STAFF, actor=actor, clock=self.clock)

    def work(self) -> Any:
        return self.within(None)

    async def bring_in(
        self, raw: bytes, name: str = "march.xml", mapped: Mapped | None = None
    ) -> StatementRow:
        kind, lines = read(raw, name, mapped)
        async with self.work() as uow:
            statement_id = await statements.keep(
                uow, lines, name=name, kind=kind, sha256=hashlib.sha256(raw).digest()
            )
        await statements.match(Doors(self.work, self.within), self.puller, statement_id)
        async with self.work() as uow:
            return await statement_queries.statement(uow, statement_id)

    async def lines(self) -> dict[str, LineRow]:
        async with self.work() as uow:
            rows = await listing_sql.select(uow, statement_queries.LINES, limit=50)
        return {row.bank_ref: row for row in rows}

    async def found(self, name: str, value: str) -> set[str]:
        """The lines that a filter leaves."""
        async with self.work() as uow:
            rows = await listing_sql.select(uow, statement_queries.LINES, (name, value), limit=50)
        return {row.bank_ref for row in rows}

    async def cases(self) -> list[CaseRow]:
        async with self.work() as uow:
            return list(await listing_sql.select(uow, queries.CASES, ("state", "open"), limit=50))

    async def accept(self, case: CaseRow) -> None:
        async with self.within(case.organization_id) as uow:
            await accepting.accept(uow, case.id)


def read(raw: bytes, name: str, mapped: Mapped | None = None) -> tuple[Kind, list[ParsedLine]]:
    kind = content.checked(raw, name, FILE)
    return kind, statements.lines_of(raw, kind, mapped or Mapped())


@pytest.fixture
async def desk(world: World) -> Desk:
    return Desk(await open_shop(world))


async def _payout(desk: Desk, minor: int) -> None:
    async with crossing(Reason.PAYMENTS, clock=FixedClock(MARCH)) as uow:
        uow.add(
            ProviderAccount(
                id="pacc_of_the_desk", provider="stripe", name="Cards", is_test=True, settings={}, secrets=b"",
                created_at=MARCH,
            )
        )  # fmt: skip
        await uow.execute(
            "insert into provider_payout (id, provider_account_id, provider_ref, state, currency, minor, traced,"
            " failure, happened_at, arrives_at) values ('ppo_of_the_desk', 'pacc_of_the_desk', 'po_1', 'paid', 'EUR',"
            " :minor, true, '', :at, :at)",
            minor=minor,
            at=MARCH,
        )


async def _tried(shop: Shop, amount: str) -> None:
    """An invoice of somebody on a test clock."""
    real, staff = shop.customer, shop.world.actor(await shop.world.organization(name="House"), Role.OPERATOR)
    async with crossing(Reason.STAFF, actor=staff, clock=FixedClock(MARCH)) as uow:
        await entities.add_entity(uow, replace(ENTITY, code="TEST", is_test=True))
        await clocks.create_test_clock(uow, (await shop.new_customer()).id, name="Trial", shows=MARCH)
    await shop.invoice(line(amount))
    shop.customer = real


async def test_lines_are_kept_once_and_matched_with_invoices_and_payouts(desk: Desk) -> None:
    shop = desk.shop
    named, batched, nearly = [await shop.invoice(line(amount)) for amount in ("100", "50", "80")]
    await _payout(desk, 30_000)
    await _tried(shop, "79.83")  # of all the nearest to what R4 brings, and nobody owes it
    parts = part("59.50", f"{batched.number}, thanks") + part("1.00", "gift")
    raw = "".join(
        (
            HEAD,
            entry("119.00", "R1", f"Rechnung {named.number}."),
            entry("60.50", "R2", parts=parts),
            entry("300.00", "R3", "STRIPE PAYOUT"),
            entry("95.00", "R4", "For what you sent"),
            entry("12.50", "R5", "Account fee", way="DBIT"),
            entry("77.00", "R6", str(named.number), status="PDNG"),
            FOOT,
        )
    ).encode()

    first = await desk.bring_in(raw)
    again = await desk.bring_in(raw.replace(b"</Document>", b"</Document>\n"))

    assert (first.format, first.lines, first.new_lines, first.open) == ("camt.053", 6, 6, 3)
    assert (again.lines, again.new_lines) == (6, 0)
    assert {(await shop.read(one)).state for one in (named, batched)} == {"paid"}
    lines = await desk.lines()
    differ = {"R2.2", "R4", "R5"}
    assert {name: one.match for name, one in lines.items()} == {
        "R1": "matched", "R2.1": "matched", "R2.2": "differs", "R3": "matched", "R4": "differs", "R5": "differs",
    }  # fmt: skip
    assert lines["R3"].subject_id == "ppo_of_the_desk"
    assert await desk.found("subject_id", "ppo_of_the_desk") == {"R3"}
    assert await desk.found("subject_id[is_null]", "true") == differ
    for asked in (("match", "differs"), ("match[ne]", "matched"), ("match[in]", "differs,settled")):
        assert await desk.found(*asked) == differ
    assert await desk.found("account", lines["R1"].account) == set(lines)
    assert await desk.found("account[in]", "DE00") == await desk.found("match", "waiting") == set()
    assert (lines["R5"].minor, lines["R1"].counterparty) == (-1_250, "Acme AG")
    cases = {one.detail.rpartition(" ")[2]: one for one in await desk.cases()}
    assert (cases["R4"].cause, (cases["R4"].proposal or {})["invoice_id"]) == ("nothing_named", nearly.id)

    await asyncio.gather(*(desk.accept(cases[name]) for name in ("R4", "R5")))

    assert (await shop.read(nearly)).due_minor == 20
    assert [one.id for one in await desk.cases()] == [cases["R2.2"].id]
    await assert_invariants(shop.world.database, but=MADE_BY_HAND)

    kind, more = read("".join((HEAD, entry("5.00", "R7"), FOOT)).encode(), "april.xml")
    async with desk.work() as uow:
        await statements.keep(uow, more, name="april.xml", kind=kind, sha256=b"april")
    assert await desk.found("match", "waiting") == await desk.found("match[in]", "waiting") == {"R7"}
    assert await desk.found("match[ne]", "matched") == differ | {"R7"}  # two of them are settled
    assert "R7" not in await desk.found("match[ne]", "waiting")


ATTACKS = {
    "an entity of another file": b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>',
    "an entity of another host": b'<!DOCTYPE x [<!ENTITY % e SYSTEM "http://127.0.0.1:9/x"> %e;]>',
    "a bomb": b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>',
    "a type elsewhere": b'<!DOCTYPE Document SYSTEM "http://127.0.0.1:9/camt.dtd">',
}


@pytest.mark.parametrize("declared", ATTACKS.values(), ids=ATTACKS)
def test_a_file_that_declares_entities_is_refused_whole(declared: bytes) -> None:
    raw = HEAD.encode().replace(b"<Document", declared + b"<Document") + entry("1.00", "R", "&e;").encode()
    with pytest.raises((StatementRefused, FileRefused)):
        read(raw + FOOT.encode(), "march.xml")


@pytest.mark.parametrize(
    ("raw", "name", "says"),
    [
        (HEAD.encode(), "m.xml", "cannot be read"),
        (b"<html><body>x</body></html>", "m.xml", "SVG"),
        (b"<Document xmlns='urn:x'><Other/></Document>", "m.xml", "no CAMT.053"),
        ((HEAD + entry("1.005", "R") + FOOT).encode(), "m.xml", "Entry 1"),
        (b"MZ\x90\x00\x03", "m.csv", "not known"),
        (b"%PDF-1.4\n%%EOF", "m.pdf", "not taken here"),
        (b"Date,Amount,Currency,IBAN\n", "m.csv", "no booked line"),
    ],
)
def test_what_is_no_statement_is_refused_and_says_why(raw: bytes, name: str, says: str) -> None:
    with pytest.raises(Invalid, match=says):
        read(raw, name)


CSV = """Buchungstag;Auftraggeber;Verwendungszweck;Betrag;Währung
12.03.2026;Acme AG;{number};119,00;EUR
12.03.2026;Acme AG;twice;1.234,50;EUR
12.03.2026;Acme AG;twice;1.234,50;EUR
"""
GERMAN = Mapped(account="DE02", dates="day_first", decimal=",")


async def test_a_table_is_read_by_its_columns_and_bad_rows_are_named(desk: Desk) -> None:
    invoice: Invoice = await desk.shop.invoice(line("100"))
    raw = CSV.format(number=invoice.number).encode()

    found = await desk.bring_in(raw, "march.csv", GERMAN)

    assert (found.format, found.lines, found.new_lines, found.matched) == ("csv", 3, 3, 1)
    assert (await desk.shop.read(invoice)).state == "paid"
    assert sorted(one.minor for one in (await desk.lines()).values()) == [11_900, 123_450, 123_450]
    assert (await desk.bring_in(raw + b"\n", "april.csv", GERMAN)).new_lines == 0
    bad = raw + b"31.02.2026;x;y;1,00;EUR\n12.03.2026;x;y;one;EUR\n12.03.2026;x;y;1,00;XXZ\n12.03.2026;x\n"
    with pytest.raises(StatementRefused) as refused:
        statements.lines_of(bad, Kind.CSV, GERMAN)
    assert [f"Line {number}:" in refused.value.message for number in range(4, 9)] == [
        False,
        True,
        True,
        True,
        True,
    ]
    for mapped, field in (
        (Mapped(account="DE02", columns={"amount": "No such"}), "amount"),
        (Mapped(), "account"),
        (Mapped(account="DE02", dates="of_the_moon"), "dates"),
    ):
        with pytest.raises(Invalid) as misfit:
            statements.lines_of(raw, Kind.CSV, mapped)
        assert misfit.value.field == field
