"""Payments of all organisations."""

from __future__ import annotations

import reflex as rx

from components.feedback.states import empty_state
from components.forms.fields import text_field
from components.forms.form import rest_form, submit_button
from components.kit.overlays import Trigger, dialog, dialog_close, dialog_foot
from components.shell.page import page_header
from components.tables.filters import Filter
from components.tables.listed import table_of
from components.tables.table import Column
from components.texts import t
from matrix_app.pages import endpoints, lists, payment_lists
from matrix_app.pages.frame import in_its_state
from matrix_app.pages.governance.customer_field import customer_field
from matrix_app.pages.registry import Console, Drawn, page
from services.core.permissions import Capability
from services.payments import queries
from services.payments.transfers import REFERENCE_CHARACTERS_MAX
from state.governance.payments import StaffPaymentsState
from state.session import SessionState

MAY_WRITE = SessionState.capabilities.contains(Capability.STAFF_PAYMENTS_WRITE.value)
PAYMENTS = table_of(
    queries.STAFF_PAYMENTS,
    "staff-payments",
    *payment_lists.columns(Column("organization", "payments.organization")),
    Column("decline_code", "payments.decline_code"),
    Column("reference", "payments.reference"),
    texts="payments",
    caption="payments.all",
)


def on_the_statement() -> list[rx.Component]:
    """By what the bank has it."""
    return [
        text_field(
            "transfer_key",
            t("payments.transfer_key"),
            hint=t("payments.transfer_key_hint"),
            autocomplete="off",
        ),
        text_field(
            "reference",
            t("payments.reference"),
            hint=t("payments.reference_hint"),
            required=False,
            max_length=REFERENCE_CHARACTERS_MAX,
            autocomplete="off",
        ),
    ]


def _record() -> rx.Component:
    """Money that was seen on a statement."""
    recorded = dialog(
        rest_form(
            "record-transfer",
            customer_field(),
            text_field(
                "invoice_id",
                t("payments.invoice_id"),
                hint=t("payments.invoice_hint"),
                required=False,
                autocomplete="off",
            ),
            text_field("amount", t("payments.amount"), hint=t("payments.amount_hint"), autocomplete="off"),
            text_field("currency", t("payments.currency"), max_length=3, autocomplete="off"),
            *on_the_statement(),
            dialog_foot(dialog_close(), submit_button(t("payments.record"))),
            url=endpoints.STAFF_TRANSFERS,
            done_text=t("payments.recorded"),
            on_done=StaffPaymentsState.changed,
        ),
        title=t("payments.record"),
        description=t("payments.record_text"),
        trigger=Trigger(t("payments.record"), "primary", "plus"),
    )
    return rx.cond(MAY_WRITE, recorded, rx.fragment())


@page(
    "/governance/payments",
    console=Console.GOVERNANCE,
    title="payments.all",
    needs=Capability.STAFF_PAYMENTS_READ,
    on_load=StaffPaymentsState.load,
)
def payments() -> Drawn:
    """What came in and what failed, the newest first."""
    content = lists.listing(
        StaffPaymentsState,
        PAYMENTS,
        [Filter("organization_id", "payments.organization_id", "search"), *payment_lists.filters()],
        empty=empty_state(t("payments.none"), t("payments.none_text_staff"), icon_name="receipt"),
        names={"organization_id": t("payments.organization"), "created_at": t("payments.created_at")},
        values={f"state:{name}": words for name, words in payment_lists.words()},
    )
    return [
        page_header(
            t("payments.all"), lists.export(StaffPaymentsState), _record(), text=t("payments.all_text")
        ),
        in_its_state(StaffPaymentsState, content, retry=StaffPaymentsState.load),
    ]
