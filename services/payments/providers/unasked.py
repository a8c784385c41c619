"""What providers have in common that nobody asks for anything: they are watched, or tell by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar, NoReturn

from models.money import Money
from services.payments.providers.base import RefusedByProvider, WebhookRefused
from services.payments.providers.values import (
    Customer,
    Dispute,
    Evidence,
    Method,
    Movement,
    Order,
    Page,
    Payment,
    Payout,
    ProviderEvent,
    Refund,
    RefundOrder,
    Setup,
    SetupOrder,
)


class UnaskedProvider:
    """Refuses what it would have to be asked for, and knows nothing but its movements, which each kind tells itself."""

    NAME: ClassVar[str]  # as a sentence begins
    TOLD: ClassVar[str]  # how one hears of a payment
    GIVES_NOTHING_BACK: ClassVar[str]  # and what is done instead

    async def keep_customer(self, customer: Customer, *, key: str) -> str:
        self._refuse("keeps no customers for us")

    async def create_or_confirm(self, order: Order) -> Payment:
        self._refuse(f"{self.TOLD}, and asked for nothing")

    async def capture(self, reference: str, *, key: str, amount: Money | None = None) -> Payment:
        self._refuse("takes nothing later")

    async def cancel(self, reference: str, *, key: str) -> Payment:
        self._refuse(f"{self.TOLD}, and asked for nothing")

    async def refund(self, order: RefundOrder) -> Refund:
        self._refuse(self.GIVES_NOTHING_BACK)

    async def setup(self, order: SetupOrder) -> Setup:
        self._refuse("keeps no methods")

    async def methods(self, customer: str) -> tuple[Method, ...]:
        return ()

    async def read_method(self, reference: str) -> Method | None:
        return None

    async def detach(self, method: str, *, key: str) -> None:
        return None

    async def read(self, reference: str) -> Payment:
        self._refuse(f"{self.TOLD}, and asked for nothing")

    async def read_setup(self, reference: str) -> Setup:
        self._refuse("keeps no methods")

    async def read_refund(self, reference: str) -> Refund:
        self._refuse("knows no refunds")

    async def read_dispute(self, reference: str) -> Dispute:
        self._refuse("knows no disputes: nobody takes money back by it")

    async def read_payout(self, reference: str) -> Payout:
        self._refuse("pays nothing out: what comes is yours at once")

    async def read_back(self, key: str, *, since: datetime, customer: str = "") -> Payment | None:
        return None

    async def read_back_refund(self, key: str, *, payment: str) -> Refund | None:
        return None

    async def verify_webhook(self, headers: Mapping[str, str], raw: bytes, *, now: datetime) -> ProviderEvent:
        raise WebhookRefused(f"{self.NAME.lower()} sends no events")

    async def payouts(self, *, since: datetime, cursor: str = "") -> Page[Payout]:
        return Page(())

    async def payout_movements(self, payout: str, *, cursor: str = "") -> Page[Movement]:
        return Page(())

    async def disputes(self, *, since: datetime, cursor: str = "") -> Page[Dispute]:
        return Page(())

    async def answer_dispute(self, reference: str, evidence: Evidence, *, key: str) -> Dispute:
        self._refuse("knows no disputes: nobody takes money back by it")

    def _refuse(self, what: str) -> NoReturn:
        raise RefusedByProvider(f"{self.NAME} {what}.", reason="not_supported")
