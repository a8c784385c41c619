"""What statements of banks tell, found in our books to the cent, the one way of every provider."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest
import sqlalchemy as sa

from alembic import command
from models.money import Money
from models.payments import Payment
from models.refunds import RefundTo
from services.core import migrations
from services.core.crossing import Reason, crossing
from services.core.errors import Invalid
from services.payments import accounts, charging, transfers
from services.payments import queries as payments
from services.payments.accounts import AccountFields
from services.payments.charging import Wanted
from services.payments.providers import bank
from services.payments.providers.base import Opening
from services.payments.providers.values import MovementKind
from services.reconciliation import payout_queries
from services.reconciliation.matching import Matcher
from services.reconciliation.payout_queries import ClearingRow
from services.refunds import refunds
from services.refunds import rules as refund_rules
from tests.checks import MADE_BY_HAND, assert_invariants
from tests.integration.billing.shop import MARCH, line, open_shop
from tests.integration.reconciliation.test_bank_statements import FOOT, HEAD, Desk, _payout, entry
from tests.world import World

NUMBER = "DE02120300000000202051"


@pytest.fixture
async def desk(world: World) -> Desk:
    return Desk(await open_shop(world))


def file(*entries: str) -> bytes:
    return "".join((HEAD, *entries, FOOT)).encode()


async def by_hand(desk: Desk, minor: int, key: str) -> Payment:
    async with desk.within(desk.shop.customer.id) as uow:
        return await transfers.record(uow, money=Money(minor, "EUR"), key=key)


async def sent_back(desk: Desk, payment: Payment, minor: int, key: str = "back") -> None:
    async with desk.within(payment.organization_id) as uow:
        wanted = refunds.Wanted(payment.id, f"{key}-{minor}", "Agreed", to=RefundTo.SOURCE, amount=minor)
        refund = await refunds.start(uow, wanted, above={refund_rules.ANY_CURRENCY: 10_000})
        await refunds.record_sent(uow, refund.id)


async def clearing(desk: Desk) -> dict[str, ClearingRow]:
    async with desk.work() as uow:
        return {row.account: row for row in await payout_queries.clearing(uow)}


async def _payout_is_told(desk: Desk) -> None:
    """The provider's own movement of the payout, which books it."""
    async with crossing(Reason.PAYMENTS, clock=desk.clock) as uow:
        await uow.execute(
            "insert into provider_movement (id, provider_account_id, provider_ref, kind, category, currency,"
            " gross_minor, fee_minor, net_minor, source, payment_ref, key, match, happened_at, available_at, stored_at)"
            " values ('mvt_of_the_desk', 'pacc_of_the_desk', 'txn_1', 'payout', 'payout', 'EUR', -30000, 0, -30000,"
            " 'po_1', '', '', 'waiting', :at, :at, :at)",
            at=MARCH,
        )
    await Matcher(clock=desk.clock).match_all()


@pytest.mark.parametrize(
    "told_first", [True, False], ids=["the provider tells first", "the bank tells first"]
)
async def test_all_that_a_bank_tells_is_in_our_books(desk: Desk, told_first: bool) -> None:
    invoice = await desk.shop.invoice(line("100"))
    named, loose = await by_hand(desk, 5_000, "R2"), await by_hand(desk, 7_000, "as-staff-called-it")
    await sent_back(desk, named, 1_500)
    await _payout(desk, 30_000)
    if told_first:
        await _payout_is_told(desk)

    await desk.bring_in(
        file(
            entry("119.00", "R1", f"Invoice {invoice.number}"),
            entry("50.00", "R2", "for something"),
            entry("70.00", "R3", "on account"),
            entry("300.00", "R4", "STRIPE PAYOUT"),
            entry("15.00", "R5", "back", way="DBIT"),
        )
    )
    if not told_first:
        await _payout_is_told(desk)

    assert {ref: one.match for ref, one in (await desk.lines()).items()} == dict.fromkeys(
        ("R1", "R2", "R3", "R4", "R5"), "matched"
    )
    assert await desk.cases() == []
    held = await clearing(desk)
    ours = held[f"Bank {NUMBER}"]
    assert (ours.provider_minor, ours.difference_minor) == (11_900 + 5_000 + 7_000 + 30_000 - 1_500, 0)
    assert held["Cards"].difference_minor == 0
    async with desk.within(desk.shop.customer.id) as uow:
        for payment, ref in ((named, "R2"), (loose, "R3")):
            row = (await payments.payment(uow, payment.id, staff=True)).payment
            assert (row.account, row.state) == (f"Bank {NUMBER}", "succeeded"), ref
    await assert_invariants(desk.shop.world.database, but=MADE_BY_HAND)


async def test_what_fits_two_things_is_left_to_staff_and_the_bank_is_the_account(desk: Desk) -> None:
    for key in ("one", "two"):
        await by_hand(desk, 5_000, key)

    await desk.bring_in(file(entry("50.00", "R1", "for something"), entry("12.50", "R2", way="DBIT")))

    cases = {one.cause: one for one in await desk.cases()}
    assert set(cases) == {"nothing_named", "went_out"}
    assert cases["went_out"].accepting == (
        "Books in the platform's own book: credit cash 12.50\u00a0EUR, debit suspense 12.50\u00a0EUR."
    )
    for case in cases.values():
        await desk.accept(case)
    held = (await clearing(desk))[f"Bank {NUMBER}"]
    assert (held.provider_minor, held.difference_minor, held.open_cases) == (5_000 - 1_250, 0, 0)


