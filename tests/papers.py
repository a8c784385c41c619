"""One of every row that billing keeps of an organisation, as tests that look at all tables need them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from models.base import Table
from models.billing import (
    BillingProfile,
    CreditNote,
    CreditNoteLine,
    Invoice,
    InvoiceLine,
    LegalEntity,
)
from models.brands import Brand
from models.crypto import CryptoMovement, CryptoRate, CryptoRequest, CryptoTransfer
from models.customer_credits import CreditUse, CustomerCredit
from models.disputes import Contest, Dispute, DisputeFile
from models.dunning import (
    DunningBlock,
    DunningCampaign,
    DunningCase,
    DunningHold,
    DunningStep,
    InvoiceCollection,
)
from models.installation import SecretOpening
from models.method_setups import MethodSetup
from models.papers import Paper
from models.payment_cases import PaymentCase
from models.payment_links import PaymentLink
from models.payments import Payment, PaymentMethod, ProviderAccount, ProviderCustomer
from models.plans import CouponOffer, Plan, PlanCharge, PlanVersion, Product
from models.refunds import Refund
from models.subscriptions import CouponRedemption, CouponUse, Subscription, SubscriptionItem
from models.terms import TermsAcceptance, TermsVersion
from models.usage_billing import UsagePeriod
from services.core.ids import new_id
from tests.world import LONG_AGO

Seal = Callable[[str, str, str], bytes]  # table, column and row

_minutes = count()  # two periods of an organisation never begin together


def entity(entity_id: str, code: str, name: str = "Entity") -> LegalEntity:
    """Who issues the documents below; no usual one."""
    return LegalEntity(
        id=entity_id, code=code, name=name, address="Street 1", country="DE", tax_ids=[], registrations=[],
        reverse_charge_in=[], trusts_unanswered=False,
        timezone="UTC", currency="USD", invoice_pattern="{entity}-{seq}",
        invoice_reset="never", note_pattern="{entity}-CN-{seq}", note_reset="never", tax_rounding="line",
        zero_documents="issue", grace_hours=0, payment_days=0, is_test=False, is_usual=False, created_at=LONG_AGO,
    )  # fmt: skip


def brand_id(entity_id: str) -> str:
    """Of the default brand of an entity of these tests."""
    return f"brnd_{entity_id.partition('_')[2]}"


def brand(entity_id: str, name: str = "Brand") -> Brand:
    return Brand(
        id=brand_id(entity_id),
        legal_entity_id=entity_id,
        code="MX",
        name=name,
        is_default=True,
        created_at=LONG_AGO,
    )


def papers(
    organization_id: str, entity_id: str, text: str = "x", ids: dict[str, str] | None = None
) -> list[Table]:
    """A draft of five cents with a line, a note over one of them, and a credit that it left, used up in part.

    `text` stands wherever somebody said something; `ids` names rows by their prefix.
    """
    given = ids or {}
    known = {prefix: given.get(prefix) or new_id(prefix) for prefix in ("inv", "invl", "crn", "crd")}
    own: Any = {"organization_id": organization_id}
    made: Any = {**own, "created_at": LONG_AGO}
    rows: list[Table] = [
        BillingProfile(
            legal_entity_id=entity_id, name=text, address=text, country="DE", language="en", updated_at=LONG_AGO, **own
        ),
        Invoice(
            id=known["inv"], legal_entity_id=entity_id, brand_id=brand_id(entity_id), key=known["inv"],
            currency="USD", memo=text, lines=1, next_position=2, charged_minor=5,
            net_minor=5, total_minor=5, credited_minor=1, offset_minor=1,
            collect_until=LONG_AGO, label_date=LONG_AGO.date(), due_date=LONG_AGO.date(), policy={}, coupons=[],
            taxes=[], seller=_PARTY | {"code": "E", "tax_ids": []} | {"name": text},
            buyer=_PARTY | {"language": "en", "tax_number": None, "name": text}, **made,
        ),
        InvoiceLine(
            id=known["invl"], invoice_id=known["inv"], key="k", position=1, origin="manual", description=text,
            quantity=Decimal(1), amount_minor=5, net_minor=5, gross_minor=5, facts=_FACTS, period_start=LONG_AGO,
            period_end=LONG_AGO + timedelta(days=1), **made,
        ),
        CreditNote(
            id=known["crn"], legal_entity_id=entity_id, invoice_id=known["inv"], key=known["crn"], asked={},
            number=known["crn"], series_brand="",
            series_period=known["crn"], sequence=1, label_date=date(2026, 1, 1), currency="USD",
            reason=text, net_minor=1,
            tax_minor=0, total_minor=1, offset_minor=1, journal_id="jrnl", **made,
        ),
        CreditNoteLine(
            id=new_id("crnl"), credit_note_id=known["crn"], invoice_line_id=known["invl"], net_minor=1, tax_minor=0,
            tax_parts=[], **own,
        ),
        CustomerCredit(
            id=known["crd"], source_id=known["crn"], currency="USD", minor=1, left_minor=0, **made
        ),
        Paper(
            document_id=known["inv"], kind="invoice", number=known["inv"], due_minor=4, state="parked",
            due_at=LONG_AGO, error=text, **made,
        ),
        CreditUse(
            id=new_id("cruse"), credit_id=known["crd"], invoice_id=known["inv"], minor=1, journal_id="jrnl", **made
        ),
    ]  # fmt: skip
    return rows


def sold(ids: dict[str, str]) -> list[Table]:
    """A plan with one price and a coupon, by the `ids` of their prefixes; the version is still a draft."""
    made: Any = {"created_at": LONG_AGO}
    slug = ids["plan"][-12:]
    return [
        Product(id=ids["prod"], slug=slug, name="Product", **made),
        Plan(id=ids["plan"], product_id=ids["prod"], slug=slug, name="Plan", **made),
        PlanVersion(id=ids["plnv"], plan_id=ids["plan"], number=1, **made),
        PlanCharge(
            id=ids["pchg"], plan_version_id=ids["plnv"], position=1, key="base", name="Base", kind="flat",
            currency="USD", interval="month", timing="advance", proration="day",
            definition={"schema": 1, "model": "flat", "amount": "5"},
        ),
        CouponOffer(
            id=ids["cpn"], code=slug, code_key=slug, name="Coupon", rate=Decimal("0.1"), duration="forever", **made
        ),
    ]  # fmt: skip


def subscribed(organization_id: str, ids: dict[str, str], text: str = "x") -> list[Table]:
    """A subscription to what is `sold`, with an item and a coupon that worked on the invoice of `ids`."""
    own: Any = {"organization_id": organization_id}
    sub, redemption = ids.get("sub") or new_id("sub"), ids.get("rdm") or new_id("rdm")
    return [
        Subscription(
            id=sub, key=sub, state="active", plan_id=ids["plan"], plan_version_id=ids["plnv"], currency="USD",
            interval="month", timezone="UTC", anchor=LONG_AGO, started_at=LONG_AGO, cancel_comment=text,
            created_at=LONG_AGO, **own,
        ),
        SubscriptionItem(
            subscription_id=sub, number=1, slot="base", plan_id=ids["plan"], price_id=ids["pchg"],
            quantity=Decimal(1), **own,
        ),
        CouponRedemption(
            id=redemption, subscription_id=sub, coupon_id=ids["cpn"], redeemed_at=LONG_AGO, **own
        ),
        CouponUse(
            redemption_id=redemption, invoice_id=ids["inv"], period_start=LONG_AGO, base_minor=5, taken_minor=1, **own
        ),
        UsagePeriod(
            id=ids.get("uper") or new_id("uper"), starts_at=(at := LONG_AGO + timedelta(minutes=next(_minutes))),
            ends_at=at + timedelta(days=31), state="closed", parked_at=LONG_AGO, parked_reason=text, **own,
        ),
    ]  # fmt: skip


def account(account_id: str, name: str, secrets: bytes = b"s") -> ProviderAccount:
    """An account with a provider at an address where nobody is."""
    return ProviderAccount(
        id=account_id, provider="paypal", name=name, is_test=True,
        settings={"client": "c", "webhook_id": "w", "base": "http://127.0.0.1:9"}, secrets=secrets,
        created_at=LONG_AGO,
    )  # fmt: skip


def campaign(campaign_id: str, name: str) -> DunningCampaign:
    """One that takes up nothing: it is switched off."""
    return DunningCampaign(id=campaign_id, name=name, retry_days=[1], steps=_STEPS, created_at=LONG_AGO)


def terms(terms_id: str, number: int, text: str = "x") -> TermsVersion:
    """A version of the terms of service."""
    return TermsVersion(
        id=terms_id, number=number, text=text, sha256=b"x", published_by="sys", published_at=LONG_AGO
    )


def accepted(organization_id: str, terms_id: str, account_id: str, text: str = "x") -> TermsAcceptance:
    """That somebody accepted one."""
    return TermsAcceptance(
        id=new_id("tacc"),
        organization_id=organization_id,
        terms_id=terms_id,
        account_id=account_id,
        occasion="founding",
        address=text,
        user_agent=text,
        accepted_at=LONG_AGO,
    )


def reminded(
    organization_id: str,
    campaign_id: str,
    invoice_id: str,
    case_id: str = "",
    hold_id: str = "",
    text: str = "x",
) -> list[Table]:
    """A case of dunning about an invoice, paused after a step, when it had calls refused, what the schedule says of it,
    and a hold long over."""
    case_id = case_id or new_id("dcas")
    own: Any = {"organization_id": organization_id}
    return [
        DunningCase(
            id=case_id, invoice_id=invoice_id, campaign_id=campaign_id, state="paused", steps=_STEPS, position=1,
            base_date=LONG_AGO.date(), currency="USD", created_at=LONG_AGO, **own,
        ),
        DunningStep(case_id=case_id, position=0, action="in_app", done_at=LONG_AGO, **own),
        DunningBlock(
            case_id=case_id, started_at=LONG_AGO, ended_at=LONG_AGO + timedelta(days=1), **own,
        ),
        InvoiceCollection(invoice_id=invoice_id, reason="no_method", decided_at=LONG_AGO, **own),
        DunningHold(
            id=hold_id or new_id("dhld"), reason=text, placed_by="acc_of_nobody", created_at=LONG_AGO,
            ended_at=LONG_AGO + timedelta(days=1), **own,
        ),
    ]  # fmt: skip


def paid(
    organization_id: str, account_id: str, ids: dict[str, str], text: str = "x", seal: Seal = lambda *_: b"s"
) -> list[Table]:
    """A kept method and how it came, a payment by it of the invoice of `ids` that failed, a refund of it that failed, a
    dispute, a contest of the invoice and a link to it, a case, and what is asked for on a chain; `seal` seals."""
    own: Any = {"organization_id": organization_id, "provider_account_id": account_id, "created_at": LONG_AGO}
    method, payment = ids.get("paym") or new_id("paym"), ids.get("pay") or new_id("pay")
    return [
        ProviderCustomer(reference=seal("provider_customer", "reference", account_id), **own),
        SecretOpening(
            id=new_id("sopn"), opened_at=LONG_AGO, actor_id="system", purpose="method_charged", tenant=organization_id,
            table_name="payment_method", column_name="token", row_id=method,
        ),
        PaymentMethod(
            id=method, kind="card", brand="visa", last4="4242", name=text,
            token=seal("payment_method", "token", method), token_hash=method.encode(), **own,
        ),
        Payment(
            id=payment, invoice_id=ids["inv"], provider="paypal", method_id=method, key=method,
            state="failed", initiator="customer", currency="USD", minor=4, decline_code="x", decline_hard=False,
            message=text, provider_ref=method, asked_at=LONG_AGO, **own,
        ),
        Refund(
            id=ids.get("rfnd") or new_id("rfnd"), organization_id=organization_id, payment_id=payment, key=method,
            asked={"to": "source", "amount": 1, "lines": None, "reason": text}, destination="source",
            state="failed", currency="USD", minor=1, reason=text, requested_by="acc_of_nobody", failure="x",
            created_at=LONG_AGO,
        ),
        Dispute(
            id=ids.get("dsp") or new_id("dsp"), organization_id=organization_id, payment_id=payment,
            provider_account_id=account_id, provider_ref=method, state="needs_answer", reason=text, currency="USD",
            minor=4, fee_currency="USD", opened_at=LONG_AGO, created_at=LONG_AGO,
        ),
        *(
            [
                DisputeFile(
                    file_id=ids["file"], organization_id=organization_id, dispute_id=ids["dsp"], field="receipt"
                )
            ]
            if "file" in ids
            else []
        ),
        Contest(
            id=ids.get("cst") or new_id("cst"), organization_id=organization_id, invoice_id=ids["inv"], currency="USD",
            minor=1, reason=text, created_by="acc_of_nobody", created_at=LONG_AGO, due_at=LONG_AGO,
        ),
        MethodSetup(
            id=ids.get("pset") or new_id("pset"), key=method, state="kept", method_id=method, message=text,
            ended_at=LONG_AGO, **own,
        ),
        PaymentLink(
            id=ids.get("plnk") or new_id("plnk"), organization_id=organization_id, invoice_id=ids["inv"],
            created_by="system", created_at=LONG_AGO, expires_at=LONG_AGO + timedelta(days=60),
        ),
        PaymentCase(
            id=ids.get("pcas") or new_id("pcas"), organization_id=organization_id, kind="difference", subject=method,
            cause="x", detail=text, created_at=LONG_AGO,
        ),
        *_on_a_chain(account_id, ids | {"pay": payment}, text, own),
    ]  # fmt: skip


def _on_a_chain(account_id: str, ids: dict[str, str], text: str, own: dict[str, Any]) -> list[Table]:
    """What a payment asks for on a chain, what came and is too small, and a rate."""
    asked: Any = {**own, "payment_id": ids["pay"], "chain_id": 1}
    return [
        CryptoRequest(
            key=ids["pay"], derivation_index=0, address=ids["pay"], asset=text, decimals=18, expected_units=Decimal(4),
            price=Decimal(1), confirmations=1, expires_at=LONG_AGO, watched_until=LONG_AGO, **asked,
        ),
        CryptoMovement(
            id=new_id("cmov"), organization_id=own["organization_id"], provider_account_id=account_id,
            request_id=ids["pay"], kind="unseen", block_number=1, units=Decimal(4), currency="EUR", minor=0,
            happened_at=LONG_AGO,
        ),
        CryptoTransfer(
            id=new_id("ctrf"), tx_hash=ids["pay"], log_index=-1, block_number=1, block_hash="x", block_at=LONG_AGO,
            units=Decimal(4), state="too_small", **asked,
        ),
        CryptoRate(
            id=ids.get("crat") or new_id("crat"), provider_account_id=account_id, asset="ETH", currency="EUR",
            price=Decimal(2_000), source=text, valid_from=LONG_AGO, valid_until=LONG_AGO + timedelta(days=1),
            entered_by="sys", created_at=LONG_AGO,
        ),
    ]  # fmt: skip


_STEPS = [{"after_days": 3, "action": "in_app"}, {"after_days": 9, "action": "mail"}]
_PARTY = {"address": "Street 1", "country": "DE"}
_FACTS: dict[str, Any] = {
    "made_by": "charge",
    "currency": "USD",
    "charge": {"schema": 1, "model": "one_off", "unit_amount": "0.05"},
    "quantity": "1",
    "events": None,
}
