"""Which payment providers there are: one line each. docs/payment-providers.md says how to add one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from models.ledger import Purpose
from services.core.errors import Invalid
from services.payments.providers import bank, crypto, paypal_terms, stripe_terms
from services.payments.providers.base import Opening, PaymentProvider
from services.payments.providers.capabilities import Capabilities, GivesBack
from services.payments.providers.paypal import PayPalProvider
from services.payments.providers.paypal_wire import CERTIFICATE_NAME, LIVE, PayPalAccount
from services.payments.providers.stripe import StripeProvider
from services.payments.providers.stripe_events import StripeAccount

Text = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Kind:
    """How an account with a provider is opened, and what it has to say for that.

    `open` is given what an adapter may know. `settings` anybody may know,
    `secrets` nobody; `optional` are settings that may be left out, and `fixed` those that stay as they are. `check`
    raises Invalid for values that are not what their names say.
    """

    open: Callable[[Opening], PaymentProvider]
    capabilities: Capabilities
    settings: frozenset[str]
    secrets: frozenset[str]
    optional: frozenset[str] = frozenset()
    fixed: frozenset[str] = frozenset()
    check: Callable[[Text, Text, Collection[str]], None] = lambda settings, secrets, allowed: None

    @property
    def watched(self) -> bool:
        return self.capabilities.is_watched


def _stripe(given: Opening) -> PaymentProvider:
    return StripeProvider(
        StripeAccount(
            given.secrets["secret_key"],
            tuple(given.secrets["webhook_secret"].split()),
            given.settings.get("account", ""),
            given.settings.get("base", ""),
            frozenset(given.allowed),
        )
    )


def _paypal(given: Opening) -> PaymentProvider:
    return PayPalProvider(
        PayPalAccount(
            given.settings["client"],
            given.secrets["secret"],
            given.settings["webhook_id"],
            base=given.settings.get("base", LIVE),
            certificate_name=given.settings.get("certificate_name", CERTIFICATE_NAME),
            trusted=given.settings.get("trusted", ""),
            allowed=frozenset(given.allowed),
        )
    )


# `base` is where a test chain has its wallet.
_OF_A_CHAIN = frozenset({"base", "confirmations", "locked_minutes", "ignored_over_minor"})
KINDS: dict[str, Kind] = {
    "stripe": Kind(
        _stripe,
        stripe_terms.CAPABILITIES,
        settings=frozenset({"account", "base"}),
        secrets=frozenset({"secret_key", "webhook_secret"}),
        optional=frozenset({"account", "base"}),
    ),
    "paypal": Kind(
        _paypal,
        paypal_terms.CAPABILITIES,
        settings=frozenset({"client", "webhook_id", "base", "certificate_name", "trusted"}),
        secrets=frozenset({"secret"}),
        optional=frozenset({"base", "certificate_name", "trusted"}),
    ),
    "crypto": Kind(
        crypto.CryptoProvider,
        crypto.CAPABILITIES,
        settings=frozenset({"chain_id", "key", "assets"}) | _OF_A_CHAIN,
        secrets=frozenset({"node"}),  # its address often holds the key to it
        optional=_OF_A_CHAIN,
        fixed=frozenset({"chain_id"}),
        check=crypto.check,
    ),
    "bank": Kind(
        bank.BankProvider,
        bank.CAPABILITIES,
        settings=frozenset({"number"}),
        secrets=frozenset(),
        fixed=frozenset({"number"}),
        check=bank.check,
    ),
}
OUR_BANKS = sorted(name for name, one in KINDS.items() if one.capabilities.is_our_bank)


def gives_back(provider: str) -> GivesBack:
    return kind(provider).capabilities.gives_back


def held_on(provider: str) -> Purpose:
    """Where what came by it is booked: what somebody else has until it is paid out is not ours to spend yet."""
    return Purpose.CASH if kind(provider).capabilities.is_our_bank else Purpose.CLEARING


def kind(provider: str) -> Kind:
    """Raises Invalid for a provider that nobody knows."""
    found = KINDS.get(provider)
    if found is None:
        raise Invalid(f"There is no provider {provider!r}: {', '.join(sorted(KINDS))}.", field="provider")
    return found
