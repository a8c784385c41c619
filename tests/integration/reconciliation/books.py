"""A till whose provider is read and compared with the books, and what is planted to make the two differ."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from models.ledger import JournalKind, Purpose
from models.money import Money
from models.payments import Payment
from services.core import listing_sql
from services.core.actor import Actor
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.permissions import ROLE_CAPABILITIES, Role
from services.ledger import service as ledger
from services.ledger.rules import Draft, credit, debit
from services.payments import methods
from services.payments.cashier import Opened
from services.payments.providers.base import PaymentProvider
from services.payments.providers.values import Customer, RefundOrder, SetupOrder
from services.reconciliation import accepting, payout_queries, queries
from services.reconciliation.matching import Counts, Matcher
from services.reconciliation.payout_queries import ClearingRow, PayoutRow
from services.reconciliation.pulling import Puller
from services.reconciliation.queries import CaseRow
from tests.fakes.paypal.running import RunningPayPal
from tests.fakes.stripe.running import RunningFake
from tests.integration.billing.shop import Shop, line
from tests.integration.payments.till import Till, open_paypal_till, open_till

DAY = timedelta(days=1)


@dataclass
class Books:
    """A till, and a clock on the wall that is the provider's."""

    till: Till
    fake: RunningFake

    @property
    def clock(self) -> FixedClock:
        return self.till.clock

    def work(self) -> Any:
        return crossing(Reason.PAYMENTS, clock=self.clock)

    def later(self, by: timedelta = timedelta(0)) -> None:
        """The provider's clock goes on, and ours with it."""
        if by:
            self.fake.act("advance", seconds=int(by.total_seconds()))
        self.clock.at = datetime.fromtimestamp(self.fake.state()["now"], UTC) + timedelta(seconds=2)

    async def provider(self) -> PaymentProvider:
        return await self.till.cashier.provider_of(self.till.account)

    async def pull(self) -> int:
        """Whatever is due, as if a day had passed since the last time."""
        async with self.work() as uow:
            await uow.execute("update provider_pull set due_at = :now", now=self.clock.at)
        return await Puller(self.till.cashier, clock=self.clock).pull_due()

    async def match(self) -> Counts:
        return await Matcher(clock=self.clock).match_all()

    async def kept(self) -> str:
        """A card of the customer, kept at the provider and here."""
        shop, provider = self.till.shop, await self.provider()
        customer = await provider.keep_customer(Customer("Acme", "", shop.customer.id), key=shop.customer.id)
        setup = await provider.setup(SetupOrder(f"{shop.customer.id}.setup", customer, "pm_card_visa"))
        assert setup.method is not None
        async with shop.work() as uow:
            await methods.keep_customer(uow, self.till.account.id, customer)
            return (await methods.keep(uow, self.till.account.id, setup.method)).id

    async def give_back(self, payment: Payment, minor: int, key: str) -> None:
        """A refund at the provider, and what it comes to in our book."""
        money = Money(minor, payment.currency)
        assert payment.provider_ref is not None
        await (await self.provider()).refund(RefundOrder(key, payment.provider_ref, money))
        await self.book(payment, JournalKind.REFUND, -money, key)

    async def book(self, payment: Payment, kind: JournalKind, money: Money, cause: str) -> None:
        """What a refund or dispute that is followed here books on clearing."""
        async with self.work() as uow:
            await ledger.post(
                uow,
                Draft(
                    payment.organization_id,
                    key=f"{kind.value}:{cause}",
                    kind=kind,
                    cause_id=cause,
                    entries=(debit(Purpose.CLEARING, money), credit(Purpose.CUSTOMER_CREDIT, money)),
                ),
            )

    async def cases(self, state: str = "open") -> list[CaseRow]:
        async with self.work() as uow:
            return list(await listing_sql.select(uow, queries.CASES, ("state", state), limit=50))

    async def accept(self, case: CaseRow) -> None:
        async with self.staff_work(case.organization_id) as uow:
            await accepting.accept(uow, case.id)

    def staff_work(self, organization_id: str | None = None) -> Any:
        actor = Actor("acc_staff", organization_id, ROLE_CAPABILITIES[Role.OPERATOR])
        return crossing(Reason.STAFF, actor=actor, clock=self.clock)

    def tell(self, provider: Any) -> None:
        """Have the cashier ask that one from now on."""
        account = self.till.account
        opened = Opened(account.id, account.version, provider)
        self.till.cashier._open[account.id] = opened  # pyright: ignore[reportPrivateUsage]

    async def clearing(self) -> dict[str, ClearingRow]:
        async with self.work() as uow:
            return {row.currency: row for row in await payout_queries.clearing(uow)}

    async def payouts(self) -> list[PayoutRow]:
        async with self.work() as uow:
            return list(await listing_sql.select(uow, payout_queries.PAYOUTS, limit=50))

    async def platform(self) -> dict[str, int]:
        """Balances of the platform's own book, debits above zero."""
        async with self.work() as uow:
            rows = await uow.execute(
                "select a.purpose, sum(e.minor) as minor from ledger_entry e join ledger_account a"
                " on a.id = e.account_id where a.organization_id is null group by a.purpose"
            )
            return {row.purpose: int(row.minor) for row in rows if row.minor}

    async def count(self, table: str) -> int:
        async with self.work() as uow:
            return (await uow.execute(f"select count(*) from {table}")).scalar_one()

    async def paid(self, amount: str = "100", method: str | None = None) -> Payment:
        invoice = await self.till.shop.invoice(line(amount))
        payment = await self.till.pay(invoice, method_id=method or await self.kept())
        assert payment.state == "succeeded"
        return payment


@asynccontextmanager
async def open_books(shop: Shop, fake: RunningFake) -> AsyncIterator[Books]:
    opened = open_paypal_till(shop, fake) if isinstance(fake, RunningPayPal) else open_till(shop, fake)
    async with opened as till:
        books = Books(till, fake)
        books.later(3 * DAY)
        async with books.work() as uow:  # followed from now on, whatever other tests did there
            await uow.execute(
                "insert into provider_pull (provider_account_id, since, read_until, cursor, due_at)"
                " values (:id, :now, :now, '', :now)",
                id=till.account.id,
                now=books.clock.at - timedelta(seconds=2),
            )
        yield books
