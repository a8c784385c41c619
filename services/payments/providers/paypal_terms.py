"""What PayPal takes, and amounts as it writes them. Pure."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from models.money import Money, NotRepresentable, Provider, from_provider, to_provider
from services.payments.providers.base import RefusedByProvider
from services.payments.providers.capabilities import Capabilities, EvidenceTerms, Flow

# PayPal tells no figure, only that it refuses what it finds too much.
CALLS_AT_ONCE = 10
# developer.paypal.com/api/rest/reference/currency-codes; those of one country only (BRL, CNY, MYR) are left out.
_CODES = "AUD CAD CZK DKK EUR HKD HUF ILS JPY MXN TWD NZD NOK PHP PLN GBP SGD SEK CHF THB USD"
_WITHOUT_DECIMALS = frozenset({"HUF", "JPY", "TWD"})
CAPABILITIES = Capabilities(
    provider=Provider.PAYPAL,
    flows=frozenset({Flow.REDIRECT}),
    currencies=frozenset(_CODES.split()),
    minimums={},
    keys_last=timedelta(hours=6),
    keeps_methods=True,
    captures_later=True,
    lists_payouts=False,
    # developer.paypal.com/api/customer-disputes/v1: 10 MB each, 50 MB for a case; notes of 2,000 characters.
    evidence=EvidenceTerms(
        fields=("OTHER", "PROOF_OF_FULFILLMENT", "PROOF_OF_REFUND"),
        pack_field="OTHER",
        kinds=frozenset({"application/pdf", "image/png", "image/jpeg", "image/gif"}),
        files_max=10,
        bytes_max=9 * 1024 * 1024,
        total_bytes_max=48 * 1024 * 1024,
        notes_max=2_000,
    ),
)


def written(amount: Money) -> dict[str, str]:
    """Raises RefusedByProvider for what PayPal cannot carry."""
    if amount.currency not in CAPABILITIES.currencies:
        raise RefusedByProvider(
            f"PayPal takes no {amount.currency}.", reason="currency_not_supported", parameter="currency"
        )
    if amount.minor < 1:
        raise RefusedByProvider(
            "The amount must be above zero.", reason="amount_too_small", parameter="amount"
        )
    try:
        units = to_provider(amount, Provider.PAYPAL)
    except NotRepresentable as error:
        raise RefusedByProvider(str(error), reason="amount_not_representable", parameter="amount") from error
    return {
        "currency_code": amount.currency,
        "value": f"{Decimal(units).scaleb(-_decimals(amount.currency)):f}",
    }


def read(told: dict[str, str]) -> Money:
    """Raises NotRepresentable for more decimals than the currency has there."""
    code = told["currency_code"]
    units = Decimal(told["value"]).scaleb(_decimals(code))
    if units != int(units):
        raise NotRepresentable(f"PayPal sent {told['value']} {code}.")
    return from_provider(int(units), code, Provider.PAYPAL)


def _decimals(code: str) -> int:
    return 0 if code in _WITHOUT_DECIMALS else 2
