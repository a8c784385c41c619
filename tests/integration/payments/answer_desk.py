"""Staff that answers a dispute of a payment that came through a till of Stripe or of PayPal."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from models.disputes import Dispute
from services.core.actor import Actor
from services.core.crossing import Reason, crossing
from services.core.permissions import ROLE_CAPABILITIES, Role
from services.core.work import UnitOfWork
from services.disputes import evidence, evidence_files
from services.disputes.answering import Answering
from services.disputes.disputing import Disputing
from services.disputes.evidence_files import EvidenceRow
from services.documents.press import Press
from services.files import service as files
from services.files.stores import FilePlaces, FolderStore
from services.payments.providers.values import Evidence
from tests.fakes.stripe.running import RunningFake
from tests.integration.billing.shop import line, open_shop
from tests.integration.payments.paypal_kit import PayPalKit
from tests.integration.payments.stripe_kit import StripeKit
from tests.integration.payments.till import Till, open_paypal_till, open_till
from tests.world import World


@dataclass
class AnswerDesk:
    """Staff that answers a dispute of a payment that came through a till."""

    till: Till
    kit: Any
    provider: str
    where: FilePlaces
    dispute: Dispute
    press: Press

    @property
    def desk(self) -> Answering:
        return Answering(self.till.cashier, self.press, self.where.store, clock=self.till.clock)

    def work(self, organization_id: str | None = None) -> AbstractAsyncContextManager[UnitOfWork]:
        within = organization_id or self.dispute.organization_id
        actor = Actor("acc_staff", within, ROLE_CAPABILITIES[Role.OPERATOR])
        return crossing(Reason.STAFF, actor=actor, clock=self.till.clock, target=within)

    async def add(self, content: bytes, name: str = "log.pdf", about: str = "") -> str:
        async def pieces() -> AsyncIterator[bytes]:
            yield content

        async with self.work() as uow:
            _, terms = await evidence_files.answerable(uow, self.dispute.id)
        purpose = evidence_files.purpose_of(terms)
        arrived = await files.arrive(pieces(), name=name, purpose=purpose, incoming=self.where.incoming)
        async with self.work() as uow:
            file_id = await evidence_files.attach(
                uow, self.dispute.id, arrived, field=about or terms.fields[0]
            )
        async with files.brought(self.work, self.where.store, file_id, arrived) as uow:
            await files.settle(uow, file_id)
        return file_id

    async def listed(self) -> list[EvidenceRow]:
        async with self.work() as uow:
            return await evidence_files.listed(uow, self.dispute.id)

    async def answer(self, rows: list[EvidenceRow]) -> Dispute:
        """With all that is recorded, as the door does it."""
        async with self.work() as uow:
            pack = await evidence.gather(uow, self.dispute.id)
            told = evidence.tables_of(pack, uow.wall_now)
        pdf = evidence.packed(await self.press.tables(told), self.provider)
        assert pdf is not None
        along = await evidence_files.contents(self.where.store, rows)
        said = Evidence(evidence.worded(pack, self.provider, "They used it.").texts, (pdf, *along))
        return await self.hand_in(said, told)

    async def hand_in(self, said: Evidence, told: bytes) -> Dispute:
        by = Actor("acc_staff", None, ROLE_CAPABILITIES[Role.OPERATOR])
        return await self.desk.answer(self.dispute.id, self.dispute.organization_id, said, told=told, by=by)

    async def read(self) -> Dispute:
        async with self.till.shop.work() as uow:
            found = await uow.execute("select * from dispute where id = :id", id=self.dispute.id)
            return Dispute(**found.mappings().one())


@asynccontextmanager
async def open_answer_desk(world: World, fake: RunningFake, folder: Path) -> AsyncIterator[AnswerDesk]:
    is_card = fake.program.endswith("stripe")
    kit: Any = StripeKit(fake) if is_card else PayPalKit(fake)
    opened = open_till if is_card else open_paypal_till
    async with opened(await open_shop(world), fake) as till:
        fake.act("clear")
        waiting = await till.pay(await till.shop.invoice(line("100")))
        assert waiting.action is not None
        kit.pay_on_page(waiting.action["url"])
        payment = await till.look(waiting)
        assert payment.provider_ref is not None
        till.clock.at = datetime.fromtimestamp(kit.now(), UTC)
        reference = kit.dispute(payment.provider_ref)
        await Disputing(till.cashier, clock=till.clock).follow(till.account.id, reference)
        async with till.shop.work() as uow:
            found = await uow.execute("select * from dispute where payment_id = :id", id=payment.id)
            dispute = Dispute(**found.mappings().one())
        where, press = FilePlaces(FolderStore(folder / "files"), folder / "incoming"), Press()
        try:
            yield AnswerDesk(till, kit, "stripe" if is_card else "paypal", where, dispute, press)
        finally:
            await press.close()
