"""What people are told of charges that nobody watches: kept methods that failed, want a confirmation or expire soon;
and of cases that somebody of the house has to look at."""

from __future__ import annotations

from models.money import Money
from models.payment_cases import CaseKind
from services.collection.declines import TOLD
from services.core.permissions import Capability
from services.core.relay import Delivered
from services.notify import charge_words
from services.notify.declared import Telling
from services.notify.words import Facts, Words
from services.payments import brands
from services.payments.providers.values import Advice, DeclineKind

# By the schedule, said by a bank or a provider, and the first of its invoice for which that helps. Not of one that
# succeeded after all.
_FAILED = """
select from payment p where p.id = :id and p.state = 'failed' and p.initiator = 'schedule'
  and p.decline_code not in ('provider_unavailable', 'never_arrived', 'key') and p.decline_advice is not null
  and not exists (select from payment e where e.invoice_id = p.invoice_id and e.state = 'failed'
    and e.initiator = 'schedule' and e.decline_advice = p.decline_advice
    and e.decline_code not in ('provider_unavailable', 'never_arrived', 'key')
    and (e.created_at, e.id) < (p.created_at, p.id))
"""
_WAITS = "select from payment where id = :id and state = 'requires_action' and initiator = 'schedule'"
_EXPIRES = "select from payment_method where id = :id and is_default and removed_at is null"
# A bank's statement may hold hundreds of lines that nobody knows: whoever imports it sees them.
_CASE = "select from payment_case where id = :id and state = 'open' and kind <> 'unmatched'"
_CASE_TITLES = {
    CaseKind.REFUND_FAILED: "A refund did not arrive",
    CaseKind.FRAUD_WARNING: "A bank warns of fraud",
    CaseKind.DIFFERENCE: "A provider's book differs from ours",
    CaseKind.AMOUNT_DIFFERS: "Another amount came than was asked for",
}


def _wants_confirmation(event: Delivered) -> bool:
    return event.payload.get("kind") == DeclineKind.AUTHENTICATION


def _money(event: Delivered) -> Money:
    return Money(int(event.payload["minor"]), str(event.payload["currency"]))


def _failed(event: Delivered, facts: Facts) -> Words:
    href = f"/portal/invoices/{event.payload['invoice_id']}"
    amount = _money(event).said()
    if _wants_confirmation(event):
        body = f"The bank wants you to confirm the payment of {amount} of {facts.organization}."
        return Words("A payment wants your confirmation", f"{body} Please pay the invoice yourself.", href)
    why = TOLD[DeclineKind(event.payload["kind"])]
    again = " It may be tried again by itself." if event.payload["advice"] == Advice.RETRY_LATER else ""
    return Words(
        "A payment failed", f"{amount} of {facts.organization} could not be charged. {why}{again}", href
    )


def _waits(event: Delivered, facts: Facts) -> Words:
    return Words(
        "A payment wants your confirmation",
        f"A payment of {facts.organization} goes on when you have confirmed it.",
        f"/portal/payments/{event.aggregate_id}",
    )


def _expires(event: Delivered, facts: Facts) -> Words:
    said = event.payload
    return Words(
        "Your card expires soon",
        f"The card {brands.named(said['brand'])} {said['last4']} by which {facts.organization} pays expires in"
        f" {said['month']:02d}/{said['year']}. Add a new one before.",
        "/portal/payment-methods",
    )


def _case(event: Delivered, facts: Facts) -> Words:
    title = _CASE_TITLES.get(CaseKind(event.payload["kind"]), "A case about money was opened")
    of = f" of {facts.organization}" if facts.organization else ""
    cause = str(event.payload["cause"]).replace("_", " ")
    return Words(
        title, f"Something{of} has to be looked at: {cause}.", f"/governance/cases/{event.aggregate_id}"
    )


_PAYERS, _STAFF = Capability.PAYMENTS_WRITE, Capability.STAFF_PAYMENTS_WRITE
TELLINGS: dict[str, tuple[Telling, ...]] = {
    "payment.failed": (
        Telling(
            "charges", _failed, holders=_PAYERS, while_found=_FAILED,
            translated=lambda language, event: charge_words.failed(
                language, _money(event), wants_confirmation=_wants_confirmation(event)
            ),
        ),
    ),
    "payment.waits": (
        Telling(
            "charges", _waits, holders=_PAYERS, while_found=_WAITS,
            translated=lambda language, _: charge_words.waits(language),
        ),
    ),
    "payment_method.expiring": (
        Telling(
            "charges", _expires, holders=_PAYERS, while_found=_EXPIRES,
            translated=lambda language, event: charge_words.expires(language, event.payload),
        ),
    ),
    "payment_case.opened": (
        Telling("cases", _case, staff=_STAFF, while_found=_CASE),
    ),
}  # fmt: skip
