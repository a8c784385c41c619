"""What Stripe takes: currencies, least amounts, and amounts in the units it counts in. Pure."""

from __future__ import annotations

from datetime import timedelta

from models.currencies import CURRENCIES
from models.money import Money, NotRepresentable, Provider, to_provider
from services.payments.providers.base import RefusedByProvider
from services.payments.providers.capabilities import Capabilities, EvidenceTerms, Flow

# docs.stripe.com/rate-limits: 25 requests a second of one kind, and a limit that is not told on those under way. A
# charge takes about a second there, and what runs by itself leaves room for customers.
CALLS_AT_ONCE = 20
# docs.stripe.com/currencies: what cards may be charged in.
_CODES = """
USD AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BWP BYN BZD CAD CDF CHF
CLP CNY COP CRC CVE CZK DJF DKK DOP DZD EGP ETB EUR FJD FKP GBP GEL GIP GMD GNF GTQ GYD HKD HNL HTG HUF
IDR ILS INR ISK JMD JOD JPY KES KGS KHR KMF KRW KWD KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT
MOP MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF
SAR SBD SCR SEK SGD SHP SLE SOS SRD SZL THB TJS TND TOP TRY TTD TWD TZS UAH UGX UYU UZS VND VUV WST XAF
XCD XCG XOF XPF YER ZAR ZMW
"""
# The same page, "Minimum and maximum charge amounts", in minor units.
_MINIMUMS = {
    "USD": 50, "AED": 200, "AUD": 50, "BRL": 50, "CAD": 50, "CHF": 50, "CZK": 1500, "DKK": 250, "EUR": 50, "GBP": 30,
    "HKD": 400, "HUF": 17500, "INR": 50, "JPY": 50, "MXN": 1000, "MYR": 200, "NOK": 300, "NZD": 50, "PLN": 200,
    "RON": 200, "SEK": 300, "SGD": 50, "THB": 1000,
}  # fmt: skip
CAPABILITIES = Capabilities(
    provider=Provider.STRIPE,
    flows=frozenset({Flow.REDIRECT}),
    currencies=frozenset(_CODES.split()) & frozenset(CURRENCIES),
    minimums={code: Money(minor, code) for code, minor in _MINIMUMS.items()},
    keys_last=timedelta(hours=24),
    keeps_methods=True,
    captures_later=True,
    lists_payouts=True,
    # docs.stripe.com/disputes/api and /file-upload: one file for each, 4.5 MB together.
    evidence=EvidenceTerms(
        fields=(
            "receipt",
            "customer_communication",
            "service_documentation",
            "refund_policy",
            "cancellation_policy",
            "customer_signature",
            "duplicate_charge_documentation",
            "shipping_documentation",
        ),
        pack_field="uncategorized_file",
        kinds=frozenset({"application/pdf", "image/png", "image/jpeg"}),
        files_max=8,
        bytes_max=4 * 1024 * 1024,
        total_bytes_max=4_500_000,
        is_one_each=True,
    ),
)


def in_units(amount: Money) -> int:
    """As Stripe counts it. Raises RefusedByProvider for what it cannot carry."""
    if amount.minor < 1:
        raise RefusedByProvider(
            "The amount must be above zero.", reason="amount_too_small", parameter="amount"
        )
    try:
        return to_provider(amount, Provider.STRIPE)
    except NotRepresentable as error:
        raise RefusedByProvider(str(error), reason="amount_not_representable", parameter="amount") from error


def chargeable_units(amount: Money) -> int:
    """As Stripe counts it, if it may be charged at all."""
    if amount.currency not in CAPABILITIES.currencies:
        raise RefusedByProvider(
            f"Stripe takes no {amount.currency}.", reason="currency_not_supported", parameter="currency"
        )
    if amount < (least := CAPABILITIES.minimum(amount.currency)):
        raise RefusedByProvider(
            f"Stripe takes no less than {least.said()}.", reason="amount_too_small", parameter="amount"
        )
    return in_units(amount)
