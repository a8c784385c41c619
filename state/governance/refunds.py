"""Refunds of all organisations, and one payment with what was given back of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import reflex as rx

from models.payments import PaymentState
from models.refunds import RefundTo
from services.core.errors import Conflict, Invalid, MatrixError
from services.core.ids import new_id
from services.core.listing import Listing
from services.core.permissions import Capability
from services.core.settings import settings
from services.payments import policies, queries
from services.payments.providers import registry
from services.payments.providers.capabilities import GivesBack
from services.payments.queries import PaymentRow
from services.refunds import queries as refund_queries
from services.refunds import refunds
from services.refunds.refunds import Wanted
from services.wallets.wallets import money_of
from state import payments_view, refunds_view, typed
from state.base import PageState, page_event
from state.dialogs import DialogsState
from state.listed import ListedState
from state.problems import problem_of

READ, WRITE = Capability.STAFF_PAYMENTS_READ, Capability.STAFF_PAYMENTS_WRITE
APPROVE = Capability.STAFF_REFUNDS_APPROVE
HOME, PAYMENTS = "/governance/refunds", "/governance/payments"
PART = "by_line."  # in the form: a line's id follows
DIALOGS: Mapping[str, Capability] = {
    "approve": APPROVE, "reject": APPROVE, "cancel": WRITE, "sent": WRITE, "returned": WRITE,
}  # fmt: skip


class StaffRefundsState(DialogsState, ListedState, rx.State):
    """One page of all refunds, and the act that is asked about."""

    _listing: ClassVar[Listing[Any]] = refund_queries.STAFF_REFUNDS
    _file_url: ClassVar[str] = "/api/v1/staff/refunds"
    _filter_keys: ClassVar[tuple[str, ...]] = ("organization_id", *refunds_view.FILTERS)
    _dialogs: ClassVar[Mapping[str, Capability]] = DIALOGS

    @page_event(READ, reads=True)
    async def load(self) -> None:
        async with self._staff_work() as uow:
            found = await self._read(uow, refund_queries.STAFF_REFUNDS)
        self.rows = [refunds_view.staff_row_shown(row, PAYMENTS, who=self._actor.id) for row in found]


class StaffPaymentState(DialogsState, PageState, rx.State):
    """One payment, its refunds as `rows`, and what giving back all that is left would come to."""

    _listing: ClassVar[Listing[Any]] = refund_queries.STAFF_REFUNDS  # of its rows
    _dialogs: ClassVar[Mapping[str, Capability]] = DIALOGS | {"give": WRITE}

    payment: dict[str, Any] = {}
    lines: list[dict[str, str]] = []
    preview: dict[str, Any] = {}
    weighed: dict[str, str] = {}  # what of the dialog's values it was made of
    goes_back: bool = True  # whether it can go to where it came from
    can_give: bool = False
    refusal: str = ""  # why nothing can be given back
    objection: str = ""  # why what is asked for in the dialog cannot

    @page_event(READ, reads=True)
    async def load(self) -> None:
        self.payment, self.rows, self.lines, self.preview, self.refusal = {}, [], [], {}, ""
        self.can_give, self.objection = False, ""
        payment_id = self._address_id
        async with self._staff_work() as uow:
            found = (await queries.payment(uow, payment_id, staff=True)).payment
            given = await refund_queries.staff_of_payment(uow, found.id)
            lines = await refund_queries.lines_of(uow, found.invoice_id) if found.invoice_id else []
        self.rows = [refunds_view.staff_row_shown(row, PAYMENTS, who=self._actor.id) for row in given]
        self.lines = [refunds_view.line_shown(line) for line in lines]
        if found.state == PaymentState.SUCCEEDED and self._actor.may(WRITE):
            await self._look(found)
        self.payment = payments_view.row_shown(found, PAYMENTS)

    async def _look(self, payment: PaymentRow) -> None:
        self.goes_back = registry.gives_back(payment.provider) is not GivesBack.NEVER
        try:
            await self._preview(payment.id, payment.organization_id, {})
        except MatrixError as refused:
            self.refusal = problem_of(refused, "").text
        else:
            self.can_give = True

    @page_event(WRITE)
    async def weigh(self, values: dict[str, Any]) -> None:
        """What it comes to as it is asked for now."""
        self.objection = ""
        if not self.can_give:
            return
        try:
            await self._preview(self.payment["id"], self.payment["organization_id"], values)
        except (Invalid, Conflict) as refused:
            self.preview, self.objection = {}, problem_of(refused, "").text

    async def _preview(self, payment_id: str, organization_id: str, values: dict[str, Any]) -> None:
        given = {name: str(said) for name, said in values.items() if said}
        parts = {name.removeprefix(PART): said for name, said in given.items() if name.startswith(PART)}
        to = RefundTo.CREDIT if given.get("to") == RefundTo.CREDIT or not self.goes_back else RefundTo.SOURCE
        held = ("amount", *(PART + line["id"] for line in self.lines))
        self.weighed = {"to": to.value} | {name: given.get(name, "") for name in held}
        async with self._staff_work(within=organization_id) as uow:
            code = (await policies.payment_for(uow, payment_id, WRITE)).currency
            wanted = Wanted(
                payment_id,
                new_id("rfnd"),
                "Preview",
                to,
                _minor(given["amount"], code) if "amount" in given else None,
                {line: _minor(said, code) for line, said in parts.items()} or None,
            )
            seen = await refunds.preview(uow, wanted, above=settings().refund_approval_above)
        self.preview = refunds_view.preview_shown(seen)


def _minor(said: str, currency: str) -> int:
    return money_of(typed.amount(said, "amount"), currency).minor
