"""What the organisation paid, and one payment as the provider has it."""

from __future__ import annotations

from typing import Any, ClassVar

import reflex as rx

from services.billing import queries as invoices
from services.core.errors import Unavailable
from services.core.listing import Listing
from services.core.permissions import Capability
from services.crypto import requests as crypto_requests
from services.payments import queries
from services.payments.cashier import cashier
from services.payments.providers.base import RefusedByProvider
from services.payments.rules import UNDER_WAY
from services.refunds import queries as refund_queries
from state import invoices_view, payments_view, refunds_view
from state.base import PageState, page_event
from state.format import instant_text
from state.listed import ListedState

HOME = "/portal/payments"


class PaymentsState(ListedState, rx.State):
    """One page of the organisation's payments."""

    _listing: ClassVar[Listing[Any]] = queries.PAYMENTS
    _file_url: ClassVar[str] = "/api/v1/payments"
    _filter_keys: ClassVar[tuple[str, ...]] = payments_view.FILTERS

    @page_event(Capability.PAYMENTS_READ, reads=True)
    async def load(self) -> None:
        async with self._unit_of_work() as uow:
            found = await self._read(uow, queries.PAYMENTS)
        self.rows = [payments_view.row_shown(row, HOME) for row in found]


class PaymentState(PageState, rx.State):
    """One payment. Who comes back from the provider's page sees what became of it."""

    payment: dict[str, Any] = {}
    refunds: list[dict[str, Any]] = []
    on_chain: dict[str, Any] = {}  # what is asked for there; empty for other payments
    came: list[dict[str, Any]] = []
    receipt: dict[str, str] = {}  # who paid whom, of a payment that came for an invoice
    read_at: str = ""

    @page_event(Capability.PAYMENTS_READ, reads=True)
    async def load(self) -> None:
        self.payment, self.refunds = {}, []
        self.on_chain, self.came, self.receipt = {}, [], {}
        await self._read_again()

    @page_event(Capability.PAYMENTS_READ, reads=True)
    async def follow(self) -> None:
        """Something about payments changed while the page is open."""
        await self._read_again()

    async def _read_again(self) -> None:
        async with self._unit_of_work() as uow:
            found = await queries.payment(uow, self._address_id)
            given = await refund_queries.of_payment(uow, found.payment.id)
            asked = await crypto_requests.asked_for(uow, found.payment.id)
            self.read_at = instant_text(uow.wall_now)
        if found.payment.state in UNDER_WAY:
            found = await self._looked_up(found)
        self.payment = payments_view.payment_shown(found, HOME)
        self.receipt = await self._receipt_of(found.payment)
        self.refunds = [refunds_view.row_shown(row) for row in given]
        if asked is not None:
            self.on_chain = payments_view.on_chain_shown(asked)
            self.came = [payments_view.came_shown(one, asked) for one in asked.came]

    async def _receipt_of(self, payment: queries.PaymentRow) -> dict[str, str]:
        if payment.succeeded_at is None or payment.invoice_id is None:
            return {}
        async with self._unit_of_work() as uow:
            return invoices_view.parties_shown(await invoices.invoice(uow, payment.invoice_id))

    @page_event(Capability.PAYMENTS_WRITE)
    async def changed(self) -> Any:
        """The payment was given up, or had come, through the API: read it again."""
        return type(self).load

    async def _looked_up(self, found: queries.PaymentDetail) -> queries.PaymentDetail:
        """As the provider has it now; as it was, where it cannot be reached."""
        try:
            await cashier().look(found.payment.id, found.payment.organization_id)
        except (Unavailable, RefusedByProvider):
            return found
        async with self._unit_of_work() as uow:
            return await queries.payment(uow, found.payment.id)