async def test_two_transfers_back_of_one_amount_are_told_apart_where_that_matters(desk: Desk) -> None:
    payment = await by_hand(desk, 5_000, "R1")
    for key in ("once", "twice"):
        await sent_back(desk, payment, 1_500, key)
    back = [entry("15.00", name, "back", way="DBIT") for name in ("R2", "R3")]
    await desk.bring_in(file(entry("50.00", "R1"), *back))

    assert {one.match for one in (await desk.lines()).values()} == {"matched"}
    assert (await desk.cases(), (await clearing(desk))[f"Bank {NUMBER}"].difference_minor) == ([], 0)

    await desk.shop.new_customer(name="Another")
    other = await by_hand(desk, 6_000, "R4")
    await sent_back(desk, payment, 700)
    await sent_back(desk, other, 700)
    await desk.bring_in(
        file(entry("60.00", "R4"), *(entry("7.00", name, way="DBIT") for name in ("R5", "R6")))
    )
    assert [one.cause for one in await desk.cases()] == ["went_out", "went_out"]  # nobody knows whose each is


async def test_lines_are_told_once_as_movements_page_by_page(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bank, "MOVEMENTS_A_PAGE", 2)
    begin = desk.clock.at
    await desk.bring_in(
        file(*(entry(f"{n}.00", f"R{n}") for n in (1, 2, 3)), entry("4.00", "R4", way="DBIT"))
    )
    async with desk.work() as uow:
        found = await uow.execute("select id from provider_account where provider = 'bank'")
        account_id = found.scalar_one()
    provider = bank.BankProvider(Opening(account_id, {}, {}, (), partial(crossing, Reason.PAYMENTS)))

    for _ in range(2):
        moved, cursor = [], ""
        while True:
            page = await provider.movements(since=begin, until=begin + timedelta(seconds=1), cursor=cursor)
            moved += page.items
            if not (cursor := page.cursor):
                break
        assert sorted((one.payment, one.kind, one.net.minor) for one in moved) == [
            ("", MovementKind.OTHER, -400), ("R1", MovementKind.CHARGE, 100), ("R2", MovementKind.CHARGE, 200),
            ("R3", MovementKind.CHARGE, 300),
        ]  # fmt: skip
    later = begin + timedelta(seconds=1)
    assert (await provider.movements(since=later, until=later + timedelta(days=1))).items == ()


async def test_an_account_that_staff_added_is_the_one_and_no_customer_pays_there(desk: Desk) -> None:
    async with desk.work() as uow:
        for wrong in ("DE02 1203", "de02", "D" * 41):
            with pytest.raises(Invalid):
                await accounts.add_account(uow, AccountFields("bank", "Ours", settings={"number": wrong}))
        added = await accounts.add_account(uow, AccountFields("bank", "Ours", settings={"number": NUMBER}))
    spaced = HEAD.replace(NUMBER, "DE02 1203 0000 0000 2020 51")
    await desk.bring_in((spaced + entry("1.00", "R1") + FOOT).encode())

    assert {row.account for row in (await desk.lines()).values()} == {NUMBER}
    invoice = await desk.shop.invoice(line("100"))
    async with desk.shop.work() as uow:
        assert await payments.ways(uow) == []
        with pytest.raises(Invalid, match="Nobody is asked"):
            await charging.start(uow, Wanted(invoice.id, added.id, key="k"))


async def test_lines_from_before_banks_were_providers_are_found_again(desk: Desk, owner_url: str) -> None:
    invoice = await desk.shop.invoice(line("100"))
    await desk.bring_in(
        file(
            entry("119.00", "R1", f"Invoice {invoice.number}"),
            entry("9.00", "R2"),
            entry("12.50", "R3", way="DBIT"),
        )
    )
    (went_out,) = [one for one in await desk.cases() if one.cause == "went_out"]
    await desk.accept(went_out)
    kept, held = await desk.lines(), await clearing(desk)
    await desk.shop.world.database.close()

    engine = sa.create_engine(owner_url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        command.downgrade(migrations.config(connection), "0010")
        left = _lines_left(connection)
        command.downgrade(migrations.config(connection), "0009")
        old = _lines_left(connection)
    migrations.migrate(owner_url)

    assert left == [("R1", NUMBER, "matched"), ("R2", NUMBER, "settled"), ("R3", NUMBER, "settled")]
    assert old == [("R1", NUMBER, "matched"), ("R2", NUMBER, "differs"), ("R3", NUMBER, "settled")]
    assert await desk.lines() == kept
    async with desk.work() as uow:
        of_the_account = await uow.execute(
            "select a.name, p.provider_ref, a.enabled from payment p"
            " join provider_account a on a.id = p.provider_account_id where p.provider = 'bank'"
        )
        assert [tuple(row) for row in of_the_account] == [(f"Bank {NUMBER}", "R1", False)]
    found = await clearing(desk)
    assert {name: (row.provider_minor, row.difference_minor) for name, row in found.items()} == {
        name: (row.provider_minor, row.difference_minor) for name, row in held.items()
    }
    for case in await desk.cases():
        await desk.accept(case)
    assert {one.match for one in (await desk.lines()).values()} == {"matched", "settled"}
    await desk.bring_in(file(entry("119.00", "R9", "the same amount")))
    assert (await desk.lines())["R9"].match == "differs"  # the payment is that of R1
    async with desk.work() as uow:
        enabled = await uow.execute("select enabled from provider_account where provider = 'bank'")
        assert enabled.scalar_one()


def _lines_left(connection: sa.Connection) -> list[tuple[str, ...]]:
    """As versions saw them to which a line was no movement."""
    found = connection.execute(sa.text("select bank_ref, account, match from bank_line order by 1"))
    return [tuple(row) for row in found]
