"""A legal entity, rates and customers to bill, and the verbs at moments of one's choosing."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from typing import Any

from models.billing import CreditNote, Invoice, InvoiceLine, LegalEntity
from models.identity import Organization
from services.billing import entities, finalizing, invoices, notes, profiles, taxation
from services.billing.entities import EntityFields
from services.billing.new_lines import NewLine, manual_line
from services.billing.notes import Asked
from services.billing.profiles import ProfileFields
from services.core.actor import system
from services.core.clock import FixedClock
from services.core.crossing import Reason, crossing
from services.core.work import UnitOfWork, unit_of_work
from services.ledger import queries as ledger
from services.ledger import recognition
from services.tax.rules import Rate
from tests.world import World

MARCH = datetime(2026, 3, 10, 9, tzinfo=UTC)
GERMAN = EntityFields(
    code="DE1",
    name="Matrix GmbH",
    address="Hauptstr. 1\n10115 Berlin",
    country="DE",
    currency="EUR",
    timezone="Europe/Berlin",
    tax_ids=({"kind": "VAT", "number": "DE123456788"},),
    registrations=("DE", "FR"),
    reverse_charge_in=("AT",),
)
BUYER = ProfileFields(name="Acme AG", address="Ring 2\n80331 München", country="DE", language="de")
RATES = (
    Rate("DE", "VAT", Decimal("0.19"), "UStG", "2026", date(2020, 1, 1)),
    Rate("FR", "TVA", Decimal("0.2"), "CGI", "2026", date(2020, 1, 1)),
)


YEAR = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))


class Shop:
    """Bills `customer` at `now`, each act in a transaction of its own."""

    def __init__(self, world: World, entity: LegalEntity) -> None:
        self.world = world
        self.entity = entity
        self.now = MARCH
        self.customer: Organization
        self._keys = count()

    def work(self) -> AbstractAsyncContextManager[UnitOfWork]:
        return unit_of_work(system(self.customer.id), clock=FixedClock(self.now))

    async def new_customer(self, profile: ProfileFields | None = BUYER, **named: Any) -> Organization:
        self.customer = await self.world.organization(**named)
        if profile is not None:
            async with self.work() as uow:
                await profiles.set_profile(uow, profile)
        return self.customer

    async def draft(self, *lines: NewLine, currency: str = "EUR", key: str = "") -> Invoice:
        async with self.work() as uow:
            made = await invoices.create_draft(uow, key=key or f"act-{next(self._keys)}", currency=currency)
            await invoices.add_lines(uow, made.id, lines)
        return made

    async def finalize(self, invoice: Invoice, **more: Any) -> Invoice:
        async with self.work() as uow:
            return await finalizing.finalize(uow, invoice.id, **more)

    async def invoice(self, *lines: NewLine, currency: str = "EUR") -> Invoice:
        return await self.finalize(await self.draft(*lines, currency=currency))

    async def credit(
        self, invoice: Invoice, amount: int | None = None, lines: dict[str, int | None] | None = None, key: str = ""
    ) -> CreditNote:  # fmt: skip
        async with self.work() as uow:
            return await notes.issue(
                uow,
                invoice.id,
                key=key or f"note-{next(self._keys)}",
                reason="Agreed",
                asked=Asked(amount, lines),
            )

    async def read(self, invoice: Invoice) -> Invoice:
        async with self.work() as uow:
            found = await uow.execute("select * from invoice where id = :id", id=invoice.id)
            return Invoice(**found.mappings().one())

    async def lines(self, invoice: Invoice) -> list[InvoiceLine]:
        async with self.work() as uow:
            return await finalizing.lines_of(uow, invoice)

    async def earn(self, until: datetime) -> None:
        """Book the revenue of service periods that are over by then."""
        async with self.work() as uow:
            while await recognition.recognize(uow, until=until):
                pass

    async def balances(self) -> dict[str, int]:
        """Of the customer's book, without what is nothing."""
        async with self.work() as uow:
            rows = await ledger.trial_balance(uow)
        return {row.purpose: row.balance_minor for row in rows if row.balance_minor}


def line(amount: str, quantity: str = "1", currency: str = "EUR", **more: Any) -> NewLine:
    return manual_line("Consulting", Decimal(quantity), Decimal(amount), currency, **more)


async def open_shop(world: World, fields: EntityFields = GERMAN, **changed: Any) -> Shop:
    async with crossing(Reason.STAFF, actor=system(), on=world.database) as uow:
        entity = await entities.add_entity(uow, replace(fields, **changed))
        for rate in RATES:
            await taxation.add_tax_rate(uow, rate)
    shop = Shop(world, entity)
    await shop.new_customer(name="Acme")
    return shop
