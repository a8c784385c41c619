"""Stripe's test cards, from docs.stripe.com/testing: what each does when it is charged or kept."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

MESSAGES = {
    "card_declined": "Your card was declined.",
    "insufficient_funds": "Your card has insufficient funds.",
    "expired_card": "Your card has expired.",
    "incorrect_cvc": "Your card's security code is incorrect.",
    "incorrect_number": "Your card number is incorrect.",
    "processing_error": "An error occurred while processing your card. Try again in a little bit.",
    "authentication_required": "Your card was declined. This transaction requires authentication.",
}
# Declines that are an error code of their own; every other one is card_declined with its decline code.
OWN_CODES = {
    "expired_card",
    "incorrect_cvc",
    "processing_error",
    "incorrect_number",
    "authentication_required",
}
_ADVICE = {
    "insufficient_funds": "try_again_later",
    "processing_error": "try_again_later",
    "generic_decline": "try_again_later",
    "card_velocity_exceeded": "try_again_later",
    "lost_card": "do_not_try_again",
    "stolen_card": "do_not_try_again",
    "fraudulent": "do_not_try_again",
    "expired_card": "confirm_card_data",
    "incorrect_cvc": "confirm_card_data",
    "incorrect_number": "confirm_card_data",
}
_NETWORK = {"insufficient_funds": "51", "lost_card": "41", "stolen_card": "43", "expired_card": "54"}


@dataclass(frozen=True)
class Card:
    """`declines` on a charge, `keeps` whether it can be attached all the same; `asks` when the bank wants
    authentication: always, until it was set up, or never; `disputed` with which reason, as an inquiry or a warning."""

    name: str
    number: str
    brand: str = "visa"
    funding: str = "credit"
    country: str = "US"
    declines: str = ""
    keeps: bool = True
    asks: str = ""
    disputed: str = ""
    inquiry: bool = False
    warned: bool = False
    refund: str = ""
    at_once: bool = False  # its money can be paid out at once

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(f"fake{self.number}".encode()).hexdigest()[:16]

    def details(self, month: int, year: int) -> dict[str, Any]:
        """As a payment method's `card`."""
        return {
            "brand": self.brand,
            "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
            "country": self.country,
            "display_brand": {"amex": "american_express"}.get(self.brand, self.brand),
            "exp_month": month,
            "exp_year": year,
            "fingerprint": self.fingerprint,
            "funding": self.funding,
            "generated_from": None,
            "last4": self.number[-4:],
            "networks": {"available": [self.brand], "preferred": None},
            "regulated_status": "unregulated",
            "three_d_secure_usage": {"supported": self.brand in ("visa", "mastercard", "amex")},
            "wallet": None,
        }


def _declining(name: str, number: str, code: str, *, keeps: bool = False) -> Card:
    return Card(name, number, declines=code, keeps=keeps)


CARDS = (
    Card("visa", "4242424242424242"),
    Card("visa_debit", "4000056655665556", funding="debit"),
    Card("mastercard", "5555555555554444", "mastercard"),
    Card("mastercard_debit", "5200828282828210", "mastercard", "debit"),
    Card("mastercard_prepaid", "5105105105105100", "mastercard", "prepaid"),
    Card("amex", "378282246310005", "amex"),
    Card("discover", "6011111111111117", "discover"),
    Card("diners", "3056930009020004", "diners"),
    Card("jcb", "3566002020360505", "jcb", country="JP"),
    Card("unionpay", "6200000000000005", "unionpay", country="CN"),
    Card("us", "4242424242424242"),
    Card("de", "4000002760000016", country="DE"),
    Card("fr", "4000002500000003", country="FR"),
    Card("gb", "4000008260000000", country="GB"),
    Card("jp", "4000003920000003", country="JP"),
    _declining("visa_chargeDeclined", "4000000000000002", "generic_decline"),
    _declining("visa_chargeDeclinedInsufficientFunds", "4000000000009995", "insufficient_funds"),
    _declining("visa_chargeDeclinedLostCard", "4000000000009987", "lost_card"),
    _declining("visa_chargeDeclinedStolenCard", "4000000000009979", "stolen_card"),
    _declining("visa_chargeDeclinedVelocityLimitExceeded", "4000000000006975", "card_velocity_exceeded"),
    _declining("chargeDeclined", "4000000000000002", "generic_decline"),
    _declining("chargeDeclinedInsufficientFunds", "4000000000009995", "insufficient_funds"),
    _declining("chargeDeclinedLostCard", "4000000000009987", "lost_card"),
    _declining("chargeDeclinedStolenCard", "4000000000009979", "stolen_card"),
    _declining("chargeDeclinedExpiredCard", "4000000000000069", "expired_card"),
    _declining("chargeDeclinedIncorrectCvc", "4000000000000127", "incorrect_cvc"),
    _declining("chargeDeclinedProcessingError", "4000000000000119", "processing_error"),
    _declining("chargeDeclinedFraudulent", "4100000000000019", "fraudulent"),
    _declining("radarBlock", "4100000000000019", "fraudulent"),
    _declining("chargeCustomerFail", "4000000000000341", "generic_decline", keeps=True),
    Card("authenticationRequired", "4000002760003184", asks="always"),
    Card("authenticationRequiredOnSetup", "4000002500003155", asks="until set up"),
    Card("authenticationRequiredSetupForOffSession", "4000003800000446"),
    Card(
        "authenticationRequiredChargeDeclinedInsufficientFunds", "4000008260003178", asks="always",
        declines="insufficient_funds",
    ),
    Card("threeDSecure2Required", "4000000000003220", asks="always"),
    Card("threeDSecureRequired", "4000000000003063", asks="always"),
    Card("threeDSecureRequiredChargeDeclined", "4000008400001629", asks="always", declines="generic_decline"),
    Card("threeDSecureOptional", "4000000000003055"),
    Card("threeDSecureNotSupported", "378282246310005", "amex"),
    Card("createDispute", "4000000000000259", disputed="fraudulent"),
    Card("createDisputeProductNotReceived", "4000000000002685", disputed="product_not_received"),
    Card("createDisputeInquiry", "4000000000001976", disputed="fraudulent", inquiry=True),
    Card("createIssuerFraudRecord", "4000000000005423", warned=True),
    Card("pendingRefund", "4000000000007726", refund="pending"),
    Card("refundFail", "4000000000005126", refund="failing"),
    Card("bypassPending", "4000000000000077", at_once=True),
)  # fmt: skip
BY_NAME = {card.name: card for card in CARDS}
BY_NUMBER = {card.number: card for card in reversed(CARDS)}


def named(identifier: str) -> Card | None:
    """The card of `pm_card_visa` or `tok_visa`."""
    for prefix in ("pm_card_", "tok_"):
        if identifier.startswith(prefix):
            return BY_NAME.get(identifier.removeprefix(prefix))
    return None


def error_of(decline: str) -> dict[str, Any]:
    """The members of the error that a decline is."""
    code = decline if decline in OWN_CODES else "card_declined"
    error: dict[str, Any] = {"code": code, "message": MESSAGES.get(decline, MESSAGES["card_declined"])}
    if code == "card_declined" or decline == "authentication_required":
        error["decline_code"] = decline
    if decline in _ADVICE:
        error["advice_code"] = _ADVICE[decline]
    if decline in _NETWORK:
        error["network_decline_code"] = _NETWORK[decline]
    return error
