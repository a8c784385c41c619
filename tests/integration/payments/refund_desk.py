"""Staff that gives back what a till took, through a fake that speaks the real wire."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from typing import Any

import stripe as sdk

from models.billing import Invoice
from models.money import Money
from models.payments import Payment
from models.refunds import Refund
from services.core.actor import system
from services.core.clock import FixedClock
from services.core.ids import new_id
from services.core.work import UnitOfWork, unit_of_work
from services.payments import transfers
from services.payments.intake import Intake
from services.refunds import refunds
from services.refunds.refunding import Refunding
from services.refunds.refunds import Wanted
from tests.checks import MADE_BY_HAND, assert_invariants
from tests.integration.billing.shop import line
from tests.integration.payments.till import Till, pay_on_page

GIVE, SECRET = "/v1/refunds", "whsec_of_the_till"
ALONE = {"*": 10**9}
PAID = 11_900


@dataclass
class Desk:
    """Staff that gives back what a till took."""

    till: Till
    asking: Refunding
    keys: Iterator[int]

    def work(self, who: str = "staff") -> AbstractAsyncContextManager[UnitOfWork]:
        actor = replace(system(self.till.shop.customer.id), id=who, proved_at=self.till.shop.now)
        return unit_of_work(actor, clock=FixedClock(self.till.shop.now))

    async def paid(self, *lines: Any) -> tuple[Invoice, Payment]:
        """An invoice that was paid on the provider's page."""
        invoice = await self.till.shop.invoice(*(lines or (line("100"),)))
        payment = await self.till.pay(invoice)
        pay_on_page(payment)
        return invoice, await self.till.look(payment)

    async def came(self, minor: int, invoice: Invoice | None = None) -> Payment:
        async with self.work() as uow:
            return await transfers.record(
                uow, money=Money(minor, "EUR"), key=new_id("pay"), invoice_id=invoice.id if invoice else None
            )

    async def start(self, payment: Payment, *, above: dict[str, int] = ALONE, **said: Any) -> Refund:
        key = said.pop("key", f"refund-{next(self.keys)}")
        async with self.work(said.pop("who", "staff")) as uow:
            wanted = Wanted(payment.id, key, said.pop("reason", "Agreed"), **said)
            return await refunds.start(uow, wanted, above=above)

    async def give(self, payment: Payment, **said: Any) -> Refund:
        started = await self.start(payment, **said)
        return await self.asking.send(started.id, started.organization_id)

    async def look(self, refund: Refund) -> Refund:
        return await self.asking.look(refund.id, refund.organization_id)

    async def read(self, payment: Payment) -> Payment:
        return await self.till.cashier.read(payment.id, payment.organization_id)

    async def cases(self) -> list[tuple[str, str]]:
        async with self.work() as uow:
            found = await uow.execute("select kind, cause from payment_case order by id")
            return [tuple(row) for row in found]  # pyright: ignore[reportReturnType]

    async def given_back(self, payment: Payment) -> int:
        """As the provider has it."""
        provider = await self.till.cashier.provider_of(self.till.account)
        assert payment.provider_ref is not None
        return (await provider.read(payment.provider_ref)).refunded.minor

    async def still_sound(self) -> None:
        await assert_invariants(self.till.shop.world.database, but=MADE_BY_HAND)


def desk_of(till: Till) -> Desk:
    return Desk(till, Refunding(till.cashier, clock=till.clock), count())


async def take_event(desk: Desk, kind: str, thing: dict[str, Any]) -> bool:
    """As the provider would sign it, of now."""
    desk.till.clock.at = datetime.now(UTC)
    told = {
        "id": f"evt_{new_id('pevt')}", "object": "event", "type": kind, "livemode": False,
        "created": int(desk.till.clock.at.timestamp()), "data": {"object": thing},
    }  # fmt: skip
    raw = json.dumps(told)
    header = sdk.WebhookSignature.generate_signature_header(raw, SECRET)
    intake = Intake(desk.till.cashier, clock=desk.till.clock)
    return await intake.take(desk.till.account.id, {"stripe-signature": header}, raw.encode())
